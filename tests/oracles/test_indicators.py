"""Indicators against TA-Lib to 1e-9, first defined bars included, and crossings against vectorbt's averages."""

import numpy as np
import pytest

from tradelab.engine import indicators as ours
from tradelab.engine import windows

talib = pytest.importorskip("talib")


def real(oracle, name):
    frame = getattr(oracle("backtesting.test"), name)
    return tuple(frame[column].to_numpy(float, copy=True) for column in ("High", "Low", "Close"))


def walk(_oracle):
    rng = np.random.default_rng(21)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, 20_000)))
    reach = 1 + np.abs(rng.normal(0, 0.002, (2, len(close))))
    return close * reach[0], close / reach[1], close


def ticks(_oracle):
    """Prices on a coarse grid: ties, flat stretches and equal extremes."""
    rng = np.random.default_rng(22)
    close = 100 + np.cumsum(rng.integers(-1, 2, 5_000)) * 0.5
    return close + rng.integers(0, 3, 5_000) * 0.5, close - rng.integers(0, 3, 5_000) * 0.5, close


HISTORIES = {
    "google": lambda oracle: real(oracle, "GOOG"),
    "euro": lambda oracle: real(oracle, "EURUSD"),
    "walk": walk,
    "ticks": ticks,
}


@pytest.fixture(params=HISTORIES)
def bars(request, oracle):
    return HISTORIES[request.param](oracle)


def same(mine, theirs, skip=0):
    """Equal to 1e-9, NaN in the same places; ``skip`` leaves out a head that TA-Lib withholds."""
    np.testing.assert_allclose(mine[skip:], theirs[skip:], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("window", [2, 3, 10, 14, 50, 200])
def test_averages_equal_talib(bars, window):
    close = bars[2]
    same(windows.sma(close, window), talib.SMA(close, window))
    same(windows.ema(close, window), talib.EMA(close, window))
    same(windows.wma(close, window), talib.WMA(close, window))
    same(windows.rolling_std(close, window, 0), talib.STDDEV(close, window))


@pytest.mark.parametrize("window", [2, 3, 14, 50])
def test_wilders_figures_equal_talib(bars, window):
    high, low, close = bars
    mine, theirs = ours.rsi(close, window), talib.RSI(close, window)
    still = theirs == 0  # TA-Lib's answer for a market without movement; ours is 50
    moved = np.concatenate(([False], np.diff(close) != 0))
    still &= ~np.convolve(moved, np.ones(window), "full")[: len(close)].astype(bool)
    same(np.where(still, 0.0, mine), theirs)
    same(ours.atr(high, low, close, window), talib.ATR(high, low, close, window))
    directional = ours.adx(high, low, close, window)
    same(directional.adx, talib.ADX(high, low, close, window))
    same(directional.plus_di, talib.PLUS_DI(high, low, close, window))
    same(directional.minus_di, talib.MINUS_DI(high, low, close, window))


@pytest.mark.parametrize(("fast", "slow", "signal"), [(12, 26, 9), (3, 10, 16), (5, 6, 1)])
def test_macd_equals_talib(bars, fast, slow, signal):
    mine, theirs = ours.macd(bars[2], fast, slow, signal), talib.MACD(bars[2], fast, slow, signal)
    same(mine.line, theirs[0], skip=slow + signal - 2)
    same(mine.signal, theirs[1])
    same(mine.histogram, theirs[2])


@pytest.mark.parametrize(("window", "width"), [(20, 2.0), (5, 1.0), (100, 3.0)])
def test_bollinger_bands_equal_talib(bars, window, width):
    for mine, theirs in zip(
        ours.bollinger(bars[2], window, width), talib.BBANDS(bars[2], window, width, width), strict=True
    ):
        same(mine, theirs)


@pytest.mark.parametrize("window", [2, 3, 14, 16, 17, 200])
def test_extremes_equal_talib(bars, window):
    high, low, _ = bars
    same(windows.highest(high, window), talib.MAX(high, window))
    same(windows.lowest(low, window), talib.MIN(low, window))
    channel = ours.donchian(high, low, window)
    same(channel.upper, talib.MAX(high, window))
    same(channel.middle, (talib.MAX(high, window) + talib.MIN(low, window)) / 2)
    same(channel.lower, talib.MIN(low, window))


@pytest.mark.parametrize(("window", "smooth", "signal"), [(14, 3, 3), (5, 3, 3), (50, 1, 5)])
def test_the_stochastic_equals_talib(bars, window, smooth, signal):
    high, low, close = bars
    if (talib.MAX(high, window) == talib.MIN(low, window)).any():
        pytest.skip("a window without range, where ours is 50 and TA-Lib's 0")
    k, d = talib.STOCH(high, low, close, window, smooth, 0, signal, 0)
    mine = ours.stochastic(high, low, close, window, smooth, signal)
    same(mine.k, k, skip=window + smooth + signal - 3)
    same(mine.d, d)


@pytest.mark.parametrize(("step", "maximum"), [(0.02, 0.2), (0.01, 0.1), (0.2, 0.2), (0.3, 0.2)])
def test_the_parabolic_stop_equals_talib(bars, step, maximum):
    high, low, _ = bars
    same(ours.psar(high, low, step, maximum), talib.SAR(high, low, step, maximum))


def test_many_short_starts_of_the_parabolic_stop_equal_talib():
    rng = np.random.default_rng(23)
    for _ in range(300):
        middle = 10 + np.cumsum(rng.integers(-2, 3, 30))
        high, low = middle + rng.integers(0, 3, 30) * 1.0, middle - rng.integers(0, 3, 30) * 1.0
        same(ours.psar(high, low, 0.02, 0.2), talib.SAR(high, low, 0.02, 0.2))


@pytest.mark.parametrize("window", [1, 10])
def test_changes_and_ranges_equal_talib(bars, window):
    high, low, close = bars
    same(windows.roc(close, window), talib.ROCP(close, window))
    same(windows.momentum(close, window), talib.MOM(close, window))
    same(ours.true_range(high, low, close), talib.TRANGE(high, low, close))


@pytest.mark.parametrize("window", [5, 10, 30, 50])
def test_the_simple_average_is_vectorbts_to_a_rounding(bars, oracle, window):
    theirs = oracle("vectorbt.generic.nb").rolling_mean_1d_nb(bars[2], window)
    np.testing.assert_allclose(windows.sma(bars[2], window), theirs, rtol=1e-11)  # a running sum drifts
