"""Close positions when a person, or the end of the engine, asks for it: all the way, and never through zero.

Entries are taken back first. Then each position is closed by orders that may only reduce; where a venue has no such
orders, never more is on its way than is held, and what protects a position is taken back before it is sold, for it may
hold the very units. What is refused or lost is tried again under a new name once the old one can trade no more.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradelab.model.identity import client_order_id
from tradelab.model.messages import (
    AlarmRaised,
    CancelWanted,
    CommandDone,
    CommandReceived,
    OrderWanted,
    Recorded,
)
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.model.states import Leg, Severity
from tradelab.model.units import NS_PER_S
from tradelab.spine.commands import in_scope
from tradelab.spine.desk import Desk
from tradelab.spine.positions import Round
from tradelab.spine.snapshot import OrderState, PositionKey

_LOOK_S = 0.2
_ALARM_AFTER = 5  # tries of one position


class Flattener:
    """Carries out ``flatten`` commands: each as long as it takes, over any number of starts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.bus.hear(CommandReceived, self._asked)
        self._asked_for: dict[str, CommandReceived] = {}

    def remember(self, recorded: Recorded[Any]) -> None:
        """Know the commands that were asked for."""
        if isinstance(recorded.message, CommandReceived) and recorded.message.name == "flatten":
            self._asked_for[recorded.message.command_id] = recorded.message

    def take_up(self) -> None:
        """Go on with what was asked for and not done when the engine ended."""
        done = self._desk.snapshot().commands
        for command_id, it in self._asked_for.items():
            if done.get(command_id) is None:
                self._begin(it)

    def _asked(self, recorded: Recorded[CommandReceived]) -> None:
        if recorded.message.name == "flatten":
            it = recorded.message
            self._desk.bus.then(lambda: self._begin(it))

    def _begin(self, it: CommandReceived) -> None:
        self._desk.tasks.begin(self._until_flat(it), f"flatten {it.command_id}")

    async def _until_flat(self, it: CommandReceived) -> None:
        scope = dict(it.arguments).get("scope", "node")
        while True:
            self._take_back_entries(scope)
            open_ones = self._positions(scope)
            if not open_ones and not self._open(scope):
                break
            for key, held in open_ones.items():
                self._close(it.command_id, key, held)
            await self._desk.clock.sleep(_LOOK_S)
        self._desk.bus.say(CommandDone(command_id=it.command_id, done=True, says=f"{scope} is flat"))

    def _positions(self, scope: str) -> dict[PositionKey, Round]:
        return {key: held for key, held in self._desk.snapshot().positions.items() if in_scope(key, scope)}

    def _open(self, scope: str) -> list[OrderState]:
        orders = self._desk.snapshot().orders.values()
        return [order for order in orders if order.phase.may_trade and in_scope(order.intended, scope)]

    def _take_back_entries(self, scope: str) -> None:
        for order in self._open(scope):
            if order.intended.leg in (Leg.ENTRY, Leg.HAND) and not order.cancelling:
                self._desk.bus.say(CancelWanted(account=order.intended.account, ref=order.ref, says="flatten"))
            elif not self._position_of(order) and not order.cancelling:
                self._desk.bus.say(CancelWanted(account=order.intended.account, ref=order.ref, says="it is flat"))

    def _position_of(self, order: OrderState) -> bool:
        key = PositionKey(order.intended.account, order.intended.bot, order.intended.intent.symbol)
        return key in self._desk.snapshot().positions

    def _close(self, command_id: str, key: PositionKey, held: Round) -> None:
        instrument = self._desk.snapshot().instruments[key.account, key.symbol]
        side = Side.SELL if held.qty > 0 else Side.BUY
        others = [o for o in self._desk.snapshot().open_orders(key.account, key.symbol, key.bot) if _is_exit(o, side)]
        if any(order.intended.leg is Leg.FLATTEN for order in others):
            return  # it is on its way
        only_reduces = self._desk.venue(key.account).capabilities.reduce_only
        if not only_reduces and others:
            for order in others:
                if not order.cancelling:
                    self._desk.bus.say(CancelWanted(account=key.account, ref=order.ref, says="flatten"))
            return
        qty = instrument.floor_qty(abs(held.qty))
        quote = self._desk.market.quotes.get((key.account, key.symbol))
        price = held.entry_price if quote is None else quote.quote.mid
        if qty <= 0 or price is None:
            return
        n = self._number(command_id, key)
        if n >= _ALARM_AFTER and n % _ALARM_AFTER == 0:
            says = f"{n} orders to close it came to nothing"
            about = f"{key.account} {key.symbol}"
            self._desk.bus.say(AlarmRaised(kind="flatten", about=about, severity=Severity.CRITICAL, says=says))
        self._desk.bus.say(self._order(command_id, key, side, qty, price, n, only_reduces))

    def _number(self, command_id: str, key: PositionKey) -> int:
        """Return the number of the next order of this command for a position: how many there have been."""
        n = 0
        while self._desk.ledger.order(_name(command_id, key, n)) is not None:
            n += 1
        return n

    def _order(
        self, command_id: str, key: PositionKey, side: Side, qty: Decimal, price: Decimal, n: int, only_reduces: bool
    ) -> OrderWanted:
        signal_id = f"flatten {command_id}"
        now_ns = self._desk.clock.now_ns()
        return OrderWanted(
            account=key.account,
            bot=key.bot,
            signal_id=signal_id,
            leg=Leg.FLATTEN,
            intent=OrderIntent(
                client_order_id=_name(command_id, key, n),
                symbol=key.symbol,
                side=side,
                type=OrderType.MARKET,
                qty=qty,
                reduce_only=only_reduces,
            ),
            by="flatten",
            reference_price=price,
            fresh_until_ns=now_ns + 30 * NS_PER_S,
        )


def _name(command_id: str, key: PositionKey, n: int) -> str:
    return client_order_id(key.account, key.bot or "nobody", f"flatten {command_id}", f"{key.symbol} {n}")


def _is_exit(order: OrderState, side: Side) -> bool:
    return order.intended.intent.side is side and order.intended.leg not in (Leg.ENTRY, Leg.HAND)
