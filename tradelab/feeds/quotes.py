"""Take quotes as they come, newest only, and know how old they are."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tradelab.feeds.asking import Asker
from tradelab.feeds.rhythm import Rhythm
from tradelab.feeds.venue_clock import VenueClock
from tradelab.model.clock import Clock, speed_of
from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.market import Quote
from tradelab.model.ports import DataProvider, HasQuote
from tradelab.model.units import NS_PER_S

_CLOCK_AGE_S = 600.0
_AHEAD_S = 5.0  # of the venue's own time, times the speed of a rehearsal's: what is stamped later is wrong
_log = logging.getLogger(__name__)


class QuoteDesk:
    """The desk of one stream of quotes.

    A quote that is older than the last one, by the venue's time stamp, came late and is dropped. One that is older
    than the rhythm allows when it comes is handed out, for its age can be seen, and is not news: a venue that repeats
    old quotes is as stale as a silent one. One that is stamped ahead of the venue's own time is refused: every quote
    until that time would else seem to come late.

    Streams tell of changes only. So whoever opens one asks once what best bid and ask are, where that can be asked:
    else nothing is known until the market moves, and what changed while a connection was broken is not noticed.
    """

    def __init__(
        self,
        provider: DataProvider,
        symbol: str,
        asker: Asker,
        venue_clock: VenueClock,
        clock: Clock,
        rhythm: Rhythm,
        hand_out: Callable[[Quote], None],
    ) -> None:
        self._provider = provider
        self._symbol = symbol
        self._asker = asker
        self._venue_clock = venue_clock
        self._clock = clock
        self._rhythm = rhythm
        self._hand_out = hand_out
        self._latest: Quote | None = None
        self._not_before_ns = 0
        self._tries = 0
        self._asks = False

    async def take(self, quote: Quote) -> bool:
        """Hand a quote on unless it came late; return whether it is news."""
        if self._is_ahead(quote):
            _log.warning(
                "%s %s: refused, stamped ahead of the venue's time: %s", self._provider.name, quote.symbol, quote
            )
            return False
        last = self._latest
        if last is not None and not self._is_ahead(last) and (quote.ts_ns < last.ts_ns or quote == last):
            return False
        self._latest = quote
        self._hand_out(quote)
        return self._is_fresh(quote)

    def replaces(self, newer: Quote, older: Quote) -> bool:
        """Whether ``newer`` is; only the newest quote counts."""
        return self._is_ahead(older) or (newer.ts_ns >= older.ts_ns and not self._is_ahead(newer))

    def reconnected(self) -> None:
        """Have the quote asked for: those that were missed are of no use, and the last of them stands."""
        self._asks = isinstance(self._provider, HasQuote)

    def due_ns(self) -> int | None:
        """When the venue's time, or the quote, is to be asked for."""
        if self._asks:
            return self._asker.banned_until_ns
        if self._venue_clock.age_s() <= _CLOCK_AGE_S:
            return None
        return max(self._not_before_ns, self._asker.banned_until_ns)

    async def settle(self) -> None:
        """Ask the venue for its time, by which ages are told, and for the quote where a stream was opened."""
        if self._venue_clock.age_s() > _CLOCK_AGE_S and self._clock.now_ns() >= self._not_before_ns:
            await self._measure()
        if self._asks:
            self._asks = False
            await self._ask()

    async def _ask(self) -> None:
        assert isinstance(self._provider, HasQuote)
        provider = self._provider
        try:
            quote = await self._asker.ask(lambda: provider.quote(self._symbol), attempts=1)
        except (ConnectivityError, RequestError) as error:
            _log.warning("%s %s: no quote was told: %s", self._provider.name, self._symbol, error)
        else:
            await self.take(quote)

    async def _measure(self) -> None:
        try:
            await self._venue_clock.measure(_CLOCK_AGE_S, attempts=1)
        except ConnectivityError:
            self._tries += 1
            pause_s = max(0.1, self._asker.jitter_s(self._tries))
            self._not_before_ns = self._clock.now_ns() + int(pause_s * NS_PER_S)
        else:
            self._tries, self._not_before_ns = 0, 0

    async def poll(self) -> bool:
        """Ask for the newest tick, where the venue has ticks, and take it as a quote."""
        if not self._provider.data_capabilities.ticks:
            return False
        try:
            ticks = await self._asker.ask(lambda: self._provider.fetch_ticks(self._symbol, limit=1), attempts=1)
        except ConnectivityError:
            return False  # the age of the last quote tells
        if not ticks:
            return False
        tick = max(ticks, key=lambda t: t.ts_ns)
        return await self.take(Quote(symbol=self._symbol, bid=tick.bid, ask=tick.ask, ts_ns=tick.ts_ns))

    def _is_ahead(self, quote: Quote) -> bool:
        if not self._venue_clock.is_known:
            return False
        ahead_s = (quote.ts_ns - self._venue_clock.at_most_ns()) / NS_PER_S
        return ahead_s > _AHEAD_S * max(1.0, speed_of(self._clock))

    def _is_fresh(self, quote: Quote) -> bool:
        if not self._venue_clock.is_known:
            return True
        return self._venue_clock.at_least_ns() - quote.ts_ns < self._rhythm.stale_after_ns
