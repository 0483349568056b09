"""Ask for what is missing until it is there or was denied twice: nothing is skipped, nothing is asked for for ever.

A page of a venue proves little. It may begin late, leave bars out, repeat or mix them, stop short, or come from a copy
that lags. So a page is never taken for a range: what it shows is taken, and what it should have shown and did not is
*denied*, in one of two ways: by a page that shows a later bar, or by one that shows nothing from there on. It is asked
for again, in other words (from a bar earlier, by a full page), until it was denied twice in the same way. The first way
makes it a hole of the venue's own; denied in the second it may only be late. The earliest missing stretch is always
asked for first, so that at most one page lies beyond a hole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tradelab.feeds.series import Series
from tradelab.feeds.spans import Span, Spans


@dataclass(frozen=True, slots=True)
class Question:
    """One page to be asked for: from when, and how many bars."""

    since_ns: int
    limit: int


class Missing:
    """What of a range is still missing, and what the venue has said about it.

    Parameters
    ----------
    spans
        Stretches of open times without a stored bar.
    page_bars
        The most bars of one page.
    """

    def __init__(self, spans: Iterable[Span], series: Series, page_bars: int) -> None:
        self._series = series
        self._page_bars = max(1, page_bars)
        self._open = Spans(spans)
        self._holed_once, self._holed = Spans(), Spans()  # denied by pages that show a later bar: once, twice
        self._blank_once, self._blank = Spans(), Spans()  # denied by pages that show nothing from there on
        self._earlier_is_no_help_ns: int | None = None
        self.newest_shown_ns: int | None = None

    def __contains__(self, open_ns: int) -> bool:
        return self._open.covers(open_ns)

    def question(self) -> Question | None:
        """Return the next page to ask for, or ``None`` when everything is there or denied."""
        if not self._open:
            return None
        start, end = self._open.first
        if self._holed_once.covers(start) or self._blank_once.covers(start):  # again, in other words
            asked_earlier = start == self._earlier_is_no_help_ns
            return Question(start if asked_earlier else self._a_bar_before(start), self._page_bars)
        if len(self._open) > 1:
            return Question(start, self._page_bars)
        needed = self._series.bars_between(start, end) + 1  # one more: a later bar proves that a hole is one
        return Question(start, min(needed, self._page_bars))

    def answer(self, question: Question, opens: Sequence[int]) -> None:
        """Take note of an answer: the open times of all its bars, closed or forming, in any order."""
        if not self._open:
            return
        wanted = self._open.first[0]
        for first, last in self._runs(sorted(set(opens))):
            self._open.remove(first, self._series.closes_ns(last))
        if opens:
            self.newest_shown_ns = max(opens) if self.newest_shown_ns is None else max(*opens, self.newest_shown_ns)
        if opens and question.since_ns < wanted and max(opens) < wanted:  # begun earlier, and ended before it mattered
            self._earlier_is_no_help_ns = wanted
            return
        shows_later = bool(opens) and max(opens) >= question.since_ns
        once, twice = (self._holed_once, self._holed) if shows_later else (self._blank_once, self._blank)
        for start, end in self._open.within(question.since_ns, self._told_until(question, opens)):
            for again in once.within(start, end):
                twice.add(*again)
                self._open.remove(*again)
            once.add(start, end)

    def reached_ns(self, end_ns: int) -> int:
        """Return the time before which nothing is missing any more: how far the asking has come."""
        return self._open.first[0] if self._open else end_ns

    def verdict(self, newest_known_ns: int | None, old_ns: int) -> tuple[list[Span], int | None]:
        """Return the venue's own holes, and from where on nothing is settled: bars from there on may only be late.

        Parameters
        ----------
        newest_known_ns
            The newest bar there is, shown or stored; beyond it nothing is known to be missing.
        old_ns
            What should have been there before this time, and was denied twice in any way, is not late.
        """
        late = Spans(self._blank)
        for hole in self._holed:
            late.remove(*hole)
        if newest_known_ns is not None:
            late.remove(-(2**63), min(old_ns, newest_known_ns))
        holes = Spans([*self._holed, *self._blank])
        for span in late:
            holes.remove(*span)
        return list(holes), (late.first[0] if late else None)

    def _a_bar_before(self, start: int) -> int:
        timeframe = self._series.timeframe
        return timeframe.floor(start - 1) if self._series.on_grid(start) else start - timeframe.ns

    def _told_until(self, question: Question, opens: Sequence[int]) -> int:
        """Return up to where an answer speaks: its newest bar, or a page's length where it shows none from there on."""
        if opens and max(opens) >= question.since_ns:
            return self._series.closes_ns(max(opens))
        return question.since_ns + max(question.limit, 2) * self._series.timeframe.ns

    def _runs(self, opens: list[int]) -> Iterable[Span]:
        """Yield the first and last bar of each stretch without a hole."""
        first = previous = None
        for stamp in opens:
            if previous is not None and not self._series.is_next(previous, stamp):
                yield first, previous  # type: ignore[misc]
                first = None
            first = stamp if first is None else first
            previous = stamp
        if previous is not None:
            yield first, previous  # type: ignore[misc]
