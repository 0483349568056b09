"""Indicators and rolling windows: worked examples, holes, short histories, still markets; TA-Lib: tests/oracles."""

import numpy as np
import pytest

from tradelab.engine import indicators as ta
from tradelab.engine import windows

NAN = np.nan
RNG = np.random.default_rng(31)
CLOSE = 100 + np.cumsum(RNG.normal(0, 1, 400))
HIGH, LOW = CLOSE + RNG.random(400), CLOSE - RNG.random(400)

ONE_SERIES = {
    "sma": lambda x: windows.sma(x, 5),
    "ema": lambda x: windows.ema(x, 5),
    "rma": lambda x: windows.rma(x, 5),
    "wma": lambda x: windows.wma(x, 5),
    "rsi": lambda x: ta.rsi(x, 5),
    "rolling_std": lambda x: windows.rolling_std(x, 5, 1),
    "bollinger": lambda x: ta.bollinger(x, 5, 2.0).upper,
    "macd": lambda x: ta.macd(x, 3, 5, 2).signal,
    "highest": lambda x: windows.highest(x, 5),
    "lowest": lambda x: windows.lowest(x, 5),
}
THREE_SERIES = {
    "atr": lambda high, low, close: ta.atr(high, low, close, 5),
    "adx": lambda high, low, close: ta.adx(high, low, close, 5).adx,
    "stochastic": lambda high, low, close: ta.stochastic(high, low, close, 5, 3, 3).d,
    "psar": lambda high, low, close: ta.psar(high, low, 0.02, 0.2),
    "donchian": lambda high, low, close: ta.donchian(high, low, 5).middle,
}


def spread(call):
    """The same call on one series, used as high, low and close of a bar."""
    return lambda x: call(x + 1, x - 1, x)


EVERY = ONE_SERIES | {name: spread(call) for name, call in THREE_SERIES.items()}


@pytest.fixture(params=EVERY)
def indicator(request):
    return EVERY[request.param]


def test_averages_worked_by_hand():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    np.testing.assert_allclose(windows.sma(x, 2), [NAN, 1.5, 3, 6])
    np.testing.assert_allclose(windows.ema(x, 3), [NAN, NAN, 7 / 3, (7 / 3 + 8) / 2])
    np.testing.assert_allclose(windows.rma(x, 2), [NAN, 1.5, 2.75, 5.375])
    np.testing.assert_allclose(windows.wma(x, 3), [NAN, NAN, 17 / 6, 34 / 6])


def test_deviation_and_change_worked_by_hand():
    x = np.array([1.0, 3.0, 3.0])
    np.testing.assert_allclose(windows.rolling_std(x, 2, 0), [NAN, 1, 0])
    np.testing.assert_allclose(windows.rolling_std(x, 2, 1), [NAN, np.sqrt(2), 0])
    np.testing.assert_allclose(windows.roc(x, 1), [NAN, 2, 0])
    np.testing.assert_allclose(windows.momentum(x, 2), [NAN, NAN, 2])


def test_a_sample_deviation_of_one_value_is_undefined():
    assert np.isnan(windows.rolling_std(CLOSE, 1, 1)).all()


def test_rsi_worked_by_hand():
    x = np.array([10.0, 11.0, 10.0, 13.0])  # rises 1, 0, 3; falls 0, 1, 0; window 2
    np.testing.assert_allclose(ta.rsi(x, 2), [NAN, NAN, 50, 100 * 1.75 / 2.0])


def test_the_true_range_reaches_to_the_close_before():
    high, low, close = np.array([5.0, 9.0, 4.0]), np.array([4.0, 8.0, 3.0]), np.array([4.5, 8.5, 3.5])
    np.testing.assert_allclose(ta.true_range(high, low, close), [NAN, 4.5, 5.5])


@pytest.mark.parametrize("window", [1, 2, 3, 4, 5, 31, 32, 33, 300, 399, 400])
def test_extremes_equal_the_naive_ones_at_any_window(window):
    tops = [CLOSE[i - window + 1 : i + 1].max() for i in range(window - 1, 400)]
    floors = [CLOSE[i - window + 1 : i + 1].min() for i in range(window - 1, 400)]
    np.testing.assert_array_equal(windows.highest(CLOSE, window)[window - 1 :], tops)
    np.testing.assert_array_equal(windows.lowest(CLOSE, window)[window - 1 :], floors)


def test_extremes_are_right_across_tiles():
    x = np.random.default_rng(1).normal(size=10_000)
    for window in (7, 600, 3000):
        naive = np.lib.stride_tricks.sliding_window_view(x, window).max(axis=1)
        np.testing.assert_array_equal(windows.highest(x, window)[window - 1 :], naive)


@pytest.mark.parametrize("length", range(8))
def test_a_history_shorter_than_the_window_is_undefined_all_along(indicator, length):
    out = indicator(CLOSE[:length])
    assert len(out) == length
    assert np.isnan(out[:4]).all() or indicator is EVERY["psar"]


def test_unknown_values_at_the_head_move_the_start_and_nothing_else(indicator):
    late = indicator(np.concatenate((np.full(7, NAN), CLOSE)))
    assert np.isnan(late[:7]).all()
    np.testing.assert_array_equal(late[7:], indicator(CLOSE))


def test_a_hole_makes_everything_after_it_unknown(indicator):
    holed = CLOSE.copy()
    holed[200] = NAN
    out = indicator(holed)
    np.testing.assert_array_equal(out[:200], indicator(CLOSE)[:200])
    assert np.isnan(out[201:]).all()


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("name", THREE_SERIES)
def test_a_hole_in_any_of_three_series_is_not_hidden(name, place):
    series = [HIGH.copy(), LOW.copy(), CLOSE.copy()]
    series[place][200] = NAN
    out = THREE_SERIES[name](*series)
    uses_close = name not in ("psar", "donchian")
    assert np.isnan(out[201:]).all() == (place < 2 or uses_close)


def test_the_past_does_not_change_when_the_future_comes(indicator):
    for length in (1, 50, 199, 399):
        np.testing.assert_array_equal(indicator(CLOSE[:length]), indicator(CLOSE)[:length])


def test_values_handed_in_are_left_alone(indicator):
    given = CLOSE.copy()
    indicator(given)
    np.testing.assert_array_equal(given, CLOSE)


def test_a_market_that_stands_still_is_neutral_and_exact():
    still = np.full(100, 1.1)
    assert (ta.rsi(still, 14)[14:] == 50).all()
    assert (ta.stochastic(still, still, still, 5, 3, 3).d[8:] == 50).all()
    assert (windows.ema(still, 10)[9:] == windows.ema(still, 10)[9]).all()
    np.testing.assert_allclose(windows.sma(still, 10)[9:], 1.1, rtol=1e-14)
    assert (ta.adx(still, still, still, 5).adx[9:] == 0).all()


def test_a_spike_leaves_no_trace_in_the_deviation():
    x = RNG.normal(size=3000)
    spiked = x.copy()
    spiked[500] = 1e9
    np.testing.assert_allclose(
        windows.rolling_std(spiked, 20, 0)[1000:], windows.rolling_std(x, 20, 0)[1000:], rtol=1e-9
    )


def test_the_middle_band_is_the_simple_average_itself():
    np.testing.assert_array_equal(ta.bollinger(CLOSE, 20, 2.0).middle, windows.sma(CLOSE, 20))


@pytest.mark.parametrize(
    ("a", "expected"),
    [
        ([-1, 1, -1], [0, 1, -1]),
        ([1, 1, 1], [0, 0, 0]),  # the first known side is no crossing
        ([1, 0, 1], [0, 0, 0]),  # touched and turned back
        ([1, 0, -1], [0, 0, -1]),  # through the line, seen when it is below
        ([-1, 0, 0, 1], [0, 0, 0, 1]),
        ([0, 1, -1], [0, 0, -1]),
        ([-1, NAN, 1, -1], [0, 0, 0, -1]),  # a hole forgets the side
    ],
)
def test_a_crossing_needs_a_strict_change_of_side(a, expected):
    assert windows.crossings(np.array(a, dtype=float), np.zeros(len(a))).tolist() == expected


@pytest.mark.parametrize("window", [*range(1, 40), 63, 64, 100, 255])
@pytest.mark.parametrize("figure", ["sma", "wma", "rolling_std"])
def test_a_window_figure_is_the_same_to_the_last_bit_wherever_history_begins(figure, window):
    chance = np.random.default_rng(window)
    values = np.round(1.1 + np.cumsum(chance.normal(0, 1e-3, 9000)), 5)  # prices on a tick
    kernel = {"sma": windows.sma, "wma": windows.wma, "rolling_std": lambda v, w: windows.rolling_std(v, w, 0)}[figure]
    whole = kernel(values, window)
    for start in (1, 7, 1000, 4097, len(values) - window):
        np.testing.assert_array_equal(kernel(values[start:], window)[window - 1 :], whole[start + window - 1 :])


@pytest.mark.parametrize("window", [1, 2, 3, 5, 6, 7, 11, 20, 31, 33, 100])
def test_window_figures_equal_numpy_window_by_window(window):
    values = np.random.default_rng(3).normal(100, 5, 2500)
    stretches = np.lib.stride_tricks.sliding_window_view(values, window)
    np.testing.assert_allclose(windows.sma(values, window)[window - 1 :], stretches.mean(axis=1), rtol=1e-14)
    np.testing.assert_allclose(windows.rolling_std(values, window, 0)[window - 1 :], stretches.std(axis=1), rtol=1e-12)
    weights = np.arange(1.0, window + 1)
    expected = stretches @ weights / weights.sum()
    np.testing.assert_allclose(windows.wma(values, window)[window - 1 :], expected, rtol=1e-13)


def test_a_small_deviation_beside_a_large_mean_is_not_lost():
    values = 1e9 + np.tile([0.0, 1e-3], 50)
    found = windows.rolling_std(values, 10, 0)[9:]
    expected = np.lib.stride_tricks.sliding_window_view(values, 10).std(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert (windows.rolling_std(np.full(50, 0.1), 7, 0)[6:] == 0.0).all()
