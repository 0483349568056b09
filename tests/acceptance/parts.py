"""List the parts of acceptance: what each plays, how much of it is all, and how its row is worded.

A part is given what was asked for and a log. It plays what the log does not have yet, and adds a line as each ends.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import random
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tests.acceptance import guarding, leasing, protecting
from tests.acceptance.crowd import at_points, in_files, on_server, run
from tests.acceptance.kernels import kill_kernels
from tests.acceptance.kills import MARKETS, Result, Scenario, Zygote, at_random
from tests.acceptance.reconciling import compare_many, flatten_many, tell, told_of
from tests.acceptance.results import RIGHT, ROOT, Line, Log
from tests.property.test_protection import STEPS, VENUES
from tests.store_fixtures import postgresql_server

Lines = Sequence[Line]


@dataclass(frozen=True)
class Asked:
    """What was asked for: this share of everything, drawn by a seed, so much at once."""

    share: float
    seed: int
    at_once: int

    def of(self, count: int) -> int:
        """So many of that many; at least one."""
        return max(1, round(count * self.share))


@dataclass(frozen=True)
class Part:
    """One row: its name on the command line, its title, how many experiments are all, and what plays and words it."""

    name: str
    title: str
    full: int
    play: Callable[[Asked, Log], None]
    words: Callable[[Lines], str]
    broken: Callable[[Lines], str] = lambda _: ""  # what does not hold for all lines together


class MissingError(Exception):
    """What a part needs is not here; its row stays as it is."""


class Bar:
    """A progress bar on standard error that counts what was wrong, too."""

    def __init__(self, what: str, of: int, log: Log) -> None:
        self._bar = tqdm(total=of, initial=min(of, len(log.lines)), desc=f"{what:<24}", unit="")
        self._wrong = sum(not line.is_right for line in log.lines.values())

    def tick(self, line: Line) -> None:
        """Count one."""
        self._wrong += not line.is_right
        self._bar.set_postfix(wrong=self._wrong, refresh=False)
        self._bar.update()


def _server() -> AbstractContextManager[str]:
    import pytest

    try:
        server = postgresql_server()
        return _Entered(server, server.__enter__())
    except pytest.skip.Exception as why:
        raise MissingError(str(why)) from None


class _Entered(AbstractContextManager[str]):
    """A server that runs already."""

    def __init__(self, server: AbstractContextManager[str], url: str) -> None:
        self._server, self._url = server, url

    def __enter__(self) -> str:
        return self._url

    def __exit__(self, *why: Any) -> None:
        self._server.__exit__(*why)


# ── kills ────────────────────────────────────────────────────────────────────────────────────────────────────────────

RANDOM, ON_POSTGRESQL = 1000, (0.05, 50)


def points(asked: Asked) -> list[Scenario]:
    """Every point, fault, kind and venue; or the first of them by the seed's order."""
    scenarios = at_points(MARKETS)
    random.Random(asked.seed).shuffle(scenarios)
    return scenarios[: asked.of(len(scenarios))]


def _kill(scenarios: Iterable[Scenario], asked: Asked, log: Log, part: str, server: str = "") -> None:
    waiting = list(scenarios)
    bar = Bar(part, len(waiting), log)

    def seen(result: Result) -> None:
        told = {"killed": result.killed, "end": result.end, "orders": result.orders}
        bar.tick(log.add(str(result.scenario), result.says, **told))

    new = on_server(server) if server else in_files
    left = [each for each in waiting if str(each) not in log]
    asyncio.run(run(left, at_once=asked.at_once, seen=seen, new=new))


def _kills_on_postgresql(asked: Asked, log: Log) -> None:
    share, count = ON_POSTGRESQL
    drawn = points(Asked(share * asked.share, asked.seed, 1)) + at_random(asked.of(count), asked.seed + 1)
    with _server() as server:
        _kill(drawn, asked, log, "kills on PostgreSQL", server)


def _killed(lines: Lines) -> str:
    told = Counter(line.says for line in lines)
    words = ", ".join(f"{word} {told[word]}" for word in ("duplicate", "lost", "refused", "unresolved", "failed"))
    return f"{words}; {sum(line.told.get('killed', 0) for line in lines)} kills"


# ── reconciliation, flatten ──────────────────────────────────────────────────────────────────────────────────────────


def _stories(asked: Asked, log: Log) -> None:
    waiting = told_of(list(MARKETS))
    random.Random(asked.seed).shuffle(waiting)
    waiting = [each for each in waiting[: asked.of(len(waiting))] if f"{each[1]}, {each[0].name}" not in log]
    bar = Bar("reconciliation", len(waiting), log)

    async def work() -> None:
        while waiting:
            story, venue = waiting.pop(0)
            with tempfile.TemporaryDirectory(prefix="tradelab-acceptance-") as folder:
                try:
                    told = await tell(story, venue, Path(folder))
                    wrong, took_s = "; ".join(told.wrong), told.took_s
                except Exception as error:  # noqa: BLE001 (counted, and told at the end)
                    wrong, took_s = f"{type(error).__name__}: {error}", 0.0
            bar.tick(log.add(f"{venue}, {story.name}", wrong or RIGHT, took_s=round(took_s, 3)))

    asyncio.run(_at_once(work, asked.at_once))


async def _at_once(work: Callable[[], Coroutine[Any, Any, None]], count: int) -> None:
    await asyncio.gather(*(work() for _ in range(count)))


def _single(
    name: str, scene: Callable[[Path], Coroutine[Any, Any, Any]], judge: Callable[[Any], tuple[bool, str]]
) -> Any:
    def play(asked: Asked, log: Log) -> None:
        if name in log:
            return
        with tempfile.TemporaryDirectory(prefix="tradelab-acceptance-") as folder:
            right, words = judge(asyncio.run(scene(Path(folder))))
        log.add(name, RIGHT if right else "wrong", words=words)

    return play


def _own_words(lines: Lines) -> str:
    return "; ".join(str(line.told["words"]) for line in lines)


# ── guards, protection ───────────────────────────────────────────────────────────────────────────────────────────────


def _crowd(
    drawn: Iterable[Any], asked: Asked, log: Log, part: str, play: Callable[..., Any], keep: Callable[..., Any]
) -> None:
    """Play scenes of engines, so many at once, each worker with a process that forks them."""
    waiting = [each for each in drawn if str(each) not in log]
    bar = Bar(part, len(waiting) + len(log.lines), log)

    async def work() -> None:
        zygote = await Zygote.start()
        while waiting:
            one = waiting.pop(0)
            async with in_files() as database:
                try:
                    told = await play(one, zygote, database)
                except Exception as error:  # noqa: BLE001 (counted, and told at the end)
                    bar.tick(log.add(str(one), f"{type(error).__name__}: {error}"))
                    await zygote.stop()
                    zygote = await Zygote.start()
                    continue
            bar.tick(log.add(str(one), "; ".join(told.wrong) or RIGHT, **keep(told)))
        await zygote.stop()

    asyncio.run(_at_once(work, asked.at_once))


TRIPS = 240  # so that more than a hundred are killed after the breach was kept


def _guards(asked: Asked, log: Log) -> None:
    def keep(told: guarding.Told) -> dict[str, Any]:
        return {"killed": told.killed, "kept": told.was_kept, "state": told.state, "entries": told.entries,
                "refused": told.refused}  # fmt: skip

    _crowd(guarding.trips(asked.of(TRIPS), asked.seed), asked, log, "guards", guarding.play, keep)


def _guarded(lines: Lines) -> str:
    kept = [line for line in lines if line.told.get("kept")]
    still = sum(line.told.get("state") == "halted" for line in kept)
    refused = sum(line.told.get("refused", 0) for line in lines)
    killed = sum(line.told.get("killed", 0) for line in lines)
    return (
        f"{killed} kills; of {len(kept)} after the breach was kept {still} still halted, the others trip at the first "
        f"look or had nothing to trip on; {refused} entries refused"
    )


def _protection(flavour: str) -> Callable[[Asked, Log], None]:
    def keep(told: protecting.Told) -> dict[str, Any]:
        return {"steps": told.steps, "fills": told.fills, "killed": told.killed,
                "ms": [round(ms, 1) for ms in told.unprotected_ms]}  # fmt: skip

    def play(asked: Asked, log: Log) -> None:
        drawn = protecting.entries(flavour, asked.of(PROTECTED[flavour]), asked.seed)
        _crowd(drawn, asked, log, f"protection, {flavour}", protecting.play, keep)

    return play


PROTECTED = {protecting.ALONE: 90, protecting.REFUSED: 120, protecting.KILLED: 120}


def _protected(lines: Lines) -> str:
    ms = [each for line in lines for each in line.told.get("ms", ())]
    steps, fills, killed = (sum(line.told.get(name, 0) for line in lines) for name in ("steps", "fills", "killed"))
    half, most, longest = protecting.spread(ms) if ms else (0.0, 0.0, 0.0)
    kills = f", {killed} kills" if killed else ""
    return (
        f"{fills:,} pieces{kills}, {steps:,} events of the exchange; without a stop p50 {half:,.0f}, p99 {most:,.0f}, "
        f"longest {longest:,.0f} ms"
    )


def _too_late(lines: Lines) -> str:
    ms = [each for line in lines for each in line.told.get("ms", ())]
    most = protecting.spread(ms)[1] if ms else 0.0
    return f"p99 is {most:.0f} ms, and 1000 were promised" if most > 1000 else ""


# ── leases ───────────────────────────────────────────────────────────────────────────────────────────────────────────

ROUNDS, ROUNDS_A_WORLD = 1000, 50


def _leases(on_postgresql: bool) -> Callable[[Asked, Log], None]:
    def play(asked: Asked, log: Log) -> None:
        worlds = [f"world {n + 1}" for n in range(max(1, asked.of(ROUNDS) // ROUNDS_A_WORLD))]
        rounds = min(ROUNDS_A_WORLD, asked.of(ROUNDS))
        bar = Bar("leases", len(worlds), log)
        with _server() if on_postgresql else nullcontext("") as server:

            def one(name: str) -> None:
                with tempfile.TemporaryDirectory(prefix="tradelab-acceptance-") as folder:
                    told = leasing.a_world(server, Path(folder), rounds)
                more = {"intents": told.intents, "not_taken": told.not_taken, "fences": told.fences}
                says = RIGHT if told.is_right else "wrong"
                bar.tick(log.add(name, says, n=told.rounds, wrong=told.wrong + told.let_in, **more))

            with ThreadPoolExecutor(asked.at_once) as pool:
                list(pool.map(one, [each for each in worlds if each not in log]))

    return play


def _leased(lines: Lines) -> str:
    intents, stuck = (sum(line.told.get(name, 0) for line in lines) for name in ("intents", "not_taken"))
    wrong = sum(line.failed for line in lines)
    return (
        f"{wrong} of {intents:,} intents by who held nothing, none in the copy; {stuck:,} more stops in which nobody "
        f"could take over"
    )


# ── what stands as tests ─────────────────────────────────────────────────────────────────────────────────────────────


def _tests(*selection: str, counts: Mapping[str, int] | None = None, **setting: str) -> Callable[[Asked, Log], None]:
    """Run tests and take their report.

    Parameters
    ----------
    counts
        For how many experiments a test stands, by its name.
    setting
        Variables of the environment that make them full size.
    """

    def play(asked: Asked, log: Log) -> None:
        with tempfile.TemporaryDirectory(prefix="tradelab-acceptance-") as folder:
            report = Path(folder) / "report.xml"
            words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=7200"]
            words = [sys.executable, *words, f"--junit-xml={report}", *selection]
            path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
            environment = os.environ | {"PYTHONPATH": path} | setting
            done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            if not report.exists():
                raise MissingError(
                    f"pytest {' '.join(selection)} did not run: {done.stdout[-300:]}{done.stderr[-300:]}"
                )
            for case in ET.parse(report).getroot().iter("testcase"):
                name = f"{case.get('classname')}::{case.get('name')}"
                if case.find("skipped") is not None:
                    continue
                says = RIGHT if case.find("failure") is None and case.find("error") is None else "failed"
                test = str(case.get("name")).partition("[")[0]
                log.add(name, says, n=(counts or {}).get(test, 1), took_s=float(case.get("time") or 0))
        if not log.lines:
            raise MissingError(f"all of {' '.join(selection)} was skipped here")

    return play


def _tested(what: str) -> Callable[[Lines], str]:
    return lambda lines: f"{len(lines)} tests: {what}"


# ── latency ──────────────────────────────────────────────────────────────────────────────────────────────────────────


_TOLD = r"^ *(\d+) bot\(s\)  (.+?) +p50 +([\d.]+) ms +p99 +([\d.]+) ms +\((\d+) orders\)"


def _latency(asked: Asked, log: Log) -> None:
    """Run the bench, and take what it prints: a line each for one bot and a hundred, handed on and on the wire."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "bench/latency.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    found = re.findall(_TOLD, done.stdout, re.M)
    if done.returncode or not found:
        raise MissingError(f"bench/latency.py told nothing: {done.stderr[-300:]}")
    for bots, what, p50, p99, orders in found:
        words = f"{bots} bot{'s' * (bots != '1')}, {what}: p50 {p50}, p99 {p99} ms"
        log.add(f"{bots} {what}", RIGHT, n=int(orders), words=words)


# ── kernels ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _kernels(asked: Asked, log: Log) -> None:
    if importlib.util.find_spec("jupyter_client") is None:
        raise MissingError("jupyter_client is not installed")
    if "kernels" in log:
        return
    with tempfile.TemporaryDirectory(prefix="tl-kernels-") as folder:
        told = kill_kernels(asked.of(100), Path(folder), at_once=asked.at_once, seed=asked.seed)
    log.add("kernels", "; ".join(told.wrong) or RIGHT, n=told.kills, wrong=len(told.wrong), words=str(told))


_PAGES = ("tests/house/test_notebooks.py", "-k", "runs_offline and (50_paper or 60_going)")
_LIVE, LIVE = "tests/parity/test_live.py", 16
_LIVE_TEST = "test_a_strategy_decides_the_same_in_backtest_replay_on_paper_and_before_a_venue"
_RECONCILE = "tests/unit/modules/execution/test_reconcile_scenarios.py"
_JOURNAL = "tests/unit/store/test_journal.py::test_a_thousand_changed_rows_are_all_found"
_LEDGER = "tests/property/test_fill_ledger.py::test_any_order_of_fills_gives_the_same_rounds_and_no_money_is_lost"
_STEPS = "tests/property/test_protection.py::test_exits_never_close_more_than_has_filled_and_end_up_exactly_at_it"
_ENDS = (
    "tests/unit/modules/execution/test_wind_down.py",
    "-k",
    "test_an_engine_ends_within_ten_seconds_and_leaves_what_its_policy_says",
)
PARTS: tuple[Part, ...] = (
    Part("kills-at-points", "kills at points", len(at_points(MARKETS)),
         lambda asked, log: _kill(points(asked), asked, log, "kills at points"), _killed),
    Part("kills-at-random", "kills at random", RANDOM,
         lambda asked, log: _kill(at_random(asked.of(RANDOM), asked.seed), asked, log, "kills at random"), _killed),
    Part("kills-on-postgresql", "kills, records in PostgreSQL",
         round(len(at_points(MARKETS)) * ON_POSTGRESQL[0]) + ON_POSTGRESQL[1], _kills_on_postgresql, _killed),
    Part("reconciliation", "reconciliation", len(told_of(list(MARKETS))), _stories,
         lambda lines: f"agreed after {max(line.told['took_s'] for line in lines):.1f} s of a start at most"),
    Part("reconciliation-scripted", "reconciliation, scripted venue", 57, _tests(_RECONCILE),
         _tested("the public failures by their numbers, and a second pass that writes nothing")),
    Part("many", "200 orders, 50 positions", 1,
         _single("many", compare_many,
                 lambda told: (told[1] == 0 and told[0] <= 5, f"compared {told[0]:.1f} s after a start (asked: 5 s)")),
         _own_words),
    Part("fill-ledger", "fill ledger", 10_000,
         _tests(_LEDGER, counts={_LEDGER.rpartition("::")[2]: 10_000}),
         lambda lines: "examples: permuted, same rounds, money error 0"),
    Part("protection", "protection, engine up", PROTECTED[protecting.ALONE], _protection(protecting.ALONE),
         _protected, _too_late),
    Part("protection-refused", "protection, orders refused", PROTECTED[protecting.REFUSED],
         _protection(protecting.REFUSED), _protected),
    Part("protection-killed", "protection, refused and killed", PROTECTED[protecting.KILLED],
         _protection(protecting.KILLED), _protected),
    Part("protection-steps", "protection, scripted venue", STEPS,
         _tests(_STEPS, counts={_STEPS.rpartition("::")[2]: STEPS // len(VENUES) + 1}),
         lambda lines: f"steps on {len(lines)} kinds of venue: never more to sell than had filled"),
    Part("guards", "guards", TRIPS, _guards, _guarded),
    Part("leases-sqlite", "leases, SQLite", ROUNDS, _leases(False), _leased),
    Part("leases-postgresql", "leases, PostgreSQL", ROUNDS, _leases(True), _leased),
    Part("flatten", "flatten 50 under faults", 1,
         _single("flatten", flatten_many,
                 lambda told: (told[1:] == (0, 0), f"{told[1]} left, {told[2]} through zero, after {told[0]:.0f} s")),
         _own_words),
    Part("sigterm", "ends, 27 states, 3 policies", 81, _tests(*_ENDS),
         _tested("ended within 10 s, nothing unprotected that was protected")),
    Part("parity", "parity", 1, _tests("tests/parity"), _tested("the same intents, bit for bit")),
    Part("parity-live", "parity, before a venue too", LIVE,
         _tests(_LIVE, "-o", "faulthandler_timeout=3600", counts={_LIVE_TEST: LIVE}, TRADELAB_PARITY="full"),
         lambda lines: "strategies and exits: the same decisions in backtest, replay, on paper and before a venue"),
    Part("audit", "audit", 2_000, _tests(_JOURNAL, counts={_JOURNAL.rpartition("::")[2]: 1_000}),
         lambda lines: f"changed rows found on {len(lines)} databases"),
    Part("kernels", "kernel kills", 100, _kernels, _own_words),
    Part("latency", "bar closed to request on the wire", 1, _latency, _own_words),
    Part("notebooks", "notebooks 50 and 60", 2, _tests(*_PAGES),
         _tested("executed")),
)  # fmt: skip
BY_NAME = {part.name: part for part in PARTS}
