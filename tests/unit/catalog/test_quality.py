"""The inspection finds what was put wrong on purpose, and where."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tradelab.catalog import quality, samples
from tradelab.model.errors import UnknownNameError
from tradelab.model.instrument import Calendar


@pytest.fixture
def bars() -> pd.DataFrame:
    return samples.synthetic("1m", 3000, seed=3).copy()


def found(report: quality.QualityReport) -> dict[str, int]:
    return {f.check: f.count for f in (*report.hard, *report.soft)}


@pytest.mark.parametrize("name", samples.names())
def test_bundled_bars_are_sound(name: str) -> None:
    report = quality.inspect(samples.load(name))
    assert report.is_sound
    assert report.hard == ()


def test_clean_bars_have_nothing_to_say(bars: pd.DataFrame) -> None:
    report = quality.inspect(bars)
    assert str(report) == "3,000 bars of 1m: sound"
    assert "sound" in report._repr_html_()


def test_every_hard_failure_is_counted_and_placed(bars: pd.DataFrame) -> None:
    at = bars.index
    bars.loc[at[10], "open"] = np.nan
    bars.loc[at[[20, 21]], "low"] = 0.0
    bars.loc[at[30], "high"] = bars.loc[at[30], "low"] - 1
    bars.loc[at[[40, 41, 42]], "close"] = bars["high"].max() * 2
    bars.loc[at[50], "volume"] = -1.0
    report = quality.inspect(bars)
    assert {f.check: f.count for f in report.hard} == {
        "not a number": 1,
        "price not above zero": 2,
        "high below low": 1,
        "outside the range": 3,
        "negative volume": 1,
    }
    assert report.hard[1].places == (at[20], at[21])
    assert "not fit for a backtest" in str(report)
    assert str(at[30]) in report._repr_html_()


def test_repeated_and_unsorted_stamps_are_reported_not_raised(bars: pd.DataFrame) -> None:
    order = [0, 1, 2, 2, 4, 3, *range(5, 100)]
    assert found(quality.inspect(bars.iloc[order]))["repeated stamp"] == 1
    assert found(quality.inspect(bars.iloc[order]))["out of order"] == 1


def test_a_spike_is_seen_and_a_step_is_not(bars: pd.DataFrame) -> None:
    bars.iloc[500, :4] *= 1.5  # there and back
    bars.iloc[1000:, :4] *= 1.5  # a new level
    spikes = next(f for f in quality.inspect(bars).soft if f.check == "spike")
    assert spikes.places == (bars.index[500],)


def test_a_dead_feed_is_seen(bars: pd.DataFrame) -> None:
    bars.iloc[200:240, :4] = bars["close"].iloc[200] + 5
    stale = next(f for f in quality.inspect(bars).soft if f.check == "stale")
    assert stale.count == 39  # from the second of the forty on
    bars.iloc[200:240, :4] += np.arange(40)[:, None] * 0.01
    assert "stale" not in found(quality.inspect(bars))


def test_gaps_are_counted_by_the_calendar(bars: pd.DataFrame) -> None:
    holed = bars.drop(bars.index[[100, 101, 102, 700]])
    gaps = quality.inspect(holed).soft[0]
    assert (gaps.check, gaps.count) == ("gaps", 2)
    assert "4 bar(s) missing by the 24/7 calendar" in gaps.says
    assert gaps.places == (bars.index[100], bars.index[700])


def test_a_given_calendar_is_used() -> None:
    bars = samples.load("EURUSD-1h")
    assert "15 bar(s)" in quality.inspect(bars, calendar=Calendar.WEEKDAYS).soft[0].says
    assert quality.inspect(bars, calendar=Calendar.ALWAYS).soft[0].count == 52  # 51 weekends and Christmas


def test_absent_volume_is_no_trouble_and_partly_absent_is_a_note(bars: pd.DataFrame) -> None:
    assert quality.inspect(bars.drop(columns="volume")).soft == ()
    bars.iloc[5, 4], bars.iloc[6, 4] = np.nan, 0.0
    assert found(quality.inspect(bars)) == {"no volume": 1, "zero volume": 1}


def test_two_bars_and_one_bar_can_be_inspected(bars: pd.DataFrame) -> None:
    assert quality.inspect(bars.iloc[:1]).timeframe is None
    assert quality.inspect(bars.iloc[:2]).is_sound


def test_sound_bars_pass_the_gate(bars: pd.DataFrame) -> None:
    quality.require_sound(bars, name="X")


def test_a_named_calendar_counts_no_holiday_and_tells_bars_outside_its_hours() -> None:
    report = quality.inspect(samples.load("EURUSD-1h"), calendar="fx")
    assert report.calendar == "fx"
    outside = next(f for f in report.soft if f.check == "outside hours")
    assert "gaps" not in found(report)
    assert outside.count == 9  # 24 December 23:00 to 25 December 07:00 UTC: Christmas has begun in New York's day
    assert f"{outside.places[0]:%Y-%m-%d %H:%M}" == "2017-12-24 23:00"


def test_a_stale_tail_is_told_when_the_time_is_given(bars: pd.DataFrame) -> None:
    late = bars.index[-1] + pd.Timedelta(minutes=10)
    assert "stale tail" not in found(quality.inspect(bars))
    stale = next(f for f in quality.inspect(bars, now=late).soft if f.check == "stale tail")
    assert stale.count == 4  # those that closed more than five minutes ago: the others may be on their way
    assert f"should have come since {bars.index[-1]:%Y-%m-%d %H:%M} by the 24/7 calendar" in str(stale)


def test_an_unknown_calendar_is_refused(bars: pd.DataFrame) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'XNYS'"):
        quality.inspect(bars, calendar="XNYX")
