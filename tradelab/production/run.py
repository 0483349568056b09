"""Run a notebook with parameters and keep everything it leaves in a folder of its own."""

from __future__ import annotations

import hashlib
import os
import re
import secrets as dice
import threading
import time
import traceback
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tradelab.model.errors import ConfigError, MissingExtraError, ParameterError, StorageError, TradelabError
from tradelab.production.environment import environment, headline_versions
from tradelab.production.files import own_cells, read_notebook, write_json, write_text
from tradelab.production.params import checked, effective
from tradelab.production.recording import recorded
from tradelab.production.registry import EXIT_CODES, Failure, Registry, Run, now
from tradelab.production.supervise import Watch, Watched
from tradelab.report.safety import known_secrets, redact, strip_paths

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_RETRIED = ("failed", "timed_out", "crashed")


class RunStopped(KeyboardInterrupt):
    """The run was interrupted; ``run`` is what was kept of it."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"run {run.id} was stopped")
        self.run = run


@dataclass(frozen=True, slots=True)
class _Order:
    """What was asked for, checked."""

    notebook: Path
    text: bytes
    given: Mapping[str, Any]
    parameters: Mapping[str, Any]
    name: str
    key: str | None
    timeout_s: float | None
    report: bool
    progress: Callable[[Run], None] | None


def default_runs_dir() -> Path:
    """``TRADELAB_RUNS``, or ``runs`` in the working directory."""
    return Path(os.environ.get("TRADELAB_RUNS") or "runs").absolute()


def run_notebook(
    path: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    key: str | None = None,
    timeout_s: float | None = None,
    retries: int = 0,
    backoff_s: float = 30.0,
    report: bool = True,
    runs_dir: str | Path | None = None,
    name: str | None = None,
    progress: Callable[[Run], None] | None = None,
) -> Run:
    """Run a notebook in a subprocess and return what is known of the run; a failed run is a value, not an exception.

    Parameters
    ----------
    path
        The notebook; it is read, never written.
    parameters
        Values for names of its cell tagged ``parameters``; text is turned into the type of the default.
    key
        While a run with this key is queued, running or has succeeded, no other is started: that one is returned with
        ``deduplicated=True``.
    timeout_s
        Longest time for the whole run in seconds, kernel start included; None for no limit.
    retries, backoff_s
        How often a run that failed, crashed or timed out is run again, and the wait before the first retry in
        seconds, doubled each time. Each try is a run of its own, with its own folder.
    report
        Write ``report.html``.
    runs_dir
        Folder of the run folders; default: ``TRADELAB_RUNS`` or ``runs``.
    name
        Name in the folder and the lists; default: the notebook's.
    progress
        Called with the run each time a cell starts and once at the end.

    Raises
    ------
    ParameterError
        An unknown or mistyped parameter, or a secret among them; no kernel was started.
    ConfigError, CorruptFileError
        No such notebook, or not a notebook.
    StorageError
        The run folder cannot be written.
    RunStopped
        SIGINT or SIGTERM arrived; a `KeyboardInterrupt` that carries the stopped run.
    """
    order = _checked_order(Path(path), parameters or {}, key, timeout_s, report, name, progress)
    if retries < 0 or backoff_s < 0:
        raise ParameterError(f"retries and backoff_s must not be negative: {retries}, {backoff_s}.")
    registry = Registry(Path(runs_dir).absolute() if runs_dir else default_runs_dir())
    run = _attempt(order, registry, 1, None)
    while run.state in _RETRIED and run.attempt <= retries and not run.deduplicated:
        time.sleep(backoff_s * 2 ** (run.attempt - 1))
        run = _attempt(order, registry, run.attempt + 1, run.id)
    return run


def _checked_order(
    path: Path,
    parameters: Mapping[str, Any],
    key: str | None,
    timeout_s: float | None,
    report: bool,
    name: str | None,
    progress: Callable[[Run], None] | None,
) -> _Order:
    if not path.is_file():
        raise ConfigError(
            f"there is no notebook {str(path)!r}.", fix="Check the path; it is relative to where you are."
        )
    if timeout_s is not None and not timeout_s > 0:
        raise ParameterError(f"timeout_s must be above zero: {timeout_s}.")
    values = checked(path, parameters)
    _require_extra()
    return _Order(
        notebook=path,
        text=path.read_bytes(),
        given=MappingProxyType(values),
        parameters=MappingProxyType(effective(path, values)),
        name=_slug(name or path.stem),
        key=key,
        timeout_s=timeout_s,
        report=report,
        progress=progress,
    )


def _require_extra() -> None:
    from importlib.util import find_spec

    missing = [package for package in ("papermill", "nbconvert", "ipykernel") if find_spec(package) is None]
    if missing:
        raise MissingExtraError(f"running a notebook needs {', '.join(missing)}.", fix="Install tradelab[report].")


def _attempt(order: _Order, registry: Registry, attempt: int, retry_of: str | None) -> Run:
    number = dice.token_hex(4)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    run = Run(
        id=number,
        name=order.name,
        state="queued",
        folder=registry.runs_dir / f"{stamp}_{order.name}_{number}",
        notebook=order.notebook.name,
        notebook_sha256=hashlib.sha256(order.text).hexdigest(),
        queued_at=now(),
        parameters=order.parameters,
        key=order.key,
        attempt=attempt,
        retry_of=retry_of,
        cells=len(own_cells(read_notebook(order.notebook))),
    )
    held = registry.claim(run)
    if held is not None:
        return held
    try:
        _make_folder(run)
        run = _watched(order, registry, run)
    except BaseException as error:
        failure = Failure(type(error).__name__, redact(str(error), known_secrets()))
        registry.update(_ended(run, "stopped" if isinstance(error, KeyboardInterrupt) else "failed", failure))
        raise
    run = _with_index(run, registry)
    if order.progress:
        order.progress(run)
    if run.state == "stopped":
        raise RunStopped(run)
    return run


def _with_index(run: Run, registry: Registry) -> Run:
    """Rewrite the index; a disk that has no room for it takes nothing from what the run came to."""
    from tradelab.production.index import write_index

    try:
        write_index(registry.runs_dir)
    except StorageError as error:
        return replace(run, note=f"{run.note} no index: {error}".strip())
    return run


def _make_folder(run: Run) -> None:
    """Make the run's folder in one step: nobody ever sees one without its ``run.json``."""
    partial = run.folder.with_name(f".{run.id}.partial")
    try:
        partial.mkdir(parents=True)
        write_json(partial / "params.json", dict(run.parameters))
        write_json(partial / "run.json", run.as_json())
        partial.rename(run.folder)
    except OSError as error:
        raise StorageError(
            f"the run folder cannot be made: {error}.", fix="Make room or allow writing there."
        ) from error


def _watched(order: _Order, registry: Registry, run: Run) -> Run:
    known = environment(Path.cwd())
    write_json(run.folder / "environment.json", known)
    run = replace(
        run,
        state="running",
        started_at=now(),
        versions=MappingProxyType(headline_versions(known)),
        git=known["git"] and MappingProxyType(known["git"]),
    )
    registry.update(run)
    begun = time.monotonic()
    secrets = known_secrets()

    def on_cell(number: int) -> None:
        nonlocal run
        if number == run.cell:  # the injected cell shares its predecessor's number
            return
        run = replace(run, cell=number)
        registry.update(run)
        if order.progress:
            order.progress(run)

    if order.report:  # its imports take a second or two, which the notebook needs anyway
        threading.Thread(target=import_module, args=("tradelab.production.exporter",), daemon=True).start()
    output = run.folder / "notebook.ipynb"
    job = {"notebook": str(order.notebook.absolute()), "output": str(output), "parameters": dict(order.given)}
    watched = Watch(job, run.folder / "log.txt", secrets, order.timeout_s, on_cell).run()
    run = _ended(
        replace(run, duration_s=round(time.monotonic() - begun, 3)), watched.outcome, _failure(run, watched, order)
    )
    run = replace(run, note=str((watched.end or {}).get("note", "")))
    if output.is_file():
        results, data = recorded(read_notebook(output))
        run = replace(run, results=MappingProxyType(results), data=MappingProxyType(data))
        if results or data:
            write_json(run.folder / "result.json", {"results": results, "data": data})
    if order.report and output.is_file():
        run = _with_report(run)
    registry.update(run)
    return run


def _with_report(run: Run) -> Run:
    """Write the report; when that fails the run keeps its state, and its note and log say what is missing."""
    from tradelab.production.exporter import run_report

    try:
        write_text(run.folder / "report.html", run_report(run))
    except TradelabError as error:
        return replace(run, note=f"{run.note} no report: {error}".strip())
    except Exception as error:  # noqa: BLE001  a bug of the page must not turn a good run into a failed one
        with (run.folder / "log.txt").open("a", encoding="utf-8") as log:
            log.write(redact(traceback.format_exc(), known_secrets()))
        return replace(run, note=f"{run.note} no report: {type(error).__name__}, see log.txt".strip())
    return replace(run, report_written=True)


def _ended(run: Run, state: str, failure: Failure | None) -> Run:
    return replace(run, state=state, ended_at=now(), exit_code=EXIT_CODES[state], failure=failure)


def _failure(run: Run, watched: Watched, order: _Order) -> Failure | None:
    end = watched.end or {}
    if watched.outcome == "succeeded":
        return None
    cell, source = end.get("cell") or run.cell or None, str(end.get("source", ""))
    if watched.outcome == "timed_out":
        kind, message = "Timeout", f"the run took longer than {order.timeout_s:g} s"
    elif watched.outcome == "stopped":
        kind, message = "Stopped", "the run was interrupted from outside"
    elif end:
        kind, message = str(end.get("kind")), str(end.get("message", ""))
    else:
        kind, message = "Crashed", f"the worker process ended with status {watched.exit_status} and said nothing"
    clean = strip_paths(redact(_ANSI.sub("", message), known_secrets()))
    return Failure(kind, clean[:2000], cell, redact(source, known_secrets()))


def _slug(name: str) -> str:
    slug = re.sub(r"(?:[^\w.-]|_)+", "-", unicodedata.normalize("NFC", name))
    slug = re.sub(r"\.{2,}", ".", slug).strip("-.")
    if not slug:
        raise ParameterError(
            f"name {name!r} leaves nothing for a folder's name.", fix="Use letters, digits, '-' and '.'."
        )
    return slug[:60].encode()[:180].decode(errors="ignore")  # a folder's name has 255 bytes at most
