"""Tell freqtrade to hold one unit while a fast average is above a slow one; it wants its strategies in files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from freqtrade.strategy import IStrategy
from pandas import DataFrame


class Cross(IStrategy):
    """Entries and exits on crossings, no stop and no target."""

    INTERFACE_VERSION = 3
    timeframe = "1m"
    minimal_roi = {"0": 100.0}  # noqa: RUF012 - its own way to say "never"
    stoploss = -0.99
    startup_candle_count = 0
    process_only_new_candles = True
    order_types = {"entry": "market", "exit": "market", "stoploss": "market", "stoploss_on_exchange": False}  # noqa: RUF012
    windows = (10, 50)

    def populate_indicators(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """Both averages."""
        for name, window in zip(("fast", "slow"), self.windows, strict=True):
            dataframe[name] = dataframe["close"].rolling(window).mean()
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """Buy when the fast average has crossed above."""
        a, b = dataframe["fast"], dataframe["slow"]
        dataframe.loc[(a > b) & (a.shift() <= b.shift()), "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """Sell when it has crossed below."""
        a, b = dataframe["fast"], dataframe["slow"]
        dataframe.loc[(a < b) & (a.shift() >= b.shift()), "exit_long"] = 1
        return dataframe

    def custom_stake_amount(self, pair: str, current_time: datetime, current_rate: float, **rest: Any) -> float:
        """One unit, whatever it costs."""
        return current_rate
