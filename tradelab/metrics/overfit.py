"""Say how much of a Sharpe ratio is the search that found it: PSR, minimum track record, DSR, and PBO by CSCV.

Sharpe ratios here are per *period*, never a year: the formulas count periods. ``kurtosis`` is the raw fourth moment
(normal: 3), not the excess. Undefined is NaN; a NaN or an infinity among returns is refused with ValueError.

References
----------
.. [1] D. H. Bailey and M. López de Prado, "The Sharpe ratio efficient frontier", Journal of Risk 15(2), 2012.
.. [2] D. H. Bailey and M. López de Prado, "The deflated Sharpe ratio", Journal of Portfolio Management 40(5), 2014.
.. [3] D. H. Bailey, J. M. Borwein, M. López de Prado and Q. J. Zhu, "The probability of backtest overfitting", Journal
   of Computational Finance 20(4), 2017.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tradelab.metrics.arrays import Floats, Ints, finite

BLOCKS = 16  # of time, as in [3], section 3: 12 870 ways to part them into two halves

_NAN = float("nan")
_NORMAL = NormalDist()
# Split × trial cells worked on at once: such arrays stay in a core's cache, and products of them are too small for BLAS
# to start threads, which on a busy machine wait for each other (30 times slower, measured).
_CELLS = 1 << 15


def normal_cdf(z: float) -> float:
    """Probability that a standard normal variable is at most ``z``.

    >>> normal_cdf(0.0)
    0.5
    """
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


class Moments(NamedTuple):
    """What the Sharpe tests need of a series of returns: how many, and its shape, per period."""

    periods: int
    sharpe: float
    skew: float
    kurtosis: float


def moments(returns: ArrayLike) -> Moments:
    """Count, Sharpe ratio (ddof = 1), skewness and raw kurtosis (population moments) of returns, all per period.

    NaN ratios below two returns and where all are equal.

    >>> moments([1.0, -1.0, 1.0, -1.0])
    Moments(periods=4, sharpe=0.0, skew=0.0, kurtosis=1.0)
    """
    returns = finite(returns, "returns")
    if len(returns) < 2 or returns.min() == returns.max():
        return Moments(len(returns), _NAN, _NAN, _NAN)
    centred = returns - returns.mean()
    variance = float(np.mean(centred**2))
    return Moments(
        periods=len(returns),
        sharpe=float(returns.mean() / returns.std(ddof=1)),
        skew=float(np.mean(centred**3)) / variance**1.5,
        kurtosis=float(np.mean(centred**4)) / variance**2,
    )


def probabilistic_sharpe(
    sharpe: float, *, periods: int, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float:
    """Probability that the true Sharpe ratio is above ``benchmark``: the PSR of [1], section 3.

    ``PSR = Φ((SR − SR*) √(n − 1) / √(1 − γ₃ SR + (γ₄ − 1)/4 · SR²))``.

    Parameters
    ----------
    sharpe, benchmark
        Per period.
    periods
        Returns the ratio was measured on, n.
    skew, kurtosis
        Of these returns, γ₃ and raw γ₄. NaN below two returns, or where the moments contradict each other.

    Examples
    --------
    The hedge fund of [1]: 24 months, skewness −2.448, kurtosis 10.164.

    >>> round(probabilistic_sharpe(0.458, periods=24, skew=-2.448, kurtosis=10.164), 3)
    0.913
    """
    spread = _spread(sharpe, skew, kurtosis)
    if periods < 2 or not spread > 0.0:
        return _NAN
    return normal_cdf((sharpe - benchmark) * math.sqrt(periods - 1) / math.sqrt(spread))


def min_track_record(
    sharpe: float, *, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0, confidence: float = 0.95
) -> float:
    """Periods after which a ratio like this would be above ``benchmark`` with ``confidence``: MinTRL of [1], section 4.

    ``MinTRL = 1 + (1 − γ₃ SR + (γ₄ − 1)/4 · SR²) (z_α / (SR − SR*))²``. NaN where the ratio is not above the benchmark:
    no length would do.

    Examples
    --------
    [1]: an annual Sharpe ratio of 2 in daily returns needs 2.73 years to be told from 1.

    >>> day = 252**-0.5
    >>> round(min_track_record(2 * day, benchmark=day) / 252, 2)
    2.73
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence}; allowed: above 0 and below 1.")
    spread = _spread(sharpe, skew, kurtosis)
    if not (sharpe > benchmark and spread > 0.0):
        return _NAN
    return 1.0 + spread * (_NORMAL.inv_cdf(confidence) / (sharpe - benchmark)) ** 2


def expected_max_sharpe(variance: float, trials: float) -> float:
    """Sharpe ratio to expect of the best of ``trials`` without any skill: SR₀ of [2], equation 1.

    ``SR₀ = √V ((1 − γ) Φ⁻¹(1 − 1/N) + γ Φ⁻¹(1 − 1/(N e)))`` with γ the Euler–Mascheroni constant; 0 for one trial.

    Parameters
    ----------
    variance
        Of the Sharpe ratios over the trials, V, per period.
    trials
        How many independent ones, N ≥ 1; need not be whole.
    """
    if not trials >= 1.0:
        raise ValueError(f"trials is {trials}; allowed: 1 or more.")
    if not variance >= 0.0:
        raise ValueError(f"variance is {variance}; allowed: 0 or more.")
    if trials == 1.0:
        return 0.0
    gamma = float(np.euler_gamma)
    high, higher = _NORMAL.inv_cdf(1.0 - 1.0 / trials), _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return max(math.sqrt(variance) * ((1.0 - gamma) * high + gamma * higher), 0.0)


def deflated_sharpe(
    sharpe: float, *, periods: int, skew: float = 0.0, kurtosis: float = 3.0, variance: float, trials: float
) -> float:
    """Probability that the true Sharpe ratio is above what the best of so many trials shows by luck: [2], equation 2.

    The `probabilistic_sharpe` over the benchmark `expected_max_sharpe`.

    Parameters
    ----------
    sharpe, periods, skew, kurtosis
        Of the best trial's returns, per period.
    variance
        Of the Sharpe ratios over *all* trials, per period.
    trials
        How many, or how many independent ones (`independent_trials`).

    Examples
    --------
    The example of [2]: annual Sharpe ratio 2.5 over 1 250 days of 250 a year, V = ½ a year, 100 trials.

    >>> dsr = deflated_sharpe(2.5 / 250**0.5, periods=1250, skew=-3, kurtosis=10, variance=0.5 / 250, trials=100)
    >>> round(dsr, 4)
    0.9004
    """
    benchmark = expected_max_sharpe(variance, trials)
    return probabilistic_sharpe(sharpe, periods=periods, skew=skew, kurtosis=kurtosis, benchmark=benchmark)


def independent_trials(trials: int, mean_correlation: float) -> float:
    """Independent trials that ``trials`` correlated ones are worth: ``ρ̄ + (1 − ρ̄) M`` of [2], appendix 3.

    ``mean_correlation`` is the mean off-diagonal correlation of the trials' returns; below 0 counts as 0.

    >>> independent_trials(100, 0.5), independent_trials(100, 1.0)
    (50.5, 1.0)
    """
    rho = min(max(mean_correlation, 0.0), 1.0)
    return rho + (1.0 - rho) * trials


@dataclass(frozen=True, eq=False)
class Overfitting:
    """What choosing the best half-history trial was worth on the other half, over all ways to part the blocks.

    Attributes
    ----------
    pbo
        Probability of backtest overfitting: share of splits whose chosen trial is in the lower half out of sample.
    probability_of_loss
        Share of splits whose chosen trial has a Sharpe ratio below 0 out of sample.
    slope, intercept
        Regression of the chosen trial's Sharpe ratio out of sample on the one in sample (performance degradation).
    logits
        Shape (splits,): ``ln(ω/(1 − ω))`` of the chosen trial's relative rank out of sample; 0 is the median.
    in_sample, out_of_sample
        Shape (splits,): Sharpe ratios per period of the chosen trial.
    chosen
        Shape (splits,): which trial was chosen.
    trials, blocks
        How many there were.
    """

    pbo: float
    probability_of_loss: float
    slope: float
    intercept: float
    logits: Floats
    in_sample: Floats
    out_of_sample: Floats
    chosen: Ints
    trials: int
    blocks: int


def backtest_overfitting(returns: ArrayLike, *, blocks: int = BLOCKS) -> Overfitting:
    """Estimate the probability of backtest overfitting from the returns of every trial, by CSCV ([3], section 3).

    Parameters
    ----------
    returns
        Shape (periods, trials), finite, at least two trials and two periods a block.
    blocks
        Even number of equal stretches of time; some are a period longer where they do not come out even.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> skill = np.linspace(0.0, 0.01, 20)
    >>> backtest_overfitting(rng.normal(skill, 0.01, (800, 20))).pbo < 0.05
    True
    """
    return overfitting_of_sums(block_sums(returns, blocks))


def block_sums(returns: ArrayLike, blocks: int = BLOCKS) -> Floats:
    """Count, sum and sum of squares of returns in equal stretches of time, shape (3, blocks, trials).

    Raises
    ------
    ValueError
        Not two-dimensional, not finite, fewer than two periods a block.
    """
    array = np.asarray(returns, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"returns must have the shape (periods, trials), not {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError("returns hold a NaN or an infinity; figures skip nothing: drop or fill it first.")
    if blocks < 1 or len(array) < 2 * blocks:
        raise ValueError(f"{len(array)} periods cannot be parted into {blocks} blocks of at least two.")
    edges = np.arange(blocks) * len(array) // blocks
    counts = np.diff(np.append(edges, len(array))).astype(np.float64)
    return np.stack(
        [
            np.repeat(counts[:, None], array.shape[1], axis=1),
            np.add.reduceat(array, edges, axis=0),
            np.add.reduceat(array * array, edges, axis=0),
        ]
    )


def overfitting_of_sums(sums: ArrayLike) -> Overfitting:
    """Estimate the same from sums by block of time, which a sweep of ten thousand trials can keep.

    Sharpe ratios of any union of blocks follow from the sums, so no return is needed. A trial that stood still over a
    union (no variance) has a ratio of 0 there. Among equals the first is chosen; equals share their mean rank.

    Parameters
    ----------
    sums
        Shape (3, blocks, trials): number of returns, Σr and Σr² in each block, as `block_sums` gives them.

    Raises
    ------
    ValueError
        Fewer than two trials, or an odd number of blocks.
    """
    sums = np.asarray(sums, dtype=np.float64)
    if sums.ndim != 3 or sums.shape[0] != 3:
        raise ValueError(f"sums must have the shape (3, blocks, trials), not {sums.shape}.")
    _, blocks, trials = sums.shape
    if trials < 2:
        raise ValueError(f"{trials} trial leaves nothing to choose from; at least two are needed.")
    if blocks < 2 or blocks % 2:
        raise ValueError(f"{blocks} blocks cannot be parted into halves; allowed: an even number.")
    parts = [_judge(inside, outside) for inside, outside in _halves(sums)]
    chosen, here, there, rank = (np.concatenate(column) for column in zip(*parts, strict=True))
    omega = rank / (trials + 1.0)
    logits = np.log(omega / (1.0 - omega))
    slope, intercept = _line(here, there)
    return Overfitting(
        pbo=float(np.mean(logits <= 0.0)),
        probability_of_loss=float(np.mean(there < 0.0)),
        slope=slope,
        intercept=intercept,
        logits=logits,
        in_sample=here,
        out_of_sample=there,
        chosen=chosen,
        trials=trials,
        blocks=blocks,
    )


def sharpe_of_sums(count: ArrayLike, total: ArrayLike, squares: ArrayLike) -> Floats:
    """Sharpe ratio per period (ddof = 1) from n, Σr and Σr², of any one shape; 0 where nothing moved.

    >>> sharpe_of_sums(2, 0.04, 0.001).round(6) == round(2**0.5, 6)
    np.True_
    """
    n, total, squares = (np.asarray(x, dtype=np.float64) for x in (count, total, squares))
    mean = total / n
    spread = squares - total * mean
    still = spread <= 1e-14 * squares  # all equal, as far as the sums can tell
    return np.where(still, 0.0, mean / np.sqrt(np.where(still, 1.0, spread) / (n - 1.0)))


def _halves(sums: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Sharpe ratios of every half of the blocks and of its complement, shape (splits, trials), a chunk at a time."""
    _, blocks, trials = sums.shape
    # A half and its complement are two splits of one pair; the pairs are the halves that hold the first block.
    rest = itertools.combinations(range(1, blocks), blocks // 2 - 1)
    pairs = np.zeros((math.comb(blocks, blocks // 2) // 2, blocks))
    pairs[:, 0] = 1.0
    for row, members in zip(pairs, rest, strict=True):
        row[list(members)] = 1.0
    step = max(_CELLS // trials, 1)
    for first in range(0, len(pairs), step):
        held = pairs[first : first + step]
        one = sharpe_of_sums(*(held @ sums))
        other = sharpe_of_sums(*((1.0 - held) @ sums))
        yield one, other
        yield other, one


def _judge(inside: Floats, outside: Floats) -> tuple[Ints, Floats, Floats, Floats]:
    """Of each split: the trial chosen inside, its ratio inside and outside, and its rank outside, 1 the worst."""
    rows = np.arange(len(inside))
    chosen = inside.argmax(axis=1)
    there = outside[rows, chosen]
    below = (outside < there[:, None]).sum(axis=1)
    equal = (outside == there[:, None]).sum(axis=1)
    return chosen, inside[rows, chosen], there, below + (equal + 1.0) / 2.0


def _line(x: NDArray, y: NDArray) -> tuple[float, float]:
    """Slope and intercept of a least-squares line; NaN where all x are equal."""
    if x.min() == x.max():
        return _NAN, _NAN
    centred = x - x.mean()
    slope = float((centred * y).sum() / (centred * centred).sum())
    return slope, float(y.mean() - slope * x.mean())


def _spread(sharpe: float, skew: float, kurtosis: float) -> float:
    """Variance of the estimated ratio, times n − 1."""
    return 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
