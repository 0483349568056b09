"""Short bars see long ones that have closed, and no others; the answers are by hand, or by taking the future away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.catalog.resample import resample
from tradelab.model.errors import AlignmentError, DataError, ParameterError, TooFewBarsError
from tradelab.research.timeframes import higher
from tradelab.strategy.define import SHELF


def quarters(count: int, start: str = "2024-01-02 09:00") -> pd.DataFrame:
    """Bars of 15 minutes whose closes count from 0; each opens at the close before, wicks of a half."""
    index = pd.date_range(start, periods=count, freq="15min", tz="UTC", name="time")
    close = 100.0 + np.arange(count)
    open_ = close - 1.0
    return pd.DataFrame(
        {"open": open_, "high": close + 0.5, "low": open_ - 0.5, "close": close, "volume": np.ones(count)}, index
    )


@pytest.fixture
def hours() -> pd.DataFrame:
    return tl.samples.load("EURUSD-1h").iloc[:1500]


def test_a_quarter_of_an_hour_sees_the_hour_that_closes_with_it_and_none_that_is_open():
    seen = higher(quarters(13), "1h")
    # 09:00 closes with the bar of 09:45 at 103, 10:00 with that of 10:45 at 107, 11:00 at 111; 12:00 never does
    assert seen["close"].tolist()[:3] == pytest.approx([np.nan] * 3, nan_ok=True)
    assert seen["close"].tolist()[3:] == [103.0] * 4 + [107.0] * 4 + [111.0] * 2
    assert seen["open"].tolist()[3:8] == [99.0] * 4 + [103.0]
    assert seen["high"].tolist()[3:8] == [103.5] * 4 + [107.5]
    assert seen["volume"].tolist()[3:] == [4.0] * 10


def test_an_hour_whose_last_quarter_is_missing_is_seen_when_the_clock_has_passed_it():
    bars = quarters(12).drop(quarters(12).index[3])  # 09:45 is missing: the hour closes at 10:00, at 102
    assert higher(bars, "1h")["close"].tolist()[:7] == pytest.approx([np.nan] * 3 + [102.0] * 3 + [107.0], nan_ok=True)


def test_a_first_hour_that_began_before_the_bars_is_no_hour():
    seen = higher(quarters(12, "2024-01-02 09:15"), "1h")
    assert seen["close"].first_valid_index() == pd.Timestamp("2024-01-02 10:45", tz="UTC")


@pytest.mark.parametrize("timeframe", ["4h", "1d", "1w", "1M"])
def test_every_value_is_the_one_that_the_past_alone_gives(hours, timeframe):
    thinned = hours[np.random.default_rng(1).random(len(hours)) < 0.9]

    def mean(bars: pd.DataFrame) -> pd.Series:
        return bars["close"].rolling(2, min_periods=1).mean()

    seen = higher(thinned, timeframe, mean)
    for place in np.random.default_rng(2).choice(np.arange(60, len(thinned)), 60, replace=False).tolist():
        past = resample(thinned.iloc[: place + 1], timeframe)
        expected = mean(past).iloc[-1] if len(past) else np.nan
        assert seen.iloc[place] == pytest.approx(expected, nan_ok=True), thinned.index[place]
    assert seen.notna().sum() > 100


def test_a_strategy_on_two_timeframes_passes_the_check_and_the_usual_mistake_does_not(hours):
    @tl.strategy(warmup=14 * 24, name="days_honest")
    def honest(bars, window: int = 5):
        trend = higher(bars, "1d", lambda days: tl.indicators.sma(days.close, window))
        return tl.Signals(long_entry=bars.close > trend, long_exit=bars.close < trend)

    @tl.strategy(warmup=14 * 24, name="days_seen_early")
    def early(bars, window: int = 5):
        days = bars.close.resample("1D").last().dropna().rolling(window).mean()  # stamped with the day's beginning
        trend = days.reindex(bars.index, method="ffill")
        return tl.Signals(long_entry=bars.close > trend, long_exit=bars.close < trend)

    told = tl.check(honest, hours, cuts=60)
    assert told.ok
    assert told.signals > 500
    assert tl.check(early, hours, cuts=60).lookahead is not None
    swept = tl.sweep(hours, honest, window=[3, 5])
    alone = tl.backtest(hours, honest, window=3)
    assert swept.table["total_return"].iloc[0] == pytest.approx(alone.summary.total_return, rel=1e-10)
    SHELF.pop("days_honest"), SHELF.pop("days_seen_early")


def test_a_column_takes_the_last_value_of_each_long_bar():
    column = quarters(9)["close"].rename("spread")
    seen = higher(column, "1h", lambda hourly: hourly * 2.0)
    assert seen.name == "spread"
    assert seen.tolist()[3:] == [206.0] * 4 + [214.0] * 2


def test_it_answers_in_kind_and_what_is_not_known_yet_is_nan_or_false(hours):
    bands = higher(hours, "1d", lambda days: tl.indicators.bollinger(days.close, 5))
    assert type(bands) is type(tl.indicators.bollinger(hours.close, 5))
    assert bands[0].index.equals(hours.index)
    rising = higher(hours, "1d", lambda days: days.close > days.open)
    assert rising.dtype == bool
    assert not rising.iloc[:20].any()
    array = higher(hours, "1d", lambda days: days["close"].to_numpy())
    assert isinstance(array, np.ndarray)
    np.testing.assert_array_equal(array, higher(hours, "1d")["close"])
    pd.testing.assert_frame_equal(higher(hours, "1h"), hours, check_freq=False)


def test_what_cannot_be_laid_out_is_refused(hours):
    with pytest.raises(ParameterError, match="cannot make"):
        higher(hours, "15m")
    with pytest.raises(TooFewBarsError, match="no complete one of 1w"):
        higher(hours.iloc[:50], "1w")
    with pytest.raises(AlignmentError, match="no dropna"):
        higher(hours, "1d", lambda days: days.close.rolling(3).mean().dropna())
    with pytest.raises(AlignmentError, match="shape"):
        higher(hours, "1d", lambda days: days.close.to_numpy()[1:])
    with pytest.raises(DataError, match="returned float"):
        higher(hours, "1d", lambda days: days.close.mean())
