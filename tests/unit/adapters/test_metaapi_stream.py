"""Follow the stream of MetaApi: by both protocols, shared by several readers, ended by whatever breaks it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from tests.unit.rehearsal.metaapi_world import ACCOUNT, World, plain, world
from tradelab.adapters import metaapi_watching as watching
from tradelab.adapters.metaapi_sequence import Sequencer
from tradelab.adapters.metaapi_session import Market
from tradelab.adapters.metaapi_socket import SocketIo
from tradelab.model.errors import ConnectivityError, RequestError, VenueError
from tradelab.model.market import Candle
from tradelab.model.orders import Fill, Order, OrderType, Side
from tradelab.model.units import Timeframe
from tradelab.rehearsal.faults import Fault
from tradelab.rehearsal.venue import settle

Told = AsyncIterator[Any]


class Reader:
    """Read a stream in the background; ``ended`` is what it ended with."""

    def __init__(self, told: Told) -> None:
        self.heard: list[Any] = []
        self.ended: VenueError | None = None
        self._told = told
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for one in self._told:
                self.heard.append(one)
        except VenueError as error:
            self.ended = error

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self._told.aclose()  # type: ignore[attr-defined]


async def until(holds: Callable[[], Any]) -> None:
    for _ in range(4000):
        if holds():
            return
        await settle()
    raise AssertionError("it never came")


def play(run: Callable[[World], Awaitable[None]], **settings: Any) -> None:
    async def whole() -> None:
        async with world(settings=settings) as on:
            await run(on)

    asyncio.run(whole())


@pytest.mark.parametrize("engine_io", [3, 4])
def test_orders_fills_and_money_are_told_once_by_either_protocol(engine_io: int) -> None:
    async def run(on: World) -> None:
        readers = [Reader(told) for told in (on.adapter.watch_orders(), on.adapter.watch_fills(),
                                             on.adapter.watch_balances())]  # fmt: skip
        orders, fills, money = readers
        await until(lambda: on.adapter._push._session and len(on.adapter._push._session._inboxes) == 3)
        await on.submit(Side.BUY, "0.3", client_order_id="tl1")
        await until(lambda: fills.heard and money.heard and orders.heard)
        await on.submit(Side.BUY, "0.1", OrderType.LIMIT, price=Decimal("1.15"), client_order_id="tl2")
        on.move("1.149")
        await until(lambda: len(fills.heard) == 2)
        told: list[Fill] = fills.heard
        assert [(f.client_order_id, f.qty) for f in told] == [("tl1", Decimal("0.3")), ("tl2", Decimal("0.1"))]
        asked = await on.adapter.fills(0)
        assert told == list(asked)
        await until(lambda: orders.heard[-1].client_order_id == "tl2" and not orders.heard[-1].status.is_open)
        last: Order = orders.heard[-1]
        assert (last.filled_qty, last.avg_price) == (Decimal("0.1"), Decimal("1.15"))
        assert len(orders.heard) == len(set(map(repr, orders.heard)))
        assert money.heard[-1] == (await on.adapter.balances())[0]
        for reader in readers:
            await reader.stop()

    play(run, engine_io=engine_io)


def test_readers_share_one_connection_and_the_last_one_closes_it() -> None:
    async def run(on: World) -> None:
        first = Reader(on.adapter.watch_quotes("EURUSD"))
        second = Reader(on.adapter.watch_quotes("EURUSD"))
        push = on.adapter._push
        await until(lambda: push._session and len(push._session._inboxes) == 2)
        session = push._session
        on.venue.direct.release_price("EURUSD")
        await on.venue.advance(30, step_s=10)
        await until(lambda: first.heard and second.heard)
        await first.stop()
        assert not session.is_over
        before = len(second.heard)
        await on.venue.advance(30, step_s=10)
        await until(lambda: len(second.heard) > before)
        await second.stop()
        assert session.is_over
        third = Reader(on.adapter.watch_quotes("EURUSD"))
        await until(lambda: push._session is not session and push._session._inboxes)
        await on.venue.advance(30, step_s=10)
        await until(lambda: third.heard)
        await third.stop()

    play(run)


def test_a_reader_that_comes_while_others_still_hear_the_end_gets_a_connection_of_its_own() -> None:
    async def run(on: World) -> None:
        push = on.adapter._push
        old = Reader(on.adapter.watch_quotes("EURUSD"))
        await until(lambda: push._session and push._session._inboxes)
        session = push._session
        on.venue.direct.disconnect()
        await until(lambda: session.is_over)
        new = Reader(on.adapter.watch_quotes("EURUSD"))
        await until(lambda: old.ended is not None)
        await until(lambda: push._session is not session and push._session._markets)
        on.venue.direct.release_price("EURUSD")
        await on.venue.advance(30, step_s=10)
        await until(lambda: new.heard)
        assert new.ended is None
        assert isinstance(old.ended, ConnectivityError)
        await new.stop()

    play(run)


def test_a_frame_that_is_lost_ends_the_stream_as_nobody_knows_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradelab.adapters.metaapi_session.Sequencer", partial(Sequencer, patience_s=0.05))

    async def run(on: World) -> None:
        fills = Reader(on.adapter.watch_fills())
        await until(lambda: on.adapter._push._session and on.adapter._push._session._inboxes)
        on.venue.direct.fault(Fault.STREAM_DROP, f"account:{ACCOUNT}")
        await on.submit(Side.BUY, "0.1")
        await on.submit(Side.BUY, "0.1")
        await asyncio.wait_for(fills.task, 20)
        assert isinstance(fills.ended, ConnectivityError)
        assert "packet was lost" in str(fills.ended)
        assert len(await on.adapter.fills(0)) == 2  # what was missed is there to be asked for

    play(run)


def test_a_packet_that_comes_twice_tells_its_fill_once() -> None:
    async def run(on: World) -> None:
        fills = Reader(on.adapter.watch_fills())
        await until(lambda: on.adapter._push._session and on.adapter._push._session._inboxes)
        raw = on.adapter._push.packets()
        packets = Reader(raw)
        await until(lambda: len(on.adapter._push._session._inboxes) == 2)
        on.venue.direct.fault(Fault.STREAM_DUPLICATE, f"account:{ACCOUNT}", times=20)
        await on.submit(Side.BUY, "0.1")
        on.venue.direct.all_well()
        await on.submit(Side.BUY, "0.2")
        await until(lambda: fills.heard and fills.heard[-1].qty == Decimal("0.2"))
        assert [f.qty for f in fills.heard] == [Decimal("0.1"), Decimal("0.2")]
        assert sum("deals" in p for p in packets.heard) > 2
        await fills.stop()
        await packets.stop()

    play(run)


def test_the_last_word_on_a_bar_is_the_historys_where_pushes_were_throttled() -> None:
    def pushed(minute: int, close: float) -> dict[str, Any]:
        row = {"symbol": "EURUSD", "timeframe": "1m", "time": f"2026-09-11T04:{minute:02}:00.000Z", "open": 1.0,
               "high": 2.0, "low": 1.0, "close": close, "tickVolume": 1}  # fmt: skip
        return {"type": "prices", "candles": [row]}

    class Throttled:
        async def packets(self, _: Market) -> AsyncIterator[dict[str, Any]]:
            for minute, close in ((0, 1.1), (1, 1.2), (0, 9.9), (4, 1.5)):
                yield pushed(minute, close)

    asked: list[tuple[int, int]] = []
    minute_ns, start_ns = Timeframe.M1.ns, 1_789_099_200 * 10**9

    async def between(from_ns: int, until_ns: int) -> list[Candle]:
        asked.append(((from_ns - start_ns) // minute_ns, (until_ns - start_ns) // minute_ns))
        return [Candle(t, 1.0, 2.0, 1.0, 1.7, 1.0, False) for t in range(from_ns, until_ns, minute_ns)]

    async def run() -> list[tuple[int, float, bool]]:
        told = watching.candles(Throttled(), "EURUSD", Timeframe.M1, between)  # type: ignore[arg-type]
        return [((c.open_ns - start_ns) // minute_ns, c.close, c.closed) async for c in told]

    assert asyncio.run(run()) == [
        (0, 1.1, False), (0, 1.7, True), (1, 1.2, False), (1, 1.7, True), (2, 1.7, True), (3, 1.7, True),
        (4, 1.5, False),
    ]  # fmt: skip
    assert asked == [(0, 1), (1, 4)]


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        ({"type": "status", "connected": False}, "lost its broker"),
        ({"type": "disconnected"}, "lost its broker"),
        ({"type": "authenticated"}, "anew"),
    ],
)
def test_a_broker_that_is_lost_or_found_anew_ends_the_stream(packet: dict[str, Any], why: str) -> None:
    async def run(on: World) -> None:
        reader = Reader(on.adapter.watch_orders())
        await until(lambda: on.adapter._push._session and on.adapter._push._session._inboxes)
        session = on.adapter._push._session
        ours = {"accountId": ACCOUNT, "host": session._host, "sessionId": session._name}
        for other in (
            ours | {"type": "status", "connected": True},
            ours | packet | {"accountId": "of somebody else"},
            ours | packet | {"host": "another server"},
            ours | packet | {"sessionId": "a session before"},
        ):
            session._take("synchronization", other)
        await settle()
        assert not session.is_over
        session._take("synchronization", ours | packet)
        await asyncio.wait_for(reader.task, 20)
        assert why in str(reader.ended)

    play(run)


def test_disconnecting_ends_every_reader() -> None:
    async def run(on: World) -> None:
        reader = Reader(on.adapter.watch_orders())
        await until(lambda: on.adapter._push._session and on.adapter._push._session._inboxes)
        await on.adapter.disconnect()
        await asyncio.wait_for(reader.task, 20)
        assert isinstance(reader.ended, ConnectivityError)
        with pytest.raises(RequestError, match="not connected"):
            await anext(on.adapter.watch_orders())

    play(run)


def test_closed_bars_are_told_once_and_whole_however_they_were_pushed() -> None:
    """The last word on a bar is asked of the history, so that throttled updates do not leave it half told."""

    async def run(on: World) -> None:
        reader = Reader(on.adapter.watch_candles("EURUSD", Timeframe.M1))
        await until(lambda: on.adapter._push._session and on.adapter._push._session._markets)
        on.venue.direct.release_price("EURUSD")
        await on.venue.advance(400, step_s=20)
        await until(lambda: sum(c.closed for c in reader.heard) >= 5)
        await reader.stop()
        closed = [c for c in reader.heard if c.closed]
        opens = [c.open_ns for c in closed]
        assert opens == sorted(set(opens))
        assert {b - a for a, b in itertools.pairwise(opens)} == {Timeframe.M1.ns}
        asked = await on.adapter.fetch_ohlcv("EURUSD", Timeframe.M1, since_ns=opens[0], limit=len(opens))
        assert closed == list(asked)

    play(run)


def test_subscriptions_are_refreshed_by_the_clock() -> None:
    async def run(on: World) -> None:
        reader = Reader(on.adapter.watch_quotes("EURUSD"))
        await until(lambda: on.adapter._push._session and on.adapter._push._session._markets)
        asked: list[str] = []
        session = on.adapter._push._session
        ask = session._ask

        async def noted(kind: str, **more: Any) -> None:
            await ask(kind, **more)
            asked.append(f"{kind} {json.dumps(more)}")

        session._ask = noted
        await on.venue.advance(301, step_s=301)
        wanted = {"subscriptions": [{"symbol": "EURUSD", "subscriptions": [{"type": "quotes"}]}]}
        await until(lambda: asked)
        assert asked == [f"refreshMarketDataSubscriptions {json.dumps(wanted)}"]
        await reader.stop()

    play(run)


def test_a_wrong_token_is_refused_and_not_repeated_in_words() -> None:
    async def run(on: World) -> None:
        for version in (3, 4):
            with pytest.raises(RequestError, match="api_token") as caught:
                await SocketIo.connect(on.venue.url, {"auth-token": "canary.wrong"}, version=version, timeout_s=5)
            assert "canary" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"

    play(run)


def test_a_subscription_that_is_refused_is_an_error_of_its_own_and_ends_nobody_else() -> None:
    async def run(on: World) -> None:
        orders = Reader(on.adapter.watch_orders())
        push = on.adapter._push
        await until(lambda: push._session and push._session._inboxes)
        with pytest.raises(RequestError, match="NotFoundError"):
            await anext(push.packets(Market("NOSUCH")))
        assert not push._session.is_over
        async with plain(on) as http:
            await http.post("/trade", json={"actionType": "ORDER_TYPE_BUY", "symbol": "EURUSD", "volume": 0.1})
        await until(lambda: orders.heard)
        await orders.stop()
        with pytest.raises(RequestError, match="NotFoundError"):
            await anext(push.packets(Market("NOSUCH")))
        assert push._session.is_over  # nobody else listened

    play(run)
