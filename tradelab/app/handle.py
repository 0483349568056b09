"""Give notebooks and the command line a hold of a running engine: look at it, follow it, tell it what to do.

The engine is in another process. Whatever becomes of the notebook, its kernel or this object changes nothing there.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from tradelab.app.handle_http import Line
from tradelab.app.handle_views import Answer, Event, LiveHealth, LiveSnapshot
from tradelab.app.run_folder import RunFolder, nodes
from tradelab.model.errors import ConfigError, ConnectivityError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

_SILENCE_S = 40.0  # a daemon that is well says so every ten seconds
_ATTEMPTS = 3  # of a command whose answer was lost; it has an id, so it is done once


class Handle:
    """A running engine, from outside.

    Made by :func:`connect`. Nothing is held open between calls, so it may be kept for as long as the notebook lives,
    over restarts of the daemon too.
    """

    def __init__(self, node: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.node = node
        self._line = Line(RunFolder(node))
        self._sleep = sleep

    def snapshot(self) -> LiveSnapshot:
        """Return what is true now: accounts, bots, positions, orders, states."""
        return LiveSnapshot(self._line.ask("GET", "/snapshot"))

    def health(self, *, timeout_s: float = 10.0) -> LiveHealth:
        """Return how the daemon is."""
        return LiveHealth(self._line.ask("GET", "/health", timeout_s=timeout_s))

    def metrics(self) -> str:
        """Return figures, as Prometheus reads them."""
        return str(self._line.ask("GET", "/metrics"))

    def analytics(self, by: str = "bot", *, first: str = "", last: str = "", **least: int) -> pd.DataFrame:
        """Return how trading goes, one row a group; what cannot be told is NaN.

        Parameters
        ----------
        by
            ``"bot"``, ``"symbol"``, ``"connection"`` or ``"day"``.
        first, last
            Days of UTC such as ``"2024-01-31"``, both among them; by default all.
        least
            ``least_trades=``, ``least_days=``: of fewer no rate, and no Sharpe and Sortino, is told.
        """
        from tradelab.app.analytics_export import frame

        return frame(self.figures(by=by, first=first, last=last, **{name: str(n) for name, n in least.items()}))

    def figures(self, **words: str) -> dict[str, Any]:
        """Return the same as the daemon tells it: money as text with every digit, what cannot be told as ``None``."""
        given = {name: value for name, value in words.items() if value}
        return dict(self._line.ask("GET", f"/analytics?{urlencode(given)}"))

    def events(
        self, after: int | None = None, *, kinds: Iterable[str] = (), patience_s: float = 60.0
    ) -> Iterator[Event]:
        """Yield what happens, in order, each message once, through restarts of the daemon too.

        Parameters
        ----------
        after
            Begin behind this number: 0 is the whole journal. By default, with what comes from now on.
        kinds
            Only these, such as ``"TradeExecuted"``; by default ``"messages"``, all of the journal. ``"quote"`` and
            ``"pulse"`` are of the moment: of those only the newest is told to one who reads slowly.
        patience_s
            How long the daemon may be away before this gives up.

        Raises
        ------
        ConnectivityError, ConfigError
            The daemon was away for longer.
        """
        wanted = tuple(kinds)
        path = "/events" + (f"?kinds={quote(','.join(wanted))}" if wanted else "")
        last, away_since = after, None
        while True:
            try:
                for raw in self._line.listen(path, last, silence_s=_SILENCE_S):
                    last, away_since = raw.id if raw.id is not None else last, None
                    if raw.data:
                        yield _event(raw.kind, json.loads(raw.data))
            except UnknownNameError:
                raise
            except (ConnectivityError, ConfigError):
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since >= patience_s:
                    raise
            self._sleep(0.5)

    def command(self, name: str, /, *, id: str | None = None, timeout_s: float = 30.0, **arguments: object) -> Answer:
        """Ask the engine to do something, once, and return what came of it.

        Parameters
        ----------
        name
            ``halt``, ``reduce``, ``resume``, ``flatten`` (``scope="node"``, ``"account NAME"`` or ``"bot NAME"``);
            ``start``, ``stop``, ``pause``, ``resume_bot`` (``bot=``); ``signal`` (``bot=, symbol=, action=``).
        id
            Names it: sent again with the same one it is not done again, and answered with the first result. By default
            a new one.

        Raises
        ------
        ConfigError
            There is no such command, or not with such arguments.
        ConnectivityError
            The daemon did not answer. Send it again with the id in the message.
        """
        from tradelab.store.database import user

        id_ = id or uuid.uuid4().hex
        told = {key: str(value) for key, value in arguments.items() if value is not None}
        body = {"id": id_, "name": name, "arguments": told, "by": user()}
        for attempt in range(1, _ATTEMPTS):
            try:
                return self._answer(body, timeout_s)
            except ConnectivityError:
                self._sleep(0.2 * attempt)
        try:
            return self._answer(body, timeout_s)
        except ConnectivityError as error:
            fix = f"Ask again with id={id_!r}: it is done once. {error.fix}"
            raise ConnectivityError(error.problem, fix=fix) from None

    def _answer(self, body: dict[str, Any], timeout_s: float) -> Answer:
        told = self._line.ask("POST", "/command", body, timeout_s=timeout_s)
        return Answer(told["id"], told["done"], told["says"])

    def halt(self, scope: str = "node", says: str = "") -> Answer:
        """Let nothing more be sent that takes on risk; exits and protective stops go on."""
        return self.command("halt", scope=scope, says=says or None)

    def resume(self, scope: str = "node", says: str = "") -> Answer:
        """Let it trade again."""
        return self.command("resume", scope=scope, says=says or None)

    def reduce(self, scope: str = "node", says: str = "") -> Answer:
        """Let only be sent what makes positions smaller."""
        return self.command("reduce", scope=scope, says=says or None)

    def flatten(self, scope: str = "node", says: str = "", *, timeout_s: float = 120.0) -> Answer:
        """Close every position."""
        return self.command("flatten", timeout_s=timeout_s, scope=scope, says=says or None)

    def bots(self) -> list[dict[str, Any]]:
        """Return the bots as they are now."""
        return list(self.snapshot()["bots"])

    def stop(self, policy: str | None = None, *, timeout_s: float = 5.0) -> str:
        """Let the daemon end: ``"keep"``, ``"cancel_entries"``, ``"flatten"``; by default as each account says."""
        return str(self._line.ask("POST", "/stop", {"policy": policy}, timeout_s=timeout_s)["says"])

    def __repr__(self) -> str:
        try:
            return repr(self.snapshot())
        except (ConfigError, ConnectivityError) as error:
            return f"{self.node}: {error}"

    def _repr_html_(self) -> str:
        try:
            return self.snapshot()._repr_html_()
        except (ConfigError, ConnectivityError) as error:
            import html

            return f"<p>{html.escape(f'{self.node}: {error}')}</p>"


def connect(node: str | None = None) -> Handle:
    """Return a hold of a running engine.

    Parameters
    ----------
    node
        Its name, as its file gives it; by default the one that runs.

    Raises
    ------
    ConfigError
        None runs, or several do and none was named.

    Examples
    --------
    >>> live = connect("paper")                             # doctest: +SKIP
    >>> live.halt(says="the market is mad")                 # doctest: +SKIP
    """
    return Handle(running_node(node))


def running_node(node: str | None = None) -> str:
    """Return the name of a node that runs: the one named, or the only one. Raises as :func:`connect` does."""
    known = nodes()
    running = [folder.node for folder in known if folder.is_held]
    if node is not None:
        if node in running:
            return node
        if node not in {folder.node for folder in known}:
            raise UnknownNameError.of("node", node, [folder.node for folder in known], fix=_START)
        raise ConfigError(f"node {node!r} does not run.", allowed=running, fix=_START)
    if not running:
        raise ConfigError("no daemon runs here.", fix=_START)
    if len(running) > 1:
        raise ConfigError("several daemons run here: name one.", allowed=running)
    return running[0]


_START = "Start one: tradelab up configs/paper.toml"


def _event(kind: str, told: dict[str, Any]) -> Event:
    if "seq" not in told or "body" not in told:
        return Event(None, kind, told)
    return Event(told["seq"], kind, told["body"], told["ts_event_ns"], told["ts_init_ns"], told["cause"])
