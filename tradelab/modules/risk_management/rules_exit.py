"""Make the order of an exit: nothing that guards entries holds it up, and it never closes more than there is.

No age, no state, no limit and no hour stands in the way of who reduces. What does is only what makes the wish
senseless: there is nothing to close, or not as much as the venue trades.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from tradelab.model.account import PositionMode
from tradelab.model.orders import OrderIntent, OrderType
from tradelab.model.outcome import RefusalCode, Refused
from tradelab.model.rounding import fit
from tradelab.model.signal import Drop, DropCode, Inputs
from tradelab.modules.risk_management.exposure import closing, price_of
from tradelab.modules.risk_management.scene import Scene, drop, order_name, written

_ZERO = Decimal(0)
_TOO_MUCH = (RefusalCode.MAX_QTY, RefusalCode.MAX_NOTIONAL)
_TOO_LITTLE = (RefusalCode.MIN_QTY, RefusalCode.MIN_NOTIONAL)


@dataclass(frozen=True, slots=True)
class Leaving:
    """What an exit comes to."""

    intent: OrderIntent
    reference_price: Decimal
    inputs: Inputs


def exit_order(scene: Scene) -> Leaving | Drop:
    """Return the order of an exit; or what makes it senseless."""
    gone = no_position(scene)
    if gone is not None:
        return gone
    if scene.capabilities is None:
        return drop(DropCode.DISCONNECTED, f"there is no connection {scene.account!r} to send anything to")
    qty, ticket, inputs = _how_much(scene)
    reference = _reference(scene)
    if scene.listed is None or reference is None:
        return drop(DropCode.UNKNOWN_SYMBOL, f"nothing is known of {scene.signal.symbol}: neither rules nor a price")
    if qty <= 0:
        return Drop(DropCode.SIZE_ZERO, "all of it is being closed already", inputs)
    if ticket is None and _closes_by_ticket(scene):
        return Drop(
            DropCode.NOT_OFFERED, "the venue closes by position id, and the position has none that is known", inputs
        )
    intent = _made(scene, qty, ticket)
    fitted = fit(intent, scene.instrument, reference)
    if isinstance(fitted, Refused) and fitted.code in _TOO_MUCH:
        most = _most(scene, intent.type, intent.price or intent.stop_price or reference)
        inputs += written(cut_to_most_qty=most, beyond_most_qty=qty - most)
        fitted = fit(replace(intent, qty=most), scene.instrument, reference)
    if isinstance(fitted, Refused):
        code = DropCode.SIZE_ZERO if fitted.code in _TOO_LITTLE else DropCode.RULES
        return Drop(code, f"{fitted.code.value}: {fitted.says}", inputs + written(venue_rule=fitted.code.value))
    lacking = scene.capabilities.lacks(fitted)
    if lacking is not None:
        return Drop(DropCode.NOT_OFFERED, lacking.says, inputs)
    return Leaving(fitted, reference, inputs + written(reduce_only=str(fitted.reduce_only).lower()))


def no_position(scene: Scene) -> Drop | None:
    """Refuse to leave what is not there, or was not yet when the wish was over."""
    signal, held = scene.signal, scene.snapshot.positions.get(scene.key)
    kind = "long" if signal.action.direction > 0 else "short"
    if held is None or held.qty * signal.action.direction <= 0:
        qty = _ZERO if held is None else held.qty
        return drop(DropCode.NO_POSITION, f"{signal.bot!r} holds no {kind} of {signal.symbol}", held_qty=qty)
    if scene.view.now_ns >= signal.expires_ns and (held.opened_ns or 0) >= signal.expires_ns:
        says = f"the {kind} that is held was opened after the signal had expired: it was about another one"
        return drop(DropCode.NO_POSITION, says, held_qty=held.qty)
    return None


def _how_much(scene: Scene) -> tuple[Decimal, str | None, Inputs]:
    """Return the share of what no other exit closes already, and the venue's position id where it gives any.

    Who wants out at once is not held up by an exit that waits for its price, and may wait for ever.
    """
    signal = scene.signal
    held = abs(scene.snapshot.positions[scene.key].qty)
    leaves = closing(scene, at_once=signal.order_type is OrderType.MARKET)
    free = max(held - leaves, _ZERO)
    qty = free * signal.share if signal.qty is None else min(signal.qty, free)
    inputs = written(held_qty=held, being_closed_qty=leaves, share=signal.share, wished_qty=qty)
    ours = [(ticket, abs(part)) for ticket, part in scene.tickets if part * signal.action.direction > 0]
    if not ours:
        return qty, None, inputs
    ticket, part = max(ours, key=lambda each: each[1])
    if part < qty:
        inputs += written(cut_to_ticket_qty=part)
    return min(qty, part), ticket, inputs + written(position_id=ticket)


def _made(scene: Scene, qty: Decimal, ticket: str | None) -> OrderIntent:
    signal, kind = scene.signal, scene.signal.order_type
    if kind is OrderType.STOP_LIMIT and signal.limit_price is None:  # who leaves wants out more than a price
        kind = OrderType.STOP
    offered = scene.capabilities
    return OrderIntent(
        client_order_id=order_name(scene.account, signal), symbol=signal.symbol, side=scene.side, type=kind, qty=qty,
        price=signal.order_price if kind is OrderType.LIMIT else signal.limit_price,
        stop_price=signal.order_price if kind.needs_stop_price else None,
        reduce_only=offered is not None and offered.reduce_only,
        position_id=ticket if _closes_by_ticket(scene) else None,
    )  # fmt: skip


def _closes_by_ticket(scene: Scene) -> bool:
    return scene.capabilities is not None and scene.capabilities.position_mode is PositionMode.HEDGING


def _most(scene: Scene, kind: OrderType, price: Decimal) -> Decimal:
    """Return the most of one order; what is beyond it is left for the next exit."""
    instrument = scene.instrument
    limits = [instrument.max_qty]
    if kind in (OrderType.MARKET, OrderType.STOP):
        limits.append(instrument.max_market_qty)
    if instrument.max_notional is not None:
        limits.append(instrument.max_notional / (price * instrument.contract_size))
    return min(limit for limit in limits if limit is not None)


def _reference(scene: Scene) -> Decimal | None:
    """Return the best that is known of the price, however old: a quote, the signal's, what was paid."""
    held = scene.snapshot.positions[scene.key]
    return price_of(scene, scene.signal.symbol) or scene.signal.price or held.entry_price
