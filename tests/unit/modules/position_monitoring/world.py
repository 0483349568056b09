"""A venue that can be told to refuse, delay, forget and fill in pieces, an executor before it, and the real spine."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from tradelab.model import messages as said
from tradelab.model.account import PositionMode
from tradelab.model.capabilities import VenueCapabilities
from tradelab.model.clock import ManualClock
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle, Quote
from tradelab.model.orders import Fill, Liquidity, Order, OrderIntent, OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.outcome import RefusalCode
from tradelab.model.signal import Action, Origin, Signal
from tradelab.model.states import Leg
from tradelab.model.units import NS_PER_MIN, NS_PER_S, Timeframe
from tradelab.modules.position_monitoring.held import Held
from tradelab.modules.position_monitoring.stage import Stage
from tradelab.spine.bus import Bus
from tradelab.spine.config import parse_node
from tradelab.spine.desk import Desk, Market
from tradelab.spine.keeping import MemoryKeeper
from tradelab.spine.ledger import Ledger
from tradelab.spine.order_life import Phase
from tradelab.spine.snapshot import PositionKey
from tradelab.spine.tasks import Tasks
from tradelab.spine.view import SeenQuote

SYMBOL = "BTC/USDT"
ACCOUNT = "acc"
BOT = "trend"
KEY = PositionKey(ACCOUNT, BOT, SYMBOL)
START_NS = 1_700_000_040 * NS_PER_S // (5 * NS_PER_MIN) * (5 * NS_PER_MIN)
D = Decimal


class Killed(BaseException):
    """The process is gone."""


class MortalKeeper(MemoryKeeper):
    """Keeps all of a transaction or nothing of it, as a database does, and may be told to die inside the next one."""

    dies_in: int | None = None

    @contextmanager
    def writing(self) -> Iterator[MortalKeeper]:
        """Give itself, and take back what was said in a transaction that did not end."""
        before, fills = len(self.said), set(self._fills)
        try:
            yield self
        except BaseException:
            del self.said[before:]
            self._fills = fills
            raise

    def append(self, message: said.Message, ts_event_ns: int, ts_init_ns: int, cause: int | None) -> int:
        """Add a message, or die."""
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in < 0:
                self.dies_in = None
                raise Killed
        return super().append(message, ts_event_ns, ts_init_ns, cause)


@dataclass
class Live:
    """An order at the venue."""

    intent: OrderIntent
    venue_id: str
    filled: Decimal = Decimal()
    status: OrderStatus = OrderStatus.NEW
    changed_ns: int = 0

    @property
    def leaves(self) -> Decimal:
        """What it may still trade."""
        return self.intent.qty - self.filled if self.status.is_open else D(0)


class FakeVenue:
    """Orders and a position, and nothing that moves by itself."""

    def __init__(self, capabilities: VenueCapabilities) -> None:
        self.capabilities = capabilities
        self.orders: dict[str, Live] = {}
        self.fills: list[Fill] = []
        self.position = D(0)
        self.worst = D(0)  # most that live exits have ever been above what was held
        self.crossed = False
        self.refuses_changes = False  # whatever it says that it offers
        self.most_stops: int | None = None  # that it lets wait at once
        self._ticks = 0

    def take(self, intent: OrderIntent) -> Live:
        """Have an order; one of the same name is the same order."""
        if intent.client_order_id not in self.orders:
            live = Live(intent, f"v{len(self.orders) + 1}")
            self.orders[intent.client_order_id] = live
            self._stamp(live)
            self._look()
        return self.orders[intent.client_order_id]

    def fill(self, name: str, qty: Decimal, price: Decimal, ts_ns: int, position_id: str | None = None) -> Fill | None:
        """Trade some of an order; of one that only reduces no more than there is."""
        live, before = self.orders[name], self.position
        sign = live.intent.side.sign
        qty = min(qty, live.leaves)
        if live.intent.reduce_only:
            qty = min(qty, max(-sign * self.position, D(0)))
        if qty <= 0:
            if live.intent.reduce_only and live.status.is_open:
                live.status = OrderStatus.CANCELLED
                self._stamp(live)
            return None
        live.filled += qty
        self._stamp(live)
        live.status = OrderStatus.FILLED if live.filled == live.intent.qty else OrderStatus.PARTIALLY_FILLED
        self.position += sign * qty
        self.crossed = self.crossed or before * self.position < 0
        fill = Fill(
            trade_id=str(len(self.fills) + 1), symbol=SYMBOL, venue_order_id=live.venue_id, client_order_id=name,
            side=live.intent.side, qty=qty, price=price, fee=D(0), fee_currency="USDT", liquidity=Liquidity.TAKER,
            ts_ns=ts_ns, position_id=position_id,
        )  # fmt: skip
        self.fills.append(fill)
        self._look()
        return fill

    def cancel(self, name: str) -> bool:
        """Cancel an order; whether it was open."""
        live = self.orders.get(name)
        if live is None or not live.status.is_open:
            return False
        live.status = OrderStatus.CANCELLED
        self._stamp(live)
        return True

    def modify(self, name: str, qty: Decimal | None, price: Decimal | None, stop_price: Decimal | None) -> bool:
        """Change an order; whether it was open."""
        live = self.orders.get(name)
        if live is None or not live.status.is_open or (qty is not None and qty <= live.filled):
            return False
        if self.refuses_changes:
            return False
        changes = {"qty": qty, "price": price, "stop_price": stop_price}
        live.intent = replace(live.intent, **{k: v for k, v in changes.items() if v is not None})
        self._stamp(live)
        self._look()
        return True

    def exits(self, *types: OrderType) -> list[Live]:
        """Open orders that take from a long position."""
        found = [live for live in self.orders.values() if live.status.is_open and live.intent.side is Side.SELL]
        return [live for live in found if not types or live.intent.type in types]

    def told(self, name: str) -> Order:
        """An order as the venue's own list has it."""
        live = self.orders[name]
        it = live.intent
        return Order(
            symbol=it.symbol, venue_order_id=live.venue_id, client_order_id=name, side=it.side, type=it.type,
            status=live.status, qty=it.qty, filled_qty=live.filled, price=it.price, stop_price=it.stop_price,
            updated_ns=live.changed_ns,
        )  # fmt: skip

    def _stamp(self, live: Live) -> None:
        self._ticks += 1
        live.changed_ns = self._ticks

    def _look(self) -> None:
        if not self.capabilities.reduce_only:
            live = sum((each.leaves for each in self.exits()), D(0))
            self.worst = max(self.worst, live - max(self.position, D(0)))


def offers(**changes: Any) -> VenueCapabilities:
    """What the venue offers: by default a margin account that amends and reduces."""
    told: dict[str, Any] = {
        "order_types": frozenset(OrderType), "times_in_force": frozenset(TimeInForce),
        "position_mode": PositionMode.NETTING, "reduce_only": True,
        "modify": frozenset({"qty", "price", "stop_price"}), "request_life_ms": 1000, "query_by_client_id": True,
    }  # fmt: skip
    return VenueCapabilities(**told | changes)


SPOT = {"reduce_only": False, "position_mode": PositionMode.NONE}


class World:
    """A node of one bot, with everything real but the venue and the executor before it.

    Requests wait on the wire until :meth:`deliver`, what the venue tells waits until :meth:`hear`; both may be lost.
    """

    def __init__(
        self,
        exits: dict[str, Any],
        *,
        instrument: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        **can: Any,
    ) -> None:
        self.exits, self.settings = exits, settings or {}
        self.instrument = Instrument(
            **{"symbol": SYMBOL, "venue": "x", "base": "BTC", "quote": "USDT", "tick_size": D("0.1"),
               "qty_step": D("0.01"), **(instrument or {})}
        )  # fmt: skip
        self.venue = FakeVenue(offers(**can))
        self.clock = ManualClock(START_NS)
        self.keeper = MortalKeeper()
        self.market = Market()
        self.wire: deque[tuple[int, said.Message]] = deque()
        self.inbox: deque[said.Message] = deque()
        self.booked: set[str] = set()
        self.pieces = 0
        self._begin()
        self.say(said.InstrumentListed(account=ACCOUNT, instrument=self.instrument))
        self.say(said.ReconcileEnded(account=ACCOUNT, agreed=True, complete=True, findings=()))

    # ── the node ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self) -> None:
        self.ledger = Ledger()
        told = {
            "presets": {"p": {"sizing": {"by": "qty", "value": "1"}, "exits": self.exits}},
            "bots": {BOT: {"symbols": [SYMBOL], "timeframe": "5m", "source": "src", "execution": ACCOUNT, "preset": "p"}},  # noqa: E501
        }  # fmt: skip
        self.bus = Bus(self.keeper, self._fold, self.clock)
        desk = Desk(
            parse_node(told), self.settings, self.bus, self.ledger, self.clock, self.market, {ACCOUNT: self.venue},  # type: ignore[dict-item]
            {}, None, Tasks(lambda *_: None), logging.getLogger("test"),  # type: ignore[arg-type]
        )  # fmt: skip
        self.stage = Stage(desk)
        self.bus.hear(said.OrderWanted, self._wanted)
        self.bus.hear(said.CancelWanted, self._cancel_wanted)
        self.bus.hear(said.ChangeWanted, self._change_wanted)
        for recorded in list(self.keeper.recorded()):
            self._fold(recorded)

    def _fold(self, recorded: Any) -> None:
        self.ledger.fold(recorded)
        self.stage.remember(recorded)

    def say(self, message: said.Message) -> None:
        """Say something from outside."""
        self.bus.say(message)

    def restart(self) -> None:
        """Come back after a kill: fold the journal, ask the venue about everything, and agree with it."""
        self._begin()
        self.say(said.NodeStarted(version="0", host="h", pid=1, modules=()))
        self.wire.clear()  # what had not arrived by now has expired
        self.inbox.clear()
        self.reconcile()

    def reconcile(self) -> None:
        """Resolve every order by asking the venue, book every fill, agree."""
        self.resolve(everything=True)
        self.book_all()
        for state in list(self.ledger.snapshot().orders.values()):
            if state.client_order_id in self.venue.orders and state.phase is Phase.OPEN:
                self._report(state.client_order_id)
        self.say(said.ReconcileEnded(account=ACCOUNT, agreed=True, complete=True, findings=()))

    @property
    def held(self) -> Held:
        """The bot's position as the module knows it."""
        return self.stage.positions.held[KEY]

    # ── the executor ─────────────────────────────────────────────────────────────────────────────────────────────

    def _wanted(self, recorded: Any) -> None:
        it = recorded.message
        if self.ledger.order(it.intent.client_order_id) is not None:
            return
        meant = said.OrderIntended(
            account=it.account, bot=it.bot, signal_id=it.signal_id, leg=it.leg, intent=it.intent, approved_by=(it.by,),
            reference_price=it.reference_price, fresh_until_ns=it.fresh_until_ns, fence=1, says=it.says,
        )  # fmt: skip
        self.bus.say(meant)
        self.bus.then(lambda: self.wire.append((self.clock.now_ns(), meant)))

    def _cancel_wanted(self, recorded: Any) -> None:
        meant = said.CancelIntended(account=ACCOUNT, ref=recorded.message.ref, says=recorded.message.says)
        self.bus.say(meant)
        self.bus.then(lambda: self.wire.append((self.clock.now_ns(), meant)))

    def _change_wanted(self, recorded: Any) -> None:
        it = recorded.message
        meant = said.ChangeIntended(
            account=ACCOUNT, ref=it.ref, qty=it.qty, price=it.price, stop_price=it.stop_price, says=it.says
        )
        self.bus.say(meant)
        self.bus.then(lambda: self.wire.append((self.clock.now_ns(), meant)))

    def deliver(self, how: str = "take", place: int = 0) -> None:
        """Let one request arrive: ``take``, ``refuse``, ``later`` (refused for now), ``mute`` or ``lost``."""
        sent_ns, it = self.wire[place]
        del self.wire[place]
        expired = self.clock.now_ns() - sent_ns > NS_PER_S  # the venue does not take it any more
        how = "lost" if expired else how
        if isinstance(it, said.OrderIntended):
            self._submit(it, how)
        else:
            self._request(it, how)

    def _submit(self, it: said.OrderIntended, how: str) -> None:
        name = it.intent.client_order_id
        if how in ("refuse", "later"):
            code = RefusalCode.BAD_REQUEST if how == "refuse" else RefusalCode.OVERLOADED
            self.say(said.OrderRefused(account=ACCOUNT, client_order_id=name, code=code, says=how))
            return
        most, is_stop = self.venue.most_stops, it.intent.type is OrderType.STOP
        if how != "lost" and is_stop and most is not None and len(self.venue.exits(OrderType.STOP)) >= most:
            code = RefusalCode.TOO_MANY_ORDERS
            self.say(said.OrderRefused(account=ACCOUNT, client_order_id=name, code=code, says="too many wait"))
            return
        if how != "lost":
            live = self.venue.take(it.intent)
            self.inbox.append(said.OrderReported(account=ACCOUNT, order=self.venue.told(name)))
            if how == "take":
                self.say(said.OrderAccepted(account=ACCOUNT, client_order_id=name, venue_order_id=live.venue_id))
                return
        self.say(said.OrderUnknown(account=ACCOUNT, client_order_id=name, says=how, request_ends_ns=None))

    def _request(self, it: Any, how: str) -> None:
        name = it.ref.client_order_id
        code, known = None, how in ("take", "refuse", "later")
        if how in ("take", "mute"):
            is_cancel = isinstance(it, said.CancelIntended)
            done = self.venue.cancel(name) if is_cancel else self.venue.modify(name, it.qty, it.price, it.stop_price)
            if not done:
                code = RefusalCode.ORDER_CLOSED
                if self.venue.refuses_changes and not is_cancel:
                    code = RefusalCode.NOT_SUPPORTED
            if name in self.venue.orders:
                self._report(name, later=True)
        elif known:
            code = RefusalCode.OVERLOADED
        self.say(said.RequestAnswered(account=ACCOUNT, ref=it.ref, known=known, code=code if known else None, says=how))

    def _report(self, name: str, *, later: bool = False) -> None:
        told = said.OrderReported(account=ACCOUNT, order=self.venue.told(name))
        if later:
            self.inbox.append(told)
        else:
            self.say(told)

    def resolve(self, *, everything: bool = False) -> None:
        """Ask the venue about orders of which nobody knows; what it does not have now it will not have."""
        on_wire = {it.intent.client_order_id for _, it in self.wire if isinstance(it, said.OrderIntended)}
        for state in list(self.ledger.snapshot().orders.values()):
            name = state.client_order_id
            is_open_question = state.phase is Phase.UNKNOWN or (
                state.phase is Phase.INTENDED and (everything or name not in on_wire)
            )
            if not is_open_question or name in on_wire:
                continue
            if name in self.venue.orders:
                self._report(name)
            else:
                self.say(said.OrderAbsent(account=ACCOUNT, client_order_id=name, venue_time_ns=self.clock.now_ns()))
                self.say(said.OrderAbandoned(account=ACCOUNT, client_order_id=name, says="it is not there"))

    def hear(self, place: int = 0) -> None:
        """Let one thing that the venue has told arrive."""
        told = self.inbox[place]
        del self.inbox[place]
        if isinstance(told, said.TradeExecuted):
            if told.fill.trade_id in self.booked:
                return
            self.booked.add(told.fill.trade_id)
        try:
            self.say(told)
        except Killed:
            if isinstance(told, said.TradeExecuted):
                self.booked.discard(told.fill.trade_id)
            raise

    def book_all(self) -> None:
        """Book every fill of the venue that is not booked."""
        for fill in self.venue.fills:
            if not self.ledger.has_fill(ACCOUNT, SYMBOL, fill.trade_id):
                self.booked.add(fill.trade_id)
                self.say(self._trade(fill))

    def _trade(self, fill: Fill) -> said.TradeExecuted:
        order = self.ledger.order(fill.client_order_id or "")
        meant = None if order is None else order.intended
        return said.TradeExecuted(
            account=ACCOUNT, bot=meant.bot if meant else None, signal_id=meant.signal_id if meant else None,
            leg=meant.leg if meant else None, fill=fill,
        )  # fmt: skip

    # ── what happens in the world ────────────────────────────────────────────────────────────────────────────────

    def enter(
        self, qty: str = "1", *, signal: str = "s1", side: Side = Side.BUY, price: str | None = None, **more: Any
    ) -> str:
        """Send an entry that the venue takes at once; nothing of it has filled."""
        now_ns = self.clock.now_ns()
        action = Action.ENTER_LONG if side is Side.BUY else Action.ENTER_SHORT
        raised = Signal(
            id=signal, bot=BOT, symbol=SYMBOL, action=action, origin=Origin.STRATEGY, decided_ns=now_ns,
            expires_ns=now_ns + NS_PER_MIN, timeframe=Timeframe.M5, bar_ns=now_ns - 5 * NS_PER_MIN, **more,
        )  # fmt: skip
        self.say(said.SignalRaised(raised))
        name = f"entry-{signal}"
        intent = OrderIntent(
            client_order_id=name, symbol=SYMBOL, side=side, qty=D(qty),
            type=OrderType.MARKET if price is None else OrderType.LIMIT, price=None if price is None else D(price),
        )  # fmt: skip
        self.say(
            said.OrderIntended(
                account=ACCOUNT, bot=BOT, signal_id=signal, leg=Leg.ENTRY, intent=intent, approved_by=("risk",),
                reference_price=D(100), fresh_until_ns=now_ns + NS_PER_S, fence=1,
            )
        )  # fmt: skip
        self.venue.take(intent)
        self.say(
            said.OrderAccepted(account=ACCOUNT, client_order_id=name, venue_order_id=self.venue.orders[name].venue_id)
        )
        self._report(name)
        return name

    def fill(self, name: str, qty: str | Decimal, price: str = "100", *, later: bool = False, **more: Any) -> None:
        """Let some of an order trade, and tell of it."""
        fill = self.venue.fill(name, D(qty), D(price), self.clock.now_ns(), **more)
        if fill is None:
            self._report(name, later=True)
            return
        self.inbox.append(self._trade(fill))
        self._report(name, later=True)
        if not later:
            self.settle_inbox()

    def quote(self, bid: str | Decimal, ask: str | Decimal | None = None) -> None:
        """Let the market stand somewhere, and look at it."""
        bid = D(bid)
        quote = Quote(symbol=SYMBOL, bid=bid, ask=bid + D("0.1") if ask is None else D(ask), ts_ns=self.clock.now_ns())
        self.market.quotes[ACCOUNT, SYMBOL] = SeenQuote(quote, self.clock.now_ns())
        self.stage.look()

    def bar(self, open_: float, high: float, low: float, close: float, *, late: bool = False) -> None:
        """Close the bar of five minutes that is under way."""
        now_ns = self.clock.now_ns()
        start_ns = Timeframe.M5.floor(now_ns)
        self.pass_s((start_ns + 5 * NS_PER_MIN - now_ns) / NS_PER_S)
        candle = Candle(start_ns, open_, high, low, close, 1.0, True)
        self.say(said.DataReceived(source="src", symbol=SYMBOL, timeframe=Timeframe.M5, candle=candle, late=late))

    def pass_s(self, seconds: float) -> None:
        """Let time pass; in a minute the executor has compared everything with the venue."""
        if seconds >= 60:
            self.settle_inbox()
            self.book_all()
        self.clock._now_ns += int(seconds * NS_PER_S)

    def settle_inbox(self) -> None:
        """Hear all that the venue has told."""
        while self.inbox:
            self.hear()

    def settle(self) -> None:
        """Let everything that is under way arrive, and nothing go wrong, until nothing more happens."""
        quiet = 0
        for _ in range(100):
            self._drain()
            seen = self.ledger.seq
            self.pass_s((3, 3, 130)[quiet])  # longer than any pause after a refusal, or any request
            self._freshen()
            self.stage.look()
            quiet = quiet + 1 if not self.wire and not self.inbox and self.ledger.seq == seen else 0
            if quiet == 3:
                return
        raise AssertionError("it does not settle")

    def _drain(self) -> None:
        for _ in range(200):
            while self.wire:
                self.deliver()
            self.settle_inbox()
            self.resolve()
            if not self.wire and not self.inbox:
                return
        raise AssertionError("it goes on and on")

    def _freshen(self) -> None:
        seen = self.market.quotes.get((ACCOUNT, SYMBOL))
        if seen is not None:
            self.market.quotes[ACCOUNT, SYMBOL] = SeenQuote(seen.quote, self.clock.now_ns())

    def said(self, kind: type[said.Message]) -> list[Any]:
        """All of one kind that was said."""
        return [r.message for r in self.keeper.recorded() if isinstance(r.message, kind)]

    def stops(self) -> list[tuple[str, str]]:
        """Trigger and open quantity of each stop at the venue."""
        return sorted((str(o.intent.stop_price), str(o.leaves.normalize())) for o in self.venue.exits(OrderType.STOP))

    def targets(self) -> list[tuple[str, str]]:
        """Limit and open quantity of each target at the venue."""
        return sorted((str(o.intent.price), str(o.leaves.normalize())) for o in self.venue.exits(OrderType.LIMIT))
