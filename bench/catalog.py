"""Measure the catalog: 20 symbols of one year of minutes each (10.5 M bars), median milliseconds, beside the targets.

python bench/catalog.py [--symbols 20] [--folder DIR]
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing as mp
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from tradelab.catalog import quality, samples, segments, series, swap
from tradelab.catalog.bars import BarRow, Catalog
from tradelab.catalog.coverage import cover
from tradelab.catalog.frame import from_arrays
from tradelab.catalog.reading import span_of
from tradelab.catalog.sessions import sessions_of
from tradelab.model.units import NS_PER_MIN, Timeframe

BARS = 525_600
BUSY_S = 8.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--symbols", type=int, default=20)
    options.add_argument("--folder", default=None)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder, Catalog(folder) as catalog:
        for name, figure, target in measure(catalog, asked.symbols):
            print(f"{name:<44} {figure:>12}   target {target}")


def measure(catalog: Catalog, symbols: int) -> list[tuple[str, str, str]]:
    names = [f"SYM{i:02d}" for i in range(symbols)]
    spent = 0.0
    for seed, name in enumerate(names):
        bars = samples.synthetic("1m", BARS, seed=seed, price=100.0 * 3 ** (seed % 7))
        start = time.perf_counter()
        catalog.write("bench", name, "1m", bars)
        spent += time.perf_counter() - start
    last = bars.index[-1].value
    size = int(catalog.list()["size"].sum())
    some = names[symbols // 2]

    def read(start: str | None, end: str | None, name: str = some) -> Callable[[], object]:
        return lambda: catalog.read("bench", name, "1m", start, end)

    fresh = median(lambda: Catalog(catalog.root).read("bench", some, "1m", "2024-03-05", "2024-04-04"), 5)
    rows = [
        ("write all (s)", f"{spent:.1f}", "-"),
        ("size (MB)", f"{size / 1e6:.0f}", f"<= {230 * symbols / 20:.0f}"),
        ("read 30 days, 1 symbol, new Catalog (ms)", f"{fresh:.1f}", "-"),
        ("read 30 days, 1 symbol (ms)", f"{median(read('2024-03-05', '2024-04-04')):.1f}", "<= 8"),
        ("read 1 year, 1 symbol (ms)", f"{median(read(None, None)):.1f}", "<= 30"),
        (
            "read 1 day, every symbol (ms)",
            f"{median(lambda: [read('2024-03-05', '2024-03-06', n)() for n in names]):.1f}",
            "-",
        ),
    ]
    batches = [
        [BarRow("bench", n, Timeframe.M1, last + (k + 1) * NS_PER_MIN, 1.0, 2.0, 0.5, 1.5, 3.0) for n in names]
        for k in range(200)
    ]
    rows.append(
        (
            f"append 1 bar to each of {symbols} (ms)",
            f"{median_each([(lambda b=b: catalog.append(b)) for b in batches]):.2f}",
            "<= 2",
        )
    )
    many = [
        BarRow("bench", some, Timeframe.M1, last + (k + 300) * NS_PER_MIN, 1.0, 2.0, 0.5, 1.5, 3.0) for k in range(1000)
    ]
    rows.append(("append 1,000 bars to one (ms)", f"{median_each([lambda: catalog.append(many)]):.1f}", "-"))
    start = time.perf_counter()
    catalog.compact()
    rows.append((f"compact {symbols} tails (ms)", f"{(time.perf_counter() - start) * 1e3:.0f}", "-"))
    million = samples.synthetic("1m", 1_000_000, seed=1)
    rows.append(("inspect 1 M bars (ms)", f"{median(lambda: quality.inspect(million, '1m'), 7):.0f}", "<= 50"))
    rows += [
        (
            f"coverage of 1 M minutes by {c} (ms)",
            f"{median(lambda b=b, c=c: cover(b, Timeframe.M1, c), 7):.0f}",
            "<= 300",
        )
        for c, b in ((c, in_sessions(million, c)) for c in ("fx", "XNYS"))
    ]
    rows += tiers(catalog, some)
    reads, failed, swaps = busy(catalog, some)
    rows.append((f"reads beside a busy writer ({swaps} swaps)", f"{reads} / {failed} failed", "0 failed"))
    return rows


def tiers(catalog: Catalog, name: str) -> list[tuple[str, str, str]]:
    """Measure what a cache over the catalog could save: hot reads, their parts, and the floor under any cache."""
    end = catalog.read("bench", name, "1m").index[-1]
    key = ("bench", name, Timeframe.M1)
    rows = []
    for said, bars in (("last 100 bars", 100), ("last 1,000 bars", 1000), ("1 year of minutes", BARS)):
        start = end - pd.Timedelta(minutes=bars - 1)
        span = span_of(start, None)
        with catalog._database.reading() as connection:
            found = swap.find(connection, series.require(connection, key), start_ns=span[0])

        def index(start: pd.Timestamp = start) -> object:
            return catalog.snapshot(*key, start)

        def held(found: list[segments.Segment] = found) -> object:
            return [hashlib.sha256((catalog.root / s.name).read_bytes()).digest() for s in found]

        def decoded(found: list[segments.Segment] = found) -> object:
            return segments.load(catalog.root, found)

        kept = catalog.read(*key, start)

        def cached(start: pd.Timestamp = start, kept: pd.DataFrame = kept) -> object:
            catalog.snapshot(*key, start)  # a cache that is never stale asks the catalogue what stands
            return kept.copy()

        parts = [median(work) for work in (lambda start=start: catalog.read(*key, start), index, held, decoded, cached)]
        rows.append((f"hot read, {said} (ms)", f"{parts[0]:.2f}", "-"))
        rows.append(("  catalogue / file and hash / with decoding", " / ".join(f"{p:.2f}" for p in parts[1:4]), "-"))
        rows.append(("  the same from a cache that asks first", f"{parts[4]:.2f}", "-"))
    return rows


def in_sessions(bars: pd.DataFrame, calendar: str) -> pd.DataFrame:
    """Move bars to the minutes at which a market was open, from 2014 on."""
    first, last = pd.Timestamp("2014-01-01").value, pd.Timestamp("2025-12-31").value
    spans = sessions_of(calendar, first, last).spans
    minutes = np.concatenate([np.arange(a, b, NS_PER_MIN) for a, b in spans[:, spans[0] > first].T])
    return from_arrays(minutes[: len(bars)], bars)


def median(work: Callable[[], object], repeats: int = 15) -> float:
    work()
    return median_each([work] * repeats)


def median_each(works: list[Callable[[], object]]) -> float:
    spent = []
    for work in works:
        start = time.perf_counter()
        work()
        spent.append((time.perf_counter() - start) * 1e3)
    return statistics.median(spent)


def busy(catalog: Catalog, name: str) -> tuple[int, int, int]:
    """Count reads and failures of two other processes while this one rewrites, compacts and vacuums without grace."""
    context = mp.get_context("spawn")
    month = catalog.read("bench", name, "1m", "2024-05-01", "2024-06-01")
    catalog.write("bench", name, "1m", month.assign(volume=0.0))
    results = context.Queue()
    readers = [context.Process(target=_read_on, args=(str(catalog.root), name, results)) for _ in range(2)]
    for reader in readers:
        reader.start()
    results.get(), results.get()  # both have opened the catalog
    until, swaps = time.monotonic() + BUSY_S, 0
    while time.monotonic() < until:
        catalog.write("bench", name, "1m", month.assign(volume=np.float64(swaps)))
        catalog.vacuum(grace_s=0)
        swaps += 1
    for reader in readers:
        reader.join()
    found = [results.get(), results.get()]
    return sum(f[0] for f in found), sum(f[1] for f in found), swaps


def _read_on(folder: str, name: str, results: mp.Queue) -> None:
    catalog = Catalog(Path(folder))
    results.put("ready")
    reads = failed = 0
    until = time.monotonic() + BUSY_S
    while time.monotonic() < until:
        try:
            month = catalog.read("bench", name, "1m", "2024-05-01", "2024-06-01")
            failed += len(month) != 31 * 1440 or np.ptp(month["volume"].to_numpy()) != 0  # one generation
        except Exception:  # noqa: BLE001 - whatever it is, it is a failed read
            failed += 1
        reads += 1
    results.put((reads, failed))


if __name__ == "__main__":
    main()
