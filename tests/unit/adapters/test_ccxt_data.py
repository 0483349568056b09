"""What a slow answer may not do: make the venue's time later than it said, or a bar closed that was forming."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.property.gap_world import Play, World, world_of
from tests.unit.rehearsal.binance_world import KEY, still_bars
from tests.unit.rehearsal.binance_world import SPOT as BTC
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.model.clock import SystemClock
from tradelab.model.units import NS_PER_S, Timeframe
from tradelab.rehearsal.faults import Fault
from tradelab.rehearsal.settings import AccountSetup, Ledger, VenueSetup
from tradelab.rehearsal.tape import Tape
from tradelab.rehearsal.venue import rehearse

SPOT = Play(dialect="binance", exchange="binance", market="spot", disconnects=0, stalls=0)


def scene(folder: Path, act: Callable[[World], Awaitable[Any]]) -> None:
    async def run() -> None:
        async with world_of(SPOT, folder) as on:
            await on.meanwhile(on.venue.connect())
            await act(on)
            await on.venue.disconnect()

    asyncio.run(run())


def test_the_venues_time_is_what_it_said_however_long_the_answer_took(tmp_path: Path) -> None:
    async def act(on: World) -> None:
        offset_ns = on.venue._client.offset_ns
        on.at.direct.fault(Fault.LATE_ANSWER, "time", seconds=8)
        asked_ns = on.clock.now_ns()
        told_ns = await on.meanwhile(on.venue.now_ns())
        assert on.clock.now_ns() - asked_ns >= 8 * NS_PER_S
        assert abs(told_ns - asked_ns) < NS_PER_S, "and not four seconds later, by half of the way"
        assert on.venue._client.offset_ns == offset_ns, "nothing is signed by such an answer"

    scene(tmp_path, act)


def test_a_bar_that_ended_while_the_answer_was_under_way_is_not_called_closed(tmp_path: Path) -> None:
    async def act(on: World) -> None:
        await on.pass_time(50 - on.clock.now_ns() // NS_PER_S % 60)
        on.at.direct.fault(Fault.LATE_ANSWER, "candles", seconds=30)
        *before, last = await on.meanwhile(on.venue.fetch_ohlcv(SPOT.symbol, Timeframe.M1, limit=3))
        assert Timeframe.M1.next_open(last.open_ns) < on.clock.now_ns(), "by now it is over"
        assert all(bar.closed for bar in before)
        assert not last.closed, "its values are those of ten seconds before its end"

    scene(tmp_path, act)


def test_how_far_our_clock_is_off_is_told_by_the_clock_on_the_wall(canary: str) -> None:
    async def run() -> float | None:
        now = SystemClock()
        account = AccountSetup(key=KEY, secret=canary, balances={"USDT": Decimal(100)})
        setup = VenueSetup(ledger=Ledger.SPOT, accounts=(account,))
        tape = Tape(BTC, still_bars(), start_ns=now.now_ns(), start_bar=1500)
        async with rehearse("binance", [tape], setup, clock=now) as at:
            venue = CcxtVenue("binance", base_url=at.url, credentials={"api_key": KEY, "api_secret": canary})
            try:
                return (await venue.test_connection()).clock_offset_ms
            finally:
                await venue.disconnect()

    offset_ms = asyncio.run(run())
    assert offset_ms is not None
    assert abs(offset_ms) < 10_000, "both go by this machine's clock; by one that counts from its start it is decades"
