"""Count what is on: held, on its way, in somebody else's name; nothing is counted as less than it may be."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderIntent, OrderType
from tradelab.model.signal import Drop, DropCode
from tradelab.model.states import Leg
from tradelab.modules.risk_management.money import notional, other_currency
from tradelab.modules.risk_management.scene import Scene, drop
from tradelab.spine.order_life import Phase
from tradelab.spine.snapshot import OrderState, Snapshot

_ZERO = Decimal(0)
_TAKES_ON = (Leg.ENTRY, Leg.HAND)
_LEAVES = (Leg.EXIT, Leg.FLATTEN)


@dataclass(frozen=True, slots=True)
class On:
    """Something that is on, or may be: ``qty`` without sign; ``bot`` is ``None`` for nobody's of ours."""

    bot: str | None
    symbol: str
    qty: Decimal
    price: Decimal | None


def may_fill(order: OrderState, now_ns: int, reconciled_ns: int | None) -> Decimal:
    """Return what an order may still add to what is booked.

    That is more than what is open of it. One that was not taken may be sent again while it is fresh. Of one that the
    venue has told to be filled, the fills may still be on their way; once the account has been compared with the venue
    after that, they are booked.
    """
    if order.is_settled:
        return _ZERO
    if order.phase.may_trade:
        return order.leaves_qty
    if order.phase is not Phase.CLOSED:
        still = now_ns < order.intended.fresh_until_ns
        return max(order.intended.intent.qty - order.filled_qty, _ZERO) if still else _ZERO
    if order.told is None:
        return _ZERO
    ended_ns = order.asked_ns if order.told.updated_ns is None else order.told.updated_ns
    if reconciled_ns is not None and reconciled_ns > ended_ns:
        return _ZERO
    return max(order.told.filled_qty - order.filled_qty, _ZERO)


def orders_of(snapshot: Snapshot, account: str, now_ns: int) -> tuple[tuple[OrderState, Decimal], ...]:
    """Return the account's orders that may still fill, and how much; looked for once a decision."""
    state = snapshot.accounts.get(account)
    reconciled_ns = None if state is None else state.reconciled_ns
    ours = (order for order in snapshot.orders.values() if order.intended.account == account)
    found = ((order, may_fill(order, now_ns, reconciled_ns)) for order in ours)
    return tuple((order, qty) for order, qty in found if qty > 0)


def pending(scene: Scene, legs: tuple[Leg, ...]) -> tuple[tuple[OrderState, Decimal], ...]:
    """Return the account's orders of some legs that may still fill, and how much."""
    return tuple((order, qty) for order, qty in scene.orders if order.intended.leg in legs)


def all_on(scene: Scene) -> tuple[On, ...]:
    """Return what is held on the account, and what may still be: orders that enter, promised ones and foreign ones.

    An order that only reduces is not counted; a foreign one of which the venue does not say so is.
    """
    found = [
        On(key.bot, key.symbol, abs(held.qty), price_of(scene, key.symbol) or held.entry_price)
        for key, held in scene.snapshot.positions.items()
        if key.account == scene.account
    ]
    for order, qty in pending(scene, _TAKES_ON):
        intent = order.intended.intent
        if not intent.reduce_only:
            price = intent.price or intent.stop_price or order.intended.reference_price
            found.append(On(order.intended.bot, intent.symbol, qty, price))
    for each in scene.promised:
        if each.enters:
            price = each.intent.price or each.intent.stop_price or each.reference_price
            found.append(On(each.bot, each.intent.symbol, each.intent.qty, price))
    for (account, _), foreign in scene.snapshot.foreign_orders.items():
        if account == scene.account and not foreign.reduce_only and foreign.leaves_qty > 0:
            told = foreign.price or foreign.stop_price or price_of(scene, foreign.symbol)
            found.append(On(None, foreign.symbol, foreign.leaves_qty, told))
    return tuple(found)


def price_of(scene: Scene, symbol: str) -> Decimal | None:
    """Return what an instrument trades at, half-way between bid and ask; ``None``: no quote of it is known."""
    seen = scene.view.quote(symbol)
    return None if seen is None or seen.quote.mid <= 0 else seen.quote.mid


def closing(scene: Scene, *, at_once: bool) -> Decimal:
    """Return what exits of the bot's position close already, without sign.

    Parameters
    ----------
    at_once
        Count only what asks the market to trade at once, and will surely close; else what rests, too. Stops and
        targets of an exit plan never count: they guard the same quantity, and give way to an exit.
    """
    bot, symbol = scene.signal.bot, scene.signal.symbol
    asked: list[tuple[str | None, OrderIntent, Decimal]]
    asked = [(each.bot, each.intent, each.intent.qty) for each in scene.promised if not each.enters]
    asked += [(order.intended.bot, order.intended.intent, qty) for order, qty in pending(scene, _LEAVES)]
    ours = ((intent, qty) for whose, intent, qty in asked if (whose, intent.symbol) == (bot, symbol))
    return sum((qty for intent, qty in ours if intent.type is OrderType.MARKET or not at_once), _ZERO)


def total(scene: Scene, on: tuple[On, ...], cap: str) -> Decimal | Drop:
    """Return what all of it is worth in the account's currency; or why that cannot be said."""
    worth = _ZERO
    for each in on:
        instrument: Instrument | None = scene.view.instrument(each.symbol)
        if instrument is None:
            return drop(DropCode.UNKNOWN_SYMBOL, f"{cap}: {each.symbol} is held, and the account does not list it")
        refused = other_currency(scene, instrument, cap)
        if refused is not None:
            return refused
        if each.price is None:
            return drop(DropCode.NO_QUOTE, f"{cap}: {each.symbol} is held, and nobody knows at what price")
        worth += notional(each.qty, each.price, instrument)
    return worth
