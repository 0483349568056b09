"""A log that cannot be written says so once, and what a lost line was about is told nobody."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canary import new_canary, traces
from tradelab.app import logs


class Full(io.StringIO):
    """What is written to a disk without room; the error holds what it was to hold."""

    def __init__(self, told: str) -> None:
        super().__init__()
        self.told = told

    def write(self, _: str) -> int:
        """Fail."""
        raise OSError(28, "No space left on device", self.told)


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[list[logging.StreamHandler[io.StringIO]]]:
    """The handlers of a log to a file and to the terminal."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.begin_log(tmp_path / "daemon.log", "paper", most_mb=1, files=2, console=True)
    made = [handler for handler in root.handlers if handler not in before[0]]
    yield [handler for handler in made if isinstance(handler, logging.StreamHandler)]
    for handler in made:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(before[1])


def told(by: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("tradelab.x", logging.INFO, "/there/x.py", 7, by, arguments, None)


def test_on_a_full_disk_a_lost_line_is_told_once_without_what_was_in_it(
    ours: list[logging.StreamHandler[io.StringIO]], capsys: pytest.CaptureFixture[str]
) -> None:
    secret = new_canary()
    for handler in ours:
        handler.close()  # the file; the terminal's stays as it is
        handler.stream = Full(secret)
        for number in range(3):
            handler.handle(told("line %d with %s", number, secret))
    says = capsys.readouterr().err
    line = (
        "tradelab: a line of the log was lost (No space left on device; tradelab.x, x.py:7); of others none is told.\n"
    )
    assert says == line * len(ours)
    assert len(ours) == 2
    assert [coding for coding, trace in traces(secret).items() if trace in says.encode()] == []


def test_a_log_call_that_is_wrong_is_told_without_its_arguments(
    ours: list[logging.StreamHandler[io.StringIO]], capsys: pytest.CaptureFixture[str]
) -> None:
    secret = new_canary()
    for handler in ours:
        handler.handle(told("%d of it", secret))
    says = capsys.readouterr().err
    assert says.count("a line of the log was lost (TypeError; tradelab.x, x.py:7)") == len(ours) == 2
    assert [coding for coding, trace in traces(secret).items() if trace in says.encode()] == []


def test_where_even_that_cannot_be_said_nothing_breaks(
    ours: list[logging.StreamHandler[io.StringIO]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    for handler in ours:
        handler.handle(told("%d of it", "x"))
    monkeypatch.setattr("sys.stderr", Full(""))
    for handler in ours:
        handler.handle(told("%d of it", "x"))
