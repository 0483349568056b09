"""Let paper accounts trade on what bots see, and say so where one fails or refuses what it is told.

An account that fails while it is told of a quote or a bar is what it was before (``paper_account``), hears what comes
next, for its stops watch the market, and is halted, for what that quote or bar would have done has not been done: a
person looks, and resumes it. What comes from a time that is not yet is refused by our clock: a venue's clock that is
wrong for a moment would else make the account pass over everything until that time has come.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from tradelab.app.left_alone import PAPER
from tradelab.app.paper_account import PaperAccountVenue
from tradelab.model.clock import speed_of
from tradelab.model.errors import QualityError
from tradelab.model.market import Quote
from tradelab.model.messages import AlarmRaised, DataReceived, Recorded, TradingStateChanged
from tradelab.model.states import Severity, TradingState
from tradelab.model.units import NS_PER_S, Timeframe
from tradelab.spine.node import Node

AHEAD_S = 5.0  # that clocks of venues may be ahead of ours, times the speed of a rehearsal's
AGAIN_S = 300.0  # between two alarms that the same market is refused
_log = logging.getLogger(__name__)


class PaperFeed:
    """Tells a node's paper accounts each quote, and each bar where a market has no quotes."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._papers: defaultdict[tuple[str, str], dict[str, PaperAccountVenue]] = defaultdict(dict)
        self._shortest: dict[tuple[str, str], Timeframe] = {}  # the same minutes are not lived once more as an hour
        self._failed: dict[str, str] = {}  # by account, until somebody has resumed it
        self._refused: dict[tuple[str, str], str] = {}  # by account and symbol, until it takes something again
        self._cried_ns: dict[tuple[str, str], int] = {}

    def join(self) -> None:
        """Look on, where there is a paper account."""
        for bot in self._node.config.bots:
            venue = self._node.venues[bot.execution]
            if isinstance(venue, PaperAccountVenue):
                for symbol in bot.symbols:
                    self._papers[bot.source, symbol][bot.execution] = venue
                    before = self._shortest.setdefault((bot.source, symbol), bot.timeframe)
                    self._shortest[bot.source, symbol] = min(before, bot.timeframe, key=lambda each: each.ns)
        if self._papers:
            self._node.bus.look_on(self.bar)
            self._node.market.look_on(self.quote)
            self._node.complaints.append(self.complaints)

    def bar(self, recorded: Recorded[Any]) -> None:
        """Tell a bar."""
        it = recorded.message
        if isinstance(it, DataReceived) and self._shortest.get((it.source, it.symbol)) is it.timeframe:
            for account, venue in self._papers[it.source, it.symbol].items():
                self._tell(account, venue, it.symbol, it.candle.open_ns, venue.on_candle, it.symbol, it.candle)

    def quote(self, source: str, it: Quote) -> None:
        """Tell a quote."""
        if 0 < it.bid <= it.ask:  # a crossed book is no market to trade on
            for account, venue in self._papers.get((source, it.symbol), {}).items():
                self._tell(account, venue, it.symbol, it.ts_ns, venue.on_quote, it)

    def complaints(self) -> Iterator[str]:
        """Yield, in words, what of paper accounts a person should look at, beside what their halt says by itself."""
        for account in [name for name in self._failed if not self._is_halted(name)]:
            del self._failed[account]
        for account, says in self._failed.items():
            halt = self._node.ledger.state_said(f"account {account}")
            if halt is None or halt.says != says[:500]:
                yield says
        yield from self._refused.values()

    def _tell(
        self, account: str, venue: PaperAccountVenue, symbol: str, ts_ns: int, take: Callable[..., None], *told: Any
    ) -> None:
        if not venue.is_connected:
            return
        try:
            self._require_not_ahead(symbol, ts_ns)
            take(*told)
        except QualityError as error:
            self._refuse(account, symbol, error.problem)
        except Exception as error:  # noqa: BLE001 (told in the log, in an alarm and in health, and the account halted)
            _log.exception("paper account %r failed", account)
            self._fail(account, symbol, error)
        else:
            self._refused.pop((account, symbol), None)

    def _require_not_ahead(self, symbol: str, ts_ns: int) -> None:
        ahead_s = (ts_ns - self._node.clock.now_ns()) / NS_PER_S
        if ahead_s > AHEAD_S * max(1.0, speed_of(self._node.clock)):
            at = dt.datetime.fromtimestamp(ts_ns / NS_PER_S, dt.UTC)
            raise QualityError(
                f"{symbol}: what is stamped {at:%Y-%m-%d %H:%M:%S} UTC lies {ahead_s:.0f} s ahead of our clock; "
                "one of the two clocks is wrong."
            )

    def _refuse(self, account: str, symbol: str, problem: str) -> None:
        says = f"paper account {account!r} refuses what its market tells, and waits for the next: {problem}"
        self._refused[account, symbol] = says
        now_ns = self._node.clock.now_ns()
        cried_ns = self._cried_ns.get((account, symbol))
        if cried_ns is None or now_ns - cried_ns >= AGAIN_S * NS_PER_S:
            self._cried_ns[account, symbol] = now_ns
            alarm = AlarmRaised(kind="paper", about=f"{account} {symbol}", severity=Severity.WARNING, says=says)
            self._later(lambda: self._node.bus.say(alarm))

    def _fail(self, account: str, symbol: str, error: Exception) -> None:
        then = "it is as it was before, and hears what comes next; look at the log, then: tradelab resume --account "
        then += account
        if not self._node.venues[account].is_connected:
            then = "it takes nothing any more; look at the log, then start the engine again"
        what = f"{type(error).__name__}: {error}"
        self._later(lambda: self._halt(account, f"paper account {account!r} failed on {symbol} ({what}): {then}"))

    def _halt(self, account: str, says: str) -> None:
        was_told = account in self._failed and self._is_halted(account)
        self._failed[account] = says
        if was_told:
            return
        bus, state = self._node.bus, TradingState.HALTED
        bus.say(AlarmRaised(kind="paper", about=account, severity=Severity.CRITICAL, says=says))
        bus.say(TradingStateChanged(scope=f"account {account}", state=state, by=PAPER, says=says[:500]))

    def _is_halted(self, account: str) -> bool:
        states = self._node.ledger.snapshot().states
        return states.get(f"account {account}", TradingState.ACTIVE) is TradingState.HALTED

    def _later(self, deed: Callable[[], None]) -> None:
        """Do something when all have been told; who looks on may say nothing before."""
        self._node.bus.then(lambda: None if self._node.bus.is_broken else deed())
