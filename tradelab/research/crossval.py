"""Part history into training and test stretches that do not leak into each other: purged, embargoed, combinatorial.

A label that is made at bar *t* and settled at a later bar sees all bars between; a training bar whose label reaches
into the test stretch has seen the test. Such bars are *purged*; bars just after a test stretch, whose inputs still
remember it, are kept under *embargo*.

References
----------
.. [1] M. López de Prado, "Advances in Financial Machine Learning", Wiley 2018: chapter 7 (purged k-fold), chapter 12
   (combinatorial purged cross-validation).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tradelab.metrics.overfit import sharpe_of_sums
from tradelab.model.errors import AlignmentError, ParameterError


class Split(NamedTuple):
    """Positions of the bars to learn from and of those to be judged on, both ascending."""

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True, eq=False)
class Combinatorial:
    """All ways to hold out some of the groups of bars, and the whole histories that can be put together from them.

    Attributes
    ----------
    splits
        One for each way to choose the test groups.
    groups
        Positions of the bars in each group, in order of time.
    held
        Of each split, the groups it tests.
    paths
        Shape (φ, groups): which split tests the group on each path. Every split serves each of its groups once.
    """

    splits: tuple[Split, ...]
    groups: tuple[np.ndarray, ...]
    held: tuple[tuple[int, ...], ...]
    paths: np.ndarray

    def __len__(self) -> int:
        return len(self.splits)

    def assemble(self, tested: Sequence[ArrayLike]) -> np.ndarray:
        """Put what each split said of its own test bars together into whole histories, shape (φ, bars).

        Parameters
        ----------
        tested
            Of each split, one value for each of its test bars, in their order.

        Examples
        --------
        >>> folds = combinatorial(6, groups=3, held_out=2)
        >>> folds.assemble([s.test * 1.0 for s in folds.splits]).tolist()
        [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]
        """
        if len(tested) != len(self.splits):
            raise AlignmentError(f"{len(tested)} results were given for {len(self.splits)} splits.")
        said = [np.asarray(values) for values in tested]
        for number, (values, split) in enumerate(zip(said, self.splits, strict=True)):
            if values.shape != split.test.shape:
                raise AlignmentError(f"split {number} tests {len(split.test)} bars; its result has {values.shape}.")
        whole = np.empty((len(self.paths), sum(map(len, self.groups))), np.result_type(*said))
        for path, row in zip(whole, self.paths, strict=True):
            for group, number in zip(self.groups, row, strict=True):
                path[group] = said[number][np.searchsorted(self.splits[number].test, group)]
        return whole


class Paths(NamedTuple):
    """What choosing by the past would have brought on each whole history.

    ``returns`` has shape (φ, bars), ``chosen`` (splits,): the trial taken by each split.
    """

    returns: np.ndarray
    chosen: np.ndarray


def choose(returns: ArrayLike, folds: Combinatorial) -> Paths:
    """Take on each split the trial with the best Sharpe ratio in training, and join what it made on the test bars.

    The distribution of a figure over the φ paths says more than one walk-forward: every bar is tested φ times, each
    time by a choice that had not seen it ([1], section 12.4).

    Parameters
    ----------
    returns
        Shape (bars, trials), finite: a column a combination.
    folds
        From `combinatorial` over as many bars.

    Examples
    --------
    >>> folds = combinatorial(400, groups=6, held_out=2, embargo=5)
    >>> skill = np.random.default_rng(0).normal([0.0, 0.3], 1.0, (400, 2))
    >>> choose(skill, folds).returns.shape
    (5, 400)
    """
    table = np.asarray(returns, dtype=np.float64)
    if table.ndim != 2 or len(table) != sum(map(len, folds.groups)):
        raise AlignmentError(f"returns have the shape {table.shape}; the folds are over other bars.")
    chosen, tested = [], []
    for split in folds.splits:
        known = table[split.train]
        ratio = sharpe_of_sums(len(known), known.sum(axis=0), np.square(known).sum(axis=0))
        chosen.append(int(ratio.argmax()))
        tested.append(table[split.test, chosen[-1]])
    return Paths(folds.assemble(tested), np.array(chosen))


def paths_of(groups: int, held_out: int) -> int:
    """Whole histories that combinatorial cross-validation yields: φ = C(N, k) · k / N ([1], section 12.3).

    >>> paths_of(6, 2)
    5
    """
    return math.comb(groups, held_out) * held_out // groups


def purged_folds(
    bars: int, folds: int = 5, *, label_end: ArrayLike | None = None, embargo: int = 0
) -> tuple[Split, ...]:
    """Hold out one stretch of bars after the other, and learn from the others without a leak ([1], section 7.4).

    Parameters
    ----------
    bars
        How many there are.
    folds
        How many stretches; the first ones are a bar longer where they do not come out even.
    label_end
        Shape (bars,): the last bar each bar's label depends on, its own at least. ``None``: its own, so
        that nothing is purged. A trade entered at bar 10 and left at bar 14 is ``label_end[10] == 14``.
    embargo
        Bars after a test stretch (after the last bar its labels reach) not to learn from either.

    Examples
    --------
    >>> second = purged_folds(10, 5, label_end=[1, 2, 3, 4, 5, 6, 7, 8, 9, 9], embargo=1)[1]
    >>> second.test.tolist(), second.train.tolist()
    ([2, 3], [0, 6, 7, 8, 9])
    """
    groups = _groups(bars, folds)
    ends = _ends(label_end, bars)
    _require(embargo, "embargo", 0, bars)
    return tuple(_split((group,), ends, embargo) for group in groups)


def combinatorial(
    bars: int, groups: int = 6, held_out: int = 2, *, label_end: ArrayLike | None = None, embargo: int = 0
) -> Combinatorial:
    """Hold out every choice of groups of bars, purged and under embargo: CPCV ([1], chapter 12).

    Parameters
    ----------
    bars, label_end, embargo
        As for `purged_folds`.
    groups, held_out
        N groups, of which each split tests k: ``C(N, k)`` splits and ``φ = C(N, k) k / N`` whole paths.

    Examples
    --------
    >>> folds = combinatorial(600, groups=6, held_out=2)
    >>> len(folds), folds.paths.shape
    (15, (5, 6))
    """
    parts = _groups(bars, groups)
    _require(held_out, "held_out", 1, groups - 1)
    _require(embargo, "embargo", 0, bars)
    ends = _ends(label_end, bars)
    held = tuple(itertools.combinations(range(groups), held_out))
    splits = tuple(_split(tuple(parts[g] for g in some), ends, embargo) for some in held)
    tests = [[number for number, some in enumerate(held) if g in some] for g in range(groups)]
    return Combinatorial(splits, parts, held, np.array(tests).T)


def _split(stretches: tuple[np.ndarray, ...], ends: np.ndarray, embargo: int) -> Split:
    """Learn from bars whose label touches no test stretch and that lie in no embargo."""
    bars = np.arange(len(ends))
    free = np.ones(len(ends), dtype=bool)
    for stretch in stretches:
        first, reach = stretch[0], ends[stretch].max()
        # A bar's label covers bar … ends[bar]; the stretch and its labels cover first … reach.
        free &= (ends < first) | (bars > reach + embargo)
    return Split(np.flatnonzero(free), np.concatenate(stretches))


def _groups(bars: int, count: int) -> tuple[np.ndarray, ...]:
    _require(count, "groups", 2, bars)
    return tuple(np.array_split(np.arange(bars), count))


def _ends(label_end: ArrayLike | None, bars: int) -> np.ndarray:
    if label_end is None:
        return np.arange(bars)
    ends = np.asarray(label_end)
    if ends.shape != (bars,):
        raise AlignmentError(f"label_end has the shape {ends.shape} for {bars} bars.", fix="Give one number a bar.")
    if not np.issubdtype(ends.dtype, np.integer) or (ends < np.arange(bars)).any():
        raise ParameterError(
            "label_end has a label that ends before its own bar, or no whole numbers.",
            fix="Give the position of the last bar each label depends on.",
        )
    return ends


def _require(value: Any, name: str, least: int, most: int) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not least <= value <= most:
        raise ParameterError(f"{name}={value!r} is not allowed.", allowed=[f"{least} … {most}"])
