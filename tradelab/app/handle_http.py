"""Speak to a daemon on this machine: HTTP over its unix socket, or loopback with its token; standard library only."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple

from tradelab.app.run_folder import Address, RunFolder
from tradelab.model import errors
from tradelab.model.errors import ConfigError, ConnectivityError, TradelabError, VenueError

TIMEOUT_S = 30.0


class RawEvent(NamedTuple):
    """One event of the stream: ``id`` is how far the reader is, ``None`` where none was said yet."""

    id: int | None
    kind: str
    data: str


class Line:
    """A way to the daemon of one node; every call opens a connection of its own, so none goes stale in a notebook."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"Line({self.folder.node!r})"

    @property
    def address(self) -> Address:
        """Where the daemon listens now.

        Raises
        ------
        ConfigError
            None of this name runs.
        """
        told = self.folder.address() if self.folder.is_held else None
        if told is None:
            if self.folder.is_held:
                raise ConnectivityError(f"node {self.folder.node!r} is just starting.", fix="Try again in a moment.")
            raise ConfigError(
                f"node {self.folder.node!r} does not run.", fix="Start it: tradelab up configs/paper.toml"
            )
        return told

    def ask(self, method: str, path: str, body: Any = None, *, timeout_s: float = TIMEOUT_S) -> Any:
        """Return the answer to a request as JSON, or as text where it is none.

        Raises
        ------
        TradelabError
            The daemon's own refusal, as it was raised there.
        ConnectivityError
            It did not answer; whether it did what was asked is not known.
        """
        connection = self._connection(timeout_s)
        content = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, content, self._headers({"Content-Type": "application/json"}))
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from None
        finally:
            connection.close()
        if answer.headers.get_content_type() != "application/json":
            return text
        told = json.loads(text)
        if answer.status >= 400 and "error" in told:
            raise _refusal(told)
        return told

    def listen(self, path: str, after: int | None, *, silence_s: float) -> Iterator[RawEvent]:
        """Yield the events of a stream until it ends; a silence of ``silence_s`` seconds is an end too.

        Raises
        ------
        ConnectivityError
            It broke off: what was missed is had by its number.
        """
        connection = self._connection(silence_s)
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        try:
            connection.request("GET", path, headers=self._headers(headers))
            answer = connection.getresponse()
            if answer.status != 200:
                raise _refusal(json.loads(answer.read()))
            yield from parsed(answer)
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from None
        finally:
            connection.close()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        told = self.address
        if told.socket is not None:
            return _UnixConnection(told.socket, timeout_s)
        host, _, port = (told.url or "").removeprefix("http://").partition(":")
        return http.client.HTTPConnection(host, int(port), timeout=timeout_s)

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        token = self.address.token
        return more if token is None else {**more, "Authorization": f"Bearer {token}"}

    def _silent(self, error: Exception) -> ConnectivityError:
        says = str(error) or type(error).__name__
        return ConnectivityError(
            f"the daemon of {self.folder.node!r} does not answer: {says}.",
            fix=f"See: tradelab status {self.folder.node}; "
            f"stop all trading past it: tradelab halt --node {self.folder.node}",
        )


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def parsed(lines: Any) -> Iterator[RawEvent]:
    r"""Yield the events of a stream of lines (WHATWG HTML, 9.2 Server-sent events).

    A block that only says how far the reader is has no data, and is yielded as such.

    >>> list(parsed([b"id: 7\n", b"event: NodeStopped\n", b"data: {}\n", b"\n", b": alive\n", b"id: 9\n", b"\n"]))
    [RawEvent(id=7, kind='NodeStopped', data='{}'), RawEvent(id=9, kind='', data='')]
    """
    last, kind, data = None, "", list[str]()
    for raw in lines:
        line = raw.decode().rstrip("\r\n")
        if not line:
            yield RawEvent(last, kind, "\n".join(data))
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            last = int(value)
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)


def _refusal(told: dict[str, Any]) -> TradelabError:
    """Return the error that the daemon answered with, as it was raised there."""
    kind = getattr(errors, str(told.get("error")), None)
    if not (isinstance(kind, type) and issubclass(kind, TradelabError)):
        kind = VenueError if kind is not None else ConfigError
    return kind(str(told.get("says")), allowed=tuple(told.get("allowed", ())), fix=str(told.get("fix", "")))
