"""Decide which bars are closed, store them, and hand them out: each once, in order, without a hole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from tradelab.catalog.bars import Catalog
from tradelab.catalog.frame import time_ns
from tradelab.feeds.alarm import Alarm
from tradelab.feeds.asking import Asker
from tradelab.feeds.backfill import Fetcher, Filled
from tradelab.feeds.rhythm import Rhythm
from tradelab.feeds.series import Series
from tradelab.feeds.storing import keep, keep_if_free
from tradelab.feeds.venue_clock import VenueClock
from tradelab.model.clock import Clock
from tradelab.model.errors import ConnectivityError
from tradelab.model.feed_events import FeedGap
from tradelab.model.market import Candle
from tradelab.model.units import NS_PER_S

_CLOCK_AGE_S = 600.0  # our clock drifts by milliseconds in that time
_FRESH_CLOCK_S = 5.0  # but where the clock alone closes a bar it is asked anew
_SHORTEST_PAUSE_S = 0.1
_KEEP_FORMING_EVERY_NS = NS_PER_S


class BarKeeper:
    """The desk of one stream of candles.

    What makes a bar closed, in this order:

    1. The stream passes on the venue's word that it is, the venue's time does not contradict it, and no bar is missing
       before it: stored and handed out at once.
    2. Otherwise (its last update was lost, the mark is missing or a guess, bars before it are missing) REST has the
       word, as soon as the bar is over by the venue's time plus the grace: what the stream said last may be a stale
       close.

    So a bar that was marked closed too early is still forming, a bar that came after a hole waits until REST has filled
    it, and what is stored does not depend on what was lost on the way.

    Parameters
    ----------
    trusts_marks
        Whether the stream's "closed" is the venue's own word
        (:class:`~tradelab.model.capabilities.DataCapabilities`).
    hand_out
        Is given closed bars, which are in the catalogue by then, in order.
    show
        Is given the forming bar.
    began
        Is told once, when the series has been brought up to date.
    """

    def __init__(
        self,
        series: Series,
        *,
        fetcher: Fetcher,
        catalog: Catalog,
        asker: Asker,
        venue_clock: VenueClock,
        clock: Clock,
        rhythm: Rhythm,
        alarm: Alarm,
        trusts_marks: bool,
        hand_out: Callable[[list[Candle]], None],
        show: Callable[[Candle], None],
        began: Callable[[], None],
        start_ns: int | None,
    ) -> None:
        self.series = series
        self.newest_ns: int | None = None  # the newest bar that was handed out, or was stored before we began
        self._fetcher = fetcher
        self._catalog = catalog
        self._asker = asker
        self._venue_clock = venue_clock
        self._clock = clock
        self._rhythm = rhythm
        self._alarm = alarm
        self._trusts_marks = trusts_marks
        self._hand_out = hand_out
        self._show = show
        self._began = began
        self._start_ns = start_ns
        self._settled_ns: int | None = None  # every bar that opens before is stored, or the venue has none
        self._forming: Candle | None = None
        self._seen: set[int] = set()  # bars of the stream that are not handed out yet
        self._wants_look = True
        self._not_before_ns = 0
        self._tries = 0  # questions in a row after which something was still due
        self._failing_since_ns: int | None = None
        self._kept_forming_ns = 0

    @property
    def has_begun(self) -> bool:
        """Whether the series has been brought up to date once."""
        return self._settled_ns is not None

    # ── the stream ───────────────────────────────────────────────────────────────────────────────────────────────

    async def take(self, candle: Candle) -> bool:
        """Take a frame of the stream; return whether it is news (a bar that is not over, or closed just now)."""
        await self._keep_time()
        if self._settled_ns is None or not self._venue_clock.is_known:
            return True  # alive; REST brings all up to date first
        if await self._is_from_the_future(candle):
            return False
        if self.newest_ns is not None and candle.open_ns <= self.newest_ns:
            return False  # late: that bar has been handed out
        over_ns = self.series.closes_ns(candle.open_ns)
        marked = candle.closed and self._trusts_marks
        if marked and over_ns <= self._venue_clock.at_most_ns() and self._is_next(candle.open_ns):
            await self._close([candle])
            return True
        self._seen.add(candle.open_ns)
        if self._forming is None or candle.open_ns >= self._forming.open_ns:
            self._forming = replace(candle, closed=False)
            self._show_forming()
        return over_ns + self._fetcher.grace_ns > self._venue_clock.at_least_ns()

    def replaces(self, newer: Candle, older: Candle) -> bool:
        """Whether ``older`` was an update of the same forming bar."""
        return newer.open_ns == older.open_ns and not older.closed

    def reconnected(self) -> None:
        """Look by REST at once: bars may have closed meanwhile."""
        self._wants_look = True

    # ── REST ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def due_ns(self) -> int | None:
        """When REST is to be asked, by our clock."""
        wanted = self._wanted_ns()
        return None if wanted is None else max(wanted, self._earliest_ns())

    async def settle(self) -> None:
        """Fetch what should be closed by now and is not here, and hand it out."""
        await self._bring_up_to_date(with_forming=False)

    async def poll(self) -> bool:
        """Bring everything up to date, the forming bar too; return whether the venue showed what is new by its time."""
        filled = await self._bring_up_to_date(with_forming=True)
        if filled is None:
            return False
        now_floor = self.series.timeframe.floor(self._venue_clock.at_least_ns() - self._fetcher.grace_ns)
        return filled.forming is not None or self._is_next(now_floor)

    async def _bring_up_to_date(self, *, with_forming: bool) -> Filled | None:
        try:
            await self._venue_clock.measure(_FRESH_CLOCK_S, attempts=1)
            begins = self._settled_ns is None
            start = self._begin() if self._settled_ns is None else self._settled_ns
            end = self._closed_until()
            reach = self.series.closes_ns(self.series.timeframe.floor(self._venue_clock.at_most_ns()))
            filled = await self._fetcher.fill(
                self.series, start, reach if with_forming else end, attempts=1, keep_forming=with_forming
            )
        except ConnectivityError as error:
            self._put_off(error)
            return None
        self._failing_since_ns = None
        self._alarm.clear("rest")
        self._settle(filled, max(start, end) if begins and self.newest_ns is None else end, begins)
        if with_forming and filled.forming is not None:
            self._seen.add(filled.forming.open_ns)
            self._forming = filled.forming
        self._show_forming()
        return filled

    def _begin(self) -> int:
        """Return from where on to look for bars at the start, and say what counts as handed out already."""
        self.newest_ns = self._fetcher.last_closed_ns(self.series)
        resume = self._fetcher.resume_ns(self.series)
        if resume is not None:
            return resume
        now_floor = self.series.timeframe.floor(self._venue_clock.at_least_ns())
        return now_floor if self._start_ns is None else min(self._start_ns, now_floor)

    def _closed_until(self) -> int:
        """Return the end before which every bar is surely closed, or after a hole the bar that ends it."""
        until = self._fetcher.closed_until_ns(self.series)
        after_hole = self._forming.open_ns if self._forming is not None else until
        surely_ns = self._venue_clock.at_least_ns() - self._fetcher.grace_ns
        return max(until, after_hole) if after_hole <= surely_ns else until

    def _settle(self, filled: Filled, end: int, begins: bool) -> None:
        """Hand out what is stored now, up to the first bar that may only be late."""
        end = end if filled.unsettled_ns is None else min(end, filled.unsettled_ns)
        bars = self._stored_between(self.newest_ns, end)
        self._settled_ns = end if self._settled_ns is None else max(self._settled_ns, end)
        self._wants_look = False
        if begins:
            self._began()
        unseen = [b.open_ns for b in bars if b.open_ns not in self._seen]
        if unseen:
            s = self.series
            self._alarm.tell(FeedGap(s.source, s.symbol, s.timeframe, unseen[0], unseen[-1], len(unseen)))
        if bars:
            self._advance(bars)
            self._tries = 0
        self._seen = {t for t in self._seen if t >= end}
        wanted = self._wanted_ns()
        if wanted is not None and wanted <= self._clock.now_ns():
            self._wait_a_little()  # the venue is late
        else:
            self._tries = 0

    def _stored_between(self, after_ns: int | None, end_ns: int) -> list[Candle]:
        if self._fetcher.last_closed_ns(self.series) is None:
            return []
        start = None if after_ns is None else pd.Timestamp(after_ns + 1, unit="ns", tz="UTC")
        s = self.series
        return candles(
            self._catalog.read(s.source, s.symbol, s.timeframe, start, pd.Timestamp(end_ns, unit="ns", tz="UTC"))
        )

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _close(self, bars: list[Candle]) -> None:
        rows = [self.series.row(b) for b in bars]
        await keep(self._catalog, lambda: self._catalog.append(rows))
        self._advance(bars)

    def _advance(self, bars: list[Candle]) -> None:
        newest = bars[-1].open_ns
        self.newest_ns = newest
        after = self.series.earliest_after(newest)
        self._settled_ns = after if self._settled_ns is None else max(self._settled_ns, after)
        self._seen = {t for t in self._seen if t > newest}
        if self._forming is not None and self._forming.open_ns <= newest:
            self._forming = None
        self._hand_out(bars)

    def _is_next(self, open_ns: int) -> bool:
        """Whether no bar can be missing before the one that opens there."""
        if self._settled_ns is not None and open_ns <= self._settled_ns:
            return True
        return self.newest_ns is not None and self.series.is_next(self.newest_ns, open_ns)

    def _wanted_ns(self) -> int | None:
        """When, by our clock, REST could help first; ``None`` when it is not needed."""
        if self._settled_ns is None or self._wants_look or not self._venue_clock.is_known:
            return 0
        seen = max(self._seen, default=None)
        if seen is None:
            return None
        until = self.series.closes_ns(seen) if self._is_next(seen) else seen
        return self._venue_clock.ours_ns(until + self._fetcher.grace_ns)

    def _show_forming(self) -> None:
        """Show and keep the forming bar, if nothing before it is missing."""
        bar = self._forming
        if bar is None or not self._forming_is_on() or not self._is_next(bar.open_ns):
            return
        now = self._clock.now_ns()
        if not 0 <= now - self._kept_forming_ns < _KEEP_FORMING_EVERY_NS:
            row = self.series.row(bar)
            if keep_if_free(self._catalog, lambda: self._catalog.append([row])):  # else with its next update
                self._kept_forming_ns = now
        self._show(bar)

    def _forming_is_on(self) -> bool:
        """Whether the forming bar is one that is not over."""
        if self._forming is None:
            return False
        return self.series.closes_ns(self._forming.open_ns) > self._venue_clock.at_least_ns()

    async def _is_from_the_future(self, candle: Candle) -> bool:
        """Whether a frame's bar opens later than now; before we judge, the venue is asked the time again."""
        limit = candle.open_ns - self._fetcher.grace_ns
        if limit <= self._venue_clock.at_most_ns():
            return False
        await self._keep_time(max_age_s=5.0)
        return limit > self._venue_clock.at_most_ns()

    async def _keep_time(self, max_age_s: float = _CLOCK_AGE_S) -> None:
        """Ask the venue for its time when that was long ago; while it does not answer, the last answer serves."""
        if not self._venue_clock.is_known or self._earliest_ns() > self._clock.now_ns():
            return
        try:
            await self._venue_clock.measure(max_age_s, attempts=1)
        except ConnectivityError as error:
            self._put_off(error)

    def _put_off(self, error: ConnectivityError) -> None:
        """Ask later; when that goes on for long, raise the alarm."""
        now = self._clock.now_ns()
        if self._failing_since_ns is None or now < self._failing_since_ns:
            self._failing_since_ns = now
        self._wait_a_little()
        failing_ns = now - self._failing_since_ns
        if failing_ns >= self._rhythm.stale_after_ns:
            self._alarm.stale("rest", failing_ns / NS_PER_S, f"bars cannot be fetched ({error.problem})")

    def _earliest_ns(self) -> int:
        """Return when REST may be asked again; no later than was meant, should our clock have been set back."""
        longest_ns = int(self._asker.patience.longest_pause_s * NS_PER_S)
        if self._not_before_ns > self._clock.now_ns() + longest_ns:
            self._not_before_ns = 0
        return max(self._not_before_ns, self._asker.banned_until_ns)

    def _wait_a_little(self) -> None:
        self._tries += 1
        pause_s = max(_SHORTEST_PAUSE_S, self._asker.jitter_s(self._tries))
        self._not_before_ns = self._clock.now_ns() + int(pause_s * NS_PER_S)


def candles(bars: pd.DataFrame) -> list[Candle]:
    """Return canonical bars of the catalogue as closed candles."""
    columns = (bars[c].tolist() for c in ("open", "high", "low", "close", "volume"))
    return [
        Candle(t, o, h, low, c, v, True) for t, o, h, low, c, v in zip(time_ns(bars).tolist(), *columns, strict=True)
    ]
