"""Measure the event kernel against the reference, from rare trades to one on nearly every bar.

The event kernel leaps over quiet bars; where nearly every bar trades there is nothing to leap over. The reference lives
every bar, and a row of figures needs its whole equity curve besides. Both are asked for the same rows.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

import tradelab as tl
from tradelab.research.backtest import backtest_tape
from tradelab.research.figures import row_of
from tradelab.research.inputs import read_bars
from tradelab.strategy.registry import find

BARS = 100_000
ROUNDS = 3
GRIDS = {  # from a trade every two hundred bars to two on three bars
    "sma_cross 10-45 x 50-95": ("sma_cross", {"fast": range(10, 50, 5), "slow": range(50, 100, 5)}),
    "sma_cross 2-5 x 6-15": ("sma_cross", {"fast": range(2, 6), "slow": range(6, 16)}),
    "rsi_reversion 2-5": ("rsi_reversion", {"window": range(2, 6), "low": [20.0, 30.0, 40.0]}),
    "sma_cross 1 x 2-9": ("sma_cross", {"fast": [1], "slow": range(2, 10)}),
}


def bars() -> pd.DataFrame:
    """A seeded walk, one minute a bar."""
    rng = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.0007, BARS)))
    open_ = np.concatenate([[100.0], close[:-1]])
    frame = pd.DataFrame({"open": open_, "high": np.maximum(open_, close) * 1.0002, "close": close})
    frame.insert(2, "low", np.minimum(open_, close) * 0.9998)
    return frame.set_index(pd.date_range("2024-01-01", periods=BARS, freq="min", tz="UTC"))


def best(call: object, rounds: int = ROUNDS) -> float:
    """Seconds of the fastest of some calls."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()  # type: ignore[operator]
        took.append(time.perf_counter() - began)
    return min(took)


def main() -> None:
    """Print one line a grid, nanoseconds a bar and combination on one thread."""
    frame = bars()
    tape = read_bars(frame)
    print(f"{BARS:,} bars, one thread, best of {ROUNDS}, ns a bar and combination")
    print(f"{'grid':<26}{'trades a bar':>14}{'event kernel':>14}{'reference':>12}{'ratio':>8}")
    for title, (name, grid) in GRIDS.items():
        given = {"fees": 0.0002, "sl_stop": 0.01, "progress": False, "threads": 1}
        rows = tl.sweep(frame, name, **grid, **given).table
        leapt = best(lambda name=name, grid=grid, given=given: tl.sweep(frame, name, **grid, **given))
        point = {key: list(values)[len(list(values)) // 2] for key, values in grid.items()}
        walked = best(
            lambda name=name, point=point: row_of(
                backtest_tape(tape, find(name), {**point, "fees": 0.0002, "sl_stop": 0.01}), 16
            )
        )
        ours, theirs = leapt * 1e9 / BARS / len(rows), walked * 1e9 / BARS
        density = rows["trades"].mean() / BARS
        print(f"{title:<26}{density:>14.4f}{ours:>14.2f}{theirs:>12.2f}{theirs / ours:>8.1f}")


if __name__ == "__main__":
    main()
