"""What feeds say cannot be changed by who hears it."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from tradelab.model import feed_events
from tradelab.model.feed_events import FeedEvent


@pytest.mark.parametrize("kind", get_args(FeedEvent), ids=lambda kind: kind.__name__)
def test_an_event_names_its_feed_and_is_frozen(kind: type) -> None:
    names = [f.name for f in dataclasses.fields(kind)]
    assert names[:3] == ["source", "symbol", "timeframe"]
    event = kind(*range(len(names)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.symbol = "other"
    assert hash(event) == hash(kind(*range(len(names))))


def test_every_event_of_the_file_is_one_of_the_union() -> None:
    made_here = {
        v for v in vars(feed_events).values() if dataclasses.is_dataclass(v) and v.__module__ == feed_events.__name__
    }
    assert made_here == set(get_args(FeedEvent))
