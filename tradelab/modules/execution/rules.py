"""Compare what a venue holds with what our fills come to; say what is to be taken over, and from whom.

Nothing is invented: a difference is a difference, by its own name. What was closed past us is taken first from what is
nobody's, then from the bots that hold that side, the largest first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from tradelab.model.account import Balance, Position
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.messages import PositionAdjusted
from tradelab.spine.positions import Round
from tradelab.spine.snapshot import PositionKey

_ZERO = Decimal(0)


def adjustments(
    account: str,
    held: Mapping[PositionKey, Round],
    instruments: Mapping[str, Instrument],
    positions: Sequence[Position],
    balances: Sequence[Balance],
    *,
    has_positions: bool,
) -> list[PositionAdjusted]:
    """Return what makes our positions equal to the venue's; empty where they are.

    Parameters
    ----------
    held
        Ours.
    instruments
        Of this account, by symbol.
    positions, balances
        The venue's. Of spot markets there are no positions: the balances say what is there.
    has_positions
        Whether the venue keeps positions at all; what is traded on one that does not is compared as spot is.
    """
    ours: dict[str, dict[str | None, Decimal]] = {}
    for key, each in held.items():
        if key.account == account and key.symbol in instruments:
            ours.setdefault(key.symbol, {})[key.bot] = each.qty
    spot = {s for s, i in instruments.items() if not has_positions or i.kind is InstrumentKind.SPOT}
    found: list[PositionAdjusted] = []
    for symbol in sorted(set(instruments) - spot):
        there = [position for position in positions if position.symbol == symbol]
        theirs = sum((position.qty for position in there), _ZERO)
        price = there[0].avg_price if len(there) == 1 else None
        found += _netted(account, symbol, ours.get(symbol, {}), theirs, price, instruments[symbol].qty_step)
    totals = {balance.currency: balance.total for balance in balances}
    for base in sorted({str(instruments[s].base) for s in spot if instruments[s].base is not None}):
        of_base = {s: instruments[s].qty_step for s in sorted(spot) if instruments[s].base == base}
        found += _spot(account, ours, of_base, totals.get(base, _ZERO))
    return found


def _netted(
    account: str,
    symbol: str,
    ours: Mapping[str | None, Decimal],
    theirs: Decimal,
    price: Decimal | None,
    step: Decimal,
) -> list[PositionAdjusted]:
    """Compare a position that a venue nets."""
    now = dict(ours)
    found: list[PositionAdjusted] = []

    def adjust(bot: str | None, qty: Decimal, says: str) -> None:
        now[bot] = now.get(bot, _ZERO) + qty
        found.append(PositionAdjusted(account=account, bot=bot, symbol=symbol, qty=qty, price=price, says=says))

    def by_size(sign: int) -> list[str | None]:
        bots = [bot for bot, qty in now.items() if bot is not None and qty * sign > 0]
        return sorted(bots, key=lambda bot: (-abs(now[bot]), bot or ""))

    missing = theirs - sum(now.values(), _ZERO)
    if abs(missing) >= step:
        sign = 1 if missing > 0 else -1
        for bot in [None, *by_size(-sign)]:
            opposite = -now.get(bot, _ZERO) * sign
            if opposite > 0 and missing:
                part = min(abs(missing), opposite) * sign
                adjust(bot, part, f"the venue holds {theirs}: closed past us")
                missing -= part
        if missing:
            adjust(None, missing, f"the venue holds {theirs}: opened past us")
    nobodys = now.get(None, _ZERO)
    for bot in by_size(-1 if nobodys > 0 else 1):
        part = min(abs(nobodys), abs(now[bot])) * (1 if nobodys > 0 else -1)
        if abs(part) >= step:
            adjust(bot, part, "somebody closed it by hand")
            adjust(None, -part, "it closed a bot's position")
            nobodys = now.get(None, _ZERO)
    return found


def _spot(
    account: str,
    ours: Mapping[str, Mapping[str | None, Decimal]],
    steps: Mapping[str, Decimal],
    total: Decimal,
) -> list[PositionAdjusted]:
    """Compare what is held of one currency.

    What the account has beyond ours is somebody's own, and what he does with it is not counted; what it has less was
    sold past us. Nothing is held below zero here: who sold more than he had sold somebody else's.
    """
    found: list[PositionAdjusted] = []

    def adjust(symbol: str, bot: str | None, qty: Decimal, says: str) -> None:
        found.append(PositionAdjusted(account=account, bot=bot, symbol=symbol, qty=qty, price=None, says=says))

    all_ours: list[tuple[Decimal, str, str]] = []
    for symbol in steps:
        for bot, qty in sorted(ours.get(symbol, {}).items(), key=lambda each: each[0] or ""):
            if bot is None:
                adjust(symbol, None, -qty, "somebody traded what is his own: a spot account may hold more than ours")
            elif qty < 0:
                adjust(symbol, bot, -qty, "it sold more than it had, and nothing is held below zero")
            elif qty > 0:
                all_ours.append((qty, symbol, bot))
    short = sum((qty for qty, _, _ in all_ours), _ZERO) - total
    for qty, symbol, bot in sorted(all_ours, key=lambda each: (-each[0], each[1], each[2])):
        part = min(qty, short)
        if part >= steps[symbol]:
            adjust(symbol, bot, -part, f"the account holds {total}: sold past us")
            short -= part
    return found
