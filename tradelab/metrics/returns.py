"""Measure a series of returns: growth, risk, and the ratios between them.

One convention throughout. ``returns`` has shape (periods,): the simple return of each period as a fraction (0.01 is one
percent), the first being the first bar's own. Figures a year need ``periods_per_year``, which has no default: take it
from `tradelab.metrics.annualise`; where it is NaN, they are NaN. Risk-free rates and required returns are fractions per
*period*. Undefined is NaN, never infinity or zero: no returns, one return where two are needed, no dispersion, no
drawdown, no loss. A NaN or an infinity among the returns is refused with ValueError: a skipped bar is a wrong figure.

Definitions are empyrical's, so figures agree with empyrical-reloaded to rounding; each docstring says where vectorbt
1.2 or quantstats 0.0.x differ.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tradelab.metrics.arrays import Floats, finite, same_length

_NAN = float("nan")


def total_return(returns: ArrayLike) -> float:
    """Compound the returns: ``∏(1 + r) − 1``. NaN without returns.

    >>> round(total_return([0.1, -0.1]), 12)
    -0.01
    """
    returns = finite(returns, "returns")
    return float(np.prod(1.0 + returns) - 1.0) if len(returns) else _NAN


def cagr(returns: ArrayLike, *, periods_per_year: float) -> float:
    """Compound annual growth rate: ``(∏(1 + r))^(periods_per_year / n) − 1``.

    NaN without returns, and when a loss beyond 100 % leaves no real root. A year is counted in bars, as in empyrical,
    vectorbt and quantstats, not in days between the first and the last date.
    """
    return growth_a_year(total_return(returns), len(finite(returns, "returns")), periods_per_year=periods_per_year)


def growth_a_year(growth: float, periods: int, *, periods_per_year: float) -> float:
    """Turn a total return over ``periods`` into a rate a year; NaN where there is none, or it leaves the floats."""
    if periods == 0 or not growth >= -1.0 or math.isnan(periods_per_year):
        return _NAN
    try:
        return (1.0 + growth) ** (periods_per_year / periods) - 1.0
    except OverflowError:
        return _NAN


def volatility(returns: ArrayLike, *, periods_per_year: float) -> float:
    """Sample standard deviation (ddof = 1) times the root of ``periods_per_year``; NaN below two returns."""
    returns = finite(returns, "returns")
    return _deviation(returns) * math.sqrt(periods_per_year) if len(returns) > 1 else _NAN


def sharpe(returns: ArrayLike, *, periods_per_year: float, risk_free: float = 0.0) -> float:
    """Sharpe ratio (Sharpe 1994): mean excess return over its sample deviation (ddof = 1), a year.

    NaN below two returns and when all are equal; vectorbt gives infinity there. quantstats takes ``rf`` a year and
    converts it; here ``risk_free`` is per period, nothing by default.

    >>> round(sharpe([0.01, 0.03], periods_per_year=1), 12) == round(2**0.5, 12)
    True
    >>> sharpe([0.01, 0.01, 0.01], periods_per_year=252)
    nan
    """
    excess = _above(returns, risk_free)
    return _ratio(excess.mean(), _deviation(excess)) * math.sqrt(periods_per_year) if len(excess) > 1 else _NAN


def downside_deviation(returns: ArrayLike, *, periods_per_year: float, required: float = 0.0) -> float:
    """Root mean square of the shortfalls below ``required``, over *all* periods, a year. NaN without returns."""
    excess = _above(returns, required)
    return _shortfall(excess) * math.sqrt(periods_per_year) if len(excess) else _NAN


def sortino(returns: ArrayLike, *, periods_per_year: float, required: float = 0.0) -> float:
    """Sortino ratio (Sortino & Price 1994): mean excess return over the downside deviation, a year.

    The deviation is taken over all periods, not over the losing ones alone. NaN below two returns and when none falls
    short; vectorbt gives infinity there.
    """
    excess = _above(returns, required)
    return _ratio(excess.mean(), _shortfall(excess)) * math.sqrt(periods_per_year) if len(excess) > 1 else _NAN


def omega(returns: ArrayLike, *, required: float = 0.0) -> float:
    """Omega ratio (Keating & Shadwick 2002): sum of gains above ``required`` over the sum of shortfalls below it.

    ``required`` is per period; empyrical, vectorbt and quantstats take it a year. NaN below two returns and when none
    falls short (vectorbt: infinity).
    """
    excess = _above(returns, required)
    if len(excess) < 2:
        return _NAN
    return _ratio(np.maximum(excess, 0.0).sum(), -np.minimum(excess, 0.0).sum())


def drawdown(returns: ArrayLike) -> Floats:
    """Depth below the highest wealth so far, shape (periods,), each ≤ 0; the starting wealth is the first height.

    >>> drawdown([-0.5, 1.0, 0.5, -0.5]).tolist()
    [-0.5, 0.0, 0.0, -0.5]
    """
    return drawdown_of_wealth(np.cumprod(1.0 + finite(returns, "returns")), start=1.0)


def drawdown_of_wealth(wealth: ArrayLike, *, start: float) -> Floats:
    """Depth of an equity curve below its highest value so far, ``start`` (> 0, the initial cash) included."""
    wealth = finite(wealth, "wealth")
    heights = np.maximum.accumulate(wealth)
    np.maximum(heights, start, out=heights)
    depth = np.divide(wealth, heights, out=heights)
    return np.subtract(depth, 1.0, out=depth)


def max_drawdown(returns: ArrayLike) -> float:
    """Deepest drawdown, ≤ 0. NaN without returns. vectorbt 1.2's equals it only if the first return is no loss."""
    depth = drawdown(returns)
    return float(depth.min()) if len(depth) else _NAN


def max_drawdown_duration(returns: ArrayLike) -> int:
    """Longest run of bars below an earlier height, recovered or not: bars between the height and its recovery.

    vectorbt's "Max Drawdown Duration" counts the same bars; backtesting.py counts one more, from height to height.

    >>> max_drawdown_duration([0.1, -0.1, 0.05, 0.2, -0.1])
    2
    """
    return longest_run(drawdown(returns) < 0)


def longest_run(flags: ArrayLike) -> int:
    """Length of the longest unbroken run of True."""
    flags = np.asarray(flags, dtype=bool)
    off = np.flatnonzero(~flags)
    return int(np.diff(np.concatenate(([-1], off, [len(flags)]))).max()) - 1


def calmar(returns: ArrayLike, *, periods_per_year: float) -> float:
    """Calmar ratio (Young 1991, over the whole history): CAGR over the depth of the deepest drawdown.

    NaN without a drawdown; vectorbt gives infinity there.
    """
    return _ratio(cagr(returns, periods_per_year=periods_per_year), -max_drawdown(returns))


class Tail(NamedTuple):
    """The bad end of the distribution of returns, both ≤ the median as fractions per period."""

    value_at_risk: float
    cvar: float


def tail(returns: ArrayLike, *, cutoff: float = 0.05) -> Tail:
    """Historical value at risk and expected shortfall, from one partial sort.

    ``value_at_risk`` is the ``cutoff`` quantile of the returns, interpolated linearly (type 7 of Hyndman & Fan 1996,
    numpy's default). ``cvar`` is the mean of the ``⌊(n − 1)·cutoff⌋ + 1`` lowest returns, the one at the cutoff
    included, as in empyrical and vectorbt. Losses are negative. quantstats means something else by both names: the
    quantile and the shortfall of a fitted normal. NaN without returns.

    >>> tail([-0.04, -0.02, 0.01, 0.02, 0.03], cutoff=0.25)
    Tail(value_at_risk=-0.02, cvar=-0.03)
    """
    returns = finite(returns, "returns")
    if not 0 < cutoff < 1:
        raise ValueError(f"cutoff is {cutoff}; allowed: above 0 and below 1.")
    if len(returns) == 0:
        return Tail(_NAN, _NAN)
    place = (len(returns) - 1) * cutoff
    below = int(place)
    above = min(below + 1, len(returns) - 1)
    lowest = np.partition(returns, (below, above))
    at_risk = lowest[below] + (place - below) * (lowest[above] - lowest[below])
    return Tail(float(at_risk), float(lowest[: below + 1].mean()))


def value_at_risk(returns: ArrayLike, *, cutoff: float = 0.05) -> float:
    """Historical value at risk per period, as `tail` defines it."""
    return tail(returns, cutoff=cutoff).value_at_risk


def cvar(returns: ArrayLike, *, cutoff: float = 0.05) -> float:
    """Historical expected shortfall per period, as `tail` defines it."""
    return tail(returns, cutoff=cutoff).cvar


class AlphaBeta(NamedTuple):
    """What the returns owe to a benchmark (beta) and what they do not (alpha, a year)."""

    alpha: float
    beta: float


def alpha_beta(
    returns: ArrayLike, benchmark: ArrayLike, *, periods_per_year: float, risk_free: float = 0.0
) -> AlphaBeta:
    """Regress excess returns on the benchmark's (Jensen 1968).

    ``beta = cov / var`` and ``alpha = (1 + mean(r − beta·b))^periods_per_year − 1`` as in empyrical and vectorbt;
    quantstats multiplies the mean instead of compounding it. NaN below two returns and for a flat benchmark.

    Raises
    ------
    ValueError
        ``returns`` and ``benchmark`` differ in length.
    """
    excess = _above(returns, risk_free)
    market = _above(benchmark, risk_free, "benchmark")
    same_length(returns=excess, benchmark=market)
    if len(excess) < 2:
        return AlphaBeta(_NAN, _NAN)
    residual = market - market.mean()
    beta = _NAN if market.min() == market.max() else _dot(residual, excess) / _dot(residual, residual)
    mean = float(excess.mean() - beta * market.mean())
    return AlphaBeta(growth_a_year(mean, 1, periods_per_year=periods_per_year), beta)


def tail_ratio(returns: ArrayLike) -> float:
    """Size of the 95 % quantile over the size of the 5 % quantile; NaN without returns or when the latter is 0."""
    returns = finite(returns, "returns")
    if len(returns) == 0:
        return _NAN
    low, high = np.percentile(returns, (5, 95))
    return _ratio(abs(high), abs(low))


def skew(returns: ArrayLike) -> float:
    """Adjusted Fisher–Pearson skewness, pandas' and quantstats' estimator; NaN below three or if all are equal."""
    returns = finite(returns, "returns")
    n = len(returns)
    if n < 3 or np.ptp(returns) == 0:
        return _NAN
    centred = returns - returns.mean()
    variance = np.mean(centred**2)
    return float(np.mean(centred**3) / variance**1.5 * math.sqrt(n * (n - 1)) / (n - 2))


def excess_kurtosis(returns: ArrayLike) -> float:
    """Unbiased excess kurtosis (normal: 0), pandas' and quantstats' estimator; NaN below four or if all are equal."""
    returns = finite(returns, "returns")
    n = len(returns)
    if n < 4 or np.ptp(returns) == 0:
        return _NAN
    centred = returns - returns.mean()
    raw = np.mean(centred**4) / np.mean(centred**2) ** 2
    return float((n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * raw - 3 * (n - 1)))


def _above(returns: ArrayLike, required: float, name: str = "returns") -> Floats:
    array = finite(returns, name)
    return array - required if required else array  # a copy of a long history costs more than the figure


def _deviation(values: Floats) -> float:
    """Sample deviation, exactly 0 for equal values, whose rounded mean would leave a residue to divide by."""
    if values.min() == values.max():
        return 0.0
    centred = values - values.mean()
    return math.sqrt(_dot(centred, centred) / (len(values) - 1))


def _shortfall(excess: Floats) -> float:
    below = np.minimum(excess, 0.0)
    return math.sqrt(_dot(below, below) / len(below))


def _dot(left: Floats, right: Floats) -> float:
    """Sum of products without BLAS, whose threads wait for each other on a busy machine and round by their number."""
    return float(np.einsum("i,i->", left, right))


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator > 0 else _NAN
