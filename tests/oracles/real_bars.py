"""Cut short windows out of real bars and decide on them at random, for the tests against other tools.

By default those tests draw a part of their configurations; ``TRADELAB_ORACLES=full`` draws all of them.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

import tradelab as tl

FULL = os.environ.get("TRADELAB_ORACLES") == "full"

BUNDLED = ["EURUSD-1h", "EURUSD-4h", "GOOG-1d", "AAPL-1d", "IBM-1d", "MSFT-1d"]
MINUTES = {
    "BTC-1m": "btc-perp-1m-2022-01.csv.gz",
    "GBPUSD-bid-1m": "gbpusd-1m-bid-2012-02.csv.gz",
    "GBPUSD-ask-1m": "gbpusd-1m-ask-2012-02.csv.gz",
    "6EH4-1m": "6EH4-1m-2024-01.csv.gz",
}
SERIES = [*BUNDLED, *MINUTES]
SIGNALS = ["entries", "exits", "short_entries", "short_exits"]


@lru_cache
def bundled(name: str) -> pd.DataFrame:
    return tl.samples.load(name)


@lru_cache
def minutes(path: Path) -> pd.DataFrame:
    """One of the minute files of ``../shared/data``; those without a volume get one."""
    frame = pd.read_csv(path)
    times = pd.to_datetime(frame.pop(frame.columns[0]), utc=True)
    if "volume" not in frame:
        frame["volume"] = 1.0
    return frame.set_index(pd.DatetimeIndex(times, name="time")).astype(float)


def window(bars: pd.DataFrame, length: int, chance: np.random.Generator) -> pd.DataFrame:
    """Return ``length`` bars in a row that begin anywhere."""
    start = int(chance.integers(0, len(bars) - length))
    return bars.iloc[start : start + length]


def typical_move(bars: pd.DataFrame, bars_held: int = 10) -> float:
    """What a stop must be measured in: the spread of returns over ``bars_held`` bars."""
    return float(bars["close"].pct_change(bars_held).std())


def random_rule(bars: pd.DataFrame, direction: str, chance: np.random.Generator) -> pd.DataFrame:
    """Decide by a cross of two averages, by RSI thresholds, or by dice; columns ``SIGNALS``, one row a bar.

    Both tools are given the same booleans, so no tie of an indicator can part them. No side is entered and left, and
    never both sides entered, on one bar: what that means is a matter of taste, and other tests are about it.
    """
    close = bars["close"]
    kind = chance.choice(["cross", "rsi", "dice"])
    if kind == "cross":
        fast = int(chance.integers(2, 15))
        slow = fast + int(chance.integers(1, 40))
        above = close.rolling(fast).mean() > close.rolling(slow).mean()
        known = close.rolling(slow).mean().notna()
        up = above & ~above.shift(1, fill_value=False) & known.shift(1, fill_value=False)
        down = ~above & above.shift(1, fill_value=False)
        flags = [up, down, down, up]
    elif kind == "rsi":
        change = close.diff()
        span = int(chance.integers(2, 15))
        gain, loss = change.clip(lower=0).rolling(span).sum(), -change.clip(upper=0).rolling(span).sum()
        strength = 100 * gain / (gain + loss).where(gain + loss > 0)
        low, high = chance.integers(15, 45), chance.integers(55, 85)
        flags = [strength < low, strength > 50, strength > high, strength < 50]
    else:
        density = chance.choice([0.01, 0.05, 0.15])
        flags = [pd.Series(chance.random(len(bars)) < density, bars.index) for _ in SIGNALS]
    signals = pd.DataFrame(dict(zip(SIGNALS, flags, strict=True)), bars.index)
    if direction != "both":
        signals[SIGNALS[2:] if direction == "long" else SIGNALS[:2]] = False
    return without_collisions(signals)


def without_collisions(signals: pd.DataFrame) -> pd.DataFrame:
    """Let an entry silence the exit of its own side, and a long entry the short one, on the same bar."""
    signals = signals.astype(bool)
    signals["short_entries"] &= ~signals["entries"]
    signals["exits"] &= ~signals["entries"]
    signals["short_exits"] &= ~signals["short_entries"]
    return signals
