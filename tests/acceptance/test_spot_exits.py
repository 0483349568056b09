"""Leave a position of coins through the real ccxt client, before a rehearsed Binance that locks what an order sells."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.acceptance.crowd import in_files
from tests.acceptance.engine import Job, agreed, make_node, see_quote
from tests.acceptance.kills import MARKETS, venue_of
from tests.conformance.ccxt_stage import KEY, SECRET
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.model import messages as said
from tradelab.model.orders import OrderStatus, OrderType
from tradelab.model.states import Severity
from tradelab.rehearsal.venue import Rehearsal
from tradelab.spine.node import Node
from tradelab.store.database import Database

pytestmark = pytest.mark.slow
_PATIENCE_S = 60.0


async def until(what: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(_PATIENCE_S):
        while not what():
            await asyncio.sleep(0.01)


async def scene(then: Callable[[Node, CcxtVenue, Rehearsal], Awaitable[None]]) -> list[said.Message]:
    """Hold a hundredth of a coin with its stop at the venue, and go on from there; return all that was said."""
    async with in_files() as url, venue_of("binance") as at:
        market = MARKETS["binance"]
        job = Job(
            database=url, url=at.url, exchange=market.exchange, market=market.market, symbol="BTC/USDT", key=KEY,
            secret=SECRET, kind="market", qty="0.01", price="0", exits={"stop": "2 %"}, lease_s=30.0,
        )  # fmt: skip
        heard: list[said.Message] = []
        with Database(url) as database:
            node, venue = make_node(job, database)
            node.bus.look_on(lambda recorded: heard.append(recorded.message))
            await node.start()
            try:
                await agreed(node)
                await see_quote(node, venue, job.symbol)
                given = {"bot": "bot", "symbol": job.symbol, "action": "enter_long", "ttl_s": "300"}
                await node.command("signal", given, id="in", by="acceptance")
                await until(lambda: resting(at))
                await until(
                    lambda: [m for m in heard if isinstance(m, said.ProtectionChanged) and m.by.value == "venue"]
                )
                await then(node, venue, at)
            finally:
                await node.stop("keep")
        return heard


def resting(at: Rehearsal) -> list[OrderType]:
    """What waits at the exchange."""
    return [order.type for order in at.exchange.open_orders(KEY)]


def critical(heard: list[said.Message]) -> list[str]:
    """What a person was woken for."""
    return [m.says for m in heard if isinstance(m, said.AlarmRaised) and m.severity is Severity.CRITICAL]


def test_a_strategys_exit_is_taken_at_the_first_go_and_nobody_is_woken() -> None:
    async def leave(node: Node, venue: CcxtVenue, at: Rehearsal) -> None:
        await see_quote(node, venue, "BTC/USDT")
        given = {"bot": "bot", "symbol": "BTC/USDT", "action": "exit_long", "ttl_s": "300"}
        await node.command("signal", given, id="out", by="acceptance")
        await until(lambda: not node.ledger.snapshot().positions)
        stop, sale = (o for o in at.exchange.orders.values() if o.side.value == "sell")
        assert (stop.type, stop.status) == (OrderType.STOP, OrderStatus.CANCELLED)
        assert (sale.type, sale.status) == (OrderType.MARKET, OrderStatus.FILLED)

    heard = asyncio.run(scene(leave))
    assert [m for m in heard if isinstance(m, said.OrderRefused)] == []
    assert critical(heard) == []


def test_a_close_at_a_limit_is_refused_with_what_to_do_and_the_stop_stays() -> None:
    async def close(node: Node, venue: CcxtVenue, at: Rehearsal) -> None:
        await see_quote(node, venue, "BTC/USDT")
        price = str(MARKETS["binance"].price * 2)
        given = {"bot": "bot", "symbol": "BTC/USDT", "side": "sell", "close": "yes", "price": price, "ttl_s": "300"}
        done = await node.command("order", given, id="out", by="acceptance")
        assert not done.done and done.says.startswith("locked: a limit order to close ")
        assert "Close at the market" in done.says
        assert resting(at) == [OrderType.STOP]

    heard = asyncio.run(scene(close))
    assert critical(heard) == []
