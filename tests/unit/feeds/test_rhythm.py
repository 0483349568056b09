"""What a feed should do is declared, and held to sense."""

from __future__ import annotations

import pytest

from tradelab.feeds.rhythm import Rhythm
from tradelab.model.errors import ParameterError
from tradelab.model.units import NS_PER_S, Timeframe


def test_a_feed_is_stale_after_twice_its_expected_interval() -> None:
    assert Rhythm(expected_interval_s=15, poll_s=5).stale_after_ns == 30 * NS_PER_S


@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_every_timeframe_has_a_default_and_is_polled_within_the_minute(timeframe: Timeframe) -> None:
    rhythm = Rhythm.of_bars(timeframe)
    assert 5 <= rhythm.poll_s <= 60
    assert rhythm.expected_interval_s <= timeframe.ns / NS_PER_S


@pytest.mark.parametrize("name", ["expected_interval_s", "poll_s", "reconnects", "longest_pause_s"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_what_is_not_above_zero_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ParameterError, match=name):
        Rhythm(**{"expected_interval_s": 1.0, "poll_s": 1.0} | {name: value})  # type: ignore[arg-type]
