"""Ask each bot's strategy at every bar that closes, and raise what it decides; the strategy is the research one.

What the strategy is shown is the window of closed bars, and only the decision of the newest one counts. The four flags
become one action by the engine's own rule, from what the bot holds.
"""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pandas as pd

from tradelab.engine.indicators import atr
from tradelab.engine.trading import (
    CLOSE_IT,
    GO_LONG,
    GO_SHORT,
    LONG_ENTRY,
    LONG_EXIT,
    NOTHING,
    SHORT_ENTRY,
    SHORT_EXIT,
    decide,
)
from tradelab.model.market import Candle
from tradelab.model.messages import AlarmRaised, DataReceived, Recorded, SignalRaised
from tradelab.model.rounding import exact
from tradelab.model.signal import Action, Origin, Signal
from tradelab.model.states import BotStatus, Severity
from tradelab.model.units import NS_PER_S
from tradelab.spine.config import BotConfig
from tradelab.spine.desk import Desk
from tradelab.spine.snapshot import PositionKey
from tradelab.spine.view import COLUMNS, View, Window
from tradelab.strategy.registry import find
from tradelab.strategy.spec import SIGNAL_NAMES, Strategy

_BITS = dict(zip(SIGNAL_NAMES, (LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT), strict=True))


class Strategist:
    """The strategies of a node's bots.

    Raises
    ------
    ConfigError
        A bot names a strategy or a parameter that is not there; raised before anything runs.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._bots: list[tuple[BotConfig, Strategy, dict[str, object], int]] = []
        for bot in desk.config.bots:
            if bot.strategy is None:
                continue
            strategy = find(bot.strategy)
            parameters = strategy.resolve(bot.parameters)
            self._bots.append((bot, strategy, parameters, int(strategy.warmup(**parameters))))
        desk.bus.hear(DataReceived, self._bar_closed)

    def warmup(self, bot: str) -> int:
        """Return how many bars a bot's strategy needs; 1 for a bot without one."""
        return next((warmup for config, _, _, warmup in self._bots if config.name == bot), 1)

    def view(self, signal: Signal) -> View:
        """Return what a signal is decided on."""
        return self._desk.view(self._desk.config.bot(signal.bot))

    def _bar_closed(self, recorded: Recorded[DataReceived]) -> None:
        bar = recorded.message
        if bar.late:
            return
        asked: dict[tuple[str, str], int | str] = {}  # bots that ask the same are told the same
        for bot, strategy, parameters, warmup in self._bots:
            follows = bot.source == bar.source and bar.symbol in bot.symbols and bot.timeframe is bar.timeframe
            if not follows or self._desk.snapshot().bots.get(bot.name) is not BotStatus.RUNNING:
                continue
            window = self._desk.market.windows.get((bar.source, bar.symbol, bar.timeframe))
            if window is None or len(window) < warmup or int(window.ts_ns[-1]) != bar.candle.open_ns:
                continue
            question = (strategy.name, repr(parameters))
            if question not in asked:
                asked[question] = self._answer(strategy, parameters, window)
            flags = asked[question]
            if isinstance(flags, str):
                self._alarm(bot, bar.symbol, flags)
                continue
            for action in self._actions(bot, bar.symbol, flags):
                self._desk.bus.say(SignalRaised(self._signal(bot, bar.symbol, action, bar.candle, window)))

    def _answer(self, strategy: Strategy, parameters: dict[str, object], window: Window) -> int | str:
        """Return the flags of the newest bar; or in words why there are none.

        A strategy is somebody's own code. A mistake in it is no decision; it must not end the engine, which looks after
        the positions of every bot, and would meet the same bar at its next start.
        """
        try:
            return _flags(strategy, parameters, window)
        except Exception as error:  # told as an alarm, and in the log with its traceback
            self._desk.log.exception("strategy %s failed", strategy.name)
            return (
                f"strategy {strategy.name} failed, and nothing is decided on this bar: {type(error).__name__}: {error}"
            )

    def _alarm(self, bot: BotConfig, symbol: str, says: str) -> None:
        about = f"{bot.name} {symbol}"
        self._desk.bus.say(AlarmRaised(kind="strategy", about=about, severity=Severity.CRITICAL, says=says[:500]))

    def _actions(self, bot: BotConfig, symbol: str, flags: int) -> list[Action]:
        """Return what is to be done, exits first: a position that turns round is closed, then opened."""
        held = self._desk.ledger.position(PositionKey(bot.execution, bot.name, symbol)).qty
        wanted = decide.py_func(float(held), flags, False, True)
        if wanted == NOTHING:
            return []
        leave = [] if held == 0 else [Action.EXIT_LONG if held > 0 else Action.EXIT_SHORT]
        if wanted == CLOSE_IT:
            return leave
        assert wanted in (GO_LONG, GO_SHORT), wanted
        return [*leave, Action.ENTER_LONG if wanted == GO_LONG else Action.ENTER_SHORT]

    def _signal(self, bot: BotConfig, symbol: str, action: Action, candle: Candle, window: Window) -> Signal:
        decided_ns = bot.timeframe.next_open(candle.open_ns)
        ttl_ns = bot.timeframe.ns if bot.signal_ttl_s is None else int(bot.signal_ttl_s * NS_PER_S)
        return Signal(
            id=f"{bot.name} {symbol} {bot.timeframe.alias} {candle.open_ns} {action.value}",
            bot=bot.name,
            symbol=symbol,
            action=action,
            origin=Origin.STRATEGY,
            decided_ns=decided_ns,
            expires_ns=decided_ns + ttl_ns,
            price=exact(candle.close),
            timeframe=bot.timeframe,
            bar_ns=candle.open_ns,
            unit=self._unit(bot, window) if action.enters else None,
        )

    def _unit(self, bot: BotConfig, window: Window) -> Decimal | None:
        """Return the ATR of the bar that decides, where the preset measures by it; ``None``: there is none yet."""
        preset = self._desk.config.presets[bot.preset]
        if not (preset.exits.in_atr or preset.sizing.by == "volatility"):
            return None
        _, high, low, close, _ = window.values.T
        value = float(atr(*map(np.ascontiguousarray, (high, low, close)), preset.exits.atr_window)[-1])
        return exact(value) if math.isfinite(value) and value > 0 else None


def frame(window: Window) -> pd.DataFrame:
    """Return a window as the frame that strategies are given: by open time in UTC, five columns of float64."""
    index = pd.DatetimeIndex(window.ts_ns, tz="UTC", name="time")
    return pd.DataFrame(window.values, index=index, columns=list(COLUMNS))


def _flags(strategy: Strategy, parameters: dict[str, object], window: Window) -> int:
    """Return the four flags of the newest bar, as the engine's bits."""
    bars = frame(window)
    columns = strategy.function(bars, **parameters).columns(bars, strategy.name)
    return sum(bit for name, bit in _BITS.items() if columns[name][-1])
