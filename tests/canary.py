"""Look for one planted secret in all that a whole test session leaves: files, names, logs, outputs, reports.

Tests use the fixture ``canary`` as the secret of their connections. At the end of the session every pytest process,
each xdist worker too, searches its own throw-away world, and the first one what all tests wrote, printed, logged and
reported. If the secret is found, plain or in a usual coding, the session fails and names the place.
"""

from __future__ import annotations

import base64
import gzip
import io
import logging
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

VARIABLE = "TRADELAB_CANARY"
_HEARD = ("tradelab", "ccxt", "httpx", "httpcore", "aiohttp", "socketio", "engineio", "keyring", "alembic")
_LARGEST = 64 * 2**20  # bytes that an archive is unpacked to


def new_canary() -> str:
    """A secret as venues give them: long, random, with characters that URLs and JSON must escape."""
    return f'{secrets.token_hex(20)}+/="'


class Canary:
    """The plug-in: one for each pytest process, given the folders that are this process's to search."""

    def __init__(self, config: pytest.Config, *folders: Path) -> None:
        config.option.log_level = config.option.log_level or "WARNING"  # of what pytest keeps, not of what we hear
        self.text = os.environ.setdefault(VARIABLE, new_canary())  # workers and children inherit the first one's
        self.found: list[str] = []
        self._folders = folders
        self._traces = traces(self.text)
        self._ear = _Ear(self)
        self._levels: dict[str, int] = {}

    def search(self, where: str, content: bytes) -> None:
        """Note ``where``, if ``content`` has the secret in it."""
        self.found += [f"{where} ({coding})" for coding, trace in self._traces.items() if trace in content]

    def look_in(self, folder: Path) -> None:
        """Search every file in a folder, what archives hold, and the names."""
        for path in folder.rglob("*"):
            self.search(f"the name of {path.parent}/…", os.fsencode(path.name))
            if path.is_file() and not path.is_symlink():
                for where, content in _contents(path):
                    self.search(where, content)

    # ── what tests say ───────────────────────────────────────────────────────────────────────────────────────────

    def pytest_sessionstart(self) -> None:
        """Hear all that we and the vendors log, to the last detail; reports go on showing warnings and above."""
        logging.getLogger().addHandler(self._ear)
        for name in _HEARD:
            self._levels[name] = logging.getLogger(name).level
            logging.getLogger(name).setLevel(logging.DEBUG)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Search what a test printed, how it failed, and what it is called."""
        said = [
            report.nodeid,
            str(report.longrepr or ""),
            str(report.user_properties),
            *map("\n".join, report.sections),
        ]
        self.search(f"the report of {report.nodeid}", "\n".join(said).encode(errors="replace"))

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Search the files; a worker hands on what it found, the first process decides."""
        self._stop_hearing()
        for folder in self._folders:
            self.look_in(folder)
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["canary"] = self.found
            return
        temporary = getattr(session.config, "_tmp_path_factory", None)  # the workers' folders are inside
        if temporary is not None and temporary._basetemp is not None:
            self.look_in(temporary._basetemp)
        if self.found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take over what a worker found."""
        self.found += getattr(node, "workeroutput", {}).get("canary", ())

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the places."""
        if self.found:
            terminalreporter.section("the planted secret got out", red=True)
            for where in sorted(set(self.found)):
                terminalreporter.write_line(f"CANARY {where}")

    def _stop_hearing(self) -> None:
        logging.getLogger().removeHandler(self._ear)
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)


class _Ear(logging.Handler):
    """Search each record as it would be written."""

    def __init__(self, canary: Canary) -> None:
        super().__init__(logging.NOTSET)
        self._canary = canary

    def emit(self, record: logging.LogRecord) -> None:
        test = os.environ.get("PYTEST_CURRENT_TEST", "no test")
        self._canary.search(f"a log record of {record.name} in {test}", self.format(record).encode(errors="replace"))


def traces(secret: str) -> dict[str, bytes]:
    """Return what to look for, by the name of the coding.

    The secret begins with letters and digits that URLs, JSON and HTML leave as they are: one search for those finds it
    plain and in all of these. Base64 spells it in three ways, by where in a group of three bytes it begins.
    """
    core = secret.rstrip('+/="').encode()
    coded = {
        "plain": core,
        "reversed": core[::-1],
        "hexadecimal": core.hex().encode(),
        "HEXADECIMAL": core.hex().upper().encode(),
        "utf-16": core.decode().encode("utf-16-le"),
    }
    for shift, unsure in enumerate((0, 2, 3)):  # so many characters also depend on what stands before
        whole = base64.b64encode(b"\0" * shift + core)
        coded[f"base64, shifted by {shift}"] = whole[unsure : (shift + len(core)) * 8 // 6]
    return coded


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield a file's bytes, and what is inside if it is a gzip or zip file."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:  # a process that is still ending removed it
        return
    yield str(path), raw
    if raw[:2] == b"\x1f\x8b":
        try:
            yield f"{path}, unpacked", gzip.GzipFile(fileobj=io.BytesIO(raw)).read(_LARGEST)
        except (OSError, EOFError, zlib.error):  # only begins like one
            return
    elif raw[:4] == b"PK\x03\x04":
        try:
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                for name in archive.namelist():
                    yield f"{path}, {name}", archive.open(name).read(_LARGEST)
        except (zipfile.BadZipFile, NotImplementedError):
            return
