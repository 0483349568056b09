"""Ask every question of every ccxt dialect, and let its answer come in half: it is an error, and never "nothing"."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.conformance.ccxt_stage import KEY, SECRET, CcxtContract, CcxtStage
from tests.conformance.test_binance_spot import TestBinanceSpot as _BinanceSpot
from tests.conformance.test_binance_usdm import TestBinanceUsdm as _BinanceUsdm
from tests.conformance.test_bybit import TestBybitLinear as _BybitLinear
from tests.conformance.test_bybit import TestBybitSpot as _BybitSpot
from tradelab.model.account import PositionMode
from tradelab.model.errors import ConnectivityError
from tradelab.model.orders import OrderRef, OrderType, Side
from tradelab.model.outcome import Unknown
from tradelab.rehearsal.faults import Fault

VENUES = [_BinanceSpot, _BinanceUsdm, _BybitLinear, _BybitSpot]


def _questions(on: CcxtStage, ref: OrderRef) -> dict[str, Callable[[], Awaitable[Any]]]:
    venue, symbol = on.venue, on.symbol
    asked: dict[str, Callable[[], Awaitable[Any]]] = {
        "order": lambda: venue.order(ref),
        "open_orders": lambda: venue.open_orders(symbol),
        "all open_orders": lambda: venue.open_orders(),
        "cancel_all": lambda: venue.cancel_all(symbol),
        "fills": lambda: venue.fills(on.began_ns, symbol),
        "balances": venue.balances,
        "account_info": venue.account_info,
        "quote": lambda: venue.quote(symbol),
        "now_ns": venue.now_ns,
    }
    if venue.capabilities.position_mode is not PositionMode.NONE:
        asked["positions"] = venue.positions
    return asked


def _shows_no_credential(error: BaseException) -> bool:
    """Whether not even a traceback that prints what every frame holds, as a verbose one does, gives one away."""
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    return KEY not in shown and SECRET not in shown


@pytest.mark.parametrize("of", VENUES, ids=lambda of: of.title)
def test_half_an_answer_is_never_nothing(of: type[CcxtContract]) -> None:
    async def play() -> None:
        async with of().stage() as on:
            on.began_ns = await on.venue.now_ns() - 1_000_000_000
            await on.placed(Side.BUY, on.unit)
            ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-3))
            for name, ask in _questions(on, ref).items():
                on.at.direct.fault(Fault.TRUNCATED, "*", times=1)
                with pytest.raises(ConnectivityError, match="did not come whole") as error:
                    raise AssertionError(f"{name} was answered with {await ask()!r}")
                assert _shows_no_credential(error.value)
            on.at.direct.all_well()
            assert len(await on.venue.open_orders(on.symbol)) == 1, "a cancel_all that cannot see what there is"

    asyncio.run(play())


@pytest.mark.parametrize("of", VENUES, ids=lambda of: of.title)
def test_half_an_answer_to_an_order_or_a_cancel_is_unknown(of: type[CcxtContract]) -> None:
    async def play() -> None:
        async with of().stage() as on:
            ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-3))
            on.at.direct.fault(Fault.TRUNCATED, "submit")
            assert isinstance(await on.submit(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-4)), Unknown)
            on.at.direct.fault(Fault.TRUNCATED, "cancel")
            assert isinstance(await on.venue.cancel(ref), Unknown)

    asyncio.run(play())
