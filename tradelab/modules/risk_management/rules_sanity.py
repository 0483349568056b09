"""Refuse what is decided on nothing, on something old, or on something that cannot be."""

from __future__ import annotations

from decimal import Decimal

from tradelab.model.orders import Side
from tradelab.model.signal import Drop, DropCode
from tradelab.modules.risk_management.scene import BPS, Scene, drop, order_name


def expired(scene: Scene) -> Drop | None:
    """Refuse a signal whose time is over."""
    late_s = scene.view.age_s(scene.signal.expires_ns)
    if late_s < 0:
        return None
    return drop(DropCode.EXPIRED, f"the signal expired {late_s:.1f} s ago", expired_s=late_s)


def duplicate(scene: Scene) -> Drop | None:
    """Refuse a signal that has led to an order, or to nothing, already; its name tells, whatever became of us since."""
    known, name = scene.known, order_name(scene.account, scene.signal)
    if known is not None and known.dropped is not None:
        return drop(DropCode.DUPLICATE, f"the signal was dropped before: {known.dropped.value}")
    is_promised = any(each.signal_id == scene.signal.id for each in scene.promised)
    if scene.has_order or is_promised or (known is not None and known.client_order_id is not None):
        return drop(DropCode.DUPLICATE, f"the signal has its order already: {name}", client_order_id=name)
    return None


def unknown_symbol(scene: Scene) -> Drop | None:
    """Refuse an instrument that the account does not list, or that the bot is not there for."""
    signal = scene.signal
    if signal.symbol not in scene.view.bot.symbols:
        traded = ", ".join(scene.view.bot.symbols)
        return drop(DropCode.UNKNOWN_SYMBOL, f"{signal.symbol} is none of what {signal.bot} trades: {traded}")
    if scene.listed is None:
        return drop(DropCode.UNKNOWN_SYMBOL, f"account {scene.account!r} does not list {signal.symbol}")
    return None


def clock(scene: Scene) -> Drop | None:
    """Refuse what comes from the future: then a clock is wrong, and no age that it tells can be believed."""
    stamps = {"signal": scene.signal.decided_ns}
    if scene.quote is not None:
        stamps["quote"] = scene.quote.ts_ns
    if scene.info is not None:
        stamps["balance"] = scene.info.ts_ns
    for what, ts_ns in stamps.items():
        ahead_s = -scene.view.age_s(ts_ns)
        if ahead_s > scene.config.max_clock_skew_s:
            says = f"the {what} is from the future by {ahead_s:.1f} s: check the clock"
            return drop(DropCode.CLOCK, says, ahead_s=ahead_s, max_clock_skew_s=scene.config.max_clock_skew_s)
    return None


def stale_bar(scene: Scene) -> Drop | None:
    """Refuse a decision on a bar that has closed too long ago."""
    signal, most = scene.signal, scene.limits.max_bar_age_s
    if most is None or signal.timeframe is None or signal.bar_ns is None:
        return None
    age_s = scene.view.age_s(signal.timeframe.next_open(signal.bar_ns))
    if age_s <= most:
        return None
    says = f"the bar closed {age_s:.1f} s ago; the limit is {most:.1f} s"
    return drop(DropCode.STALE_BAR, says, bar_age_s=age_s, max_bar_age_s=most)


def no_quote(scene: Scene) -> Drop | None:
    """Refuse to trade what has no price."""
    if scene.quote is not None:
        return None
    return drop(DropCode.NO_QUOTE, f"no quote of {scene.signal.symbol} has been seen")


def stale_quote(scene: Scene) -> Drop | None:
    """Refuse a quote that is old: by the venue's stamp, or because it has not come for so long."""
    age_s, most = quote_age_s(scene), scene.limits.max_quote_age_s
    if age_s is None or age_s <= most:
        return None
    says = f"the quote is {age_s:.1f} s old; the limit is {most:.1f} s"
    return drop(DropCode.STALE_QUOTE, says, quote_age_s=age_s, max_quote_age_s=most)


def quote_age_s(scene: Scene) -> float | None:
    """Return how old the quote is, by whichever of its two stamps makes it older."""
    seen = scene.view.quote(scene.signal.symbol)
    return None if seen is None else scene.view.age_s(min(seen.quote.ts_ns, seen.seen_ns))


def crossed_quote(scene: Scene) -> Drop | None:
    """Refuse a book whose bid is above its ask, or that has a side without a price."""
    quote = scene.quote
    if quote is None or (0 < quote.bid <= quote.ask):
        return None
    says = f"bid {quote.bid:f} and ask {quote.ask:f} cannot both be"
    return drop(DropCode.CROSSED_QUOTE, says, bid=quote.bid, ask=quote.ask)


def spread_bps(scene: Scene) -> Decimal | None:
    """Return the spread in hundredths of a percent of the middle."""
    quote = scene.quote
    return None if quote is None or quote.mid <= 0 else quote.spread / quote.mid * BPS


def spread(scene: Scene) -> Drop | None:
    """Refuse to pay a spread that is too wide."""
    wide, most = spread_bps(scene), scene.limits.max_spread_bps
    if wide is None or most is None or wide <= most:
        return None
    says = f"the spread is {wide:.2f} bps; the limit is {most:f} bps"
    return drop(DropCode.SPREAD, says, spread_bps=wide, max_spread_bps=most)


def price_deviation(scene: Scene) -> Drop | None:
    """Refuse where the market has left the price that the signal was raised at, whichever way."""
    decided, most = scene.signal.price, scene.limits.max_deviation_bps
    if decided is None or most is None:
        return None
    now = scene.taking_price
    off = abs(now - decided) / decided * BPS
    if off <= most:
        return None
    side = "ask" if scene.side is Side.BUY else "bid"
    says = f"the {side} {now:f} is {off:.2f} bps from {decided:f}, at which it was decided; the limit is {most:f} bps"
    return drop(DropCode.PRICE_DEVIATION, says, deviation_bps=off, max_deviation_bps=most, signal_price=decided)


def slippage(scene: Scene) -> Drop | None:
    """Refuse a market order that would get a worse price than it may, before it is even sent."""
    bound = scene.slippage_bound
    if bound is None or scene.side.sign * (scene.taking_price - bound) <= 0:
        return None
    says = f"the market is at {scene.taking_price:f}, beyond the {bound:f} that the order may get at worst"
    return drop(DropCode.SLIPPAGE, says, slippage_bound=bound, max_slippage_bps=scene.limits.max_slippage_bps)


def stale_balance(scene: Scene) -> Drop | None:
    """Refuse to spend what was counted too long ago, or never."""
    info, most = scene.info, scene.limits.max_balance_age_s
    if info is None:
        return drop(DropCode.STALE_BALANCE, f"the venue has not told yet what account {scene.account!r} holds")
    age_s = scene.view.age_s(min(info.ts_ns, scene.snapshot.accounts[scene.account].told_ns or info.ts_ns))
    if age_s <= most:
        return None
    says = f"the balance is {age_s:.1f} s old; the limit is {most:.1f} s"
    return drop(DropCode.STALE_BALANCE, says, balance_age_s=age_s, max_balance_age_s=most)


SANITY = (
    expired, duplicate, unknown_symbol, clock, stale_bar, no_quote, stale_quote, crossed_quote, spread,
    price_deviation, slippage, stale_balance,
)  # fmt: skip
