"""Refuse to start on other bars than those that open positions and resting entries were decided on.

A time exit counts the bars of its bot, a trail and an ATR follow them: bars of another length or source, edited in
while a position is open, would move its exits without anybody having meant that.
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
        """Refuse a bot whose bars are others than what it holds, or waits to enter, was decided on.

        Raises
        ------
        ConfigError
            Its timeframe or source was edited; says what it was, what it is, and what to do.
        """
        for key, what, signal_id in self._open():
            bot, state = self._bots.get(key.bot or ""), self._ledger.signal(signal_id)
            if bot is None or state is None:
                continue
            timeframe = state.timeframe or state.signal.timeframe
            was = {"source": state.source, "timeframe": None if timeframe is None else timeframe.alias}
            for name, before in was.items():
                now = bot.source if name == "source" else bot.timeframe.alias
                if before not in (None, now):
                    raise ConfigError(_says(bot, what, key, name, str(before), now), fix=_fix(bot, name, str(before)))

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
