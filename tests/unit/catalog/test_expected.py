"""What should exist is what the calendar library itself would list, laid out as the series is."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from tradelab.catalog.expected import expect
from tradelab.model.units import Timeframe


@pytest.mark.parametrize(
    ("name", "period"), [("XHKG", "1m"), ("XTKS", "5m"), ("XLON", "1h"), ("XASX", "15m"), ("CMES", "30m")]
)
@pytest.mark.filterwarnings("ignore")
def test_what_should_exist_is_what_the_library_itself_lists(
    oracle: Callable[[str], ModuleType], name: str, period: str
) -> None:
    library = oracle("exchange_calendars").get_calendar(name)
    length = Timeframe.of(period)
    theirs = library.trading_index(
        "2024-02-05", "2024-04-12", length.value * pd.Timedelta(minutes=1), intervals=False, closed="left"
    )
    found = expect(theirs.as_unit("ns").asi8, length, name, theirs[-1].value + 1)
    assert found.present.all()
    assert pd.DatetimeIndex(found.slots).equals(theirs.tz_localize(None).as_unit("ns"))


def test_a_layout_is_told_by_the_latest_bars_and_stray_ones_do_not_change_it() -> None:
    hours = pd.DatetimeIndex([f"2024-07-02 {h}:30" for h in range(13, 20)])
    stray = hours.insert(3, pd.Timestamp("2024-07-02 15:10"))
    found = expect(stray.as_unit("ns").asi8, Timeframe.H1, "XNYS", stray[-1].value + 1)
    assert pd.DatetimeIndex(found.slots).tolist() == hours.tolist()
    assert found.present.all()
    assert not found.outside.any(), "the market was open, whatever the grid"


def test_one_bar_is_enough_to_expect_the_next() -> None:
    one = pd.DatetimeIndex(["2024-07-03 16:59"]).as_unit("ns").asi8
    found = expect(one, Timeframe.M1, "XNYS", pd.Timestamp("2024-07-05 13:31").value)
    assert [str(t) for t in pd.DatetimeIndex(found.slots)] == ["2024-07-03 16:59:00", "2024-07-05 13:30:00"]
    assert found.present.tolist() == [True, False]


def test_a_bar_outside_every_session_expects_nothing_of_itself() -> None:
    closed = pd.DatetimeIndex(["2024-07-04 15:00"]).as_unit("ns").asi8
    found = expect(closed, Timeframe.M1, "XNYS", int(closed[0]) + 1)
    assert (len(found.slots), found.outside.tolist()) == (0, [True])
    assert found.present.dtype == np.bool_
