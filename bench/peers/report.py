"""Turn rows into tables, and tables into the page that the README quotes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from peers.measure import Row

HEAD = [
    "shape",
    "stops",
    "engine",
    "ran",
    "ns a bar and combination",
    "whole shape",
    "peak memory",
    "× ours",
    "answers",
]
_MIN_S = 90.0


def lines(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table whose columns line up in a terminal too."""
    table = [list(head), *map(list, body)]
    wide = [max(len(row[i]) for row in table) for i in range(len(head))]
    drawn = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)) + " |" for row in table]
    return [drawn[0], "|" + "|".join("-" * (w + 2) for w in wide) + "|", *drawn[1:]]


def table(groups: Iterable[list[Row]]) -> list[str]:
    """One line an engine and case; a cut run says what it ran, and its whole shape is an extrapolation (≈)."""
    return lines(HEAD, (cells(row, group) for group in groups for row in group))


def cells(row: Row, group: list[Row]) -> list[str]:
    """One line of ``table``."""
    shape = f"{row.asked_combinations:,} × {row.asked_bars:,}"
    name = row.engine + (f", {row.threads} thread{'s' * (row.threads > 1)}" if row.engine == "tradelab" else "")
    start = [shape, "yes" if row.stops else "no", name]
    if row.problem:
        return [*start, "–", "–", "–", "–", "–", f"✗ {row.problem}"]
    ran = f"{row.combinations:,} × {row.bars:,}" if row.is_cut else "all"
    whole = ("≈ " if row.is_cut else "") + seconds(row.asked_s)
    ratio = row.median_ns / best(group)
    return [
        *start,
        ran,
        spread(row.ns),
        whole,
        memory(row.peak_mb),
        "–" if math.isnan(ratio) else figure(ratio),
        row.equal,
    ]


def best(group: list[Row]) -> float:
    """Our own best median of a group, NaN without one."""
    ours = [row.median_ns for row in group if row.engine == "tradelab" and row.seconds and not row.problem]
    return min(ours, default=math.nan)


def spread(values: Sequence[float]) -> str:
    """Median, least and most."""
    if not values:
        return "–"
    return f"{figure(statistics.median(values))} ({figure(min(values))} – {figure(max(values))})"


def figure(value: float) -> str:
    """Three figures, thousands set apart."""
    if not math.isfinite(value):
        return "–"
    if value >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}" if value >= 0.001 or value == 0 else f"{value:.1e}"


def seconds(value: float) -> str:
    """A duration in the unit a reader thinks in."""
    if value < 1.0:
        return f"{figure(value * 1e3)} ms"
    if value < _MIN_S:
        return f"{figure(value)} s"
    return f"{figure(value / 60)} min" if value < 5400 else f"{figure(value / 3600)} h"


def memory(megabytes: float) -> str:
    """Peak memory, MB or GB."""
    if math.isnan(megabytes):
        return "–"
    return f"{megabytes:.0f} MB" if megabytes < 2000 else f"{megabytes / 1000:.1f} GB"


def notes(groups: Iterable[list[Row]]) -> list[str]:
    """What the rows say about their comparison, each once."""
    said = {row.engine: row.says for group in groups for row in group if row.says and not row.problem}
    return [f"- {engine}: {says}." for engine, says in said.items()]
