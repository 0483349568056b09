"""Hand bars and quotes to each subscriber at its own pace: bounded, none lost, none waits for another."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from tradelab.feeds.series import Series
from tradelab.model.errors import ParameterError, StorageError, TradelabError, UnknownNameError
from tradelab.model.feed_events import BarClosed, BarForming, BarsMissed
from tradelab.model.market import Candle, Quote


class BarSubscriber:
    """What waits for one subscriber: new closed bars, at most ``queue_bars``, and the forming bar if it asked for it.

    Who reads too slowly overflows the queue. Nothing is lost then: the queue is dropped, the subscriber is told how
    many bars it missed, and gets them from the catalogue, where every bar is before it is handed out.

    Parameters
    ----------
    after_ns
        Bars that open later than this are wanted; ``None`` until the feed has begun and knows the venue's time.
    read_stored
        Returns the closed bars after one open time and up to another, from the catalogue.
    """

    def __init__(
        self,
        series: Series,
        read_stored: Callable[[int, int], list[Candle]],
        *,
        after_ns: int | None,
        forming: bool,
        queue_bars: int,
    ) -> None:
        if queue_bars < 1:
            raise ParameterError(f"queue_bars={queue_bars} must be at least 1.")
        self.series = series
        self.after_ns = after_ns
        self._read_stored = read_stored
        self._wants_forming = forming
        self._queue_bars = queue_bars
        self._queue: deque[Candle] = deque()
        self._caught_up: deque[Candle] = deque()
        self._behind_until_ns: int | None = None  # bars up to this one are to be read from the catalogue
        self._behind_bars = 0  # how many of those it was told of, at least
        self._was_slow = False
        self._forming: Candle | None = None
        self._error: BaseException | None = None
        self._is_over = False
        self._news = asyncio.Event()

    # ── the feed's side; none of this waits ──────────────────────────────────────────────────────────────────────

    def put(self, bars: list[Candle]) -> None:
        """Take closed bars, which come in order."""
        wanted = [b for b in bars if self.after_ns is None or b.open_ns > self.after_ns]
        if not wanted:
            return
        if self._behind_until_ns is not None or len(self._queue) + len(wanted) > self._queue_bars:
            self._was_slow |= self._behind_until_ns is None and bool(self._queue)
            self._behind_bars += len(self._queue) + len(wanted)
            self.read_up_to(wanted[-1].open_ns)
        else:
            self._queue.extend(wanted)
        self._news.set()

    def read_up_to(self, newest_ns: int) -> None:
        """Have bars up to ``newest_ns`` read from the catalogue."""
        self._queue.clear()
        self._behind_until_ns = newest_ns
        self._news.set()

    def show(self, forming: Candle) -> None:
        """Take the forming bar; the newest state replaces those that were not looked at."""
        if self._wants_forming:
            self._forming = forming
            self._news.set()

    def end(self, error: BaseException | None = None) -> None:
        """There will be no more, because of ``error`` if there was one."""
        self._is_over = True
        self._error = error
        self._news.set()

    # ── the subscriber's side ────────────────────────────────────────────────────────────────────────────────────

    def __aiter__(self) -> BarSubscriber:
        return self

    async def __anext__(self) -> BarClosed | BarForming | BarsMissed:
        while True:
            event = self._next()
            if event is not None:
                return event
            if self._is_over:
                raise _told(self._error)
            self._news.clear()
            await self._news.wait()

    def _next(self) -> BarClosed | BarForming | BarsMissed | None:
        s = self.series
        if not self._caught_up and self._behind_until_ns is not None:
            missed = self._catch_up()
            if missed:
                return BarsMissed(s.source, s.symbol, s.timeframe, missed)
        if self._caught_up or self._queue:
            bar = (self._caught_up or self._queue).popleft()
            self.after_ns = bar.open_ns
            return BarClosed(s.source, s.symbol, s.timeframe, bar)
        forming, self._forming = self._forming, None
        if forming is not None and (self.after_ns is None or forming.open_ns > self.after_ns):
            return BarForming(s.source, s.symbol, s.timeframe, forming)
        return None

    def _catch_up(self) -> int:
        """Read what is behind; return how many bars to say were missed (none, if this is only the beginning)."""
        until, self._behind_until_ns = self._behind_until_ns, None
        was_slow, self._was_slow = self._was_slow, False
        told, self._behind_bars = self._behind_bars, 0
        if until is not None and self.after_ns is not None:
            with suppress(UnknownNameError):  # the whole series was removed meanwhile
                self._caught_up.extend(self._read_stored(self.after_ns, until))
            if len(self._caught_up) < told:
                lost = told - len(self._caught_up)
                self._caught_up.clear()
                raise StorageError(
                    f"{self.series}: {lost} bar(s) were removed from the catalogue before this subscriber read them.",
                    fix="Subscribe anew; read faster, or let retention keep them longer (tradelab data retain).",
                )
        return len(self._caught_up) if was_slow else 0


class QuoteSubscriber:
    """The newest quote for one subscriber; quotes that it was too slow for are replaced, for only the last counts."""

    def __init__(self) -> None:
        self.latest: Quote | None = None
        self._is_new = False
        self._error: BaseException | None = None
        self._is_over = False
        self._news = asyncio.Event()

    def put(self, quote: Quote) -> None:
        """Take a newer quote."""
        self.latest, self._is_new = quote, True
        self._news.set()

    def end(self, error: BaseException | None = None) -> None:
        """There will be no more, because of ``error`` if there was one."""
        self._is_over, self._error = True, error
        self._news.set()

    def __aiter__(self) -> QuoteSubscriber:
        return self

    async def __anext__(self) -> Quote:
        while not self._is_new:
            if self._is_over:
                raise _told(self._error)
            self._news.clear()
            await self._news.wait()
        self._is_new = False
        if self.latest is None:
            raise AssertionError("a new quote is a quote")
        return self.latest


def _told(error: BaseException | None) -> BaseException:
    """Return what a subscriber of a feed that is over is told; each gets an error of its own."""
    if error is None:
        return StopAsyncIteration()
    if isinstance(error, TradelabError):
        twin = type(error)(error.problem, allowed=error.allowed, fix=error.fix)
        twin.__cause__ = error
        return twin
    return error
