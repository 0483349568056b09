"""Means, weighted means and deviations are exact figures rounded once, by whichever road and whatever came before.

The answers are `fractions.Fraction`'s: sums without rounding, rounded to the nearest float64 once.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradelab.engine import exact, rolling, wholes, windows

KERNELS = {
    wholes.SUM: windows.sma,
    wholes.WEIGHTED: windows.wma,
    wholes.SPREAD: lambda values, window: windows.rolling_std(values, window, 0),
}
FIGURES = pytest.mark.parametrize("figure", KERNELS, ids=["mean", "weighted mean", "deviation"])


def nearest(x):
    """The float64 nearest to a fraction; infinite beyond the largest."""
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def expected(figure, window):
    """The figure over all values of one window."""
    x, n = [Fraction(float(value)) for value in window], len(window)
    if figure == wholes.SUM:
        return nearest(sum(x)) / n
    if figure == wholes.WEIGHTED:
        return nearest(sum(weight * value for weight, value in enumerate(x, 1))) / (n * (n + 1) // 2)
    return math.sqrt(nearest(n * sum(value * value for value in x) - sum(x) ** 2) * (1 / (n * n)))


def by_whole_numbers(figure, values, window):
    """The slow road, whether the fast one would do or not."""
    out = np.full(len(values) - window + 1, np.nan)
    wholes.draw(figure, window, 0, values, np.full(wholes.ROOM, np.nan), out)
    return out


@st.composite
def histories(draw):
    """Prices, prices on a tick, returns, whole numbers, all sizes at once, a spike, a market that stands still."""
    bars, kind = draw(st.integers(1, 120)), draw(st.integers(0, 8))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    walk = 1.1 + np.cumsum(chance.normal(0, 1e-3, bars))
    if kind == 0:
        return walk
    if kind == 1:
        return np.round(walk, 3)
    if kind == 2:
        return chance.normal(0, 1e-3, bars)
    if kind == 3:
        return chance.integers(-3, 4, bars) * 1.0
    if kind == 4:
        return chance.normal(0, 1, bars) * 10.0 ** chance.integers(-150, 150, bars)
    if kind == 5:
        return np.where(chance.random(bars) < 0.05, 1e12, walk)
    if kind == 6:
        return np.where(chance.random(bars) < 0.1, walk, 1.1)
    if kind == 7:
        return -walk * 2.0 ** draw(st.sampled_from([-290, -310, -1040, 280, 299, 310, 480]))
    return walk * chance.choice([1.0, -1.0], bars)


WINDOWS = st.one_of(st.integers(1, 8), st.integers(1, 120))


@FIGURES
@given(values=histories(), window=WINDOWS)
def test_a_figure_is_the_exact_one_rounded_once(figure, values, window):
    found = KERNELS[figure](values, window)
    assert np.isnan(found[: window - 1]).all()
    for last in range(window - 1, len(values)):
        assert found[last] == expected(figure, values[last - window + 1 : last + 1])


@FIGURES
@given(values=histories(), window=WINDOWS)
def test_both_roads_lead_to_the_same_bits(figure, values, window):
    if window > len(values):
        return
    np.testing.assert_array_equal(
        by_whole_numbers(figure, values, window), KERNELS[figure](values, window)[window - 1 :]
    )


@FIGURES
@given(values=histories(), before=histories(), window=WINDOWS)
def test_what_came_before_the_window_leaves_no_trace(figure, values, before, window):
    """The same values on another grid, or on none: another history may send them down another road."""
    after = KERNELS[figure](np.concatenate((before, values)), window)
    np.testing.assert_array_equal(after[len(before) + window - 1 :], KERNELS[figure](values, window)[window - 1 :])


@FIGURES
def test_a_history_that_fits_no_grid_takes_the_slow_road_and_a_usual_one_does_not(figure):
    scratch = np.empty(rolling.room(figure, 20, 500))
    walk = 1.1 + np.cumsum(np.random.default_rng(1).normal(0, 1e-3, 500))
    assert exact.fill(figure, walk, scratch)[0]
    assert exact.fill(figure, np.diff(np.log(walk)), scratch)[0]
    assert not exact.fill(figure, walk * 1e200, scratch)[0]
    if figure != wholes.SPREAD:  # a deviation is drawn, and then found to be unsure
        assert not exact.fill(figure, np.where(np.arange(500) == 7, 1e40, walk), scratch)[0]


@FIGURES
@pytest.mark.parametrize("window", [1, 3, 40])
def test_infinities_are_seen_while_they_are_in_the_window_and_not_after(figure, window):
    values = np.random.default_rng(2).normal(100, 1, 200)
    holed = values.copy()
    holed[60], holed[62], holed[120] = np.inf, -np.inf, np.inf
    found, clean = KERNELS[figure](holed, window), KERNELS[figure](values, window)
    for last in range(window - 1, 200):
        seen = holed[last - window + 1 : last + 1]
        seen = seen[np.isinf(seen)]
        if len(seen) == 0:
            assert found[last] == clean[last]
        elif figure == wholes.SPREAD or len(set(seen)) == 2:
            assert np.isnan(found[last])
        else:
            assert found[last] == seen[0]


@pytest.mark.parametrize("figure", [wholes.SUM, wholes.WEIGHTED], ids=["mean", "weighted mean"])
@pytest.mark.parametrize("window", range(1, 8))
def test_the_smallest_and_the_largest_values_are_summed_exactly(figure, window):
    for values in (
        np.array([5e-324, -1e-320, 2.5e-310, 0.0, -0.0, 5e-324, 3e-308]),
        np.array([1.7e308, -1.7e308, 1.6e308, 1.5e308, 1.0, 5e-324, -1.2e308]),
    ):
        found = KERNELS[figure](values, window)[window - 1 :]
        sums = [expected(figure, values[at : at + window]) for at in range(8 - window)]
        np.testing.assert_array_equal(found, sums)


@FIGURES
@pytest.mark.parametrize("window", [700, 3000, 9000])
def test_wide_windows_are_exact_too(figure, window):
    """Wide weighted windows do not fit float64 any more."""
    values = np.round(100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 1e-3, 12_000))), 2)
    found = KERNELS[figure](values, window)
    for last in (window - 1, window, 9999, 11_999):
        assert found[last] == expected(figure, values[last - window + 1 : last + 1])
