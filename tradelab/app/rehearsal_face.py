"""Run a rehearsal venue beside a notebook: a process of its own, with its address, its login and a script's hand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tradelab.model.errors import ConnectivityError, ParameterError

if TYPE_CHECKING:
    from tradelab.store.records import Connection

_START_LINES = 60  # of what the process says before it is ready
_LOOPBACK_S = 10.0
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine is reached through no proxy


class RehearsalProcess:
    """A venue that runs until :meth:`stop`, the end of a ``with`` block, or the end of this process.

    It is a process of its own, so it goes on while a cell waits, and what happens to the notebook does not hurt it.
    """

    def __init__(self, process: subprocess.Popen[str], dialect: str, said: str) -> None:
        self.dialect = dialect
        self.url = _told(said, r"rehearsal at (\S+)")
        self.key = _told(said, r"^key\s+(\S+)")
        self._secret = _told(said, r"^secret\s+(\S+)")
        self.symbol = _told(said, r"tradelab data stream \S+ (\S+)")
        self._process = process
        listener = threading.Thread(target=_listen, args=(process,), daemon=True)
        listener.start()  # what nobody reads fills the pipe, and then the venue stands still in the middle of a word
        self._finalize = weakref.finalize(self, _end, process, listener)

    def connect(self, name: str = "rehearsal", *, account_kind: str = "rehearsal") -> Connection:
        """Make a connection to it, test it and activate it; the connection is for data and execution.

        With ``account_kind="live"`` its account is treated as one of real money, which it is not: so that a person can
        rehearse how a live account is armed.
        """
        from tradelab.app.cli_rehearse import WAYS
        from tradelab.app.connections_face import connections

        way = WAYS[self.dialect]
        settings: dict[str, Any] = dict(text.split("=", 1) for text in way.settings)
        settings |= {"base_url": self.url, "symbols": [self.symbol]}
        login = {way.login[0]: self.key, way.login[1]: self._secret, **dict(way.more)}
        connections.add(
            name, way.provider, purposes=("data", "execution"), settings=settings, credentials=login,
            account_kind=account_kind,
        )  # fmt: skip
        shown = connections.test(name)
        if not shown.passed:
            raise ConnectivityError(f"the rehearsal did not pass its test: {shown.says}")
        return connections.activate(name)

    def direct(self, call: str, **what: object) -> Any:
        """Do as a script may: ``direct("fault", fault="hang", on="submit")``, ``direct("move_price", …)``.

        The calls are those of :class:`tradelab.rehearsal.script.Director`.

        Raises
        ------
        ParameterError
            There is no such call, or not with such parameters; the venue's words say what there is.
        """
        return self._asked(f"/rehearsal/{call}", what)["result"]

    def told(self, what: str) -> Any:
        """Return ``"orders"``, ``"log"``, ``"faults"`` or ``"clock"``, as the venue itself knows them."""
        return self._asked(f"/rehearsal/{what}", None)

    def stop(self) -> None:
        """End it."""
        self._finalize()

    def __enter__(self) -> RehearsalProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "stopped" if self._process.poll() is not None else f"at {self.url}"
        return f"<{self.dialect} rehearsal {state}, market {self.symbol}>"

    def _asked(self, path: str, body: dict[str, object] | None) -> Any:
        data = None if body is None else json.dumps(body, default=str).encode()
        request = urllib.request.Request(self.url + path, data=data, method="GET" if body is None else "POST")
        try:
            with _DIRECTLY.open(request, timeout=_LOOPBACK_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            raise ParameterError(f"the rehearsal refused {path}: {said.strip()}") from None
        except OSError as error:
            raise ConnectivityError(f"the rehearsal at {self.url} does not answer: {error}.") from error


def rehearse(
    dialect: str = "binance", *, data: str = "sample", speed: float = 60.0, **more: object
) -> RehearsalProcess:
    """Start a local exchange on replayed bars that speaks a real one's protocol; the real clients can trade on it.

    No money and no network: it listens on this machine alone, and its key and secret are made up.

    Parameters
    ----------
    dialect
        ``"binance"``, ``"binanceusdm"``, ``"bybit"``, ``"bybit-spot"``, ``"metaapi"``, ``"mtapi"``, ``"mtapi-mt4"``.
    data
        ``"SOURCE SYMBOL TIMEFRAME"`` of the catalog, a file, ``"sample"`` or ``"sample:EURUSD-1h"``.
    speed
        Seconds of the market in one of ours.
    more
        What ``tradelab rehearse --help`` offers, underscores for dashes: ``history=500``, ``fee_bps=10``,
        ``balance="USDT=50000"``.

    Examples
    --------
    >>> with rehearse("binance", speed=60) as venue:                         # doctest: +SKIP
    ...     venue.connect("practice")
    """
    options = {"dialect": dialect, "data": data, "speed": f"{speed:g}"} | more
    words = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "tradelab", "rehearse", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
    said = ""
    assert process.stdout is not None
    for _ in range(_START_LINES):
        line = process.stdout.readline()
        said += line
        if not line or line.startswith("Ctrl-C"):
            break
    if "rehearsal at" not in said:
        _end(process)
        raise ParameterError(f"the rehearsal did not start: {said.strip()}")
    return RehearsalProcess(process, dialect, said)


def _told(said: str, pattern: str) -> str:
    found = re.search(pattern, said, flags=re.MULTILINE)
    if found is None:
        raise ParameterError(f"the rehearsal did not say what was expected ({pattern}): {said[:200]}")
    return found.group(1)


def _listen(process: subprocess.Popen[str]) -> None:
    """Let a process say what it likes until it ends."""
    assert process.stdout is not None
    for _ in process.stdout:
        pass


def _end(process: subprocess.Popen[str], listener: threading.Thread | None = None) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if listener is not None:
        listener.join(timeout=5)
    if process.stdout is not None:
        process.stdout.close()
