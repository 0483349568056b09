"""Word what a position needs of the executor: orders that only close it, cancels, changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.account import PositionMode
from tradelab.model.capabilities import VenueCapabilities
from tradelab.model.identity import client_order_id
from tradelab.model.instrument import Instrument
from tradelab.model.messages import CancelWanted, ChangeWanted, OrderIntended, OrderWanted
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.model.states import Leg
from tradelab.modules.position_monitoring.known import Known

Wish = OrderWanted | CancelWanted | ChangeWanted
NAME = "position_monitoring"
_MOST_STOPS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """What a venue does for a position.

    Parameters
    ----------
    reduce_only
        Orders may be bound to close only: then more of them than is held does no harm.
    stops_rest, targets_rest
        It holds stops, and targets beside them. A stop-limit is no stop: it may trigger and never fill. Where nothing
        is bound to close only, a target beside the stop would sell twice, so the stop rests alone.
    modify, modify_stops
        What of an order can be changed in place, and of one that waits for its trigger.
    by_ticket
        What is held are tickets, and each is closed by its own; nothing that rests can close one.
    step, least, most
        Of one order's quantity.
    most_stops
        How many of a position's orders may wait for a trigger before they are made one: fewer than the venue lets wait,
        for the one comes before the many go.
    """

    reduce_only: bool
    stops_rest: bool
    targets_rest: bool
    modify: frozenset[str]
    modify_stops: frozenset[str]
    by_ticket: bool
    step: Decimal
    least: Decimal
    most: Decimal | None
    most_stops: int = 5

    @classmethod
    def of(cls, offers: VenueCapabilities, instrument: Instrument) -> Venue:
        """Read what a venue offers in an instrument."""
        by_ticket = offers.position_mode is PositionMode.HEDGING
        step = max(instrument.qty_step, instrument.market_qty_step or instrument.qty_step)
        least = max(filter(None, (step, instrument.min_qty, instrument.min_market_qty)))
        most = min(filter(None, (instrument.max_qty, instrument.max_market_qty)), default=None)
        return cls(
            reduce_only=offers.reduce_only,
            stops_rest=OrderType.STOP in offers.order_types and not by_ticket,
            targets_rest=OrderType.LIMIT in offers.order_types and offers.reduce_only and not by_ticket,
            modify=offers.modifies(OrderType.LIMIT),
            modify_stops=offers.modifies(OrderType.STOP),
            by_ticket=by_ticket,
            step=step,
            least=least,
            most=most,
            most_stops=max(1, min(_MOST_STOPS, (instrument.max_trigger_orders or _MOST_STOPS + 1) - 1)),
        )

    def changes(self, order: Known) -> frozenset[str]:
        """What of an order can be changed in place; nothing of one that the venue has refused to change for good."""
        if order.is_fixed:
            return frozenset()
        return self.modify_stops if order.leg is Leg.STOP else self.modify

    def whole(self, qty: Decimal) -> Decimal:
        """Round a quantity down to a step."""
        return qty // self.step * self.step


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Whose position it is, and what its orders are called.

    ``intended`` counts, by word, the orders that were intended for the signal which opened it: an order is called after
    how many came before it, so the same wish has the same name until somebody has taken it up.
    """

    account: str
    bot: str
    symbol: str
    signal_id: str
    direction: int
    intended: Mapping[str, int]
    reference_price: Decimal
    fresh_until_ns: int
    reduce_only: bool

    @property
    def side(self) -> Side:
        """Which way closes it."""
        return Side.SELL if self.direction > 0 else Side.BUY

    def order(
        self, leg: Leg, qty: Decimal, level: Decimal | None, n: int = 0, *, ticket: str | None = None, says: str = ""
    ) -> OrderWanted:
        """Wish for an order: one at the market, or a stop or target at its level; the ``n``-th new one of its kind."""
        stops = level is not None and leg is Leg.STOP
        type_ = OrderType.MARKET if level is None else OrderType.STOP if stops else OrderType.LIMIT
        word = "exit" if level is None else leg.value
        name = client_order_id(self.account, self.bot, self.signal_id, f"{word}-{self.intended.get(word, 0) + n}")
        return OrderWanted(
            account=self.account,
            bot=self.bot,
            signal_id=self.signal_id,
            leg=leg,
            intent=OrderIntent(
                client_order_id=name,
                symbol=self.symbol,
                side=self.side,
                type=type_,
                qty=qty,
                price=None if stops else level,
                stop_price=level if stops else None,
                reduce_only=self.reduce_only,
                position_id=ticket,
            ),
            by=NAME,
            reference_price=self.reference_price,
            fresh_until_ns=self.fresh_until_ns,
            says=says or leg.value,
        )

    def cancel(self, order: Known, says: str) -> CancelWanted:
        """Wish an order away."""
        return CancelWanted(account=self.account, ref=order.ref, says=says)

    def change(self, order: Known, *, qty: Decimal | None, level: Decimal | None, says: str) -> ChangeWanted:
        """Wish an order changed in place."""
        stops = order.leg is Leg.STOP
        price, stop_price = (None, level) if stops else (level, None)
        return ChangeWanted(
            account=self.account, ref=order.ref, qty=qty, price=price, stop_price=stop_price, says=says
        )  # fmt: skip


def word_of(intended: OrderIntended) -> str:
    """What an order of ours is counted under: the word in its name."""
    return "exit" if intended.intent.type is OrderType.MARKET else intended.leg.value
