"""Longer bars equal those worked by hand, and by pandas' own resampling."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tradelab.catalog import samples
from tradelab.catalog.frame import from_arrays
from tradelab.catalog.resample import resample
from tradelab.model.errors import ParameterError

HOUR = 3_600_000_000_000


def hours(count: int, first: int = 0) -> pd.DataFrame:
    numbers = np.arange(1.0, count + 1)
    columns = {"open": numbers, "high": numbers + 2, "low": numbers - 0.5, "close": numbers + 1, "volume": numbers}
    return from_arrays((first + np.arange(count)) * HOUR, columns)


def test_four_hours_by_hand() -> None:
    made = resample(hours(8), "4h")
    assert made.index.astype("int64").tolist() == [0, 4 * HOUR]
    assert made.to_numpy().tolist() == [[1, 6, 0.5, 5, 10], [5, 10, 4.5, 9, 26]]


def test_incomplete_ends_are_dropped_unless_asked_for() -> None:
    bars = hours(12, first=2)  # 02:00 to 13:00
    assert resample(bars, "4h").index.hour.tolist() == [4, 8]
    assert resample(bars, "4h", keep_incomplete=True).index.hour.tolist() == [0, 4, 8, 12]


def test_a_hole_makes_no_bar() -> None:
    assert resample(hours(24).drop(hours(24).index[8:12]), "4h").index.hour.tolist() == [0, 4, 12, 16, 20]


@pytest.mark.parametrize(
    ("name", "timeframe", "rule"),
    [("EURUSD-1h", "4h", "4h"), ("EURUSD-1h", "1d", "1D"), ("GOOG-1d", "1w", "W-MON"), ("GOOG-1d", "1M", "MS")],
)
def test_equals_pandas_on_real_bars(name: str, timeframe: str, rule: str) -> None:
    bars = samples.load(name)
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    expected = bars.resample(rule, label="left", closed="left").agg(how).dropna()
    made = resample(bars, timeframe, keep_incomplete=True)
    pd.testing.assert_frame_equal(made, expected, check_freq=False, check_names=False)


def test_the_same_timeframe_changes_nothing() -> None:
    bars = hours(5)
    assert resample(bars, "1h") is bars


@pytest.mark.parametrize(("name", "timeframe"), [("EURUSD-1h", "15m"), ("EURUSD-4h", "6h"), ("GOOG-1d", "1h")])
def test_shorter_or_uneven_timeframes_are_refused(name: str, timeframe: str) -> None:
    with pytest.raises(ParameterError, match=f"cannot make {timeframe} bars"):
        resample(samples.load(name), timeframe)
