"""Hear what leaders trade, and raise what their followers want; the gates decide as they do for anybody."""

from __future__ import annotations

from collections import defaultdict

from tradelab.model.errors import ConfigError, UnknownNameError
from tradelab.model.messages import Message, PositionClosed, Recorded, SignalRaised, TradeExecuted
from tradelab.modules.copy_trading.config import Config, Link
from tradelab.modules.copy_trading.rules import close, entry, is_entry
from tradelab.spine.desk import Desk
from tradelab.spine.refused import read_table
from tradelab.spine.snapshot import PositionKey


class Stage:
    """The source of copies in a node."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.config = read_table(Config, desk.settings, "[modules.copy_trading]")
        self._followers: defaultdict[str, list[Link]] = defaultdict(list)
        bots = {bot.name: bot for bot in desk.config.bots}
        for link in self.config.links:
            for role, name in (("leader", link.leader), ("follower", link.follower)):
                if name not in bots:
                    raise UnknownNameError.of(f"bot as a {role}", name, bots)
            if not set(bots[link.leader].symbols) & set(bots[link.follower].symbols):
                raise ConfigError(f"bot {link.follower!r} trades nothing that its leader {link.leader!r} trades.")
            self._followers[link.leader].append(link)
        desk.bus.hear(TradeExecuted, self._traded)
        desk.bus.hear(PositionClosed, self._closed)

    def remember(self, recorded: Recorded[Message]) -> None:
        """Remember nothing: what was copied stands in the journal as signals, by names of their own."""

    async def start(self) -> None:
        """Begin nothing."""

    async def stop(self) -> None:
        """End nothing."""

    def _traded(self, recorded: Recorded[TradeExecuted]) -> None:
        it, ledger = recorded.message, self._desk.ledger
        if it.bot is None or it.bot not in self._followers:
            return
        order = ledger.order_of(it.account, it.fill.client_order_id, it.fill.venue_order_id)
        signal = None if it.signal_id is None else ledger.signal(it.signal_id)
        if order is None or not is_entry(it, order, signal):
            return
        for link in self._of(it.bot, it.fill.symbol):
            self._raise(SignalRaised(entry(link, it, order, recorded.ts_init_ns)))

    def _closed(self, recorded: Recorded[PositionClosed]) -> None:
        it = recorded.message
        if it.bot is None or it.bot not in self._followers:
            return
        for link in self._of(it.bot, it.symbol):
            account = self._desk.config.bot(link.follower).execution
            held = self._desk.ledger.position(PositionKey(account, link.follower, it.symbol)).qty
            signal = close(link, it, held, recorded.ts_init_ns, recorded.seq)
            if signal is not None:
                self._raise(SignalRaised(signal))

    def _of(self, leader: str, symbol: str) -> list[Link]:
        return [link for link in self._followers[leader] if symbol in self._desk.config.bot(link.follower).symbols]

    def _raise(self, raised: SignalRaised) -> None:
        if self._desk.ledger.signal(raised.signal.id) is None:
            self._desk.bus.say(raised)
