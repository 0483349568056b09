"""Say what an engine does with its life: settle one order, try to enter again and again, keep what fills protected."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from tests.acceptance.engine import REFUSED, SETTLED, Job, Life, agreed, see_quote, settle_an_order
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.model.orders import OrderType
from tradelab.model.states import Leg, TradingState
from tradelab.spine.node import Node
from tradelab.spine.order_life import Phase
from tradelab.spine.snapshot import PositionKey

ACCOUNT, BOT = "venue", "bot"
_PROBES_AFTER = 10  # entries that are tried once it is halted
_STILL_S = 0.5  # for how long nothing must change for it to be over


async def _ask(node: Node, job: Job, id: str, **given: str) -> None:
    """Raise a signal, once for each id."""
    told = {"bot": BOT, "symbol": job.symbol, "ttl_s": "300"} | given
    await node.command("signal", told, id=id, by="acceptance")


async def _probe(node: Node, job: Job, n: int) -> None:
    """Let the next of the other bots try to enter, far from the market; each life has its half of them."""
    half = job.bots // 2
    bot = f"bot{1 + n % (half - 1) + half * (job.life == 'proving')}"
    more = {"action": "enter_long", "order_type": "limit", "order_price": job.price, "qty": job.small}
    await _ask(node, job, f"probe {os.getpid()} {n}", **more | {"bot": bot})


async def try_for_ever(node: Node, venue: CcxtVenue, job: Job) -> int:
    """Buy, once, and then let bots try to enter until somebody ends this."""
    await agreed(node)
    await see_quote(node, venue, job.symbol)
    await _ask(node, job, job.command, action="enter_long")
    for n in range(10**9):
        await _probe(node, job, n)
        await asyncio.sleep(0.05)
    return REFUSED


async def prove(node: Node, venue: CcxtVenue, job: Job) -> int:
    """Try to enter until this is refused for good, or let in, as is expected; then leave all that is held."""
    await agreed(node)
    await see_quote(node, venue, job.symbol)
    entries, refused, n = _entries(node), 0, 0
    while refused < _PROBES_AFTER if job.expect == "halted" else _entries(node) == entries:
        await _probe(node, job, n)
        n += 1
        refused += node.ledger.snapshot().state("node", f"account {ACCOUNT}") is TradingState.HALTED
        await asyncio.sleep(0.03)
    await _ask(node, job, f"leave {os.getpid()}", action="exit_long")
    while node.ledger.position(PositionKey(ACCOUNT, BOT, job.symbol)).qty > _dust(node, job):
        await asyncio.sleep(0.02)
    return SETTLED


async def fill_protected(node: Node, venue: CcxtVenue, job: Job) -> int:
    """Ask for an entry that rests, once, and run until it has filled and all that is held is stopped at the venue."""
    await agreed(node)
    await see_quote(node, venue, job.symbol)
    await _ask(node, job, job.command, action="enter_long", order_type="limit", order_price=job.price)
    still_s = 0.0
    while still_s < _STILL_S:
        await asyncio.sleep(0.05)
        still_s = still_s + 0.05 if _is_protected(node, job) else 0.0
    return SETTLED


def _entries(node: Node) -> int:
    return sum(order.intended.leg is Leg.ENTRY for order in node.ledger.snapshot().orders.values())


def _dust(node: Node, job: Job) -> object:
    return node.ledger.snapshot().instruments[ACCOUNT, job.symbol].qty_step


def _is_protected(node: Node, job: Job) -> bool:
    snapshot = node.ledger.snapshot()
    ours = list(snapshot.orders.values())
    entered = [order for order in ours if order.intended.leg is Leg.ENTRY]
    if not entered or any(o.phase is not Phase.CLOSED or o.is_owed for o in entered):
        return False
    if any(o.may_come or o.phase in (Phase.INTENDED, Phase.UNKNOWN) for o in ours):
        return False
    held = node.ledger.position(PositionKey(ACCOUNT, BOT, job.symbol)).qty
    stops = [o for o in ours if o.phase is Phase.OPEN and o.intended.intent.type is OrderType.STOP]
    step = snapshot.instruments[ACCOUNT, job.symbol].qty_step
    return sum(o.leaves_qty for o in stops) == held // step * step


LIVES: Mapping[str, Life] = {
    "order": settle_an_order,
    "trying": try_for_ever,
    "proving": prove,
    "protected": fill_protected,
}
