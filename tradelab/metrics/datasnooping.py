"""Ask whether the best of many trials is better than luck: White's reality check, Hansen's SPA, and their bootstraps.

``performance`` has shape (periods, trials): what each trial earned above the benchmark in each period, positive is
better, all finite. The null is that no trial beats the benchmark; a small p-value says the best one does, the search
among all of them paid for. Every draw comes from the seed that is given.

References
----------
.. [1] H. White, "A reality check for data snooping", Econometrica 68(5), 2000.
.. [2] P. R. Hansen, "A test for superior predictive ability", Journal of Business & Economic Statistics 23(4), 2005.
.. [3] D. N. Politis and J. P. Romano, "The stationary bootstrap", JASA 89(428), 1994.
.. [4] D. N. Politis and H. White, "Automatic block-length selection for the dependent bootstrap", Econometric Reviews
   23(1), 2004; A. Patton, D. N. Politis and H. White, "Correction", Econometric Reviews 28(4), 2009.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tradelab.metrics.arrays import Floats, Ints, finite

Seed = int | np.random.Generator

_CELLS = 1 << 21  # indices drawn at once: 16 MB
_COLUMNS = 128  # trials whose spectra are held at once
_BLOCK_SAMPLE = 64  # trials whose own best block lengths are averaged


class BlockLength(NamedTuple):
    """Mean block length that serves each bootstrap best, in periods; need not be whole."""

    stationary: float
    circular: float


def optimal_block_length(values: ArrayLike) -> BlockLength:
    """Choose the block length of a bootstrap from the autocorrelation of a series, by [4] with its correction.

    ``b = (2 G² / D)^(1/3) n^(1/3)``, G and the spectral density from a flat-top window of twice the lag beyond which
    ``max(5, log₁₀ n)`` correlations in a row are inside ``±2 √(log₁₀ n / n)``; D is 2 g(0)² for the stationary and
    4/3 g(0)² for the circular bootstrap. At most ``min(3 √n, n/3)``, at least 1, which is also the answer for a series
    that does not move.

    Parameters
    ----------
    values
        Shape (periods,), finite, at least 16.
    """
    x = finite(values, "values")
    n = len(x)
    if n < 16:
        raise ValueError(f"{n} values are too few to see how they depend on each other; at least 16 are needed.")
    if x.min() == x.max():
        return BlockLength(1.0, 1.0)
    x = x - x.mean()
    run = max(5, int(math.log10(n)))
    furthest = math.ceil(math.sqrt(n)) + run
    lags = range(min(furthest, n - 2) + 1)
    products = np.array([_dot(x[k:], x[: n - k]) for k in lags])
    # Correlations over the pairs that exist at each lag; as in Patton's programme, the lag-k pair loses one more end.
    scale = np.array([math.sqrt(_dot(x[k + 1 :], x[k + 1 :]) * _dot(x[: n - k - 1], x[: n - k - 1])) for k in lags])
    small = np.abs(products) < 2.0 * math.sqrt(math.log10(n) / n) * scale
    first = next((k - run for k in range(run, len(small)) if small[k - run : k].all()), None)
    m = min(2 * max(first, 1), furthest) if first is not None else furthest
    m = min(m, len(products) - 1)
    k = np.arange(1, m + 1)
    window = np.minimum(1.0, 2.0 * (1.0 - k / m))
    cov = products / n
    slope = 2.0 * float((window * k * cov[1 : m + 1]).sum())
    density = cov[0] + 2.0 * float((window * cov[1 : m + 1]).sum())
    most = math.ceil(min(3.0 * math.sqrt(n), n / 3.0))
    wide = (2.0 * slope**2 * n / density**2) ** (1.0 / 3.0) if density != 0.0 else math.inf
    return BlockLength(*(float(min(max(wide / d ** (1.0 / 3.0), 1.0), most)) for d in (2.0, 4.0 / 3.0)))


def stationary_bootstrap(count: int, mean_block: float, draws: int, seed: Seed) -> Ints:
    """Draw positions by the stationary bootstrap of [3]: blocks of geometric length, wrapped around the end.

    Parameters
    ----------
    count
        Length of the series, and of each draw.
    mean_block
        Mean length of a block, 1 or more; a new one begins with probability ``1/mean_block``.
    draws
        How many, each independent.
    seed
        A number, or a numpy ``Generator`` to go on drawing from.

    Returns
    -------
    Shape (draws, count): positions from 0 to ``count − 1``.
    """
    rng = _generator(count, mean_block, draws, seed)
    starts = rng.random((draws, count)) < 1.0 / mean_block
    return _walk(starts, rng.integers(count, size=(draws, count)), count)


def circular_bootstrap(count: int, block: int, draws: int, seed: Seed) -> Ints:
    """Draw positions in blocks of one length, wrapped around the end; parameters and result as above."""
    rng = _generator(count, block, draws, seed)
    starts = np.broadcast_to(np.arange(count) % int(block) == 0, (draws, count))
    return _walk(starts, rng.integers(count, size=(draws, count)), count)


@dataclass(frozen=True)
class Snooping:
    """Verdict on the best of many trials.

    Attributes
    ----------
    statistic
        Root of the number of periods times the mean of the best trial, over its deviation if studentised; 0 at least.
    best
        Column of the trial that gave it.
    lower, consistent, upper
        P-values of [2]: with the trials worse than the benchmark ignored, judged one by one, or all at the brink. The
        upper one of the plain statistic is White's reality check [1].
    draws, mean_block
        Of the bootstrap.
    """

    statistic: float
    best: int
    lower: float
    consistent: float
    upper: float
    draws: int
    mean_block: float


def reality_check(
    performance: ArrayLike, *, draws: int = 1_000, mean_block: float | None = None, seed: Seed = 0
) -> float:
    """P-value of White's reality check ([1], section 2): the best mean against bootstrapped best means.

    ``V = max √n f̄ₖ`` against ``V* = max √n (f̄ₖ* − f̄ₖ)``. Parameters as for `spa`.
    """
    return spa(performance, draws=draws, mean_block=mean_block, seed=seed, studentise=False).upper


def spa(
    performance: ArrayLike,
    *,
    draws: int = 1_000,
    mean_block: float | None = None,
    seed: Seed = 0,
    studentise: bool = True,
) -> Snooping:
    """Test for superior predictive ability ([2], sections 2 and 3).

    ``T = max(maxₖ √n d̄ₖ / ω̂ₖ, 0)`` against bootstrapped ``maxₖ √n (d̄ₖ* − g(d̄ₖ)) / ω̂ₖ`` with g the recentring of the
    p-value asked for: ``max(d̄, 0)``, ``d̄·1{d̄ ≥ −ω̂ √(2 log log n / n)}``, or ``d̄``. ω̂² is the variance of the stationary
    bootstrap in closed form. A trial that never differs from the benchmark is no rival and is left out.

    Parameters
    ----------
    performance
        Shape (periods, trials), at least 16 periods.
    draws
        Bootstrap draws; a p-value of 0.05 is known to about ±0.014 with 1 000.
    mean_block
        Of the stationary bootstrap, in periods; ``None``: the mean of what `optimal_block_length` says of (64 of) the
        trials.
    seed
        A number, or a numpy ``Generator`` to go on drawing from.
    studentise
        False: the plain means, as in the reality check; also what ``arch.bootstrap.SPA`` computes.

    Raises
    ------
    ValueError
        Wrong shape, not finite, too short, fewer than one draw.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(0.0, 0.01, (500, 50))
    >>> spa(noise).consistent > 0.05, spa(noise + 0.002).consistent < 0.05
    (True, True)
    """
    d = _matrix(performance)
    n = len(d)
    block = mean_block_of(d) if mean_block is None else mean_block
    rivals = np.flatnonzero(d.max(axis=0) > d.min(axis=0))
    if len(rivals) == 0:
        return Snooping(0.0, 0, 1.0, 1.0, 1.0, draws, block)
    d = d[:, rivals]
    mean = d.mean(axis=0)
    deviation = np.sqrt(bootstrap_variance(d, block))
    scale = deviation if studentise else np.ones_like(deviation)
    near = mean >= -deviation * math.sqrt(2.0 * math.log(math.log(n)) / n)
    centres = np.stack([np.maximum(mean, 0.0), np.where(near, mean, 0.0), mean])
    scores = math.sqrt(n) * mean / scale
    best = int(scores.argmax())
    statistic = max(float(scores[best]), 0.0)
    above = np.zeros(3)
    for means in bootstrap_means(d, block, draws, seed):
        drawn = math.sqrt(n) * (means[:, None, :] - centres) / scale
        above += (np.maximum(drawn.max(axis=2), 0.0) > statistic).sum(axis=0)
    # Under the null a trial at rest gives a statistic of 0, which no draw needs to beat to be as good.
    lower, consistent, upper = above / draws if statistic > 0.0 else np.ones(3)
    return Snooping(statistic, int(rivals[best]), float(lower), float(consistent), float(upper), draws, block)


def mean_block_of(performance: Floats) -> float:
    """Mean block length that suits many series, shape (periods, trials): the average over at most 64 of them."""
    trials = performance.shape[1]
    some = np.unique(np.linspace(0, trials - 1, min(trials, _BLOCK_SAMPLE)).astype(int))
    return float(np.mean([optimal_block_length(performance[:, k]).stationary for k in some]))


def bootstrap_variance(values: ArrayLike, mean_block: float) -> Floats:
    """Variance of √n times the mean under the stationary bootstrap ([3], lemma 1), shape (trials,).

    ``γ₀ + 2 Σᵢ ((1 − i/n)(1 − q)ⁱ + (i/n)(1 − q)ⁿ⁻ⁱ) γᵢ`` with q = 1/``mean_block``; the ω̂² of [2].
    """
    d = np.asarray(values, dtype=np.float64)
    n = len(d)
    i, stay = np.arange(1, n), 1.0 - 1.0 / mean_block
    weight = np.concatenate([[1.0], 2.0 * ((1.0 - i / n) * stay**i + (i / n) * stay ** (n - i))])
    found = np.empty(d.shape[1])
    for first in range(0, d.shape[1], _COLUMNS):
        some = d[:, first : first + _COLUMNS] - d[:, first : first + _COLUMNS].mean(axis=0)
        spectrum = np.fft.rfft(some, 2 * n, axis=0)
        cov = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, 2 * n, axis=0)[:n] / n  # all autocovariances at once
        found[first : first + _COLUMNS] = (weight[:, None] * cov).sum(axis=0)
    return np.maximum(found, 0.0)


def bootstrap_means(values: Floats, mean_block: float, draws: int, seed: Seed) -> Iterator[Floats]:
    """Means of stationary bootstrap draws, shape (some draws, trials), a chunk at a time until all are drawn."""
    n = len(values)
    rng = _generator(n, mean_block, draws, seed)
    step = max(_CELLS // max(n, 4 * values.shape[1]), 1)  # rows of draws and, after them, rows of means
    for first in range(0, draws, step):
        rows = min(step, draws - first)
        taken = stationary_bootstrap(n, mean_block, rows, rng) + n * np.arange(rows)[:, None]
        # How often each period was drawn, times what it brought: a matrix product instead of a gather.
        times = np.bincount(taken.ravel(), minlength=rows * n).reshape(rows, n)
        yield times.astype(np.float64) @ values / n


def _walk(starts: NDArray[np.bool_], places: Ints, count: int) -> Ints:
    """Positions that jump to ``places`` where a block ``starts`` and go one on elsewhere."""
    at = np.arange(count)
    begun = np.where(starts, at, 0)  # the first of a draw starts one whether it says so or not
    begun = np.maximum.accumulate(begun, axis=1)
    return (np.take_along_axis(places, begun, axis=1) + at - begun) % count


def _generator(count: int, mean_block: float, draws: int, seed: Seed) -> np.random.Generator:
    if count < 1 or draws < 1:
        raise ValueError(f"{draws} draws of {count} values; allowed: 1 or more of each.")
    if not mean_block >= 1:
        raise ValueError(f"the block length is {mean_block}; allowed: 1 or more.")
    return np.random.default_rng(seed)


def _matrix(values: ArrayLike) -> Floats:
    d = np.asarray(values, dtype=np.float64)
    if d.ndim != 2 or d.shape[0] < 16 or d.shape[1] < 1:
        raise ValueError(f"performance must have the shape (16 or more periods, trials), not {d.shape}.")
    if not np.isfinite(d).all():
        raise ValueError("performance holds a NaN or an infinity; figures skip nothing: drop or fill it first.")
    return d


def _dot(left: Floats, right: Floats) -> float:
    return float(np.einsum("i,i->", left, right))
