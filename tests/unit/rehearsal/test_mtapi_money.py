"""Let an account trade at random through the wire, and hold its money to its fills, to the last cent."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import pytest

from tests.unit.rehearsal.mtapi_world import FUNDS, World, world
from tradelab.model.orders import Fill, OrderType, Side
from tradelab.model.outcome import Accepted, Refused

_TURNS = 300


async def _turn(on: World, dice: random.Random) -> None:
    """Do one thing at random."""
    side = dice.choice(list(Side))
    qty = f"0.{dice.randint(1, 30):02}"
    price = Decimal(115_000 + dice.randint(0, 2_000)) / 100_000
    what = dice.random()
    if what < 0.25:
        await on.move(f"{price:.5f}")
    elif what < 0.5:
        await on.submit(side, qty)
    elif what < 0.65:
        await on.submit(side, qty, dice.choice([OrderType.LIMIT]), price=price)
    elif what < 0.75:
        await on.submit(side, qty, OrderType.STOP, stop_price=price)
    elif what < 0.85:
        positions = list(await on.adapter.positions())
        if positions:
            held = dice.choice(positions)
            half = max(Decimal("0.01"), (abs(held.qty) / 2).quantize(Decimal("0.01")))
            back = Side.SELL if held.qty > 0 else Side.BUY
            outcome = await on.submit(back, f"{half}", position_id=held.position_id, reduce_only=True)
            assert isinstance(outcome, Accepted), outcome
    elif what < 0.95:
        waiting = list(await on.adapter.open_orders())
        if waiting:
            outcome = await on.adapter.cancel(dice.choice(waiting).ref)
            assert isinstance(outcome, Accepted | Refused)
    else:
        await on.venue.advance(7)


def _folded(fills: list[Fill]) -> Decimal:
    """The balance that fills make of the funds: profit of each ticket when lots leave it, less all fees."""
    balance = FUNDS
    entry: dict[str, tuple[Decimal, Decimal]] = {}  # ticket → lots and average price, signed
    for fill in fills:
        ticket = str(fill.position_id)
        lots, price = entry.get(ticket, (Decimal(0), Decimal(0)))
        signed = fill.side.sign * fill.qty
        if lots * signed >= 0:
            entry[ticket] = (lots + signed, (lots * price + signed * fill.price) / (lots + signed))
        else:
            balance += (fill.price - price) * -signed * 100_000
            entry[ticket] = (lots + signed, price)
        balance -= fill.fee or Decimal(0)
    return balance


@pytest.mark.parametrize("seed", [1, 2])
def test_the_balance_is_what_the_fills_make_it(seed: int) -> None:
    async def play() -> None:
        async with world() as on:
            dice = random.Random(seed)
            for _ in range(_TURNS):
                await _turn(on, dice)
            fills = list(await on.adapter.fills(0))
            assert len(fills) > 50
            assert len({f.trade_id for f in fills}) == len(fills) == len(on.venue.exchange.fills)
            account = await on.adapter.account_info()
            assert account.balance("USD").total == _folded(fills)
            lots: dict[str, Decimal] = {}
            for fill in fills:
                ticket = str(fill.position_id)
                lots[ticket] = lots.get(ticket, Decimal(0)) + fill.side.sign * fill.qty
            held = {p.position_id: p.qty for p in await on.adapter.positions()}
            assert held == {ticket: qty for ticket, qty in lots.items() if qty}
            assert on.dialect.unknown_params == []

    asyncio.run(play())
