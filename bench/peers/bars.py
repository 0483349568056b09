"""Make the bars every engine is given: seeded geometric Brownian motion, one minute a bar, the same bits for all.

Prices are continuous: two averages of them do not tie, so engines that round an average differently still trade alike.
The file is written once by the parent and read by every worker, so nobody measures the making of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[1] / ".envs" / "bars"
START_NS = (
    1_704_412_800_000_000_000  # Friday 2024-01-05 00:00 UTC: even 5 000 bars see a weekend, and the year is 365 days
)
STEP_NS = 60_000_000_000
START_PRICE = 100.0
SIGMA_BAR = 0.0007
STEPS_IN_BAR = 4
_CHUNK = 65_536
FIELDS = ("open", "high", "low", "close", "volume")


def path(bars: int, seed: int = 7) -> Path:
    """Return the file of ``bars`` bars, written now if it must be; shape (5, bars), rows as in ``FIELDS``."""
    file = FOLDER / f"gbm-{bars}-{seed}.npy"
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npy")
        out = np.lib.format.open_memmap(part, mode="w+", dtype=np.float64, shape=(len(FIELDS), bars))
        _fill(out, np.random.default_rng(seed))
        out.flush()
        del out
        part.rename(file)
    return file


def load(file: str | Path) -> dict[str, np.ndarray]:
    """Return open, high, low, close and volume, each contiguous of shape (bars,)."""
    return dict(zip(FIELDS, np.load(file), strict=True))


def times(bars: int) -> np.ndarray:
    """Open times, UTC nanoseconds since 1970, shape (bars,)."""
    return START_NS + STEP_NS * np.arange(bars, dtype=np.int64)


def windows(combinations: int, shortest: int = 5, longest: int = 250) -> list[int]:
    """Return k windows, evenly spread, whose k (k - 1) / 2 pairs come as near to ``combinations`` as they can.

    100, 1 000 and 10 000 become 105, 1 035 and 10 011.
    """
    k = max(2, round((1 + (1 + 8 * combinations) ** 0.5) / 2))
    if k * (k - 1) // 2 < combinations and combinations >= 100:
        k += 1
    return spread(k, shortest, longest)


def spread(k: int, shortest: int = 5, longest: int = 250) -> list[int]:
    """Return k distinct windows, evenly spread."""
    return [int(window) for window in np.linspace(shortest, max(longest, shortest + k), k).round()]


def pairs(windows: list[int]) -> list[tuple[int, int]]:
    """Return every (fast, slow) of ``windows`` with fast < slow, fast varying slowest."""
    return [(fast, slow) for i, fast in enumerate(windows) for slow in windows[i + 1 :]]


def flat_end(bars: int, windows: list[int]) -> int:
    """Return the most bars, at most ``bars``, that end a few bars after the fast average crossed below the slow one.

    Nobody holds a position then, and no engine's rule for the last trade matters.
    """
    close = load(path(bars))["close"]
    total = np.concatenate(([0.0], np.cumsum(close)))
    fast, slow = ((total[w:] - total[:-w])[-(bars - max(windows) + 1) :] / w for w in windows)
    above = fast > slow
    turns = np.flatnonzero(above[1:] != above[:-1]) + max(windows)  # the bar on which the sides changed
    below = [
        int(at)
        for at, after in zip(turns, [*turns[1:], bars], strict=True)
        if not above[at - max(windows) + 1] and after - at > 8
    ]
    return below[-1] + 6


def sparse_signals(bars: int, columns: int, orders: int, seed: int = 11) -> tuple[np.ndarray, np.ndarray]:
    """Return entries and exits, booleans of shape (columns, bars): ``orders`` a column, at random, in turn."""
    rng = np.random.default_rng(seed)
    entries, exits = np.zeros((2, columns, bars), dtype=bool)
    for column in range(columns):
        at = np.sort(rng.choice(bars, orders, replace=False))
        entries[column, at[0::2]] = True
        exits[column, at[1::2]] = True
    return entries, exits


def _fill(out: np.ndarray, rng: np.random.Generator) -> None:
    """Write bars chunk by chunk, so that ten million need no gigabyte."""
    last = np.log(START_PRICE)
    drift = -0.5 * SIGMA_BAR**2 / STEPS_IN_BAR
    for begin in range(0, out.shape[1], _CHUNK):
        end = min(begin + _CHUNK, out.shape[1])
        moves = rng.standard_normal((end - begin, STEPS_IN_BAR)) * (SIGMA_BAR / STEPS_IN_BAR**0.5) + drift
        walk = np.exp(last + np.cumsum(moves.ravel())).reshape(-1, STEPS_IN_BAR)
        opens = np.concatenate(([np.exp(last)], walk[:-1, -1]))
        out[0, begin:end] = opens
        out[1, begin:end] = np.maximum(opens, walk.max(axis=1))
        out[2, begin:end] = np.minimum(opens, walk.min(axis=1))
        out[3, begin:end] = walk[:, -1]
        out[4, begin:end] = rng.lognormal(2.0, 1.0, end - begin)
        last = np.log(walk[-1, -1])
