"""Write the log as JSON, one event a line, put aside when it is large; no secret that is known here gets in.

Every line has ``ts`` (UTC), ``level``, ``logger``, ``says``, and ``failure`` with the traceback where there is one.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from tradelab.model.credentials import Credentials, Secret

_QUIET = ("aiohttp.access", "asyncio", "httpx", "httpcore", "ccxt", "urllib3", "sqlalchemy", "alembic")


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON, with the secrets that it was told of starred in any spelling."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node
        self._hidden: list[Credentials] = []

    def hide(self, secrets: Credentials) -> None:
        """Star these from now on; the adapters and the house log none anyway, this is the second lock."""
        if len(secrets):
            self._hidden.append(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line = {
            "ts": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "node": self._node,
            "says": self._scrubbed(record.getMessage()),
        }
        if record.exc_info:
            line["failure"] = self._scrubbed(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)

    def _scrubbed(self, text: str) -> str:
        for secrets in self._hidden:
            text = secrets.scrub(text)
        return text


class _ForPeople(logging.Formatter):
    """Writes a record as a person reads it, with the same secrets starred."""

    def __init__(self, lines: JsonLines) -> None:
        super().__init__()
        self._lines = lines

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and those of a failure."""
        return "\n".join(for_people([self._lines.format(record)]))


class _Discreet(logging.Handler):
    """A handler that says once that a line was lost, and where it came from; what the line was about is told nobody.

    Logging's own way would print the message and its arguments as they are, past the stars.
    """

    _has_said = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Say it on the terminal; where that cannot be written either, nothing is left to say it to."""
        if self._has_said:
            return
        self._has_said = True
        error = sys.exc_info()[1]
        why = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        said_at = f"{record.name}, {record.filename}:{record.lineno}"
        with contextlib.suppress(OSError, ValueError, AttributeError):  # full too, closed, none
            sys.stderr.write(f"tradelab: a line of the log was lost ({why}; {said_at}); of others none is told.\n")


class _PrivateFile(_Discreet, RotatingFileHandler):
    """A file that its user alone can read, from its first byte on."""

    def _open(self) -> Any:
        os.close(os.open(self.baseFilename, os.O_CREAT | os.O_WRONLY, 0o600))
        return super()._open()


class _Terminal(_Discreet, logging.StreamHandler):
    """The terminal."""


def begin_log(
    path: Path, node: str, *, most_mb: float, files: int, console: bool = False, level: int = logging.INFO
) -> JsonLines:
    """Let all that is logged in this process be written to ``path``; return what hides secrets in it.

    With ``console`` it is written to the terminal too, as people read it. Vendors' loggers are heard from a warning on:
    what they say below that may hold a signed request.
    """
    lines = JsonLines(node)
    handler = _PrivateFile(path, maxBytes=int(most_mb * 1e6), backupCount=files, encoding="utf-8")
    handler.setFormatter(lines)
    root = logging.getLogger()
    root.addHandler(handler)
    if console:
        terminal = _Terminal()
        terminal.setFormatter(_ForPeople(lines))
        root.addHandler(terminal)
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    return lines


def hidden(**secrets: Secret | None) -> Credentials:
    """Return secrets by name, to be hidden; those that are ``None`` are none."""
    return Credentials({name: secret for name, secret in secrets.items() if secret is not None})


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last lines of a log, those of the file that was put aside before included."""
    found: deque[str] = deque(maxlen=count)
    for each in (path.with_name(f"{path.name}.1"), path):
        if each.exists():
            with each.open(encoding="utf-8", errors="replace") as file:
                found.extend(line.rstrip("\n") for line in file)
    return list(found)


def for_people(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines of a log as a person reads them; what is no line of ours as it is."""
    for line in lines:
        try:
            told = json.loads(line)
            yield f"{told['ts']}  {told['level']:<8} {told['says']}"
            if "failure" in told:
                yield from told["failure"].splitlines()
        except (ValueError, KeyError, TypeError):
            yield line
