"""A venue that does what it is told: takes, refuses, delays, forgets, answers nothing, and is traded on by hand."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tradelab.model.account import AccountInfo, Balance, Position, PositionMode
from tradelab.model.approval import OrderApproved, intent_of
from tradelab.model.capabilities import Stream, VenueCapabilities
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.market import Quote
from tradelab.model.orders import (
    Fill,
    Liquidity,
    Order,
    OrderIntent,
    OrderRef,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from tradelab.model.outcome import Accepted, Outcome, RefusalCode, Refused, Unknown
from tradelab.model.units import NS_PER_S

D = Decimal
READS = ("order", "open_orders", "fills", "positions", "account_info", "instruments", "now_ns", "quote")


def instrument(base: str = "BTC", kind: InstrumentKind = InstrumentKind.PERPETUAL, **changes: Any) -> Instrument:
    """A market against USDT."""
    told = {
        "symbol": f"{base}/USDT", "venue": "scripted", "base": base, "quote": "USDT", "tick_size": D("0.1"),
        "qty_step": D("0.01"), "kind": kind,
    }  # fmt: skip
    return Instrument(**{**told, **changes})


def offers(**changes: Any) -> VenueCapabilities:
    """What it offers: by default a margin account with everything."""
    told: dict[str, Any] = {
        "order_types": frozenset(OrderType), "times_in_force": frozenset(TimeInForce),
        "position_mode": PositionMode.NETTING, "reduce_only": True, "modify": frozenset({"qty", "price", "stop_price"}),
        "query_by_client_id": True, "streams": frozenset({Stream.ORDERS, Stream.FILLS}), "request_life_ms": 5000,
    }  # fmt: skip
    return VenueCapabilities(**told | changes)


SPOT: dict[str, Any] = {"position_mode": PositionMode.NONE, "reduce_only": False}


class ScriptedVenue:
    """Orders, fills and money as they truly are, and a script for what is answered.

    ``script[call]`` holds what the next calls come to, then all goes well again: for ``submit``, ``cancel`` and
    ``modify`` ``"refuse <code> [seconds]"``, ``"lost"`` (not taken, unknown), ``"mute"`` (taken, unknown), ``"raise"``,
    ``"wait <seconds>"`` (taken after so long); for reads ``"down"`` and ``"refuse"``.
    """

    name = "scripted"

    def __init__(self, clock: ManualClock, markets: Iterable[Instrument] = (), **can: Any) -> None:
        self.clock = clock
        self.capabilities = offers(**can)
        self.markets = {each.symbol: each for each in (markets or [instrument()])}
        self.script: defaultdict[str, deque[str]] = defaultdict(deque)
        self.calls: list[str] = []
        self.orders: dict[str, Order] = {}
        self.forgotten: set[str] = set()  # orders of which it answers that there is none
        self.unlisted: set[str] = set()  # open orders that its list lacks
        self.trades: list[Fill] = []
        self.hidden_fills: set[str] = set()
        self.net: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.money: defaultdict[str, Decimal] = defaultdict(Decimal, USDT=D(100_000))
        self.price: defaultdict[str, Decimal] = defaultdict(lambda: D(100))
        self.is_connected = True
        self.is_down = False
        self.ahead_s = 0.0  # its clock before ours
        self.tells_ids = True  # whether fills carry our names
        self.fee: tuple[Decimal, str] = (D(0), "USDT")
        self.crossed: list[str] = []  # symbols whose position went through zero
        self.pieces: list[Decimal] = []  # in which the next market order fills, the rest is cancelled
        self._queues: dict[str, list[asyncio.Queue[Any]]] = {"orders": [], "fills": []}

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def submit(self, order: OrderApproved) -> Outcome:
        """Take an order, or do what the script says."""
        intent = intent_of(order)
        return await self._request("submit", intent.client_order_id, lambda: self.take(intent))

    async def cancel(self, ref: OrderRef) -> Outcome:
        """Cancel one."""
        return await self._request("cancel", str(ref.client_order_id or ref.venue_order_id), lambda: self._cancel(ref))

    async def modify(self, ref: OrderRef, **levels: Decimal | None) -> Outcome:
        """Change one."""
        return await self._request("modify", str(ref.client_order_id), lambda: self._modify(ref, levels))

    async def _request(self, kind: str, name: str, do: Any) -> Outcome:
        self.calls.append(f"{kind} {name}")
        said = self.script[kind].popleft() if self.script[kind] else "take"
        word, _, rest = said.partition(" ")
        if self.is_down:
            return Unknown("no answer")
        if word == "refuse":
            code, _, wait = rest.partition(" ")
            return Refused(RefusalCode(code), "as scripted", float(wait) if wait else None)
        if word == "lost":
            return Unknown("it was lost")
        if word == "mute":
            do()
            return Unknown("no answer came")
        if word == "raise":
            raise ConnectionResetError("the socket broke")
        if word == "wait":
            await self.clock.sleep(float(rest))
        if word == "late":  # unknown now, and it arrives so much later
            asyncio.get_running_loop().create_task(self._late(float(rest), do))
            return Unknown("no answer yet")
        outcome: Outcome = do()
        return outcome

    async def _late(self, seconds: float, do: Any) -> None:
        await self.clock.sleep(seconds)
        do()

    # ── as it truly is ───────────────────────────────────────────────────────────────────────────────────────────

    def take(self, intent: OrderIntent, *, by_hand: bool = False) -> Outcome:
        """Have an order; a market order trades at once."""
        lacking = self.lacking(intent)
        if lacking is not None:
            return lacking
        number = f"v{len(self.orders) + 1}"
        status = OrderStatus.UNTRIGGERED if intent.type.needs_stop_price else OrderStatus.NEW
        order = Order(
            symbol=intent.symbol, venue_order_id=number, client_order_id=None if by_hand else intent.client_order_id,
            side=intent.side, type=intent.type, status=status, qty=intent.qty, filled_qty=D(0), price=intent.price,
            stop_price=intent.stop_price, reduce_only=intent.reduce_only, updated_ns=self.now(),
        )  # fmt: skip
        self.orders[number] = order
        self.tell(number)
        if intent.type is OrderType.MARKET:
            pieces, self.pieces = self.pieces or [intent.qty], []
            for qty in pieces:
                self.fill(number, qty)
            if self.orders[number].status.is_open:
                self.close(number)
        return Accepted(intent.client_order_id, number, self.orders[number])

    def lacking(self, intent: OrderIntent) -> Refused | None:
        """Refuse what cannot be: an order that only reduces and has nothing to, a sale of what is not free."""
        if intent.reduce_only and self.net[intent.symbol] * intent.side.sign >= 0:
            return Refused(RefusalCode.REDUCE_ONLY, "there is nothing to reduce")
        if not self._is_spot or intent.side is Side.BUY:
            return None
        base = str(self.markets[intent.symbol].base)
        held = sum(
            (o.leaves_qty for o in self.orders.values() if o.symbol == intent.symbol and o.side is Side.SELL), D(0)
        )
        if self.money[base] - held < intent.qty:
            return Refused(RefusalCode.BALANCE, f"only {self.money[base] - held} {base} are free")
        return None

    def fill(self, number: str, qty: Decimal, price: Decimal | None = None, *, tell: bool = True) -> Fill | None:
        """Trade some of an order."""
        order = self.orders[number]
        sign = order.side.sign
        qty = min(qty, order.qty - order.filled_qty)
        if order.reduce_only:
            qty = min(qty, max(-sign * self.net[order.symbol], D(0)))
        if qty <= 0:
            return None
        price = price or order.price or self.price[order.symbol]
        filled = order.filled_qty + qty
        status = OrderStatus.FILLED if filled == order.qty else OrderStatus.PARTIALLY_FILLED
        self.orders[number] = replace(order, filled_qty=filled, status=status, updated_ns=self.now())
        before = self.net[order.symbol]
        self.net[order.symbol] += sign * qty
        if before * self.net[order.symbol] < 0:
            self.crossed.append(order.symbol)
        made = Fill(
            trade_id=str(len(self.trades) + 1), symbol=order.symbol, venue_order_id=number,
            client_order_id=order.client_order_id if self.tells_ids else None, side=order.side, qty=qty, price=price,
            fee=self.fee[0] * qty, fee_currency=self.fee[1], liquidity=Liquidity.TAKER, ts_ns=self.now(),
        )  # fmt: skip
        self.trades.append(made)
        self._pay(order, qty, price)
        if tell:
            self.push("fills", made)
            self.tell(number)
        return made

    def _pay(self, order: Order, qty: Decimal, price: Decimal) -> None:
        if not self._is_spot:
            return
        market = self.markets[order.symbol]
        self.money[str(market.base)] += order.side.sign * qty
        self.money[market.quote] -= order.side.sign * qty * price
        if order.side is Side.BUY or self.fee[1] != market.base:
            self.money[self.fee[1]] -= self.fee[0] * qty

    def close(self, number: str, status: OrderStatus = OrderStatus.CANCELLED, *, tell: bool = True) -> None:
        """End an open order."""
        self.orders[number] = replace(self.orders[number], status=status, updated_ns=self.now())
        if tell:
            self.tell(number)

    def hand(self, symbol: str, side: Side, qty: str, *, tell: bool = True) -> str:
        """Let a person trade at the market."""
        intent = OrderIntent(client_order_id="hand", symbol=symbol, side=side, type=OrderType.MARKET, qty=D(qty))
        number = f"v{len(self.orders) + 1}"
        self.orders[number] = Order(
            symbol=symbol, venue_order_id=number, client_order_id=None, side=side, type=intent.type,
            status=OrderStatus.NEW, qty=intent.qty, filled_qty=D(0), updated_ns=self.now(),
        )  # fmt: skip
        self.fill(number, intent.qty, tell=tell)
        return number

    def rest(self, symbol: str, side: Side, qty: str, price: str, **more: Any) -> str:
        """Let a person place an order that waits."""
        intent = OrderIntent(
            client_order_id="hand", symbol=symbol, side=side, type=OrderType.LIMIT, qty=D(qty), price=D(price), **more
        )
        outcome = self.take(intent, by_hand=True)
        assert isinstance(outcome, Accepted), outcome
        return outcome.venue_order_id

    def named(self, client_order_id: str) -> Order:
        """The order of a name."""
        return next(o for o in self.orders.values() if o.client_order_id == client_order_id)

    def _cancel(self, ref: OrderRef) -> Outcome:
        order = self._find(ref)
        if order is None:
            return Refused(RefusalCode.ORDER_NOT_FOUND, "no such order")
        if not order.status.is_open:
            return Refused(RefusalCode.ORDER_CLOSED, "it is over")
        self.close(order.venue_order_id)
        return Accepted(order.client_order_id, order.venue_order_id)

    def _modify(self, ref: OrderRef, levels: dict[str, Decimal | None]) -> Outcome:
        order = self._find(ref)
        if order is None or not order.status.is_open:
            return Refused(RefusalCode.ORDER_CLOSED, "it is over")
        changes = {name: level for name, level in levels.items() if level is not None}
        self.orders[order.venue_order_id] = replace(order, **changes, updated_ns=self.now())  # type: ignore[arg-type]
        self.tell(order.venue_order_id)
        return Accepted(order.client_order_id, order.venue_order_id)

    def _find(self, ref: OrderRef) -> Order | None:
        for order in self.orders.values():
            is_it = order.venue_order_id == ref.venue_order_id or (
                ref.client_order_id is not None and order.client_order_id == ref.client_order_id
            )
            if is_it and order.venue_order_id not in self.forgotten:
                return order
        return None

    # ── reads ────────────────────────────────────────────────────────────────────────────────────────────────────

    def now(self) -> int:
        """Its time."""
        return self.clock.now_ns() + int(self.ahead_s * NS_PER_S)

    async def now_ns(self) -> int:
        """Its time, if it answers."""
        self._read("now_ns")
        return self.now()

    async def order(self, ref: OrderRef) -> Order | None:
        """One order."""
        self._read("order")
        return self._find(ref)

    async def open_orders(self, symbol: str | None = None) -> Sequence[Order]:
        """Those that are open."""
        self._read("open_orders")
        hidden = self.forgotten | self.unlisted
        return [o for n, o in self.orders.items() if o.status.is_open and n not in hidden]

    async def fills(self, since_ns: int, symbol: str | None = None) -> Sequence[Fill]:
        """Its trades."""
        self._read("fills")
        return [f for f in self.trades if f.ts_ns >= since_ns and f.trade_id not in self.hidden_fills]

    async def positions(self, symbol: str | None = None) -> Sequence[Position]:
        """What is held."""
        self._read("positions")
        if self._is_spot:
            return []
        return [Position(symbol=s, qty=q, avg_price=self.price[s]) for s, q in self.net.items() if q]

    async def account_info(self) -> AccountInfo:
        """Its money."""
        self._read("account_info")
        balances = tuple(Balance(c, q, D(0)) for c, q in sorted(self.money.items()) if q)
        equity = None if self._is_spot else self.money["USDT"]
        mode = self.capabilities.position_mode
        return AccountInfo(balances=balances, ts_ns=self.now(), currency="USDT", equity=equity, position_mode=mode)

    async def balances(self) -> Sequence[Balance]:
        """Its money."""
        return (await self.account_info()).balances

    async def instruments(self) -> Sequence[Instrument]:
        """Its markets."""
        self._read("instruments")
        return list(self.markets.values())

    async def quote(self, symbol: str) -> Quote:
        """Bid and ask, one tick to both sides of the price."""
        self._read("quote")
        if symbol not in self.markets:
            raise RequestError(f"no market {symbol}")
        tick = self.markets[symbol].tick_size
        return Quote(symbol=symbol, bid=self.price[symbol] - tick, ask=self.price[symbol] + tick, ts_ns=self.now())

    def _read(self, call: str) -> None:
        self.calls.append(call)
        said = self.script[call].popleft() if self.script[call] else ""
        if self.is_down or said == "down":
            raise ConnectivityError("the venue does not answer")
        if said == "refuse":
            raise RequestError("the venue refuses to tell")

    @property
    def _is_spot(self) -> bool:
        return self.capabilities.position_mode is PositionMode.NONE

    # ── streams ──────────────────────────────────────────────────────────────────────────────────────────────────

    def tell(self, number: str) -> None:
        """Tell what an order is on the stream."""
        self.push("orders", self.orders[number])

    def push(self, stream: str, what: Any) -> None:
        """Tell something to all that listen."""
        for queue in self._queues[stream]:
            queue.put_nowait(what)

    def lose_streams(self, error: Exception | None = None) -> None:
        """Break every stream."""
        for stream in self._queues:
            self.push(stream, error or ConnectivityError("the socket broke"))

    def watch_orders(self) -> AsyncIterator[Order]:
        """Yield orders as they change."""
        return self._watch("orders")

    def watch_fills(self) -> AsyncIterator[Fill]:
        """Yield trades."""
        return self._watch("fills")

    async def _watch(self, stream: str) -> AsyncIterator[Any]:
        if self.is_down:
            raise ConnectivityError("no socket")
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self._queues[stream].append(queue)
        try:
            while True:
                got = await queue.get()
                if isinstance(got, Exception):
                    raise got
                yield got
        finally:
            self._queues[stream].remove(queue)

    async def connect(self) -> None:
        """Nothing to do."""

    async def disconnect(self) -> None:
        """Nothing to do."""
