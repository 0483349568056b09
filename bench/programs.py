"""Measure what the signals of a sweep cost on one core: nanoseconds of processor time a bar and combination."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pandas as pd
from numba import njit

from tradelab.engine.program import Space, Tables, evaluate_tile, signal_words
from tradelab.strategy.registry import registered
from tradelab.strategy.trace_batch import Batch, compile_batch

BARS = 500_000
ROUNDS = 5
WINDOWS = np.unique(np.linspace(5, 250, 46).astype(int)).tolist()
PAIRS = [{"fast": fast, "slow": slow} for fast, slow in itertools.combinations(WINDOWS, 2)]
SWEEPS = {
    "sma_cross": PAIRS,
    "ema_cross": PAIRS,
    "rsi_reversion": [
        {"window": w, "low": float(low), "high": float(high)}
        for w in range(5, 28)
        for low in (20, 25, 30)
        for high in (65, 70, 75, 80, 85)
    ],
    "donchian_breakout": [{"window": w, "exit_window": x} for w in range(10, 200, 10) for x in range(5, 100, 5)],
    "bollinger_reversion": [{"window": w, "width": 1.0 + k / 10} for w in range(10, 50, 2) for k in range(15)],
}


@njit(nogil=True, error_model="numpy")
def walk(tables: Tables, space: Space, bars: int, combinations: int, out: np.ndarray) -> int:
    """Ask for the signals of the first combinations on all tiles; the sum keeps the compiler honest."""
    seen = np.uint64(0)
    for first in range(0, bars, space.room):
        last = min(first + space.room, bars)
        evaluate_tile(tables, space, first, last)
        for c in range(combinations):
            signal_words(tables, space, first, last, c, out)
            seen ^= out[0, 0]
    return seen


def bars() -> pd.DataFrame:
    """A seeded random walk in cents, one bar a minute."""
    rng = np.random.default_rng(7)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.0005, BARS))), 2)
    reach = np.round(np.abs(rng.normal(0, 0.05, (2, BARS))), 2)
    index = pd.date_range("2020-01-01", periods=BARS, freq="min", tz="UTC", name="time")
    columns = {"open": close, "high": close + reach[0], "low": close - reach[1], "close": close, "volume": reach[0]}
    return pd.DataFrame(columns, index)


def best(batch: Batch, combinations: int) -> float:
    """Least seconds of several walks."""
    times = []
    for _ in range(ROUNDS):
        space = batch.program.space()
        out = np.zeros((4, space.room // 64), np.uint64)
        began = time.thread_time()
        walk(batch.program.tables, space, BARS, combinations, out)
        times.append(time.thread_time() - began)
    return min(times)


def main() -> None:
    """Print one line a sweep."""
    frame = bars()
    print(f"{BARS:,} bars, one core, best of {ROUNDS}; ns a bar and combination")
    print(
        f"{'sweep':<20}{'points':>7}{'compile s':>10}{'MB':>6}{'tile':>6}{'lines ns/bar':>14}{'ns/bar/point':>14}  road"
    )
    for name, points in SWEEPS.items():
        compile_batch(registered()[name], frame, points[:4])  # machine code, warm caches
        began = time.thread_time()
        batch = compile_batch(registered()[name], frame, points)
        compiled = time.thread_time() - began
        walk(batch.program.tables, batch.program.space(), 64, 1, np.zeros((4, 64), np.uint64))
        shared, whole = best(batch, 0), best(batch, len(batch))
        print(
            f"{name:<20}{len(batch):>7}{compiled:>10.2f}{batch.memory / 1e6:>6.0f}{batch.program.tile:>6}"
            f"{shared / BARS * 1e9:>14.2f}{whole / BARS / len(batch) * 1e9:>14.3f}  {batch}"
        )


if __name__ == "__main__":
    main()
