"""Collect an account's trades through pages and spans of time, each once, none left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tradelab.adapters.ccxt_client import CcxtClient
from tradelab.adapters.ccxt_dialects import Ways
from tradelab.adapters.ccxt_words import fill_of
from tradelab.model.errors import RequestError
from tradelab.model.orders import Fill

_NS_PER_MS = 1_000_000


class Trades:
    """Asks for fills the way the venue tells them: by symbol, in pages, in spans of so many days."""

    def __init__(self, client: CcxtClient, ways: Ways, symbols: Sequence[str]) -> None:
        self._client = client
        self._ways = ways
        self._symbols = set(symbols)

    def remember(self, symbol: str) -> None:
        """Ask for this symbol too: something was traded in it."""
        self._symbols.add(symbol)

    async def since(self, since_ns: int, symbol: str | None) -> list[Fill]:
        """Return fills from ``since_ns``, oldest first.

        Raises
        ------
        RequestError
            The venue tells fills only by symbol and none is known.
        """
        asked: Sequence[str | None]
        if symbol is not None or not self._ways.fills_need_symbol:
            asked = [symbol]
        elif self._symbols:
            asked = sorted(self._symbols)
        else:
            raise RequestError(
                f"{self._client.id} tells fills only by symbol, and none is named.",
                fix='Name those the account trades: symbols=["BTC/USDT"].',
            )
        told: dict[tuple[str, str], dict[str, Any]] = {}
        for each in asked:
            for trade in await self._pages(each, since_ns // _NS_PER_MS):
                told[trade["symbol"], str(trade["id"])] = trade
        wanted = (fill_of(t) for t in told.values())
        return sorted((f for f in wanted if f.ts_ns >= since_ns), key=lambda f: (f.ts_ns, _number(f.trade_id)))

    async def _pages(self, symbol: str | None, since_ms: int) -> list[dict[str, Any]]:
        """Walk from ``since_ms`` to now: a full page goes on from its last trade, a short one to the next span."""
        limit = int((self._ways.features().get("fetchMyTrades") or {}).get("limit") or 100)
        span_ms = None if self._ways.longest_fill_span_s is None else self._ways.longest_fill_span_s * 1000
        found: dict[str, dict[str, Any]] = {}
        start, now = since_ms, self._client.now_ns() // _NS_PER_MS
        while True:
            more = {} if span_ms is None else {"until": min(start + span_ms - 1, now + 1000)}
            page = await self._client.ask(self._client.raw.fetch_my_trades, symbol, start, limit, more)
            before = len(found)
            found |= {str(t["id"]): t for t in page}
            last = max((int(t["timestamp"]) for t in page), default=start)
            if len(page) >= limit:
                if len(found) == before:
                    raise RequestError(
                        f"{self._client.id}: more than {limit} fills in one millisecond cannot be told apart by pages."
                    )
                start = last
            elif span_ms is None or start + span_ms > now:
                return list(found.values())
            else:
                start += span_ms


def _number(trade_id: str) -> tuple[int, str]:
    return (int(trade_id), "") if trade_id.isdigit() else (0, trade_id)
