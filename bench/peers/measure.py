"""Compare first, then time: engines on one case, their answers held to ours, then one round of each in turn."""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from peers import bars, crew, environments, roster
from peers.environments import Environment
from peers.roster import Limits, Peer

PREPARE_S = 900.0
RUINED = 1e-6  # an account below this share of its start is left out: vectorbt's tolerances are absolute and stop it
COSTS = {"fees": 0.0005, "slippage": 0.0002, "sl": 0.02, "tp": 0.04}


@dataclass
class Row:
    """What one engine did with one case; ``problem`` says why there are no times, if there are none."""

    section: str
    engine: str
    threads: int
    stops: bool
    asked_bars: int
    asked_combinations: int
    bars: int = 0
    combinations: int = 0
    seconds: list[float] = field(default_factory=list)
    peak_mb: float = math.nan
    equal: str = ""
    problem: str = ""
    says: str = ""
    kind: str = ""

    @property
    def ns(self) -> list[float]:
        """Nanoseconds a bar and combination, smallest first."""
        return sorted(s * 1e9 / (self.bars * self.combinations) for s in self.seconds)

    @property
    def median_ns(self) -> float:
        """Median of ``ns``; NaN without a time."""
        return statistics.median(self.ns) if self.seconds else math.nan

    @property
    def is_cut(self) -> bool:
        """Whether it ran less than was asked for."""
        return (self.bars, self.combinations) != (self.asked_bars, self.asked_combinations)

    @property
    def asked_s(self) -> float:
        """Seconds for what was asked: measured, or the unit cost times the size."""
        return self.median_ns * self.asked_bars * self.asked_combinations / 1e9

    def to_dict(self) -> dict[str, Any]:
        """Fields and the derived figures, for the record beside the page."""
        return asdict(self) | {"ns": self.ns, "median_ns": self.median_ns}


def case(kind: str, count: int, windows: list[int], *, stops: bool = False, **more: Any) -> dict[str, Any]:
    """Return a case as workers read it: ``count`` bars, windows, costs."""
    return {"kind": kind, "bars": count, "windows": windows, "stops": stops, **COSTS, **more}


class Bench:
    """Environments, limits, our answers so far, and a voice."""

    def __init__(self, envs: dict[str, Environment], limits: Limits, say: Callable[[str], None]) -> None:
        self.envs = envs
        self.limits = limits
        self.say = say
        self._answers: dict[str, dict[str, list[float]]] = {}
        self._checker: crew.Worker | None = None
        self._warmed: set[tuple[str, str, bool]] = set()

    def contenders(self, kind: str) -> list[Peer]:
        """Ours and the peers that take part in a kind and were asked for."""
        return [peer for peer in (*roster.OURS, *roster.PEERS) if kind in peer.kinds and peer.name in self.envs]

    def group(
        self, section: str, asked: dict[str, Any], peers: Iterable[Peer] | None = None, limits: Limits | None = None
    ) -> list[Row]:
        """Prepare and compare every engine on one case, then time them in alternating rounds.

        ``limits`` are this case's own, if it has any.
        """
        usual, self.limits = self.limits, limits or self.limits
        try:
            return self._group(section, asked, peers)
        finally:
            self.limits = usual

    def _group(self, section: str, asked: dict[str, Any], peers: Iterable[Peer] | None) -> list[Row]:
        pairs = [self._start(section, asked, peer) for peer in (peers or self.contenders(asked["kind"]))]
        rows = [row for row, _ in pairs]
        alive = [(row, worker) for row, worker in pairs if worker]
        for turn in range(self.limits.rounds):
            for row, worker in alive:
                slow = row.seconds and statistics.median(row.seconds) > self.limits.slow_s
                if row.problem or (slow and turn >= self.limits.slow_rounds):
                    continue
                try:
                    answer = worker.ask("round", self._patience())
                except crew.Gone as gone:
                    row.problem = str(gone)
                    continue
                row.seconds.append(answer["seconds"])
                row.peak_mb = answer["peak_mb"]
        for _, worker in alive:
            worker.close()
        return rows

    def _start(self, section: str, asked: dict[str, Any], peer: Peer) -> tuple[Row, crew.Worker | None]:
        """Compare one engine with us and leave its worker ready to be timed."""
        environment = self.envs[peer.name]
        combinations = roster.count(asked)
        row = Row(section, environment.title, peer.threads, asked["stops"], asked["bars"], combinations)
        row.says, row.kind = peer.says, asked["kind"]
        if environment.python is None:
            row.problem = f"not installed: {environment.reason}"
            return row, None
        fitted = roster.fit(asked, peer, self.limits)
        fitted |= {"fill": peer.fill, "file": str(bars.path(fitted["bars"]))}
        row.bars, row.combinations = fitted["bars"], roster.count(fitted)
        self.say(f"  {section}: {environment.title}, {peer.threads} thread(s), {row.combinations} × {row.bars:,}")
        try:
            self._warm(peer, fitted)
            worker = crew.Worker(environment, peer.engine)
            row.equal = self._compare(peer, fitted, worker)
        except crew.Gone as gone:
            row.problem = str(gone)
            return row, None
        return row, worker

    def _warm(self, peer: Peer, fitted: dict[str, Any]) -> None:
        """Fill numba's cache in a process of its own, so that no peak of memory is the compiler's."""
        key = (peer.name, fitted["kind"], fitted["stops"])
        if not self.limits.warm or key in self._warmed:
            return
        self._warmed.add(key)
        tiny = fitted | {"bars": 2_000, "file": str(bars.path(2_000)), "windows": fitted["windows"][:3], "threads": 1}
        if "orders" in tiny:
            tiny["orders"] = 20
        worker = crew.Worker(self.envs[peer.name], peer.engine)
        with contextlib.closing(worker):
            worker.ask("prepare", PREPARE_S, case=tiny)
            worker.ask("round", PREPARE_S)

    def _compare(self, peer: Peer, fitted: dict[str, Any], worker: crew.Worker) -> str:
        """Hold a peer's answers to ours on the very case it is timed on, and leave it ready to be timed."""
        checked = fitted | peer.check | (peer.check_stops if fitted["stops"] else {})
        worker.ask("prepare", PREPARE_S, case=checked)
        theirs = worker.ask("figures", self._patience())["figures"]
        if checked != fitted:
            worker.ask("prepare", PREPARE_S, case=fitted)
            worker.ask("round", self._patience())
        if peer.name == environments.OURS or not peer.compared:
            return "–"
        try:
            return verdict(self._ours(checked), theirs, peer.compared)
        except crew.Gone as gone:
            self._checker = None
            return f"✗ not compared, ours failed: {gone}"

    def _ours(self, checked: dict[str, Any]) -> dict[str, list[float]]:
        """Our figures for a case, from a process that is never timed."""
        ours = roster.OURS[0]
        asked = checked | {"peer": ours.name, "threads": ours.threads}
        key = repr(sorted(asked.items()))
        if key not in self._answers:
            self._checker = self._checker or crew.Worker(self.envs[ours.name], ours.engine)
            self._checker.ask("prepare", PREPARE_S, case=asked)
            self._answers[key] = self._checker.ask("figures", self._patience())["figures"]
        return self._answers[key]

    def close(self) -> None:
        """End the process that gives our answers."""
        if self._checker:
            self._checker.close()

    def _patience(self) -> float:
        return max(300.0, 40.0 * self.limits.round_s)


def verdict(mine: dict[str, list[float]], theirs: dict[str, list[float]], compared: dict[str, float]) -> str:
    """Say how many combinations agree, and name the worst that does not.

    Trades are compared absolutely, everything else relatively; where both are undefined they agree. Accounts that are
    ruined are left out, and counted.
    """
    total = len(next(iter(theirs.values())))
    sizes = {len(mine[name]) for name in compared} | {len(theirs[name]) for name in compared}
    if sizes != {total}:
        return f"✗ {sorted(sizes)} answers for {total} combinations"
    ruined = {i for i, r in enumerate(mine.get("total_return", [])) if 1.0 + r < RUINED}
    wrong: dict[int, tuple[float, str]] = {}
    for name, tolerance in compared.items():
        for i, (a, b) in enumerate(zip(mine[name], theirs[name], strict=True)):
            off = abs(a - b) if name == "trades" else abs(a - b) / max(abs(a), 1e-12)
            if i in ruined or off <= tolerance or (not math.isfinite(a) and not math.isfinite(b)):
                continue
            wrong[i] = max(wrong.get(i, (0.0, "")), (off if math.isfinite(off) else math.inf, name))
    judged = total - len(ruined)
    aside = f", {len(ruined)} ruined left out" if ruined else ""
    if not wrong:
        return f"{judged}/{judged} equal{aside}"
    worst, name = max(wrong.values())
    return f"✗ {judged - len(wrong)}/{judged} equal, worst {name} off by {worst:.1e}{aside}"
