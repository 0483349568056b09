"""A provider that misbehaves by a script: the truth is known, so what a feed makes of it can be judged."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from tradelab.model.account import AccountInfo
from tradelab.model.capabilities import DataCapabilities, Stream
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle, Quote, Tick
from tradelab.model.ports import ConnectionTest
from tradelab.model.units import NS_PER_S, Timeframe

START_NS = 1_704_153_600_000_000_000  # 2024-01-02 00:00 UTC, a Tuesday
SYMBOL = "BTC/USDT"


def walk(count: int, timeframe: Timeframe = Timeframe.M1, start_ns: int = START_NS, seed: int = 7) -> list[Candle]:
    """Return bars of a seeded random walk without a hole."""
    chance = random.Random(seed)
    bars, price, stamp = [], 100.0, start_ns
    for _ in range(count):
        close = round(price * (1 + chance.gauss(0, 0.001)), 2)
        high, low = max(price, close) + chance.randint(0, 9) / 100, min(price, close) - chance.randint(0, 9) / 100
        bars.append(Candle(stamp, price, round(high, 2), round(low, 2), close, float(chance.randint(1, 99)), True))
        price, stamp = close, timeframe.next_open(stamp)
    return bars


def unfinished(bar: Candle, share: float) -> Candle:
    """Return how a bar looked when ``share`` of its time had passed: never yet as it ended."""
    close = bar.open + (bar.close - bar.open) * share / 2
    high, low = max(bar.open, close), min(bar.open, close)
    return Candle(bar.open_ns, bar.open, high, low, close, bar.volume * share * 0.9, False)


def from_(bars: list[Candle], since_ns: int) -> list[Candle]:
    """Return the bars that open at ``since_ns`` or later."""
    return bars[bisect_left(bars, since_ns, key=lambda b: b.open_ns) :]


class ScriptedProvider:
    """Serves the bars of a market as its clock reveals them.

    Parameters
    ----------
    script
        One word a frame of the stream: ``ok``, ``disconnect``, ``stall`` (open, and silent for ever), ``twice``,
        ``late`` (an update of the bar before), ``reordered`` (the new bar before the old
        one's close), ``early`` (marked closed before its end), ``unmarked`` (all closes that
        are due lack their mark), ``lost`` (they do not come at all), ``end`` (the stream ends without an error).
        When it is exhausted every frame is ``ok``.
    page
        Changes a page on its way: (the bars there are, since, limit) to the bars that are returned.
    marks
        Whether the stream passes on the venue's word that a bar is closed; else the mark is a guess, and wrong.
    skew_s
        The venue's clock less ours.
    """

    def __init__(
        self,
        clock: ManualClock,
        bars: Sequence[Candle],
        timeframe: Timeframe = Timeframe.M1,
        *,
        script: Iterable[str] = (),
        page: Callable[[list[Candle], int, int], list[Candle]] | None = None,
        page_bars: int = 100,
        frame_every_s: float = 10.0,
        skew_s: float = 0.0,
        rest_lag_s: float = 0.0,
        streams: frozenset[Stream] = frozenset({Stream.CANDLES, Stream.QUOTES}),
        marks: bool = True,
        name: str = "scripted",
    ) -> None:
        self.clock, self.bars, self.timeframe = clock, list(bars), timeframe
        self.script = iter(script)
        self.page = page
        self.frame_every_s, self.skew_ns, self.rest_lag_ns = (
            frame_every_s,
            int(skew_s * NS_PER_S),
            int(rest_lag_s * NS_PER_S),
        )
        self.marks = marks
        self.name = name
        self.is_connected = True
        self.data_capabilities = DataCapabilities(
            timeframes=(timeframe,), page_bars=page_bars, streams=streams, ticks=True, marks_closed=marks
        )
        self.asked: list[tuple[int, int]] = []
        self.asked_at: list[int] = []
        self.times_asked = 0
        self.opened = self.watching = self.most_watching = 0
        self.before_fetch: Callable[[], Awaitable[None] | None] = lambda: None
        self.counts: dict[str, int] = {}

    # ── what the house asks of a provider ────────────────────────────────────────────────────────────────────────

    async def connect(self) -> None:
        self.is_connected = True

    async def disconnect(self) -> None:
        self.is_connected = False

    async def test_connection(self) -> ConnectionTest:
        return ConnectionTest(True, "scripted")

    async def now_ns(self) -> int:
        self.times_asked += 1
        return self.clock.now_ns() + self.skew_ns

    async def instruments(self) -> Sequence[Instrument]:
        return ()

    async def symbols(self) -> Sequence[str]:
        return (SYMBOL,)

    async def account_info(self) -> AccountInfo:
        raise RequestError("no account.")

    async def fetch_ohlcv(
        self, symbol: str, timeframe: Timeframe, *, since_ns: int | None = None, limit: int | None = None
    ) -> Sequence[Candle]:
        since, most = since_ns or 0, min(limit or 10**9, self.data_capabilities.page_bars)
        self.asked.append((since, most))
        self.asked_at.append(self.clock.now_ns())
        waits = self.before_fetch()
        if waits is not None:
            await waits
        there = self.visible(self.clock.now_ns() + self.skew_ns - self.rest_lag_ns)
        if self.page is not None:
            return self.page(there, since, most)
        return from_(there, since)[:most]

    async def fetch_ticks(self, symbol: str, *, limit: int = 100) -> Sequence[Tick]:
        self.asked.append((0, limit))
        q = self.top()
        return [Tick(ts_ns=q.ts_ns, bid=q.bid, ask=q.ask)]

    def watch_candles(self, symbol: str, timeframe: Timeframe) -> AsyncIterator[Candle]:
        return self._watching(self._frames())

    def watch_quotes(self, symbol: str) -> AsyncIterator[Quote]:
        return self._watching(self._quotes())

    # ── the market ───────────────────────────────────────────────────────────────────────────────────────────────

    def closes_ns(self, bar: Candle) -> int:
        on_grid = self.timeframe.floor(bar.open_ns) == bar.open_ns
        return self.timeframe.next_open(bar.open_ns) if on_grid else bar.open_ns + self.timeframe.ns

    def visible(self, now_ns: int) -> list[Candle]:
        """Return the bars that have begun by the venue's time, the last one as it looks now."""
        shown = self.bars[: bisect_right(self.bars, now_ns, key=lambda b: b.open_ns)]
        if shown and (closes := self.closes_ns(shown[-1])) > now_ns:
            bar = shown[-1]
            shown[-1] = unfinished(bar, (now_ns - bar.open_ns) / (closes - bar.open_ns))
        return shown

    def top(self) -> Quote:
        now = self.clock.now_ns() + self.skew_ns
        price = Decimal(str(self.visible(now)[-1].close))
        return Quote(symbol=SYMBOL, bid=price, ask=price + 1, ts_ns=now)

    async def _watching(self, frames: AsyncIterator[object]) -> AsyncIterator[object]:
        self.opened += 1
        self.watching += 1
        self.most_watching = max(self.most_watching, self.watching)
        try:
            async for frame in frames:
                yield frame
        finally:
            self.watching -= 1

    async def _frames(self) -> AsyncIterator[Candle]:
        told = self.clock.now_ns() + self.skew_ns
        while True:
            await self.clock.sleep(self.frame_every_s)
            now = self.clock.now_ns() + self.skew_ns
            there = self.visible(now)[-5:]
            closing = [b for b in there if told < self.closes_ns(b) <= now]
            forming = there[-1] if there and self.closes_ns(there[-1]) > now else None
            told = now
            word = next(self.script, "ok")
            self.counts[word] = self.counts.get(word, 0) + 1
            if word == "end":
                return
            for frame in await self._as_scripted(word, closing, forming, there):
                yield frame

    async def _as_scripted(
        self, word: str, closing: list[Candle], forming: Candle | None, there: list[Candle]
    ) -> list[Candle]:
        if word == "disconnect":
            raise ConnectivityError("the socket was reset.")
        if word == "stall":
            await asyncio.get_running_loop().create_future()
        now = [] if forming is None else [forming]
        if word == "lost":
            return now
        if word == "unmarked":
            return [unfinished(b, 0.97) for b in closing] + now
        if not self.marks:  # the mark is a guess by the clock, on a frame that was sent before the end
            return [replace(unfinished(b, 0.99), closed=True) for b in closing] + now
        if word == "twice":
            return [f for f in (*closing, *now) for _ in range(2)]
        if word == "late" and len(there) > 1:
            return [*closing, *now, unfinished(there[-2], 0.5)]
        if word == "reordered":
            return [*now, *closing]
        if word == "early" and forming is not None:
            return [*closing, replace(forming, closed=True)]
        return [*closing, *now]

    async def _quotes(self) -> AsyncIterator[Quote]:
        while True:
            await self.clock.sleep(1.0)
            word = next(self.script, "ok")
            if word == "disconnect":
                raise ConnectivityError("the socket was reset.")
            if word == "stall":
                await asyncio.get_running_loop().create_future()
            yield self.top()


async def settle(turns: int = 6) -> None:
    """Let every task run until it waits for something."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def pass_time(clock: ManualClock, seconds: float, step_s: float = 1.0) -> None:
    """Let time pass in steps, and everything that is due happen at its step."""
    left = seconds
    await settle()
    while left > 0:
        await clock.advance(min(step_s, left))
        await settle()
        left -= step_s
