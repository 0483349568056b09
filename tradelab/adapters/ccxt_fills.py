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
_MANY_SPANS = 365  # more than so many are not walked where fills can be asked for by their numbers too
Trade = dict[str, Any]
# Bybit lists one kind of execution at a time; what a liquidation or a deleveraging traded is no "Trade".
_KINDS: dict[str, tuple[dict[str, str], ...]] = {
    "bybit": ({"execType": "Trade"}, {"execType": "BustTrade"}, {"execType": "AdlTrade"}),
}


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
        """Return fills from ``since_ns``, oldest first; a time before the venue keeps any is as good as its first.

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
        told: dict[tuple[str, str], Trade] = {}
        for each in asked:
            for trade in await self._pages(each, since_ns // _NS_PER_MS):
                told[trade["symbol"], str(trade["id"])] = trade
        wanted = (fill_of(t) for t in told.values())
        return sorted((f for f in wanted if f.ts_ns >= since_ns), key=lambda f: (f.ts_ns, _number(f.trade_id)))

    async def _pages(self, symbol: str | None, since_ms: int) -> list[Trade]:
        """Walk from ``since_ms`` to now, in the spans that the venue answers for."""
        if self._ways.longest_fill_span_s is None:
            return await self._forward(symbol, since_ms)
        step, end = self._ways.longest_fill_span_s * 1000, self._client.now_ns() // _NS_PER_MS + 1000
        if self._ways.fills_by_number and end - since_ms > _MANY_SPANS * step:
            return await self._by_number(symbol)
        found: dict[str, Trade] = {}
        if self._ways.fills_kept_s is not None:
            since_ms = max(since_ms, end - self._ways.fills_kept_s * 1000)
        for kind in _KINDS.get(self._client.id, ({},)):
            for start in range(since_ms, end + 1, step):
                await self._span(symbol, start, min(start + step - 1, end), kind, found)
        return list(found.values())

    async def _by_number(self, symbol: str | None) -> list[Trade]:
        """Walk the account's fills in one symbol from the first there is: few requests, however long ago that was."""
        found: dict[str, Trade] = {}
        limit, first = self._limit(), 0
        while True:
            page = await self._client.ask(self._client.raw.fetch_my_trades, symbol, None, limit, {"fromId": first})
            found |= {str(t["id"]): t for t in page}
            if len(page) < limit:
                return list(found.values())
            first = max(int(t["id"]) for t in page) + 1

    async def _span(
        self, symbol: str | None, start: int, end: int, kind: dict[str, str], found: dict[str, Trade]
    ) -> None:
        """Find every trade of a span, whether the venue fills a page from its beginning or, as Bybit, from its end.

        A venue that marks its pages is followed by its marks. Else, what a full page leaves out lies before its first
        trade or after its last, their own milliseconds included.
        """
        limit, spans, mark = self._limit(), [(start, end)], ""
        while spans:
            first, last = spans.pop()
            more = kind | {"until": last} | ({"cursor": mark} if mark else {})
            page = await self._client.ask(self._client.raw.fetch_my_trades, symbol, first, limit, more)
            found |= {str(t["id"]): t for t in page}
            before, mark = mark, _mark_of(page) if len(page) >= limit else ""
            if mark and mark != before:
                spans.append((first, last))
                continue
            mark = ""
            if len(page) < limit or before:
                continue
            times = [int(t["timestamp"]) for t in page if first <= int(t["timestamp"]) <= last]
            if not times or first == last:
                raise self._too_many(limit)
            lo, hi = min(times), max(times)
            beside = [(first, lo), (hi, last)] if lo < hi else [(first, lo - 1), (lo, lo), (lo + 1, last)]
            spans += [(a, b) for a, b in beside if a <= b]

    async def _forward(self, symbol: str | None, since_ms: int) -> list[Trade]:
        """Go on from the last trade of each full page, where nothing is known of a venue's spans."""
        found: dict[str, Trade] = {}
        limit, start = self._limit(), since_ms
        while True:
            page = await self._client.ask(self._client.raw.fetch_my_trades, symbol, start, limit)
            before = len(found)
            found |= {str(t["id"]): t for t in page}
            if len(page) < limit:
                return list(found.values())
            if len(found) == before:
                raise self._too_many(limit)
            start = max(int(t["timestamp"]) for t in page)

    def _limit(self) -> int:
        return int((self._ways.features().get("fetchMyTrades") or {}).get("limit") or 100)

    def _too_many(self, limit: int) -> RequestError:
        return RequestError(
            f"{self._client.id}: more than {limit} fills in one millisecond cannot be told apart by pages."
        )


def _mark_of(page: list[Trade]) -> str:
    """Return the mark by which the page after this one is asked for; ccxt puts it into one of the rows."""
    return next((str(m) for t in page if (m := (t.get("info") or {}).get("nextPageCursor"))), "")


def _number(trade_id: str) -> tuple[int, str]:
    return (int(trade_id), "") if trade_id.isdigit() else (0, trade_id)
