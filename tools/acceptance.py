"""Kill engines, change accounts behind their backs, flatten under faults; print what came of it, and write it down.

``make acceptance`` runs it. ``--share 0.1`` plays a tenth of the kills at named points, drawn by ``--seed``;
``--random 1000`` is how many engines are killed at random times. The page is ``docs/reliability.md``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.acceptance.crowd import at_points, run  # noqa: E402
from tests.acceptance.engine import POINTS  # noqa: E402
from tests.acceptance.kills import FAULTS, MARKETS, ORDERS, Result, at_random  # noqa: E402
from tests.acceptance.reconciling import Told, compare_many, flatten_many, tell, told_of  # noqa: E402

PAGE = ROOT / "docs" / "reliability.md"
_HEAD = """# What was tried to break it

Written by `make acceptance`; do not edit. Real engines (node, risk, execution, journal in SQLite) before a rehearsal
venue that speaks the real one's protocol, through the real ccxt client over a real socket. An engine that is killed is
killed by SIGKILL. What came of it is counted in the exchange itself, not in what the engine believes.

* **Kills at points**: at each of {points} named points of an engine's life (a message said, about to be kept, kept; a
  request before and after; on the wire), under each of {faults} behaviours of the venue towards the first order, with
  each of {kinds} kinds of order, on each of {venues} venues. Then engines are started until one has settled. Right is
  one order of the size that was meant: not two (duplicate), not none (lost), known within 60 s (else unresolved).
* **Kills at random**: one to three kills, each after 0.01 to 1.5 s of a life.
* **Reconciliation**: things happen to the account while no engine looks, or while its sockets are broken. Right is that
  ours is the venue's afterwards, that nothing invented is called a fill, that what protects is known as ours, and that
  a second comparison writes nothing. More than fifty others, on a scripted venue, are played by
  [`test_reconcile_scenarios.py`](../tests/unit/modules/execution/test_reconcile_scenarios.py).
* **Flatten**: 50 positions, every fifth order answered by one of eight faults. Right is flat, never through zero.

"""


@dataclass
class Count:
    """What one part came to."""

    part: str
    of: int = 0
    told: Counter[str] = field(default_factory=Counter)
    says: str = ""
    wrong: list[str] = field(default_factory=list)

    @property
    def row(self) -> str:
        """Its row of the table."""
        bad = sum(n for word, n in self.told.items() if word not in ("right", "killed"))
        return f"| {self.part} | {self.of} | {self.told['right']} | {bad} | {self.says} |"


class Bar:
    """A progress bar on standard error that counts what was wrong, too."""

    def __init__(self, what: str, of: int) -> None:
        self._bar = tqdm(total=of, desc=f"{what:<24}", unit="")
        self._wrong = 0

    def tick(self, *, right: bool) -> None:
        """Count one."""
        self._wrong += not right
        self._bar.set_postfix(wrong=self._wrong, refresh=False)
        self._bar.update()
        if self._bar.n == self._bar.total:
            self._bar.close()


def kills(part: str, scenarios: list[Any], at_once: int) -> Count:
    """Kill engines."""
    count, bar = Count(part, len(scenarios)), Bar(part, len(scenarios))

    def seen(result: Result) -> None:
        count.told[result.says] += 1
        count.told["killed"] += result.killed
        if result.says != "right":
            count.wrong.append(f"{result.says}: {result.scenario}")
        bar.tick(right=result.says == "right")

    asyncio.run(run(scenarios, at_once=at_once, seen=seen))
    words = ("duplicate", "lost", "unresolved", "failed")
    count.says = ", ".join(f"{word} {count.told[word]}" for word in words) + f"; {count.told['killed']} kills"
    return count


def reconciliation(at_once: int) -> Count:
    """Tell every story on every venue."""
    waiting = told_of(list(MARKETS))
    count, bar = Count("reconciliation", len(waiting)), Bar("reconciliation", len(waiting))
    longest = 0.0

    async def work() -> None:
        nonlocal longest
        while waiting:
            story, venue = waiting.pop(0)
            with tempfile.TemporaryDirectory(prefix="tradelab-acceptance-") as folder:
                try:
                    told = await tell(story, venue, Path(folder))
                except Exception as error:  # noqa: BLE001 (counted, and told at the end)
                    told = Told(story.name, venue, (f"{type(error).__name__}: {error}",), 0.0)
            longest = max(longest, told.took_s)
            count.told["wrong" if told.wrong else "right"] += 1
            count.wrong += [f"{told.venue}, {told.story}: {each}" for each in told.wrong]
            bar.tick(right=not told.wrong)

    async def all_of_them() -> None:
        await asyncio.gather(*(work() for _ in range(at_once)))

    asyncio.run(all_of_them())
    count.says = f"a start agreed with its venue after {longest:.1f} s at most"
    return count


def single(part: str, play: Callable[[Path], Any], judge: Callable[[Any], tuple[bool, str]]) -> Count:
    """Play one large scene."""
    count, bar = Count(part, 1), Bar(part, 1)
    with tempfile.TemporaryDirectory(prefix="tradelab-acceptance-") as folder:
        right, count.says = judge(asyncio.run(play(Path(folder))))
    count.told["right" if right else "wrong"] = 1
    count.wrong += [] if right else [f"{part}: {count.says}"]
    bar.tick(right=right)
    return count


def page(counts: Iterable[Count], how: str, share: float) -> str:
    """Lay it out as a page."""
    counts = list(counts)
    head = _HEAD.format(points=len(POINTS), faults=len(FAULTS), kinds=len(ORDERS), venues=len(MARKETS))
    lines = [head, "| what | played | right | wrong | |", "|---|--:|--:|--:|---|", *(count.row for count in counts), ""]
    wrong = [each for count in counts for each in count.wrong]
    if wrong:
        lines += ["## What went wrong", "", *(f"* {each}" for each in wrong), ""]
    cores = os.cpu_count()
    lines += [
        "## When, where, how",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.system()} {platform.machine()}, {cores} cores, Python "
        f"{platform.python_version()}. Run as `{how}`: {share:.1%} of the kills at points, drawn by a seed.",
        "",
        'All of it is `make acceptance`; a tenth of it `make acceptance ARGS="--share 0.1"`. A slice of it runs in the',
        "tests: [`tests/acceptance/test_kills.py`](../tests/acceptance/test_kills.py).",
        "",
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run all parts; the exit code says whether all was right."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the kills at points (default: all)")
    parser.add_argument("--random", type=int, default=None, help="kills at random (default: 1000, or that share of it)")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--no-page", action="store_true", help="print only")
    asked = parser.parse_args(arguments)
    points = at_points(MARKETS)
    random.Random(asked.seed).shuffle(points)
    points = points[: max(1, round(len(points) * asked.share))]
    randoms = at_random(round(1000 * asked.share) if asked.random is None else asked.random, asked.seed)
    counts = [
        kills("kills at points", points, asked.at_once),
        kills("kills at random", randoms, asked.at_once),
        reconciliation(asked.at_once),
        single(
            "200 orders, 50 positions", compare_many,
            lambda told: (told[1] == 0 and told[0] <= 5, f"compared {told[0]:.1f} s after a start (asked: 5 s)"),
        ),
        single(
            "flatten 50 under faults", flatten_many,
            lambda told: (told[1:] == (0, 0), f"{told[1]} left, {told[2]} through zero, after {told[0]:.0f} s"),
        ),
    ]  # fmt: skip
    given = " ".join(sys.argv[1:] if arguments is None else arguments)
    how = "make acceptance" + (f' ARGS="{given}"' if given else "")
    told = page(counts, how, asked.share)
    sys.stdout.write("\n".join(count.row for count in counts) + "\n")
    if not asked.no_page:
        PAGE.write_text(told, encoding="utf-8")
        sys.stdout.write(f"wrote {PAGE.relative_to(ROOT)}\n")
    wrong = [each for count in counts for each in count.wrong]
    sys.stdout.writelines(f"wrong: {each}\n" for each in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
