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
    balances: Sequence[Balance] | None,
) -> list[PositionAdjusted]:
    """Return what makes our positions equal to the venue's; empty where they are.

    Parameters
    ----------
    held
        Ours, of this account.
    instruments
        Of this account, by symbol.
    positions
        The venue's; for spot there are none, and ``balances`` say what is there. A spot account may hold more than
        ours: that is somebody else's business, and is left alone.
    """
    found: list[PositionAdjusted] = []
    for symbol, instrument in sorted(instruments.items()):
        ours = {key.bot: each.qty for key, each in held.items() if key.symbol == symbol and key.account == account}
        theirs, price = _there(symbol, instrument, positions, balances, sum(ours.values(), _ZERO), instruments, held)
        found += _taken_over(account, symbol, ours, theirs, price, instrument.qty_step)
    return found


def _there(
    symbol: str,
    instrument: Instrument,
    positions: Sequence[Position],
    balances: Sequence[Balance] | None,
    ours: Decimal,
    instruments: Mapping[str, Instrument],
    held: Mapping[PositionKey, Round],
) -> tuple[Decimal, Decimal | None]:
    """Return what the venue holds in an instrument, and at what price, where it says so."""
    if instrument.kind is not InstrumentKind.SPOT or balances is None:
        mine = [position for position in positions if position.symbol == symbol]
        return sum((p.qty for p in mine), _ZERO), mine[0].avg_price if len(mine) == 1 else None
    total = next((b.total for b in balances if b.currency == instrument.base), _ZERO)
    same_base = {s for s, i in instruments.items() if i.base == instrument.base}
    all_ours = sum((each.qty for key, each in held.items() if key.symbol in same_base), _ZERO)
    return (ours if total >= all_ours else max(_ZERO, ours - (all_ours - total))), None


def _taken_over(
    account: str,
    symbol: str,
    ours: Mapping[str | None, Decimal],
    theirs: Decimal,
    price: Decimal | None,
    step: Decimal,
) -> list[PositionAdjusted]:
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
