"""Send, find, change and cancel orders of one MetaTrader account, each wish once.

MetaApi keeps no client id from being used twice. So an order is looked for before it is sent: among open orders first,
then among done orders, deals and positions, because an order moves from the first to the others and never back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from tradelab.adapters import metaapi_trading as trading
from tradelab.adapters.metaapi_parse import Specification, read, with_average
from tradelab.adapters.metaapi_parse import order as order_of
from tradelab.adapters.metaapi_parse import position as position_of
from tradelab.adapters.metaapi_settings import MetaApiSettings
from tradelab.adapters.metaapi_terminal import Terminal
from tradelab.adapters.metaapi_wire import RefusedError, Reply
from tradelab.model.account import Position
from tradelab.model.errors import ConnectivityError, VenueError
from tradelab.model.orders import Fill, Order, OrderIntent, OrderRef, OrderStatus, OrderType, Side
from tradelab.model.outcome import Accepted, Outcome, RefusalCode, Refused, Unknown, already_there
from tradelab.model.units import NS_PER_DAY, NS_PER_MIN

AHEAD_NS = 5 * NS_PER_MIN  # by which the broker's clock may be ahead of MetaApi's
Late = Callable[[], Refused | None]  # why an order may not leave any more
_NONE = Refused(RefusalCode.ORDER_NOT_FOUND, "the account has no such order")
_STATUS = {401: RefusalCode.AUTHENTICATION, 403: RefusalCode.PERMISSION}


class Orders:
    """The orders of one account.

    Parameters
    ----------
    specifications
        What is known of each symbol.
    now_ns
        The venue's time, as well as we know it.
    """

    def __init__(
        self,
        terminal: Terminal,
        settings: MetaApiSettings,
        specifications: Mapping[str, Specification],
        now_ns: Callable[[], int],
    ) -> None:
        self._terminal = terminal
        self._settings = settings
        self._specifications = specifications
        self._now_ns = now_ns

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def submit(self, intent: OrderIntent, late: Late) -> Outcome:
        """Send an order, unless one of its name is there already: then that one is the answer.

        To look takes a while; whether it is too ``late`` by now is asked when it could leave.
        """
        of = self._specifications.get(intent.symbol)
        if of is None:
            return Refused(RefusalCode.UNKNOWN_SYMBOL, f"{self._settings.name} knows no {intent.symbol}")
        async with self._terminal.alone(
            intent.client_order_id
        ):  # two tasks with one wish would both look before either has sent
            return await self._submit(intent, of, late)

    async def _submit(self, intent: OrderIntent, of: Specification, late: Late) -> Outcome:
        try:
            there, positions = await self._before(intent.client_order_id)
        except VenueError as error:
            return not_sent(error)
        if there is not None:
            return already_there(intent, there)
        if (refused := late()) is not None:
            return refused
        if intent.position_id is None:
            reply = await self._terminal.trade(trading.entry(intent, self._settings))
            told = trading.outcome(reply, intent.client_order_id, ("orderId", "positionId"))
            return trading.explained(told, intent, of)
        return await self._close(intent, positions, of)

    async def _close(self, intent: OrderIntent, positions: list[Position], of: Specification) -> Outcome:
        held = next((p for p in positions if p.position_id == intent.position_id), None)
        if held is not None and held.symbol != intent.symbol:
            says = f"position {held.position_id} is in {held.symbol}, not in {intent.symbol}"
            return Refused(RefusalCode.POSITION_NOT_FOUND, says)
        if held is not None and (held.qty > 0) is (intent.side is Side.BUY):
            return Refused(RefusalCode.BAD_REQUEST, f"a {intent.side.value} does not close position {held.position_id}")
        reply = await self._terminal.trade(trading.closing(intent, held, self._settings))
        told = trading.outcome(reply, intent.client_order_id, ("orderId",))
        if isinstance(told, Unknown) and _is_success(reply):  # closed, but by an order without a number: look it up
            try:
                there = await self.find(OrderRef(symbol=intent.symbol, client_order_id=intent.client_order_id))
            except VenueError:
                return told
            return told if there is None else Accepted(intent.client_order_id, there.venue_order_id, there)
        return trading.explained(told, intent, of)

    async def cancel(self, ref: OrderRef) -> Outcome:
        """Cancel an open order."""
        found = await self._open(ref)
        if not isinstance(found, dict):
            return found
        number = str(found["id"])
        reply = await self._terminal.trade(trading.cancelling(number))
        return _named(trading.outcome(reply, ref.client_order_id, ("orderId",)), reply, ref, number)

    async def modify(self, ref: OrderRef, price: Decimal | None, stop_price: Decimal | None) -> Outcome:
        """Change the prices of an open order."""
        found = await self._open(ref)
        if not isinstance(found, dict):
            return found
        now = order_of(found)
        if now is None:
            return _NONE
        wrong = [n for n, given in (("price", price), ("stop_price", stop_price)) if given and not getattr(now, n)]
        if wrong:
            return Refused(RefusalCode.BAD_REQUEST, f"a {now.type.value} order has no {wrong[0]}")
        reply = await self._terminal.trade(trading.change(now, found, price, stop_price))
        told = _named(trading.outcome(reply, now.client_order_id, ("orderId",)), reply, ref, now.venue_order_id)
        asked = OrderIntent(
            client_order_id=now.client_order_id or "none", symbol=now.symbol, side=now.side, type=now.type, qty=now.qty,
            price=price or now.price, stop_price=stop_price or now.stop_price,
        )  # fmt: skip
        of = self._specifications.get(now.symbol)
        return told if of is None else trading.explained(told, asked, of)

    async def protect(self, position_id: str, stop_loss: Decimal | None, take_profit: Decimal | None) -> Outcome:
        """Set both levels of a position."""
        reply = await self._terminal.trade(trading.protection(position_id, stop_loss, take_profit))
        told = trading.outcome(reply, None, ("positionId", "orderId"))
        return Accepted(None, position_id) if isinstance(told, Unknown) and _is_success(reply) else told

    # ── finding ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def find(self, ref: OrderRef) -> Order | None:
        """Return an order by the venue's number where it is given, else by our name."""
        if ref.venue_order_id is not None:
            return await self._by_number(ref.venue_order_id)
        return (await self._before(str(ref.client_order_id)))[0]

    async def _by_number(self, number: str) -> Order | None:
        for one in await self._terminal.open_orders():
            if one.venue_order_id == number:
                return one
        done = await self._terminal.history_order(number)
        return await self._averaged(done[0]) if done else None

    async def _before(self, client_order_id: str) -> tuple[Order | None, list[Position]]:
        """Return the order of that name, wherever it is by now; and the open positions, if it is nowhere."""
        for one in await self._terminal.open_orders():
            if one.client_order_id == client_order_id:
                return one, []
        until = self._now_ns() + AHEAD_NS
        since = until - self._settings.lookup_days * NS_PER_DAY
        done, fills, held = await asyncio.gather(
            self._terminal.history_orders(since, until),
            self._terminal.fills(since, until),
            self._terminal.raw_positions(),
        )
        mine = [o for o in done if o.client_order_id == client_order_id]
        if mine:  # what a stop loss closes may bear the name of what it protected; the first is ours
            return with_average(min(mine, key=lambda o: (o.created_ns or 0, o.venue_order_id)), fills), []
        traded = [f for f in fills if f.client_order_id == client_order_id]
        if traded:
            return _of_fills(traded), []
        positions = [read("position", position_of, raw) for raw in held]
        for position, raw in zip(positions, held, strict=True):
            if raw.get("clientId") == client_order_id:
                return _of_position(position, client_order_id), []
        return None, positions

    async def _averaged(self, one: Order) -> Order:
        if not one.filled_qty:
            return one
        return with_average(one, await self._terminal.fills_of_position(one.position_id or one.venue_order_id))

    async def _open(self, ref: OrderRef) -> dict[str, Any] | Outcome:
        """Return an open order as MetaApi tells it, or why there is none."""
        try:
            for raw in await self._terminal.raw_open_orders():
                if ref.venue_order_id in (None, str(raw["id"])) and _is_named(ref, raw):
                    return raw
            there = await self.find(ref)
        except VenueError as error:
            return not_sent(error)
        if there is None:
            return _NONE
        return Refused(RefusalCode.ORDER_CLOSED, f"the order is {there.status.value}")


def not_sent(error: VenueError) -> Refused:
    """Say that nothing was sent because what must be known before could not be asked."""
    says = f"nothing was sent: {error}"
    if isinstance(error, RefusedError):
        return Refused(_STATUS.get(error.status, RefusalCode.OTHER), says)
    wait = error.retry_after_s if isinstance(error, ConnectivityError) else None
    return Refused(RefusalCode.NOT_SENT if wait is None else RefusalCode.RATE_LIMITED, says, wait)


def _is_named(ref: OrderRef, raw: Mapping[str, Any]) -> bool:
    return ref.venue_order_id is not None or raw.get("clientId") == ref.client_order_id


def _is_success(reply: Reply) -> bool:
    return isinstance(reply.body, dict) and reply.body.get("numericCode") in (0, 10008, 10009, 10010, 10025)


def _named(told: Outcome, reply: Reply, ref: OrderRef, number: str) -> Outcome:
    """Let a change that was done be accepted although the answer does not repeat the order's number."""
    return Accepted(ref.client_order_id, number) if isinstance(told, Unknown) and _is_success(reply) else told


def _of_fills(fills: list[Fill]) -> Order:
    """Return the order that its fills prove, where the order itself is not told (yet)."""
    number = min(fills, key=lambda f: f.ts_ns).venue_order_id
    mine = [f for f in fills if f.venue_order_id == number]
    lots = sum((f.qty for f in mine), Decimal(0))
    first = mine[0]
    one = Order(
        symbol=first.symbol, venue_order_id=number, client_order_id=first.client_order_id, side=first.side,
        type=OrderType.MARKET, status=OrderStatus.FILLED, qty=lots, filled_qty=lots, created_ns=first.ts_ns,
        updated_ns=mine[-1].ts_ns, position_id=first.position_id,
    )  # fmt: skip
    return with_average(one, mine)


def _of_position(held: Position, client_order_id: str) -> Order:
    """Return the order that opened a position, where nothing but the position tells of it; both have one number."""
    return Order(
        symbol=held.symbol, venue_order_id=str(held.position_id), client_order_id=client_order_id,
        side=Side.BUY if held.qty > 0 else Side.SELL, type=OrderType.MARKET, status=OrderStatus.FILLED,
        qty=abs(held.qty), filled_qty=abs(held.qty), avg_price=held.avg_price, created_ns=held.opened_ns,
        updated_ns=held.opened_ns, position_id=held.position_id,
    )  # fmt: skip
