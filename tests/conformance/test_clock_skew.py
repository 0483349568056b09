"""Set clocks wrong, ours and the venue's, by a second to ten minutes: what it costs, and that nothing stale is sent.

Requests are counted in the venue's own log, and whether an order left is looked up in the exchange.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.conformance import test_binance_spot, test_binance_usdm, test_bybit
from tests.conformance.ccxt_stage import CcxtStage, StageClock
from tradelab.model.approval import DecidedOn, OrderApproved, approve
from tradelab.model.clock import SystemClock
from tradelab.model.orders import OrderType, Side
from tradelab.model.outcome import Accepted, Outcome, RefusalCode, Refused
from tradelab.model.units import NS_PER_S

_VENUES: dict[str, Callable[[], Any]] = {
    "binance": test_binance_spot.TestBinanceSpot,
    "binanceusdm": test_binance_usdm.TestBinanceUsdm,
    "bybit": test_bybit.TestBybitLinear,
    "bybit-spot": test_bybit.TestBybitSpot,
}
SKEWS_S = [sign * s for s in (1, 2, 5, 30, 120, 600) for sign in (1, -1)]
EACH_VENUE = pytest.mark.parametrize("venue", _VENUES)
EITHER = pytest.mark.parametrize("read", [True, False], ids=["read", "submit"])


def play(venue: str, act: Callable[[CcxtStage], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with _VENUES[venue]().stage() as on:
            await act(on)

    asyncio.run(whole())


def asked(on: CcxtStage) -> int:
    return len(on.at.server.log)


def venue_ns(on: CcxtStage) -> int:
    """The venue's clock, as it shows it."""
    return on.at.exchange.clock.shown_ns()


def our_venue_ns(on: CcxtStage) -> int:
    """The same as the adapter believes, without a request."""
    return on.venue._client.now_ns()  # type: ignore[attr-defined]


def wish(on: CcxtStage, *decided_on: DecidedOn, at_ns: int | None = None) -> OrderApproved | Refused:
    return approve(
        on.intent(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1)), on.instrument, reference_price=on.price,
        by=("person",), at_ns=our_venue_ns(on) if at_ns is None else at_ns, decided_on=decided_on,
    )  # fmt: skip


async def sent(on: CcxtStage, order: OrderApproved | Refused) -> tuple[Outcome, int]:
    """Send an order, again where the venue found our clock wrong; return the last outcome and how many were refused."""
    assert isinstance(order, OrderApproved), order
    before = len(on.at.exchange.orders)
    outcome, refused = await on.venue.submit(order), 0
    while isinstance(outcome, Refused) and outcome.code is RefusalCode.CLOCK:
        assert len(on.at.exchange.orders) == before
        refused += 1
        outcome = await on.venue.submit(order)
    return outcome, refused


async def cost_of(on: CcxtStage, *, read: bool) -> int:
    """Make a request of either kind that must end well; return how many requests it took."""
    before, orders = asked(on), len(on.at.exchange.orders)
    if read:
        assert (await on.venue.account_info()).balances
    else:
        outcome, _ = await sent(on, wish(on))
        assert isinstance(outcome, Accepted), outcome
        assert len(on.at.exchange.orders) == orders + 1
    return asked(on) - before


# ── the venue's clock is off ─────────────────────────────────────────────────────────────────────────────────────────


@EACH_VENUE
@EITHER
def test_a_venue_whose_clock_jumps_is_answered_within_two_requests(venue: str, read: bool) -> None:
    async def act(on: CcxtStage) -> None:
        usual = await cost_of(on, read=read)
        for skew_s in SKEWS_S:
            on.at.direct.skew(skew_s)
            # beside the request that was refused the time is asked, and the request made again: two
            extra = await cost_of(on, read=read) - usual
            assert extra in ((2,) if abs(skew_s) >= 30 else (0, 2)), skew_s
            if extra:
                assert abs(our_venue_ns(on) - venue_ns(on)) < NS_PER_S / 2
            on.at.direct.skew(0)
            await on.venue.now_ns()

    play(venue, act)


# ── our clock is off ─────────────────────────────────────────────────────────────────────────────────────────────────


class MachineClock(SystemClock):
    """The machine's clock, which a time service or a person sets: what it shows jumps, what has passed does not."""

    def __init__(self, like: StageClock) -> None:
        self._like = like
        self.off_s = 0.0

    def now_ns(self) -> int:
        return self._like.now_ns() + int(self.off_s * NS_PER_S)


class DriftingClock(StageClock):
    """A clock of ours that runs a little faster or slower than the venue's."""

    def __init__(self, like: StageClock, rate: float) -> None:
        super().__init__()
        self._like, self._from_ns, self._rate = like, like.now_ns(), rate

    def now_ns(self) -> int:
        return self._from_ns + int((self._like.now_ns() - self._from_ns) * self._rate)


async def connect_by(on: CcxtStage, ours: Any) -> None:
    """Connect the adapter anew, by a clock that is not the venue's."""
    if isinstance(ours, SystemClock):  # what has passed is then told by this machine: the venue keeps its pace
        on.clock._start_ns, on.clock._jumped_ns = on.clock.now_ns(), 0
        on.clock._began_ns, on.clock._speed = time.monotonic_ns(), 1
    await on.venue.disconnect()
    shared, on.clock = on.clock, ours
    on.venue = on.new_venue()
    on.clock = shared
    await on.venue.connect()


@EACH_VENUE
@EITHER
def test_a_clock_of_ours_that_is_set_while_connected_costs_nothing_at_all(venue: str, read: bool) -> None:
    async def act(on: CcxtStage) -> None:
        ours = MachineClock(on.clock)
        await connect_by(on, ours)
        budget = on.venue._client.budgets.whole  # type: ignore[attr-defined]
        usual = await cost_of(on, read=read)
        for skew_s in SKEWS_S:
            ours.off_s = skew_s
            assert await cost_of(on, read=read) == usual, skew_s
            assert abs(our_venue_ns(on) - venue_ns(on)) < NS_PER_S / 2
            assert budget.used() > 0, "what was spent is not forgotten because a clock was set on"

    play(venue, act)


@EACH_VENUE
def test_a_clock_of_ours_that_is_wrong_from_the_beginning_costs_nothing_at_all(venue: str) -> None:
    async def act(on: CcxtStage) -> None:
        for skew_s in (-600, -5, 5, 600):
            ours = MachineClock(on.clock)
            ours.off_s = skew_s
            await connect_by(on, ours)
            usual = await cost_of(on, read=False)
            ours.off_s = 0
            assert await cost_of(on, read=False) == usual, skew_s

    play(venue, act)


@EACH_VENUE
@pytest.mark.parametrize("rate", [1.002, 0.998])
def test_a_clock_that_drifts_for_a_day_is_set_right_within_two_requests(venue: str, rate: float) -> None:
    async def act(on: CcxtStage) -> None:
        await connect_by(on, DriftingClock(on.clock, rate))
        costs = []
        for _ in range(12):
            on.clock.jump(7200)  # 14.4 s of drift
            await on.at.server.advance()
            before = asked(on)
            await on.venue.account_info()
            costs.append(asked(on) - before)
        assert set(costs) == {3}, "one that was refused, and two more"
        assert abs(our_venue_ns(on) - venue_ns(on)) < NS_PER_S

    play(venue, act)


# ── nothing stale is sent ────────────────────────────────────────────────────────────────────────────────────────────

LIMIT_S = 5.0


def quote_of_venue(on: CcxtStage, age_s: float) -> DecidedOn:
    """A quote stamped by the venue's clock so long ago."""
    return DecidedOn(what="quote", ts_ns=venue_ns(on) - int(age_s * NS_PER_S), max_age_s=LIMIT_S)


async def decided_and_sent(on: CcxtStage, age_s: float) -> Outcome:
    """Approve by the venue's time as the adapter believes it, and send.

    Whoever is told that an input is stale looks at the venue's clock once, for it may be the clock that is wrong.
    """
    has_looked = False
    while True:
        order = wish(on, quote_of_venue(on, age_s))
        outcome: Outcome = order if isinstance(order, Refused) else await on.venue.submit(order)
        if isinstance(outcome, Refused) and outcome.code is RefusalCode.STALE_INPUT and not has_looked:
            await on.venue.now_ns()
        elif not (isinstance(outcome, Refused) and outcome.code is RefusalCode.CLOCK and not has_looked):
            return outcome  # where the venue refuses our clock, the adapter has looked at it already
        has_looked = True


@EACH_VENUE
@pytest.mark.parametrize("whose", ["venue", "ours"])
def test_an_old_quote_sends_nothing_and_a_young_one_does_whichever_clock_is_off(venue: str, whose: str) -> None:
    async def act(on: CcxtStage) -> None:
        ours = MachineClock(on.clock)
        await connect_by(on, ours)
        for count, skew_s in enumerate(SKEWS_S):
            if whose == "venue":
                on.at.direct.skew(skew_s)
            else:
                ours.off_s = skew_s
            stale = await decided_and_sent(on, age_s=LIMIT_S + 0.5)
            assert isinstance(stale, Refused), stale
            assert stale.code is RefusalCode.STALE_INPUT
            assert len(on.at.exchange.orders) == count
            before = asked(on)
            young = await decided_and_sent(on, age_s=0.2)
            assert isinstance(young, Accepted), young
            assert asked(on) - before <= 3, "one that was refused, and two more"
            assert len(on.at.exchange.orders) == count + 1

    play(venue, act)


@EACH_VENUE
def test_an_order_that_is_stale_by_a_clock_we_know_sends_no_byte(venue: str) -> None:
    async def act(on: CcxtStage) -> None:
        before = asked(on)
        refused = wish(on, quote_of_venue(on, LIMIT_S + 0.5))
        assert isinstance(refused, Refused)
        assert refused.code is RefusalCode.STALE_INPUT
        order = wish(on, quote_of_venue(on, 0.2))
        assert isinstance(order, OrderApproved)
        on.clock.jump(LIMIT_S)  # somebody thought about it for too long
        outcome = await on.venue.submit(order)
        assert isinstance(outcome, Refused)
        assert outcome.code is RefusalCode.STALE_INPUT
        assert asked(on) == before

    play(venue, act)


@EACH_VENUE
def test_an_order_that_grew_stale_while_it_waited_for_room_in_the_budget_is_not_sent(venue: str) -> None:
    async def act(on: CcxtStage) -> None:
        budgets = on.venue._client.budgets  # type: ignore[attr-defined]
        budget = budgets.of("orders") if venue == "binanceusdm" else budgets.whole  # there orders have no weight
        on.clock.jump(budget.window_s)
        await budget.spend(budget.capacity)  # somebody has asked for all there is
        on.clock.jump(budget.window_s - 3.0)
        order = wish(on, quote_of_venue(on, LIMIT_S - 1.0))
        before = asked(on)
        sending = asyncio.create_task(on.venue.submit(order))
        await asyncio.sleep(0.01)
        assert not sending.done()
        on.clock.jump(3.0)  # there is room again, and the quote is two seconds too old
        outcome = await sending
        assert isinstance(outcome, Refused), outcome
        assert outcome.code is RefusalCode.STALE_INPUT
        assert asked(on) == before
        assert not on.at.exchange.orders

    play(venue, act)
