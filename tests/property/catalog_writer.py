"""Be the victim of the crash tests: fork writers on request, or read without end and count what goes wrong.

Run by test_catalog_crash as ``python catalog_writer.py write|read FOLDER``. Bar ``k`` of a series opens at hour ``k``
of 2020-12-31 and every number in it is ``k + 1``, so that any reader can tell a torn state from a whole one.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from tradelab.catalog.bars import BarRow, Catalog
from tradelab.catalog.frame import from_arrays, time_ns
from tradelab.model.units import NS_PER_HOUR, Timeframe

START = pd.Timestamp("2020-12-31", tz="UTC").value
SYMBOLS = ("A", "B", "C")
WINDOW = 72  # bars of the rewritten series; they lie in two years, so in two segments


def counted(first: int, last: int) -> pd.DataFrame:
    """Return bars ``first`` to before ``last``."""
    numbers = np.arange(first, last)
    values = numbers + 1.0
    return from_arrays(START + numbers * NS_PER_HOUR, dict.fromkeys(("open", "high", "low", "close", "volume"), values))


def generation(number: float) -> pd.DataFrame:
    """Return the window with one number all over."""
    return counted(0, WINDOW) * 0 + number


def check(catalog: Catalog) -> tuple[int, float]:
    """Return how many bars each series has and the window's generation, or raise AssertionError on a torn state."""
    lengths = []
    for symbol in SYMBOLS:
        bars = catalog.read("crash", symbol, "1h")
        assert np.array_equal(time_ns(bars), START + np.arange(len(bars)) * NS_PER_HOUR), "a bar is missing"
        assert (bars.to_numpy() == np.arange(1.0, len(bars) + 1)[:, None]).all(), "a bar is wrong"
        lengths.append(len(bars))
    window = catalog.read("crash", "W", "1h").to_numpy()
    assert window.shape == (WINDOW, 5), "the window is not whole"
    assert (window == window[0, 0]).all(), "two generations in one read"
    assert len(set(lengths)) == 1, "an append of three series was kept in part"
    return lengths[0], float(window[0, 0])


def write_on(catalog: Catalog) -> None:
    """Append, rewrite, compact and vacuum until killed; say each thing that was promised to be kept."""
    newest = catalog.last_closed("crash", "A", "1h")
    last = (newest.value - START) // NS_PER_HOUR + 1 if newest is not None else 0
    number = catalog.read("crash", "W", "1h", end="2020-12-31 01:00")["close"].iloc[0]
    turn = int(time.time_ns() // 1000) % 7
    while True:
        rows = [
            BarRow("crash", s, Timeframe.H1, START + last * NS_PER_HOUR, *[last + 1.0] * 5, closed=True)
            for s in SYMBOLS
        ]
        catalog.append(rows)
        last += 1
        os.write(1, f"bars {last}\n".encode())
        turn += 1
        if turn % 3 == 0:
            number += 1
            catalog.write("crash", "W", "1h", generation(number))
            os.write(1, f"generation {number}\n".encode())
        if turn % 5 == 0:
            catalog.compact()
            catalog.vacuum(grace_s=0)


def nurse(folder: str) -> None:
    """Fork one writer for each line on stdin, say its process id, and say when it is dead."""
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            write_on(Catalog(folder))
        os.write(1, f"born {child}\n".encode())
        os.waitpid(child, 0)
        os.write(1, b"dead\n")


def watch(folder: str) -> None:
    """Read and check until stdin closes; print reads, torn or failed reads, and the first failure."""
    catalog = Catalog(folder)
    reads, failed, first = 0, 0, ""
    stop = Path(folder) / "stop"
    while not stop.exists():
        reads += 1
        try:
            # The series are read one after another, so only each by itself must be whole.
            for symbol in SYMBOLS:
                bars = catalog.read("crash", symbol, "1h")
                assert (bars.to_numpy() == np.arange(1.0, len(bars) + 1)[:, None]).all()
            window = catalog.read("crash", "W", "1h").to_numpy()
            assert window.shape == (WINDOW, 5)
            assert (window == window[0, 0]).all()
        except Exception as error:  # noqa: BLE001 - whatever it is, a read failed
            failed += 1
            first = first or repr(error)
    os.write(1, f"{reads} {failed} {first}\n".encode())


def prepare(folder: str) -> None:
    """Give the catalog its first bars."""
    with Catalog(folder) as catalog:
        for symbol in SYMBOLS:
            catalog.write("crash", symbol, "1h", counted(0, 5))
        catalog.write("crash", "W", "1h", generation(1.0))


if __name__ == "__main__":
    {"write": nurse, "read": watch}[sys.argv[1]](sys.argv[2])
