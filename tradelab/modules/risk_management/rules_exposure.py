"""Refuse what would be too much: positions, orders in a minute, money in one order, symbol, bot, account or group."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from tradelab.model.signal import Drop, DropCode
from tradelab.model.states import Leg
from tradelab.model.units import NS_PER_MIN, NS_PER_S
from tradelab.modules.risk_management.exposure import On, all_on, closing, pending, total
from tradelab.modules.risk_management.money import notional, other_currency
from tradelab.modules.risk_management.scene import Scene, drop

# ── counts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def already_open(scene: Scene) -> Drop | None:
    """Refuse to add to what the bot holds, or to what it is about to hold; what is being closed is no hindrance."""
    bot, symbol = scene.signal.bot, scene.signal.symbol
    for order, _ in pending(scene, (Leg.ENTRY,)):
        if (order.intended.bot, order.intended.intent.symbol) == (bot, symbol):
            says = f"an entry of {bot!r} in {symbol} is on its way: {order.client_order_id}"
            return drop(DropCode.ALREADY_OPEN, says)
    if any(each.enters and (each.bot, each.intent.symbol) == (bot, symbol) for each in scene.promised):
        return drop(DropCode.ALREADY_OPEN, f"an entry of {bot!r} in {symbol} is on its way")
    held = scene.snapshot.positions.get(scene.key)
    if held is None or abs(held.qty) - closing(scene, at_once=True) < scene.instrument.qty_step:
        return None
    return drop(DropCode.ALREADY_OPEN, f"{bot!r} holds {held.qty:f} of {symbol} already", held_qty=held.qty)


def cooldown(scene: Scene) -> Drop | None:
    """Refuse for a while after the bot has closed a position in this instrument."""
    rounds = scene.snapshot.closed_rounds.get(scene.key, ())
    wait_s = scene.view.bot.cooldown_s
    ended_ns = rounds[-1].updated_ns if rounds else None
    if ended_ns is None or scene.view.age_s(ended_ns) >= wait_s:
        return None
    left_s = wait_s - scene.view.age_s(ended_ns)
    return drop(
        DropCode.COOLDOWN, f"the last position was closed too lately: {left_s:.1f} s to wait", cooldown_s=wait_s
    )


def max_positions(scene: Scene) -> Drop | None:
    """Refuse one position more than the account may have."""
    return _counted(scene, DropCode.MAX_POSITIONS, scene.limits.max_positions, None)


def max_positions_symbol(scene: Scene) -> Drop | None:
    """Refuse one position more than the account may have in this instrument."""
    most = scene.limits.max_positions_symbol
    return _counted(scene, DropCode.MAX_POSITIONS_SYMBOL, most, scene.signal.symbol)


def _counted(scene: Scene, code: DropCode, most: int | None, symbol: str | None) -> Drop | None:
    if most is None:
        return None
    others = {(each.bot, each.symbol) for each in all_on(scene) if symbol in (None, each.symbol)}
    others.discard((scene.signal.bot, scene.signal.symbol))  # its own, if it is still being closed, makes room for this
    if len(others) < most:
        return None
    where = "the account" if symbol is None else symbol
    says = f"{where} has {len(others)} positions, open or on their way; the limit is {most}"
    return drop(code, says, positions=len(others), limit=most)


def order_rate(scene: Scene) -> Drop | None:
    """Refuse more entries of the account in a minute than there may be."""
    most = scene.limits.max_orders_per_minute
    if most is None:
        return None
    recent = sum(1 for ts_ns in scene.entries if scene.view.now_ns - ts_ns < NS_PER_MIN)
    recent += sum(each.enters for each in scene.promised)
    if recent < most:
        return None
    says = f"{recent} entries within the last {NS_PER_MIN // NS_PER_S} s; the limit is {most}"
    return drop(DropCode.ORDER_RATE, says, entries_per_minute=recent, max_orders_per_minute=most)


# ── money ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def caps(scene: Scene, qty: Decimal = Decimal(0), price: Decimal = Decimal(0)) -> Drop | None:
    """Refuse an order that would go beyond a cap; asked with nothing, where there is no room at all."""
    cap, instrument = scene.limits.max_order_notional, scene.instrument
    order = notional(qty, price, instrument)
    if cap is not None:
        refused = other_currency(scene, instrument, DropCode.MAX_ORDER_NOTIONAL.value)
        if refused is None and order > cap:
            refused = _beyond(DropCode.MAX_ORDER_NOTIONAL, "the order", Decimal(0), order, cap)
        if refused is not None:
            return refused
    on: tuple[On, ...] | None = None
    for code, most, where, counts in _capped(scene):
        if most is None:
            continue
        on = all_on(scene) if on is None else on
        refused = other_currency(scene, instrument, code.value)
        if refused is not None:
            return refused
        held = total(scene, tuple(each for each in on if counts(each)), code.value)
        if isinstance(held, Drop):
            return held
        if held + order > most or held == most:
            return _beyond(code, where, held, order, most)
    return None


def _capped(scene: Scene) -> list[tuple[DropCode, Decimal | None, str, Callable[[On], bool]]]:
    """What there are caps on: the code, the cap, its name, and what of all that is on it counts."""
    limits, bot, symbol = scene.limits, scene.signal.bot, scene.signal.symbol
    found: list[tuple[DropCode, Decimal | None, str, Callable[[On], bool]]] = [
        (DropCode.MAX_SYMBOL_NOTIONAL, limits.max_symbol_notional, symbol, lambda each: each.symbol == symbol),
        (DropCode.MAX_BOT_NOTIONAL, limits.max_bot_notional, f"bot {bot!r}", lambda each: each.bot == bot),
        (DropCode.MAX_ACCOUNT_NOTIONAL, limits.max_account_notional, "the account", lambda _: True),
    ]
    for name, members in scene.groups.items():
        if symbol in members:
            within = frozenset(members)
            found.append(
                (
                    DropCode.MAX_GROUP_NOTIONAL,
                    limits.max_group_notional,
                    f"group {name!r}",
                    lambda each, within=within: each.symbol in within,  # type: ignore[misc]
                )
            )
    return found


def _beyond(code: DropCode, where: str, held: Decimal, order: Decimal, cap: Decimal) -> Drop:
    says = f"{where} would come to {held + order:f}, {held:f} of it on already; the limit is {cap:f}"
    if not order:
        says = f"{where} has {held:f} on already; the limit is {cap:f}"
    return drop(code, says, on_notional=held, order_notional=order, cap_notional=cap)


COUNTS = (already_open, cooldown, max_positions, max_positions_symbol, order_rate)
