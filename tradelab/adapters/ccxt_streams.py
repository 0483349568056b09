"""Yield what a venue pushes, through ccxt.pro; a socket that breaks ends the stream, and nothing is fetched here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from tradelab.adapters.ccxt_client import CcxtClient
from tradelab.adapters.ccxt_words import balances_of, candle_of, fill_of, order_of, quote_of
from tradelab.model.account import Balance
from tradelab.model.errors import ConnectivityError
from tradelab.model.market import Candle, Quote
from tradelab.model.orders import Fill, Order
from tradelab.model.units import Timeframe

T = TypeVar("T")


class CcxtStreams:
    """The streams of one ccxt client.

    ccxt.pro reconnects by itself at the next question, without a word about what was missed; so the first failure ends
    the stream here, and whoever watches knows that there is something to catch up on.
    """

    def __init__(self, client: CcxtClient) -> None:
        self._client = client

    async def candles(self, symbol: str, timeframe: Timeframe) -> AsyncIterator[Candle]:
        """Yield bars as they change; ccxt does not pass on whether a bar is closed, so the venue's clock tells."""
        raw = self._client.raw
        async for rows in self._forever(lambda: raw.watch_ohlcv(symbol, timeframe.alias)):
            for row in rows:
                yield candle_of(row, timeframe, self._client.now_ns())

    async def quotes(self, symbol: str) -> AsyncIterator[Quote]:
        """Yield best bid and ask as they change."""
        raw = self._client.raw

        async def ask() -> Any:
            if raw.has.get("watchBidsAsks") is True:
                return (await raw.watch_bids_asks([symbol]))[symbol]
            return await raw.watch_ticker(symbol)

        async for told in self._forever(ask):
            yield quote_of(told, symbol, self._client.now_ns())

    async def orders(self) -> AsyncIterator[Order]:
        """Yield the account's orders as they change."""
        async for told in self._forever(self._client.raw.watch_orders):
            for order in told:
                yield order_of(order)

    async def fills(self) -> AsyncIterator[Fill]:
        """Yield the account's trades."""
        async for told in self._forever(self._client.raw.watch_my_trades):
            for trade in told:
                yield fill_of(trade)

    async def balances(self) -> AsyncIterator[Balance]:
        """Yield each balance that has changed."""
        known: dict[str, Balance] = {}
        async for told in self._forever(self._client.raw.watch_balance):
            for balance in balances_of(told):
                if known.get(balance.currency) != balance:
                    known[balance.currency] = balance
                    yield balance

    async def _forever(self, ask: Callable[[], Awaitable[T]]) -> AsyncIterator[T]:
        while True:
            try:
                told = await ask()
            except Exception as error:  # noqa: BLE001 - whatever broke it, the stream has a hole now
                raise ConnectivityError(
                    f"the stream of {self._client.id} broke: {self._client.as_read_error(error)}",
                    fix="Watch again, and fetch what was missed.",
                ) from None
            yield told
