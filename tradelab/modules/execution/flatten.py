"""Close positions when a person, or the end of the engine, asks for it: all the way, and never through zero.

Entries are taken back first, and none leaves while this lasts. Then each position is closed by orders that may only
reduce. Where a venue has no such orders, or two bots stand against each other in one position of the venue's, never
more is on its way than is held: what protects a position is taken back before it is sold, for it may hold the very
units. What is refused or lost is tried again under a new name once the old one can trade no more.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tradelab.model.account import PositionMode
from tradelab.model.errors import VenueError
from tradelab.model.identity import client_order_id
from tradelab.model.instrument import Instrument
from tradelab.model.messages import (
    AlarmRaised,
    CancelWanted,
    CommandDone,
    CommandReceived,
    OrderIntended,
    OrderWanted,
    Recorded,
    TradeExecuted,
)
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.model.outcome import RefusalCode
from tradelab.model.states import Leg, Severity
from tradelab.model.units import NS_PER_S
from tradelab.spine.commands import in_scope
from tradelab.spine.desk import Desk
from tradelab.spine.order_life import Phase
from tradelab.spine.positions import Round
from tradelab.spine.snapshot import OrderState, PositionKey

_LOOK_S = 0.2
_LONGEST_PAUSE_S = 5.0
_FRESH_S = 30.0  # how long one order of it may be tried; a price may be as old
_ALARM_AFTER = 5  # tries of one position
_TOO_SMALL = (RefusalCode.MIN_NOTIONAL, RefusalCode.MIN_QTY)
_ENTRIES = (Leg.ENTRY, Leg.HAND)


class Flattener:
    """Carries out ``flatten`` commands: each as long as it takes, over any number of starts.

    Parameters
    ----------
    is_cancelled
        Whether an order is being taken back already.
    compare
        Begins a comparison of an account: a venue that will not close holds something else than we believe.
    """

    def __init__(self, desk: Desk, is_cancelled: Callable[[str], bool], compare: Callable[[str], None]) -> None:
        self._desk = desk
        self._is_cancelled = is_cancelled
        self._compare = compare
        self._asked_for: dict[str, CommandReceived] = {}
        self._tickets: dict[PositionKey, dict[str, Decimal]] = {}
        self._unpriced: set[PositionKey] = set()
        desk.bus.hear(CommandReceived, self._asked)

    # ── what it knows ────────────────────────────────────────────────────────────────────────────────────────────

    def remember(self, recorded: Recorded[Any]) -> None:
        """Know the commands that are not done, and the tickets of accounts that hold each entry by itself."""
        it = recorded.message
        if isinstance(it, CommandReceived) and it.name == "flatten":
            self._asked_for.setdefault(it.command_id, it)
        elif isinstance(it, CommandDone):
            self._asked_for.pop(it.command_id, None)
        elif isinstance(it, TradeExecuted) and it.fill.position_id is not None:
            tickets = self._tickets.setdefault(PositionKey(it.account, it.bot, it.fill.symbol), {})
            now = tickets.get(it.fill.position_id, Decimal(0)) + it.fill.side.sign * it.fill.qty
            tickets[it.fill.position_id] = now
            if not now:
                del tickets[it.fill.position_id]

    def forbids(self, order: OrderIntended) -> bool:
        """Whether an order would open something that is being closed."""
        return order.leg is Leg.ENTRY and any(in_scope(order, _scope(it)) for it in self._asked_for.values())

    def take_up(self) -> None:
        """Go on with what was asked for and not done when the engine ended."""
        for it in self._asked_for.values():
            self._begin(it)

    def _asked(self, recorded: Recorded[CommandReceived]) -> None:
        if recorded.message.name == "flatten":
            it = recorded.message
            self._desk.bus.then(lambda: self._begin(it))

    def _begin(self, it: CommandReceived) -> None:
        if it.command_id in self._asked_for:  # else it was refused: no such scope
            self._desk.tasks.begin(self._until_flat(it), f"flatten {it.command_id}")

    # ── one command ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _until_flat(self, it: CommandReceived) -> None:
        scope = _scope(it)
        while True:
            self._take_back(scope)
            held = self._positions(scope)
            left = {key: each for key, each in held.items() if self._is_too_small(it.command_id, key, each)}
            if held.keys() == left.keys() and not self._orders(scope):
                break
            for key in sorted(held.keys() - left.keys(), key=str):
                if not self._waits_for_others(scope, key):
                    await self._close(it.command_id, key)
            await self._desk.clock.sleep(_LOOK_S)
        small = ", ".join(sorted(f"{abs(each.qty)} {key.symbol}" for key, each in left.items()))
        says = f"{scope} is flat" + (f", but for {small}: too small to be traded" if small else "")
        self._desk.bus.say(CommandDone(command_id=it.command_id, done=True, says=says))

    def _positions(self, scope: str) -> dict[PositionKey, Round]:
        """Return what is to be closed; what somebody else holds on a spot account is his own."""
        found = self._desk.snapshot().positions.items()
        return {k: held for k, held in found if in_scope(k, scope) and not (k.bot is None and self._is_spot(k.account))}

    def _is_spot(self, account: str) -> bool:
        return self._desk.venue(account).capabilities.position_mode is PositionMode.NONE

    def _orders(self, scope: str) -> list[OrderState]:
        """Return our orders that may trade, or may be sent again."""
        orders = self._desk.snapshot().orders.values()
        return [o for o in orders if (o.phase.may_trade or o.may_come) and in_scope(o.intended, scope)]

    def _take_back(self, scope: str) -> None:
        """Take back entries, and exits of what is flat."""
        positions = self._desk.snapshot().positions
        for order in self._orders(scope):
            it = order.intended
            if it.leg in _ENTRIES:
                self._cancel(order, "flatten")
            elif PositionKey(it.account, it.bot, it.intent.symbol) not in positions and order.filled_qty == 0:
                self._cancel(order, "it is flat")

    def _cancel(self, order: OrderState, says: str) -> None:
        if not self._is_cancelled(order.client_order_id):
            self._desk.bus.say(CancelWanted(account=order.intended.account, ref=order.ref, says=says))

    # ── one position ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _close(self, command_id: str, key: PositionKey) -> None:
        """Send the next order that closes a position, or part of it, unless one is on its way."""
        price = await self._price(key)
        held = self._desk.ledger.position(key)  # what it is by now
        instrument = self._desk.snapshot().instruments[key.account, key.symbol]
        side = Side.SELL if held.qty > 0 else Side.BUY
        only_reduces = self._only_reduces(key, held)
        exits = [each for each in self._exits(key) if each.intended.intent.side is side]
        n = self._number(command_id, key)
        if held.is_flat or any(each.intended.leg is Leg.FLATTEN for each in exits) or self._waits(command_id, key, n):
            return
        if price is None:  # nothing is taken back for a sale that could not be sent
            if key not in self._unpriced:
                self._unpriced.add(key)
                self._alarm(key, f"{held.qty} cannot be closed yet: there is no price at which to weigh it")
            return
        if exits and not only_reduces:
            for order in exits:
                self._cancel(order, "flatten")
            return
        ticket, at_most = self._ticket(key, held)
        qty = _one_order(instrument, min(abs(held.qty), at_most))
        if n and n % _ALARM_AFTER == 0:
            self._alarm(key, f"{n} orders to close it came to nothing")
        intent = OrderIntent(
            client_order_id=_name(command_id, key, n), symbol=key.symbol, side=side, type=OrderType.MARKET, qty=qty,
            reduce_only=only_reduces, position_id=ticket,
        )  # fmt: skip
        until_ns = self._desk.clock.now_ns() + int(_FRESH_S * NS_PER_S)
        wanted = OrderWanted(
            account=key.account, bot=key.bot, signal_id=f"flatten {command_id}", leg=Leg.FLATTEN, intent=intent,
            by="flatten", reference_price=price, fresh_until_ns=until_ns,
        )  # fmt: skip
        self._desk.bus.say(wanted)

    def _exits(self, key: PositionKey) -> list[OrderState]:
        orders = self._desk.snapshot().orders.values()
        mine = [o for o in orders if PositionKey(o.intended.account, o.intended.bot, o.intended.intent.symbol) == key]
        return [o for o in mine if (o.phase.may_trade or o.may_come) and o.intended.leg not in _ENTRIES]

    def _waits_for_others(self, scope: str, key: PositionKey) -> bool:
        """Whether others stand against it that are closed first: then the venue's own position never turns round."""
        held = self._desk.snapshot().positions
        together = {k: each.qty for k, each in held.items() if k[::2] == key[::2]}
        net, mine = sum(together.values(), Decimal(0)), together.get(key, Decimal(0))
        return net * mine > 0 and any(qty * mine < 0 and in_scope(k, scope) for k, qty in together.items())

    def _only_reduces(self, key: PositionKey, held: Round) -> bool:
        """Whether the venue can be told to close only; it cannot where others of ours stand against this position."""
        if not self._desk.venue(key.account).capabilities.reduce_only:
            return False
        others = self._desk.snapshot().positions.items()
        against = (other.qty * held.qty < 0 for k, other in others if k[::2] == key[::2])
        return not any(against)

    def _ticket(self, key: PositionKey, held: Round) -> tuple[str | None, Decimal]:
        """Return the ticket to close next, and how much of it there is, on accounts that hold each entry by itself."""
        if self._desk.venue(key.account).capabilities.position_mode is not PositionMode.HEDGING:
            return None, abs(held.qty)
        for ticket, qty in self._tickets.get(key, {}).items():
            if qty * held.qty > 0:
                return ticket, abs(qty)
        return None, abs(held.qty)

    def _number(self, command_id: str, key: PositionKey) -> int:
        """Return the number of the next order of this command for a position: how many there have been."""
        n = 0
        while self._desk.ledger.order(_name(command_id, key, n)) is not None:
            n += 1
        return n

    def _last(self, command_id: str, key: PositionKey, n: int) -> OrderState | None:
        return self._desk.ledger.order(_name(command_id, key, n - 1)) if n else None

    def _waits(self, command_id: str, key: PositionKey, n: int) -> bool:
        """Whether the last order came to nothing so lately that the next one waits: longer each time."""
        last = self._last(command_id, key, n)
        if last is None or last.filled_qty:
            return False
        pause_s = min(_LOOK_S * 2.0 ** min(n, 10), _LONGEST_PAUSE_S)
        waits = self._desk.clock.now_ns() < last.asked_ns + int(pause_s * NS_PER_S)
        if not waits and last.phase is Phase.REFUSED:
            self._compare(key.account)
        return waits

    def _is_too_small(self, command_id: str, key: PositionKey, held: Round) -> bool:
        """Whether it is less than a step, or the venue has said that so little cannot be traded."""
        if not self._desk.snapshot().instruments[key.account, key.symbol].floor_qty(abs(held.qty)):
            return True
        last = self._last(command_id, key, self._number(command_id, key))
        if last is None or last.phase is not Phase.REFUSED or last.refused not in _TOO_SMALL:
            return False
        return abs(held.qty) <= last.intended.intent.qty

    async def _price(self, key: PositionKey) -> Decimal | None:
        """Return what it trades at: the last quote while it is fresh, else what the venue says, else what was paid."""
        seen = self._desk.market.quotes.get((key.account, key.symbol))
        if seen is not None and self._desk.clock.now_ns() - seen.seen_ns <= _FRESH_S * NS_PER_S:
            return seen.quote.mid
        try:
            return (await self._desk.venue(key.account).quote(key.symbol)).mid
        except VenueError:
            return self._desk.ledger.position(key).entry_price

    def _alarm(self, key: PositionKey, says: str) -> None:
        about = f"{key.account} {key.symbol}"
        self._desk.bus.say(AlarmRaised(kind="flatten", about=about, severity=Severity.CRITICAL, says=says))


def _scope(it: CommandReceived) -> str:
    return dict(it.arguments).get("scope", "node")


def _name(command_id: str, key: PositionKey, n: int) -> str:
    return client_order_id(key.account, key.bot or "nobody", f"flatten {command_id}", f"{key.symbol} {n}")


def _one_order(instrument: Instrument, qty: Decimal) -> Decimal:
    """Return how much of it one market order may trade."""
    limits = [limit for limit in (instrument.max_qty, instrument.max_market_qty) if limit]
    return instrument.floor_qty(min([qty, *limits]))
