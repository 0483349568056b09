"""Make the order of an entry: its kind and bound, the venue's own steps and limits, what it offers, what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.account import PositionMode
from tradelab.model.capabilities import VenueCapabilities
from tradelab.model.orders import OrderIntent, OrderType, Side, TimeInForce
from tradelab.model.outcome import Refused
from tradelab.model.rounding import fit
from tradelab.model.signal import Drop, DropCode, Inputs
from tradelab.model.states import Leg
from tradelab.modules.risk_management.exposure import pending
from tradelab.modules.risk_management.money import money_of, notional
from tradelab.modules.risk_management.scene import Scene, drop, order_name, written


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order, and in words how it came to be this one."""

    intent: OrderIntent
    inputs: Inputs


def entry_order(scene: Scene, qty: Decimal) -> Ordered | Drop:
    """Return the order of an entry, fitted to its instrument; or why there is none."""
    made = _made(scene, qty)
    if isinstance(made, Drop):
        return made
    fitted = fit(made.intent, scene.instrument, scene.taking_price)
    if isinstance(fitted, Refused):
        says = f"{fitted.code.value}: {fitted.says}"
        return Drop(DropCode.RULES, says, made.inputs + written(venue_rule=fitted.code.value, qty=qty))
    return Ordered(fitted, made.inputs)


def _made(scene: Scene, qty: Decimal) -> Ordered | Drop:
    signal, bound = scene.signal, scene.slippage_bound
    price = stop_price = None
    kind, tif, says = signal.order_type, TimeInForce.GTC, signal.order_type.value
    if kind is OrderType.MARKET and bound is not None:
        if offers_bounded(scene.capabilities):
            kind, tif, price = OrderType.LIMIT, TimeInForce.IOC, bound
            says = "limit at the worst price it may get, immediate or cancelled"
        else:
            says = "market: the venue offers no bounded order, so nothing holds its price"
    elif kind is OrderType.STOP_LIMIT:
        stop_price, price = signal.order_price, signal.limit_price or _behind(scene)
        if price is None:
            return drop(DropCode.NOT_OFFERED, "a stop-limit needs a limit_price, or its preset max_slippage_bps")
    elif kind is OrderType.LIMIT:
        price = signal.order_price
    elif kind is OrderType.STOP:
        stop_price = signal.order_price
    intent = OrderIntent(
        client_order_id=order_name(scene.account, signal), symbol=signal.symbol, side=scene.side, type=kind, qty=qty,
        price=price, stop_price=stop_price, time_in_force=tif,
    )  # fmt: skip
    return Ordered(intent, written(order_kind=says, slippage_bound=bound))


def _behind(scene: Scene) -> Decimal | None:
    """Return the worst price of a stop-limit whose signal names its trigger only; ``None``: there is no bound."""
    trigger, most = scene.signal.order_price, scene.limits.max_slippage_bps
    return None if trigger is None or most is None else trigger * (1 + scene.side.sign * most / 10_000)


def offers_bounded(capabilities: VenueCapabilities | None) -> bool:
    """Whether a market order can be sent as a limit that takes at once and leaves nothing behind."""
    if capabilities is None:
        return False
    offered = OrderType.LIMIT in capabilities.order_types and TimeInForce.IOC in capabilities.times_in_force
    return offered and capabilities.limit_may_take


def not_offered(scene: Scene, intent: OrderIntent) -> Drop | None:
    """Refuse what the venue declares that it has not."""
    assert scene.capabilities is not None, "rules_account.disconnected comes first"
    lacking = scene.capabilities.lacks(intent)
    if lacking is not None:
        return drop(DropCode.NOT_OFFERED, lacking.says, order_type=intent.type.value)
    if _paid_in_full(scene) and intent.side is Side.SELL:
        says = f"{intent.symbol} is bought and sold here for cash: what is not owned cannot be sold short"
        return drop(DropCode.NOT_OFFERED, says)
    return None


def margin(scene: Scene, intent: OrderIntent) -> Drop | None:
    """Refuse what the money that is known to be free does not carry; what is not known is left to the venue.

    Spot is paid in full, from the balance of its quote currency. On margin an order needs its worth over the leverage,
    where the venue tells both leverage and free margin; with no free margin at all nothing opens. Entries that the
    venue cannot have counted when it told are taken off first. Fees are not foreseen.
    """
    info, instrument = scene.info, scene.instrument
    if info is None:
        return None
    price = intent.price or intent.stop_price or scene.taking_price
    needs = notional(intent.qty, price, instrument)
    if _paid_in_full(scene):
        free = info.balance(instrument.quote).free - _uncounted(scene, instrument.quote)
        currency = instrument.quote
    elif info.free_margin is not None:
        currency = info.currency or "money"
        same = info.currency is None or money_of(instrument) == info.currency
        leverage = info.leverage if same else None
        free = info.free_margin
        if leverage is not None and leverage > 0:
            needs /= leverage
            free -= _uncounted(scene, info.currency) / leverage
        else:
            needs = Decimal(0)
    else:
        return None
    if free > 0 and needs <= free:
        return None
    says = f"the order needs {needs:f} {currency}, and {free:f} is free"
    return drop(DropCode.MARGIN, says, needs=needs, free=free, money=currency)


def _paid_in_full(scene: Scene) -> bool:
    return scene.capabilities is not None and scene.capabilities.position_mode is PositionMode.NONE


def _uncounted(scene: Scene, currency: str | None) -> Decimal:
    """What entries need that were promised or sent after the account was told."""
    told_ns = scene.snapshot.accounts[scene.account].told_ns or 0
    since = [(each.intent, each.reference_price) for each in scene.promised if each.enters]
    since += [
        (order.intended.intent, order.intended.reference_price)
        for order, _ in pending(scene, (Leg.ENTRY,))
        if order.asked_ns >= told_ns
    ]
    needs = Decimal(0)
    for intent, reference in since:
        instrument = scene.view.instrument(intent.symbol)
        if instrument is not None and currency in (None, instrument.quote):
            needs += notional(intent.qty, intent.price or intent.stop_price or reference, instrument)
    return needs
