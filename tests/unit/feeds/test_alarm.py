"""One alarm a time of trouble, and one end of it."""

from __future__ import annotations

import asyncio

from tradelab.feeds.alarm import Alarm
from tradelab.model.clock import ManualClock
from tradelab.model.feed_events import FeedAlarm, FeedPolling, FeedResumed, FeedStale
from tradelab.model.units import Timeframe


def test_an_alarm_is_told_once_and_ended_when_its_last_reason_is_gone() -> None:
    clock, told = ManualClock(), list[FeedAlarm]()
    alarm = Alarm("s", "X", Timeframe.M1, clock, told.append)
    alarm.clear("silent")
    assert told == []
    alarm.stale("silent", 30.0, "no data")
    alarm.stale("silent", 40.0, "no data")
    asyncio.run(clock.advance(20))
    alarm.polling(15.0, "given up")
    alarm.polling(15.0, "given up")
    alarm.clear("silent")
    assert alarm.is_up
    asyncio.run(clock.advance(10))
    alarm.clear("silent", "polling")
    alarm.clear("silent", "polling")
    assert not alarm.is_up
    assert told == [
        FeedStale("s", "X", Timeframe.M1, 30.0, "no data"),
        FeedPolling("s", "X", Timeframe.M1, 15.0, "given up"),
        FeedResumed("s", "X", Timeframe.M1, 30.0),
    ]
