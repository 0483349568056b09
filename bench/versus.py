"""Measure ours against the peers in one run: answers compared first, then alternating rounds, medians with spread.

    python bench/versus.py             the full run, writes bench/RESULTS.md
    python bench/versus.py --quick     small sizes, only peers that are installed; minutes
    python bench/versus.py --only sweeps,cold --peers vectorbt,raptorbt

Peers live in environments of their own under ``bench/.envs`` (pinned in ``bench/peers/versions.toml``), made on demand.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import datetime as dt
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from peers import cold, crew, environments, plan, report, roster
from peers.measure import Bench, Row
from peers.plan import Profile

SECTIONS = ("sweeps", "ladder", "once", "rich", "events", "published", "cold")
RESULTS = environments.BENCH / "RESULTS.md"
QUICK_RESULTS = environments.HOME / "RESULTS-quick.md"


def main() -> None:
    """Read the options, run the sections, write the page after each."""
    asked = _options()
    profile = plan.QUICK if asked.quick else plan.FULL
    if asked.round:
        profile = replace(profile, limits=replace(profile.limits, round_s=asked.round))
    began = time.perf_counter()
    for folder in ("tradelab", "bench/peers"):
        compileall.compile_dir(environments.ROOT / folder, quiet=1)
    envs = _environments(asked.peers, install=not asked.quick)
    bench = Bench(envs, profile.limits, print)
    page = Page(profile, envs, asked.out or (QUICK_RESULTS if asked.quick else RESULTS))
    for section in asked.only:
        print(f"\n{section}:")
        for title, text in _MAKERS[section](bench, profile, page.rows):
            page.add(title, text)
        page.write(time.perf_counter() - began)
    bench.close()
    print("\n".join(["", *reached(page.rows)]))
    print(f"\nwritten to {page.path.name} in {report.seconds(time.perf_counter() - began)}")


class Page:
    """RESULTS.md as it grows, and every row for the record."""

    def __init__(self, profile: Profile, envs: dict[str, environments.Environment], path: Path) -> None:
        self.profile, self.envs, self.path = profile, envs, path
        self.parts: list[str] = []
        self.rows: list[list[Row]] = []

    def add(self, title: str, text: list[str]) -> None:
        """Print a part and keep it."""
        print("\n" + "\n".join([f"## {title}", "", *text]), flush=True)
        self.parts += [f"## {title}", "", *text, ""]

    def write(self, spent_s: float) -> None:
        """Write the page as it is now, targets last."""
        found = reached(self.rows)
        parts = [*_head(self.profile, self.envs, spent_s), *self.parts]
        if found:
            parts += ["## In short", "", *found, ""]
        self.path.write_text("\n".join(parts), encoding="utf-8")
        record = [row.to_dict() for group in self.rows for row in group]
        (environments.HOME / f"rows-{self.profile.name}.json").write_text(json.dumps(record), encoding="utf-8")


def _options() -> argparse.Namespace:
    said = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    said.add_argument("--quick", action="store_true", help="small sizes, installed peers only")
    said.add_argument("--only", type=lambda text: text.split(","), default=list(SECTIONS), metavar="SECTIONS")
    said.add_argument("--peers", type=lambda text: text.split(","), default=list(environments.table()), metavar="NAMES")
    said.add_argument("--round", type=float, default=None, metavar="S", help="most a call takes, but in large sweeps")
    said.add_argument("--out", type=Path, default=None, help="where to write the page")
    asked = said.parse_args()
    for given, known in ((asked.only, SECTIONS), (asked.peers, tuple(environments.table()))):
        unknown = set(given) - set(known)
        if unknown:
            said.error(f"{', '.join(sorted(unknown))}: not among {', '.join(known)}")
    return asked


def _environments(names: list[str], *, install: bool) -> dict[str, environments.Environment]:
    envs = {environments.OURS: environments.ours()}
    for name in names:
        print(f"environment of {name} …", end=" ", flush=True)
        envs[name] = environments.get(name, install=install)
        print(envs[name].reason or envs[name].versions.get(name, "ready"), flush=True)
    return envs


def _head(profile: Profile, envs: dict[str, environments.Environment], spent_s: float) -> list[str]:
    here = crew.machine()
    rows = [
        [env.title, ", ".join(f"{k} {v}" for k, v in env.versions.items()) or f"– ({env.reason})"]
        for env in envs.values()
    ]
    again = {"quick": "python bench/versus.py --quick"}.get(profile.name, "python bench/versus.py")
    if profile.limits.round_s != {"quick": plan.QUICK, "full": plan.FULL}[profile.name].limits.round_s:
        again += f" --round {profile.limits.round_s:g}"
    return [
        "# Measured against the peers",
        "",
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, profile “{profile.name}”, at most {profile.limits.round_s:g} s a timed "
        f"call ({plan.LARGE_S:g} s in sweeps of 1,000 × 500,000 and more), {report.seconds(spent_s)} in all.",
        f"{here['machine']}; {here['system']}.",
        f"Run it again: `{again}`. How it is measured, and what it does not say: [README](README.md#versuspy).",
        "",
        *report.lines(["engine", "versions"], rows),
        "",
    ]


def _sweeps(bench: Bench, profile: Profile, rows: list[list[Row]]) -> list[tuple[str, list[str]]]:
    groups = [bench.group("sweep", case, limits=profile.limits_of(case)) for case in plan.sweeps(profile)]
    rows += groups
    says = [
        "Simple averages crossing, long only, all in, fees 5 bp, slippage 2 bp; stops: 2 % loss, 4 % gain. “ran” is the"
    ]
    says += ["shape an engine could bear; where it is smaller, “whole shape” is its unit cost times the size (≈).", ""]
    return [("Sweeps", [*says, *report.table(groups), "", *report.notes(groups)])]


def _ladder(bench: Bench, profile: Profile, rows: list[list[Row]]) -> list[tuple[str, list[str]]]:
    groups = [bench.group("ladder", plan.ladder(profile))]
    rows += groups
    says = [
        "RSI above 50, fast average above slow, close above fast; 1 % risked a trade, three targets, trailing stop,"
    ]
    says += [
        "break-even. No peer here sweeps such a rule; its single result is held to the reference by our tests.",
        "",
    ]
    return [("A rule with everything a trade can do", [*says, *report.table(groups)])]


def _once(bench: Bench, profile: Profile, rows: list[list[Row]]) -> list[tuple[str, list[str]]]:
    groups = [bench.group("once", plan.once(profile))]
    rows += groups
    return [("One combination, a long history", [*report.table(groups), "", f"- {plan.MANIFOLD_ONCE}."])]


def _rich(bench: Bench, profile: Profile, rows: list[list[Row]]) -> list[tuple[str, list[str]]]:
    groups = [bench.group("rich", case) for case in plan.rich(profile)]
    rows += groups
    says = ["Signals, simulation, table of trades, equity and every figure the engine has, in a warm process.", ""]
    return [("One rich backtest, warm", [*says, *report.table(groups), "", *report.notes(groups)])]


def _events(bench: Bench, profile: Profile, rows: list[list[Row]]) -> list[tuple[str, list[str]]]:
    groups = [bench.group("events", plan.events(profile)), bench.group("feed", plan.feed(profile))]
    rows += groups
    says = [
        "One unit bought and sold on crossings, on bars that end flat; compared with ours under the engine's own fill.",
        "",
    ]
    return [("Event-driven engines, one run", [*says, *report.table(groups), "", *report.notes(groups)])]


def _published(bench: Bench, profile: Profile, rows: list[list[Row]]) -> list[tuple[str, list[str]]]:
    signals = [bench.group("published signals", plan.vbt_pro(profile))]
    rows += signals
    parts = [
        ("VBT PRO's published shape: signals given, 8 columns", [*report.table(signals), "", f"- {plan.VBT_PRO}."])
    ]
    if profile.published:
        sweep = [bench.group("published sweep", plan.manifold(), roster.OURS)]
        rows += sweep
        parts.append(("Manifold-BT's published sweep", [*report.table(sweep), "", f"- {plan.MANIFOLD}."]))
    return parts


def _cold(bench: Bench, profile: Profile, rows: list[list[Row]]) -> list[tuple[str, list[str]]]:
    groups = [cold.rounds(bench, profile, kind, empty=empty) for kind in ("sweep", "rich") for empty in (False, True)]
    rows += [group for group in groups if group]
    says = ["From the start of the process to the first answer, bytecode compiled beforehand for every engine.", ""]
    return [("Cold start", [*says, *cold.table(groups)])]


def reached(groups: list[list[Row]]) -> list[str]:
    """One line a case: ours, the gain of a second thread, every peer's time over ours; from this run's rows alone."""
    found = []
    for group in groups:
        timed = [row for row in group if row.seconds and not row.problem]
        ours = {row.threads: row for row in timed if row.engine == "tradelab"}
        if not ours:
            continue
        first, least = group[0], min(ours.values(), key=lambda row: row.median_ns)
        shape = f"{first.asked_combinations:,} × {first.asked_bars:,}{', stops' if first.stops else ''}"
        cold_start = first.section.startswith("cold")
        took = statistics.median(least.seconds) if cold_start else least.asked_s
        unit = "" if cold_start else f" ({report.figure(least.median_ns)} ns a bar and combination)"
        both = f"; two threads {ours[1].median_ns / ours[2].median_ns:.2f} × one" if {1, 2} <= ours.keys() else ""
        top = report.memory(max(row.peak_mb for row in ours.values()))
        peers = [row for row in timed if row.engine != "tradelab"]
        ratios = ", ".join(f"{row.engine} {report.figure(row.median_ns / least.median_ns)} ×" for row in peers)
        name = f"{first.section} cache, {first.kind}" if cold_start else first.section
        found.append(f"- {name}, {shape}: ours {report.seconds(took)}{unit}, {top}{both}; {ratios or 'no peer'}.")
    return found


_MAKERS: dict[str, Callable[[Bench, Profile, list[list[Row]]], list[tuple[str, list[str]]]]] = {
    "sweeps": _sweeps,
    "ladder": _ladder,
    "once": _once,
    "rich": _rich,
    "events": _events,
    "published": _published,
    "cold": _cold,
}


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
