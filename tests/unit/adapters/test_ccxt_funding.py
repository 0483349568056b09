"""Funding moves what an account is worth and is no trade: the real client against the rehearsal of a real venue."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tests.conformance.ccxt_stage import CcxtContract, CcxtStage
from tests.conformance.test_binance_usdm import TestBinanceUsdm as BinanceUsdm
from tests.conformance.test_bybit import TestBybitLinear as BybitLinear
from tradelab.model.account import AccountInfo
from tradelab.model.orders import Side

EIGHT_HOURS_S = 8 * 3600


async def worth(on: CcxtStage) -> tuple[Decimal, Decimal]:
    """What the venue says the account is worth, and how much of it is open profit."""
    info: AccountInfo = await on.venue.account_info()
    open_profit = [position.unrealized_pnl for position in await on.venue.positions()]
    assert info.equity is not None and None not in open_profit
    return info.equity, sum((each for each in open_profit if each is not None), Decimal(0))


@pytest.mark.parametrize("contract", [BinanceUsdm, BybitLinear], ids=lambda kind: kind.title)
def test_funding_is_in_the_equity_that_guards_look_at_and_is_booked_as_no_fill(contract: type[CcxtContract]) -> None:
    async def play() -> None:
        async with contract().stage() as on:
            await on.placed(Side.BUY, 100 * on.unit)
            await on.until(on.held, "bought")
            (equity, profit), fills = await worth(on), list(await on.venue.fills(0))
            await on.advance(EIGHT_HOURS_S)
            paid = sum((each.amount for each in on.at.exchange.funding), Decimal(0))
            assert paid < 0  # a long pays
            (after, open_after), fills_after = await worth(on), list(await on.venue.fills(0))
            assert after - open_after == pytest.approx(equity - profit + paid, abs=Decimal("1e-6"))
            assert fills_after == fills

    asyncio.run(play())
