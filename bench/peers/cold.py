"""Time whole processes from their start to their first answer, with numba's cache warm and with none."""

from __future__ import annotations

import math
import statistics

from peers import bars, crew, plan, report, roster
from peers.measure import Bench, Row
from peers.plan import Profile

PATIENCE_S = 900.0
JUST_IN_TIME = "tradelab, nothing made ahead"
TITLES = {"sweep": "sweep of 105 × 5,000, stops", "rich": "one rich backtest, 5,000 bars, stops"}


def rounds(bench: Bench, profile: Profile, kind: str, *, empty: bool) -> list[Row]:
    """Start every engine in turn, as often as the profile says; a start that only fills the cache is not counted."""
    turns = profile.cold_empty if empty else profile.cold_rounds
    peers = [(peer, bench.envs[peer.name].title, {}) for peer in bench.contenders(kind) if peer.threads == 1]
    peers.insert(1, (peers[0][0], JUST_IN_TIME, {"TRADELAB_AHEAD": "0"}))
    cache = "empty" if empty else "warm"
    asked = plan.cold(kind)
    size = asked["bars"], roster.count(asked)
    rows = [Row(f"cold {cache}", title, 1, True, *size, *size, kind=kind) for _, title, _ in peers]
    fills = bool(turns) and profile.cold_fill and not empty
    for turn in range(turns + fills):
        for row, (peer, title, more) in zip(rows, peers, strict=True):
            environment = bench.envs[peer.name]
            if environment.python is None:
                row.problem = f"not installed: {environment.reason}"
            if row.problem:
                continue
            case = asked | {"peer": peer.name, "threads": 1, "fill": peer.fill}
            case["file"] = str(bars.path(case["bars"]))
            bench.say(f"  cold, {cache} cache: {title}, {kind}")
            try:
                found = crew.cold(environment, peer.engine, case, empty=empty, timeout_s=PATIENCE_S, more=more)
            except crew.Gone as gone:
                row.problem = str(gone)
                continue
            row.peak_mb = found["peak_mb"]
            if turn or not fills:
                row.seconds.append(found["seconds"])
    return [row for row in rows if row.seconds or row.problem]


def table(groups: list[list[Row]]) -> list[str]:
    """One line an engine, first answer and cache."""
    body = []
    for group in groups:
        mine = next(
            (statistics.median(row.seconds) for row in group if row.engine == "tradelab" and row.seconds), math.nan
        )
        for row in group:
            took = statistics.median(row.seconds) if row.seconds else math.nan
            times = f"✗ {row.problem}" if row.problem else report.spread(row.seconds)
            ratio = report.figure(took / mine)
            cache = row.section.removeprefix("cold ")
            body.append([TITLES[row.kind], cache, row.engine, times, report.memory(row.peak_mb), ratio])
    return report.lines(["first answer", "numba cache", "engine", "seconds", "peak memory", "× ours"], body)
