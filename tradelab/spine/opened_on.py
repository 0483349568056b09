"""Refuse to start on other bars, or another account, than those that open positions and resting entries are on.

A time exit counts the bars of its bot, a trail and an ATR follow them: bars of another length or source, edited in
while a position is open, would move its exits without anybody having meant that. And nobody looks after what a bot
holds on an account that it has no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tradelab.model.errors import ConfigError
from tradelab.model.messages import Recorded, TradeExecuted
from tradelab.model.states import Leg
from tradelab.spine.config import BotConfig, NodeConfig
from tradelab.spine.ledger import Ledger
from tradelab.spine.snapshot import PositionKey


class OpenedOn:
    """Remembers by which signal each position was entered last; a fold."""

    def __init__(self, config: NodeConfig, ledger: Ledger) -> None:
        self._bots = {bot.name: bot for bot in config.bots}
        self._ledger = ledger
        self._entered: dict[PositionKey, str] = {}

    def remember(self, recorded: Recorded[Any]) -> None:
        """Take in one message."""
        it = recorded.message
        if isinstance(it, TradeExecuted) and it.leg is Leg.ENTRY and it.signal_id is not None:
            self._entered[PositionKey(it.account, it.bot, it.fill.symbol)] = it.signal_id

    def require_same(self) -> None:
        """Refuse a bot whose bars or account are others than those of what it holds, or waits to enter.

        Raises
        ------
        ConfigError
            Its timeframe, source or execution was edited; says what it was, what it is, and what to do.
        """
        for key, what, signal_id in self._open():
            bot = self._bots.get(key.bot or "")
            if bot is None:
                continue
            for name, before, now in self._before_and_now(bot, key, signal_id):
                if before not in (None, now):
                    raise ConfigError(_says(bot, what, key, name, str(before), now), fix=_fix(bot, name, str(before)))

    def _before_and_now(
        self, bot: BotConfig, key: PositionKey, signal_id: str
    ) -> Iterator[tuple[str, str | None, str]]:
        yield "execution", key.account, bot.execution
        state = self._ledger.signal(signal_id)
        if state is not None:
            timeframe = state.timeframe or state.signal.timeframe
            yield "source", state.source, bot.source
            yield "timeframe", None if timeframe is None else timeframe.alias, bot.timeframe.alias

    def _open(self) -> Iterator[tuple[PositionKey, str, str]]:
        now = self._ledger.snapshot()
        for key, held in now.positions.items():
            if held.qty and key in self._entered:
                yield key, "a position", self._entered[key]
        for order in now.orders.values():
            it = order.intended
            if it.leg is Leg.ENTRY and order.leaves_qty > 0:
                yield PositionKey(it.account, it.bot, it.intent.symbol), "an entry that waits", it.signal_id


def _says(bot: BotConfig, what: str, key: PositionKey, name: str, before: str, now: str) -> str:
    return (
        f"bot {bot.name!r} has {what} in {key.symbol} on {key.account!r} that was decided with {name} = {before!r}, "
        f"and its table says {name} = {now!r}."
    )


def _fix(bot: BotConfig, name: str, before: str) -> str:
    return (
        f"Put {name} = {before!r} back; to change it, start so, run: tradelab flatten --bot {bot.name}, stop, "
        "and then edit it."
    )
