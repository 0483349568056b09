"""Keep what acceptance came to: a line an experiment as it ends, a row a part, and the page that is made of the rows.

Lines are JSON in a file a part, so an interrupted run keeps what it has and another goes on from there. Rows are JSON
beside the page; each says on which commit, when and by which command it was got.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RIGHT = "right"


@dataclass(frozen=True)
class Line:
    """How one experiment ended: the word for it, for how many it counts, what was measured, when, on which commit."""

    s: str
    says: str
    at: str
    commit: str
    n: int = 1
    wrong: int = 0  # of these n; all of them where it says nothing of how many
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """Whether nothing of it was wrong."""
        return self.says == RIGHT

    @property
    def failed(self) -> int:
        """How many of those it counts for were wrong."""
        return 0 if self.is_right else self.wrong or self.n

    def written(self) -> str:
        """It, as one line of the file."""
        known = {"s": self.s, "says": self.says, "n": self.n, "wrong": self.wrong, "at": self.at, "commit": self.commit}
        return json.dumps(known | dict(self.told), ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, text: str, at: str, commit: str) -> Line:
        """Read one; ``at`` and ``commit`` are of a line that does not say them itself."""
        told = json.loads(text)
        known = {name: told.pop(name) for name in ("s", "says", "n", "wrong", "at", "commit") if name in told}
        return cls(**({"at": at, "commit": commit} | known), told=told)


class Log:
    """The lines of one part, in a file that only grows.

    Parameters
    ----------
    commit
        What is run now.
    told_on
        The commit of lines in the file that do not name one.
    """

    def __init__(self, path: Path, *, commit: str, told_on: str | None = None) -> None:
        self._path, self._commit = path, commit
        self.lines: dict[str, Line] = {}
        self.played_again = 0
        if path.exists():
            at = _moment(path.stat().st_mtime)
            for text in path.read_text(encoding="utf-8").splitlines():
                self._take(Line.read(text, at, told_on or "unknown"))

    def __contains__(self, name: str) -> bool:
        return name in self.lines

    def add(self, name: str, says: str, *, n: int = 1, wrong: int = 0, **told: Any) -> Line:
        """Keep how an experiment ended."""
        line = Line(name, says, _moment(), self._commit, n, wrong, told)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line.written())
        self._take(line)
        return line

    def _take(self, line: Line) -> None:
        before = self.lines.get(line.s)
        self.played_again += before is not None and not before.is_right
        self.lines[line.s] = line


@dataclass(frozen=True)
class Row:
    """What one part came to; ``commits`` counts what was played on each."""

    part: str
    title: str
    asked: int
    played: int
    wrong: int
    words: str
    began: str
    ended: str
    commits: Mapping[str, int]
    command: str
    machine: str
    went_wrong: tuple[str, ...] = ()

    @classmethod
    def of(cls, part: str, title: str, asked: int, log: Log, words: str, command: str, broken: str = "") -> Row:
        """Sum up a part's lines; ``broken`` is what does not hold for all of them together."""
        lines = list(log.lines.values())
        commits: Counter[str] = Counter()
        for line in lines:
            commits[line.commit] += line.n
        if log.played_again:
            words += f"; {log.played_again} that went wrong at first were played again"
        return cls(
            part=part, title=title, asked=asked, played=sum(line.n for line in lines),
            wrong=sum(line.failed for line in lines) + bool(broken), words=words,
            began=min(line.at for line in lines), ended=max(line.at for line in lines), commits=dict(commits),
            command=command, machine=machine(),
            went_wrong=(
                *([broken] if broken else []),
                *(f"{line.says}: {line.s}" for line in lines if not line.is_right),
            ),
        )  # fmt: skip

    @property
    def printed(self) -> str:
        """It, as a row of the table."""
        of = f"{self.played:,}" if self.played >= self.asked else f"{self.played:,} of {self.asked:,}"
        commits = (
            " ".join(self.commits)
            if len(self.commits) < 2
            else ", ".join(f"{c} ({n})" for c, n in self.commits.items())
        )
        right = f"{self.played - self.wrong:,}"
        return f"| {self.title} | {of} | {right} | {self.wrong} | {self.words} | {self.ended} | {commits} |"


class Kept:
    """The rows that are there, by part, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.rows = {name: Row(**row | {"went_wrong": tuple(row["went_wrong"])}) for name, row in told.items()}

    def replace(self, row: Row, order: Sequence[str]) -> None:
        """Put a row in the place of the one that was there, and write all down in the order of the table."""
        self.rows[row.part] = row
        self.rows = {name: self.rows[name] for name in order if name in self.rows}
        told = json.dumps({name: asdict(each) for name, each in self.rows.items()}, indent=1, ensure_ascii=False)
        self._path.write_text(told + "\n", encoding="utf-8")

    def is_fuller_than(self, row: Row) -> bool:
        """Whether the row that is there counts more than a new one, in which nothing went wrong."""
        before = self.rows.get(row.part)
        return before is not None and before.played > row.played and not row.wrong


HEADER = ("| what | played | right | wrong | | when, UTC | commit |", "|---|--:|--:|--:|---|---|---|")


def page(head: str, rows: Iterable[Row], missing: Sequence[str]) -> str:
    """Lay the rows out as a page; ``missing`` are parts that were never played."""
    rows = list(rows)
    lines = [head.rstrip(), "", *HEADER, *(row.printed for row in rows), ""]
    if missing:
        lines += [f"Not played yet: {', '.join(missing)}.", ""]
    wrong = [f"* {row.title}: {each}" for row in rows for each in row.went_wrong]
    if wrong:
        lines += ["## What went wrong", "", *wrong, ""]
    lines += ["## How each was got", "", "| what | command | on |", "|---|---|---|"]
    lines += [f"| {row.title} | `{row.command}` | {row.machine} |" for row in rows]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """What this runs on."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def commit_here() -> str:
    """Return the commit that is run; with a plus where files of the product or its tests differ from it."""
    try:
        head = _git("rev-parse", "--short=7", "HEAD")
        return head + "+" * bool(_git("status", "--porcelain", "--", "tradelab", "tests", "tools"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _moment(seconds: float | None = None) -> str:
    at = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return at.strftime("%Y-%m-%d %H:%M")
