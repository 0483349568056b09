"""Let an entry pass where its bot's filter holds on the bars behind it; fail closed."""

from __future__ import annotations

from tradelab.model.messages import Message, Recorded
from tradelab.model.signal import Drop, DropCode, Pass, Signal, Verdict
from tradelab.modules.filter_strategy.config import Filter
from tradelab.modules.filter_strategy.rules import Condition, judge, parse
from tradelab.spine.desk import Desk
from tradelab.spine.refused import read_table
from tradelab.spine.tables import Table
from tradelab.spine.view import View


class _NoSettings(Table):
    """The module's own table has no words; filters stand in ``[filters.<name>]``."""


class Stage:
    """The technical filter of a node."""

    def __init__(self, desk: Desk) -> None:
        read_table(_NoSettings, desk.settings, "[modules.filter_strategy]")
        self._sides: dict[str, dict[int, tuple[Condition, ...]]] = {}
        for name, table in desk.config.filters.items():
            told = read_table(Filter, table, f"[filters.{name}]")
            self._sides[name] = {1: tuple(map(parse, told.long)), -1: tuple(map(parse, told.short))}

    def remember(self, recorded: Recorded[Message]) -> None:
        """Remember nothing: a verdict follows from the bars alone."""

    async def start(self) -> None:
        """Begin nothing."""

    async def stop(self) -> None:
        """End nothing."""

    def review(self, signal: Signal, view: View) -> Verdict:
        """Judge an entry on the newest closed bar behind it.

        A signal that no bar decided (by hand, by a webhook, a copy) is judged on its bot's own bars.
        """
        if view.bot.filter is None:
            return Pass("the bot has no filter")
        timeframe = signal.timeframe or view.bot.timeframe
        window = view.windows.get((view.bot.source, signal.symbol, timeframe))
        if window is not None and len(window) and signal.bar_ns is not None and int(window.ts_ns[-1]) != signal.bar_ns:
            return Drop(DropCode.FILTER, "the newest bar is not the one that decided the signal")
        return judge(self._sides[view.bot.filter][signal.action.direction], window)
