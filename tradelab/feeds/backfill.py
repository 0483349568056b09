"""Fetch what the catalogue lacks, each page kept as soon as it is in; killed and run again, it goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tradelab.catalog.bars import Catalog
from tradelab.catalog.frame import time_ns
from tradelab.feeds.asking import Asker
from tradelab.feeds.missing import Missing, Question
from tradelab.feeds.series import Series
from tradelab.feeds.spans import Span, Spans
from tradelab.feeds.storing import keep
from tradelab.feeds.venue_clock import VenueClock
from tradelab.model.errors import ConnectivityError, TimestampError
from tradelab.model.market import Candle
from tradelab.model.ports import DataProvider
from tradelab.model.units import NS_PER_S, Timeframe

GRACE_S = 2.0  # venues may still add late trades to a bar just after its end
_CLOCK_AGE_S = 5.0  # a bar is closed by a venue's time asked for not longer ago than this
_COPIES_LAG_NS = 600 * NS_PER_S  # what a venue's copies do not show after that, it does not have
_COMPACT_EVERY = 200  # pages


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fetch is: bars stored by it so far, the newest open time it has come to, the share of time done."""

    bars: int
    at_ns: int
    share: float


@dataclass(frozen=True, slots=True)
class Filled:
    """What a fetch did.

    ``holes`` are stretches that the venue itself has no bars for; from ``unsettled_ns`` on bars are not over, or
    did not come and nothing later was seen, so that they may only be late (``None``: everything is settled).
    """

    bars: int = 0
    pages: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    forming: Candle | None = None
    holes: tuple[Span, ...] = ()
    unsettled_ns: int | None = None


class Fetcher:
    """Fill the catalogue from one provider.

    A bar is closed when the venue's time, asked of the venue, is surely past its end plus ``grace_s``, and the venue
    has either marked it closed or shown a later one. Holes that the venue itself has are kept in memory until the
    process ends, and are not asked for again; a new process asks once more, for a venue may mend its history.
    """

    def __init__(
        self,
        provider: DataProvider,
        catalog: Catalog,
        asker: Asker,
        venue_clock: VenueClock,
        *,
        grace_s: float = GRACE_S,
    ) -> None:
        self._provider = provider
        self._catalog = catalog
        self._asker = asker
        self._venue_clock = venue_clock
        self.grace_ns = int(grace_s * NS_PER_S)
        self._holes: dict[Series, Spans] = {}

    def series(self, symbol: str, timeframe: Timeframe) -> Series:
        """Return the name of a series of this provider."""
        return Series(self._provider.name, symbol, timeframe)

    def forget_holes(self) -> None:
        """Ask again, next time, for what the venue said it does not have."""
        self._holes.clear()

    def last_closed_ns(self, series: Series) -> int | None:
        """Return the open time of the newest closed bar in the catalogue."""
        last = self._catalog.last_closed(series.source, series.symbol, series.timeframe)
        return None if last is None else last.value

    def resume_ns(self, series: Series) -> int | None:
        """Return from where on holes are looked for when a series is brought up to date; ``None`` when it is empty.

        Two pages before its newest bar, further where that lies in a hole: a fetch that was killed has left no hole
        before that, for the earliest is always asked for first.
        """
        last = self.last_closed_ns(series)
        if last is None:
            return None
        first = self._first_ns(series)
        window = 2 * self._provider.data_capabilities.page_bars * series.timeframe.ns
        while last - window > first:
            stamps = self._stored(series, last - window, last + 1)
            if int(stamps[0]) < last - window + series.timeframe.ns:  # no bar is missing at the start of the window
                return int(stamps[0])
            window *= 2
        return first

    async def fetch_new(self, series: Series, *, on_page: Callable[[Progress], None] | None = None) -> Filled:
        """Bring a series up to date from its last stored bar; the forming bar is stored too, marked open.

        Raises
        ------
        TimestampError
            Nothing of it is stored yet: there is no place to go on from.
        ConnectivityError
            The venue could not be reached; what came before is kept.
        """
        start = self.resume_ns(series)
        if start is None:
            raise TimestampError(
                f"nothing of {series} is stored yet, so there is no place to go on from.",
                fix="Say where to begin: --since 2022-01-01.",
            )
        await self._venue_clock.measure(_CLOCK_AGE_S)
        end = series.closes_ns(series.timeframe.floor(self._venue_clock.at_most_ns()))  # with the forming bar's place
        return await self.fill(series, start, end, keep_forming=True, on_page=on_page)

    async def backfill(
        self,
        series: Series,
        since_ns: int,
        until_ns: int | None = None,
        *,
        on_page: Callable[[Progress], None] | None = None,
    ) -> Filled:
        """Fetch the closed bars that the catalogue lacks from ``since_ns`` to before ``until_ns`` (default: now).

        Raises
        ------
        TimestampError
            The range is empty.
        ConnectivityError
            The venue could not be reached; the message says what was kept.
        """
        await self._venue_clock.measure(_CLOCK_AGE_S)
        end = self.closed_until_ns(series)
        end = end if until_ns is None else min(end, until_ns)
        if since_ns >= end:
            raise TimestampError(
                f"no bar of {series} closes from {_stamp(since_ns)} to before {_stamp(end)}.",
                fix="Say an earlier since, and an until that is later than it.",
            )
        try:
            return await self.fill(series, since_ns, end, on_page=on_page)
        finally:
            await keep(self._catalog, self._catalog.compact)

    def closed_until_ns(self, series: Series) -> int:
        """Return the end for which bars are surely closed now: every closed bar opens before it."""
        return series.timeframe.floor(self._venue_clock.at_least_ns() - self.grace_ns)

    async def fill(
        self,
        series: Series,
        start_ns: int,
        end_ns: int,
        *,
        attempts: int | None = None,
        keep_forming: bool = False,
        on_page: Callable[[Progress], None] | None = None,
    ) -> Filled:
        """Ask for what is missing from ``start_ns`` to before ``end_ns`` until it is there or was denied twice."""
        await self._venue_clock.measure(_CLOCK_AGE_S, attempts=attempts)
        surely_ns = self._venue_clock.at_least_ns()
        missing = Missing(self._absent(series, start_ns, end_ns), series, self._provider.data_capabilities.page_bars)
        done = Filled()
        not_over: list[Candle] = []
        try:
            while (question := missing.question()) is not None:
                page = await self._page(series, question, attempts)
                closed, forming = self._sort(series, page, surely_ns)
                wanted = [c for c in closed if c.open_ns in missing]
                await self._store(series, wanted, forming[-1:] if keep_forming else ())
                missing.answer(question, [c.open_ns for c in (*closed, *forming)])
                not_over += forming
                done = _after(done, wanted, forming[-1:])
                if done.pages % _COMPACT_EVERY == 0:
                    await keep(self._catalog, self._catalog.compact)
                if on_page is not None:
                    reached = missing.reached_ns(end_ns)
                    on_page(Progress(done.bars, reached, (reached - start_ns) / (end_ns - start_ns)))
        except ConnectivityError as error:
            raise _with_what_was_kept(error, series, done) from error
        filled = self._believe(series, missing, done, not_over, surely_ns)
        is_inside = filled.unsettled_ns is not None and filled.unsettled_ns < end_ns
        return filled if is_inside else replace(filled, unsettled_ns=None)

    async def _page(self, series: Series, question: Question, attempts: int | None) -> Sequence[Candle]:
        return await self._asker.ask(
            lambda: self._provider.fetch_ohlcv(
                series.symbol, series.timeframe, since_ns=question.since_ns, limit=question.limit
            ),
            attempts=attempts,
        )

    def _sort(self, series: Series, page: Sequence[Candle], surely_ns: int) -> tuple[list[Candle], list[Candle]]:
        """Return a page's closed bars and those that are not over yet, oldest first and each once.

        Of a bar that is there twice the closed one stands, else the later in the page. A bar that is over by the
        venue's time, but marked open and the last of the page, was told too early: it counts as not told. So does a bar
        of the future: it would stay as the forming one for good, and prove holes where bars are only late.
        """
        once: dict[int, Candle] = {}
        latest_ns = self._venue_clock.at_most_ns() + self.grace_ns
        for candle in page:
            if candle.open_ns > latest_ns:
                continue
            known = once.get(candle.open_ns)
            if known is None or candle.closed or not known.closed:
                once[candle.open_ns] = candle
        bars = [once[stamp] for stamp in sorted(once)]
        over = [b for b in bars if series.closes_ns(b.open_ns) + self.grace_ns <= surely_ns]
        closed = [replace(b, closed=True) for b in over if b.closed or b is not bars[-1]]
        return closed, [replace(b, closed=False) for b in bars[len(over) :]]

    async def _store(self, series: Series, closed: Sequence[Candle], forming: Sequence[Candle]) -> None:
        rows = [series.row(c) for c in (*closed, *forming)]
        await keep(self._catalog, lambda: self._catalog.append(rows))

    def _believe(
        self, series: Series, missing: Missing, done: Filled, not_over: Sequence[Candle], surely_ns: int
    ) -> Filled:
        """Remember the holes that a later bar proves to be the venue's own."""
        known = [t for t in (missing.newest_shown_ns, self.last_closed_ns(series)) if t is not None]
        proved, late_ns = missing.verdict(max(known, default=None), surely_ns - _COPIES_LAG_NS)
        holes = self._holes.setdefault(series, Spans())
        for span in proved:
            holes.add(*span)
        late = [t for t in (late_ns, *(c.open_ns for c in not_over)) if t is not None]
        return replace(done, holes=tuple(proved), unsettled_ns=min(late, default=None))

    def _absent(self, series: Series, start_ns: int, end_ns: int) -> Spans:
        """Return the stretches of open times without a stored bar, less the holes that the venue is known to have."""
        absent = Spans([(start_ns, end_ns)])
        stamps = self._stored(series, start_ns, end_ns)
        if len(stamps):
            opens = stamps.tolist()
            first = 0
            for i in [*_breaks(series, stamps), len(opens) - 1]:
                absent.remove(opens[first], series.closes_ns(opens[i]))
                first = i + 1
        for hole in self._holes.get(series, Spans()):
            absent.remove(*hole)
        return absent

    def _first_ns(self, series: Series) -> int:
        """Return the open time of the oldest bar of a series that is stored."""
        table = self._catalog.list()
        s = series
        same = (table["source"] == s.source) & (table["symbol"] == s.symbol) & (table["timeframe"] == s.timeframe.alias)
        return int(table.loc[same, "first"].iloc[0].value)

    def _stored(self, series: Series, start_ns: int, end_ns: int) -> np.ndarray:
        """Return the open times of the stored closed bars from ``start_ns`` to before ``end_ns``."""
        if start_ns >= end_ns or self.last_closed_ns(series) is None:
            return np.empty(0, np.int64)
        return time_ns(
            self._catalog.read(series.source, series.symbol, series.timeframe, _stamp(start_ns), _stamp(end_ns))
        )


def _breaks(series: Series, stamps: np.ndarray) -> list[int]:
    """Return the positions of the bars after which one is missing."""
    steps = np.diff(stamps)
    suspects = np.flatnonzero(steps != series.timeframe.ns)
    return [i for i in suspects.tolist() if not series.is_next(int(stamps[i]), int(stamps[i + 1]))]


def _after(done: Filled, wanted: Sequence[Candle], forming: Sequence[Candle]) -> Filled:
    stamps = [c.open_ns for c in wanted]
    if done.first_ns is not None and done.last_ns is not None:
        stamps += [done.first_ns, done.last_ns]
    return replace(
        done,
        bars=done.bars + len(wanted),
        pages=done.pages + 1,
        first_ns=min(stamps, default=None),
        last_ns=max(stamps, default=None),
        forming=forming[-1] if forming else done.forming,
    )


def _with_what_was_kept(error: ConnectivityError, series: Series, done: Filled) -> ConnectivityError:
    kept = f"{done.bars:,} bar(s) were stored"
    kept += "" if done.last_ns is None else f", up to {_stamp(done.last_ns):%Y-%m-%d %H:%M} UTC"
    return ConnectivityError(
        f"{series}: {error.problem} {kept}.",
        fix="Check the network, then ask again: only what is missing is fetched.",
        retry_after_s=error.retry_after_s,
    )


def _stamp(ns: int) -> pd.Timestamp:
    return pd.Timestamp(ns, unit="ns", tz="UTC")
