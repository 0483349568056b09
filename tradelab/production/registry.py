"""Keep the truth about every run in one SQLite file, written only by the process that watches the run.

States: queued -> running -> succeeded | failed | timed_out | stopped | crashed. A run is *crashed* when its kernel or
its worker died, or when nobody is left to watch it. The notebook's own papermill metadata is never asked: it is wrong
on timeout, kernel death and SIGTERM.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tradelab.model.errors import StorageError, UnknownNameError
from tradelab.production.files import write_json

STATES = ("queued", "running", "succeeded", "failed", "timed_out", "stopped", "crashed")
OPEN = ("queued", "running")
EXIT_CODES = MappingProxyType({"succeeded": 0, "failed": 1, "refused": 2, "timed_out": 3, "crashed": 4, "stopped": 130})
_SCHEMA = """
create table if not exists runs(
  id text primary key, name text not null, state text not null, dedupe_key text, queued_at text not null,
  owner_host text not null, owner_pid integer not null, owner_birth text not null, record text not null);
create unique index if not exists one_run_per_key on runs(dedupe_key)
  where dedupe_key is not null and state in ('queued', 'running', 'succeeded');
create index if not exists by_time on runs(queued_at);
"""
_NOBODY = 2**31 - 1  # no process has this number
_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run did not succeed.

    Attributes
    ----------
    kind, message
        The exception's name and text, or ``Timeout``, ``Stopped``, ``KernelDied``, ``Crashed``.
    cell
        Number of the cell, counted from 1 over the notebook as it was written; None when no cell was running.
    source
        First line of that cell.
    """

    kind: str
    message: str
    cell: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one notebook, as far as it is known."""

    id: str
    name: str
    state: str
    folder: Path
    notebook: str
    notebook_sha256: str
    queued_at: str
    parameters: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    key: str | None = None
    attempt: int = 1
    retry_of: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    duration_s: float | None = None
    cell: int = 0
    cells: int = 0
    exit_code: int | None = None
    failure: Failure | None = None
    note: str = ""
    results: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    data: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    versions: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    git: Mapping[str, Any] | None = None
    report_written: bool = False
    deduplicated: bool = False

    @property
    def report(self) -> Path | None:
        """The HTML report, None when there is none."""
        return self.folder / "report.html" if self.report_written else None

    @property
    def succeeded(self) -> bool:
        """True when the notebook ran to its end."""
        return self.state == "succeeded"

    def as_json(self) -> dict[str, Any]:
        """Return the record as it stands in ``run.json``: plain values, the folder by name."""
        plain = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "deduplicated"}
        plain |= {name: dict(value) for name, value in plain.items() if isinstance(value, Mapping)}
        return plain | {"folder": self.folder.name, "failure": asdict(self.failure) if self.failure else None}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any], runs_dir: Path) -> Run:
        """Rebuild a record; maps are read-only, and what a later version wrote more is passed over."""
        known = {item.name for item in fields(cls)}
        values: dict[str, Any] = {
            name: MappingProxyType(value) if isinstance(value, dict) else value
            for name, value in plain.items()
            if name in known
        }
        failure = plain.get("failure")
        values |= {"folder": runs_dir / plain["folder"], "failure": Failure(**failure) if failure else None}
        return cls(**values)


def now() -> str:
    """Return this moment, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Registry:
    """The runs of one ``runs/`` folder.

    Parameters
    ----------
    runs_dir
        Folder that holds the run folders; made when absent. The registry is its ``registry.sqlite``. In a folder that
        cannot be written the registry answers questions and refuses runs.
    """

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        lost = not (runs_dir / "registry.sqlite").exists()
        self.read_only = not lost and not os.access(runs_dir, os.W_OK)
        if self.read_only:
            return
        try:
            runs_dir.mkdir(parents=True, exist_ok=True)
            with self._connection() as connection:
                connection.execute("pragma journal_mode=wal")
                connection.executescript(_SCHEMA)
        except OSError as error:
            raise self._refusal(error) from error

        if lost:
            self._adopt()

    def _refusal(self, error: Exception) -> StorageError:
        return StorageError(
            f"{self.runs_dir.name}/registry.sqlite cannot be used: {error}.",
            fix="Make room and allow writing there; a damaged one may be deleted, the run folders rebuild it.",
        )

    def _adopt(self) -> None:
        """Rebuild a lost registry from the folders; a run that was open has nobody to watch it and becomes crashed."""
        for told in sorted(self.runs_dir.glob("*/run.json")):
            try:
                run = Run.from_json(json.loads(told.read_text(encoding="utf-8")), self.runs_dir)
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                continue  # no record of a run: the folder stays, the list does without it
            with suppress(sqlite3.IntegrityError):  # another process adopts or runs at this moment
                self._insert(run, (_NOBODY, ""))

    def _insert(self, run: Run, owner: tuple[int, str]) -> None:
        row = (run.id, run.name, run.state, run.key, run.queued_at, platform.node(), *owner, json.dumps(run.as_json()))
        with self._connection() as connection:
            connection.execute("insert into runs values(?,?,?,?,?,?,?,?,?)", row)

    def claim(self, run: Run) -> Run | None:
        """Enter a queued run for this process; return the run that already holds its key instead, if there is one."""
        if self.read_only:
            raise self._refusal(PermissionError("the folder is read-only"))
        self.reap()
        try:
            self._insert(run, (os.getpid(), _birth(os.getpid())))
        except sqlite3.IntegrityError:
            with self._connection() as connection:
                held = connection.execute(
                    "select record from runs where dedupe_key=? and state in ('queued','running','succeeded')",
                    (run.key,),
                ).fetchone()
            if held is None:
                raise
            return replace(self._run(held[0]), deduplicated=True)
        return None

    def update(self, run: Run) -> None:
        """Write a run's state, here first and then in its folder's ``run.json``."""
        record = run.as_json()
        with self._connection() as connection:
            connection.execute("update runs set state=?, record=? where id=?", (run.state, json.dumps(record), run.id))
        if run.folder.is_dir():
            write_json(run.folder / "run.json", record)

    def find(self, reference: str) -> Run:
        """Return one run by its id, the beginning of it, its folder's name, or ``latest``.

        Raises
        ------
        UnknownNameError
            No run, or more than one, is meant.
        """
        found = self.all()
        if reference == "latest" and found:
            return found[0]
        wanted = Path(reference).name
        exact = [run for run in found if wanted in (run.id, run.folder.name)]
        hits = exact or [run for run in found if wanted and run.id.startswith(wanted)]
        if len(hits) != 1:
            raise UnknownNameError.of(
                "run", reference, [run.id for run in hits or found[:20]], fix="See `tradelab runs`."
            )
        return hits[0]

    def all(self) -> list[Run]:
        """Return every run, the newest first; runs nobody watches any more are marked crashed before."""
        self.reap()
        with self._connection() as connection:
            rows = connection.execute("select record from runs order by queued_at desc, rowid desc").fetchall()
        return [self._run(row[0]) for row in rows]

    def reap(self) -> list[Run]:
        """Mark as crashed every open run whose watching process is gone; return those runs."""
        if self.read_only:
            return []
        with self._connection() as connection:
            rows = connection.execute(
                "select record, owner_pid, owner_birth from runs where state in ('queued','running') and owner_host=?",
                (platform.node(),),
            ).fetchall()
        gone = [self._run(record) for record, pid, birth in rows if not _alive(pid, birth)]
        return [self._crash(run) for run in gone]

    def _crash(self, run: Run) -> Run:
        failure = Failure("Crashed", "the process that watched this run is gone", run.cell or None)
        crashed = replace(run, state="crashed", ended_at=now(), exit_code=EXIT_CODES["crashed"], failure=failure)
        self.update(crashed)
        return crashed

    def _run(self, record: str) -> Run:
        return Run.from_json(json.loads(record), self.runs_dir)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own to each question; what SQLite cannot do for want of room or sense is our error."""
        file = (self.runs_dir / "registry.sqlite").absolute().as_uri()
        how = "?mode=ro&immutable=1" if self.read_only else ""  # a WAL database wants to write even to be read
        try:
            with closing(sqlite3.connect(file + how, timeout=30, isolation_level=None, uri=True)) as connection:
                yield connection
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise self._refusal(error) from error


def _alive(pid: int, birth: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    known = _birth(pid)
    return known != "zombie" and (not birth or not known or known == birth)


def _birth(pid: int) -> str:
    """When a process began, so that a reused number is not taken for it; empty where the system has no /proc."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "zombie" if after_name[0] == "Z" else after_name[19]
