"""Any cut of a history into tiles draws the bits of the whole, for any windows, holes included."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradelab.engine import indicators as ta
from tradelab.engine import recursive, rolling, tiles, wholes, windows

NAN = np.nan

FIGURES = {
    "sma": wholes.SUM,
    "wma": wholes.WEIGHTED,
    "rolling_std": wholes.SPREAD,
    "highest": rolling.HIGHEST,
    "lowest": rolling.LOWEST,
}
WINDOWED = {
    "sma": (tiles.sma_rows, windows.sma),
    "wma": (tiles.wma_rows, windows.wma),
    "rolling_std": (
        lambda values, known, many, *rest: tiles.rolling_std_rows(values, known, many, 1, *rest),
        lambda values, window: windows.rolling_std(values, window, 1),
    ),
    "highest": (tiles.highest_rows, windows.highest),
    "lowest": (tiles.lowest_rows, windows.lowest),
}
REMEMBERING = {
    "ema": (tiles.ema_rows, windows.ema, 2),
    "rma": (tiles.rma_rows, windows.rma, 2),
    "rsi": (tiles.rsi_rows, ta.rsi, 4),
}


@st.composite
def histories(draw):
    """Prices on a tick, some with an unknown head, some with a hole further on."""
    bars = draw(st.integers(1, 700))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = np.round(1.1 + np.cumsum(chance.normal(0, 1e-3, bars)), draw(st.sampled_from([3, 5, 15])))
    values[: draw(st.sampled_from([0, 0, 1, 40]))] = NAN
    if draw(st.booleans()):
        values[draw(st.integers(0, bars - 1))] = NAN
    return values


MANY = st.lists(st.one_of(st.integers(1, 40), st.integers(1, 800)), min_size=1, max_size=12)
CUTS = st.lists(st.integers(0, 700), max_size=8)


def edges(cuts, bars):
    return [0, *sorted(cut for cut in cuts if cut < bars), bars]


def lent(name, many, bars):
    """Scratch of the promised size and not a float more, with rubbish in it."""
    return np.full(rolling.room(FIGURES[name], max(many), bars), NAN)


@pytest.mark.parametrize("name", WINDOWED)
@given(values=histories(), many=MANY, cuts=CUTS)
def test_a_tile_of_windows_has_the_bits_of_the_whole(name, values, many, cuts):
    rows, whole = WINDOWED[name]
    expected = np.array([whole(values, window) for window in many])
    known, places = windows.known_stretch(values), edges(cuts, len(values))
    for first, last in itertools.pairwise(places):
        out = np.full((len(many), last - first + 3), -7.0)
        rows(values, known, np.array(many), first, last, lent(name, many, last - first), out)
        np.testing.assert_array_equal(out[:, : last - first], expected[:, first:last])
        assert (out[:, last - first :] == -7.0).all()


@pytest.mark.parametrize("name", WINDOWED)
@given(values=histories(), many=MANY, first=st.integers(0, 699))
def test_a_tile_reads_no_further_back_than_its_widest_window(name, values, many, first):
    rows, whole = WINDOWED[name]
    first = min(first, len(values) - 1)
    known = windows.known_stretch(values)
    expected = np.array([whole(values, window)[first:] for window in many])
    seen = values.copy()
    seen[: max(first - max(many) + 1, 0)] = 1e300
    out = np.empty((len(many), len(values) - first))
    rows(seen, known, np.array(many), first, len(values), lent(name, many, len(values) - first), out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("name", REMEMBERING)
@given(values=histories(), many=MANY, cuts=CUTS)
def test_tiles_in_order_carry_an_average_to_the_bits_of_the_whole(name, values, many, cuts):
    rows, whole, width = REMEMBERING[name]
    expected = np.array([whole(values, window) for window in many])
    state, places = np.zeros((len(many), width)), edges(cuts, len(values))
    for first, last in itertools.pairwise(places):
        out = np.full((len(many), last - first + 3), -7.0)
        rows(values, np.array(many), first, last, state, np.full(recursive.room(len(many)), NAN), out)
        np.testing.assert_array_equal(out[:, : last - first], expected[:, first:last])
        assert (out[:, last - first :] == -7.0).all()
