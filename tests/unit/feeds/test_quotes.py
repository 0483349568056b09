"""Of quotes only the newest counts, and an old one is no news."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import pytest

from tests.unit.feeds.following import QUOTE_RHYTHM
from tests.unit.feeds.scripted import START_NS, SYMBOL, ScriptedProvider, walk
from tradelab.feeds.asking import Asker
from tradelab.feeds.quotes import QuoteDesk
from tradelab.feeds.venue_clock import VenueClock
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.market import Quote
from tradelab.model.units import NS_PER_S


def quote(age_s: float, bid: int = 100) -> Quote:
    return Quote(symbol=SYMBOL, bid=Decimal(bid), ask=Decimal(bid + 1), ts_ns=START_NS - int(age_s * NS_PER_S))


class Table:
    """A desk, and what it handed out."""

    def __init__(self, provider: type[ScriptedProvider] = ScriptedProvider) -> None:
        clock = ManualClock(START_NS)
        self.provider = provider(clock, walk(3))
        asker = Asker(clock, random.Random(0))
        self.handed: list[Quote] = []
        self.desk = QuoteDesk(
            self.provider,
            SYMBOL,
            asker,
            VenueClock(self.provider, clock, asker),
            clock,
            QUOTE_RHYTHM,
            self.handed.append,
        )

    def take(self, *quotes: Quote) -> list[bool]:
        async def each() -> list[bool]:
            await self.desk.settle()
            return [await self.desk.take(q) for q in quotes]

        return asyncio.run(each())


def test_a_quote_that_comes_late_or_twice_is_dropped() -> None:
    table = Table()
    assert table.take(quote(2), quote(1), quote(1), quote(2), quote(1, bid=99)) == [True, True, False, False, True]
    assert table.handed == [quote(2), quote(1), quote(1, bid=99)]


def test_a_quote_that_is_old_when_it_comes_is_handed_out_but_is_no_sign_of_life() -> None:
    table = Table()
    assert table.take(quote(11), quote(10), quote(9.9)) == [False, False, True]
    assert len(table.handed) == 3


def test_a_quote_stamped_ahead_of_the_venues_time_is_refused_and_later_ones_are_heard() -> None:
    table = Table()
    assert table.take(quote(2), quote(-3600), quote(1)) == [True, False, True]
    assert table.handed == [quote(2), quote(1)]
    assert table.desk.replaces(quote(1), quote(-3600))
    assert not table.desk.replaces(quote(-3600), quote(1))


def test_one_that_was_taken_before_the_venues_time_was_known_blocks_no_later_one() -> None:
    table = Table()
    asyncio.run(table.desk.take(quote(-3600)))
    assert table.take(quote(1), quote(0)) == [True, True]


@pytest.mark.parametrize("error", [ConnectivityError("503."), RequestError("no such symbol.")])
def test_whoever_opens_a_stream_asks_once_what_the_quote_is_and_goes_on_without_an_answer(error: Exception) -> None:
    answers: list[Quote | Exception] = [error, quote(1)]

    class Asked(ScriptedProvider):
        async def quote(self, symbol: str) -> Quote:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    table = Table(Asked)
    table.take()
    table.desk.reconnected()
    assert table.desk.due_ns() == 0
    asyncio.run(table.desk.settle())
    assert table.handed == [] and table.desk.due_ns() is None
    table.desk.reconnected()
    asyncio.run(table.desk.settle())
    assert table.handed == [quote(1)] and table.desk.due_ns() is None


def test_a_poll_that_fails_is_no_news() -> None:
    table = Table()

    async def fail(*_: object, **__: object) -> None:
        raise ConnectivityError("503.")

    assert asyncio.run(table.desk.poll()) is True
    table.provider.fetch_ticks = fail  # type: ignore[method-assign, assignment]
    assert asyncio.run(table.desk.poll()) is False


def test_the_venues_time_is_asked_for_again_when_it_is_old() -> None:
    table = Table()
    assert table.desk.due_ns() == 0
    asyncio.run(table.desk.settle())
    assert table.desk.due_ns() is None
    asyncio.run(table.provider.clock.advance(601))
    assert table.desk.due_ns() is not None
