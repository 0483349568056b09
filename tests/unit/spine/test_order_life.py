"""What an order may become, and what it may not."""

from __future__ import annotations

import pytest

from tradelab.model.orders import OrderStatus
from tradelab.spine.order_life import Happened, Phase, moved, told

H, P = Happened, Phase


@pytest.mark.parametrize("phase", P)
def test_the_venues_word_is_always_taken(phase: Phase) -> None:
    assert moved(phase, H.TOLD_CLOSED) is P.CLOSED
    assert moved(phase, H.TOLD_OPEN) is (P.CLOSED if phase is P.CLOSED else P.OPEN)


@pytest.mark.parametrize("phase", P)
def test_only_an_order_that_the_venue_certainly_does_not_have_is_sent_again(phase: Phase) -> None:
    assert (moved(phase, H.SENT_AGAIN) is not None) == (phase in (P.ABSENT, P.REFUSED))


@pytest.mark.parametrize("phase", P)
def test_only_what_may_never_have_arrived_is_proved_absent(phase: Phase) -> None:
    assert (moved(phase, H.ABSENT) is not None) == (phase in (P.INTENDED, P.UNKNOWN))


@pytest.mark.parametrize("happened", H)
def test_nothing_that_we_say_opens_a_closed_or_abandoned_order_again(happened: Happened) -> None:
    assert moved(P.CLOSED, happened) in (None, P.CLOSED)
    if happened not in (H.TOLD_OPEN, H.TOLD_CLOSED):
        assert moved(P.ABANDONED, happened) is None


def test_an_answer_that_comes_after_the_stream_takes_nothing_back() -> None:
    assert moved(P.OPEN, H.ACCEPTED) is P.OPEN
    assert moved(P.OPEN, H.UNKNOWN) is P.OPEN
    assert moved(P.OPEN, H.REFUSED) is None
    assert moved(P.CLOSED, H.REFUSED) is None


def test_what_may_trade_counts_as_risk_and_nothing_else() -> None:
    assert {phase for phase in P if phase.may_trade} == {P.INTENDED, P.UNKNOWN, P.OPEN}


def test_every_status_of_a_venue_is_open_or_closed() -> None:
    opens = {OrderStatus.UNTRIGGERED, OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED}
    assert {status for status in OrderStatus if told(status) is H.TOLD_OPEN} == opens
