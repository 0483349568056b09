"""A rehearsal beside a notebook: started, connected to, directed and stopped by plain calls."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import tradelab as tl
from tradelab.app.rehearsal_face import RehearsalProcess
from tradelab.model.errors import ConnectivityError, ParameterError


@pytest.fixture
def venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RehearsalProcess]:
    monkeypatch.setenv("TRADELAB_HOME", str(tmp_path))
    monkeypatch.setenv("TRADELAB_KEY", base64.b64encode(os.urandom(32)).decode())
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # this machine is reached without one
    with tl.rehearse("bybit", speed=60) as running:
        yield running


def test_a_rehearsal_is_connected_to_directed_and_stopped(venue: RehearsalProcess) -> None:
    assert venue.connect("practice").status.value == "active"
    assert "practice" in repr(tl.connections)
    assert "rehearsed" in repr(tl.connections)
    venue.direct("fault", fault="hang", on="submit")
    assert [script["fault"] for script in venue.told("faults")] == ["hang"]
    assert venue.told("clock")["speed"] == 60.0
    assert venue.told("orders") == []
    with pytest.raises(ParameterError, match="did you mean 'hang'"):
        venue.direct("fault", fault="hung")
    venue.stop()
    assert "stopped" in repr(venue)
    with pytest.raises(ConnectivityError, match="does not answer"):
        venue.told("clock")


def test_what_the_command_refuses_is_said_and_nothing_runs() -> None:
    with pytest.raises(ParameterError, match=r"did not start[\s\S]*nothing like that"):
        tl.rehearse("nothing like that")


def test_its_repr_shows_no_secret(venue: RehearsalProcess) -> None:
    assert venue._secret not in repr(venue)


def test_a_venue_that_has_much_to_say_goes_on_answering(venue: RehearsalProcess) -> None:
    host, port = venue.url.removeprefix("http://").split(":")
    for _ in range(250):  # each makes the server print some 600 letters; a pipe holds 65 536
        with socket.create_connection((host, int(port)), timeout=20) as line:
            line.sendall(b"GET /\xff bad y HTTP/1.1\r\n\r\n")
            assert b"400" in line.recv(1000)
    assert venue.told("clock")["speed"] == 60.0
