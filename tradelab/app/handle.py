"""Give notebooks and the command line a hold of a running engine: look at it, follow it, tell it what to do.

The engine is in another process. Whatever becomes of the notebook, its kernel or this object changes nothing there.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from tradelab.app.handle_history import History
from tradelab.app.handle_http import Line
from tradelab.app.handle_views import Answer, Event, LiveHealth, LiveSnapshot
from tradelab.app.run_folder import RunFolder, nodes
from tradelab.model.errors import ConfigError, ConnectivityError, ParameterError, UnknownNameError
from tradelab.model.messages import KINDS

if TYPE_CHECKING:
    import pandas as pd

Number = str | int | float | Decimal
_SILENCE_S = 40.0  # a daemon that is well says so every ten seconds
_ATTEMPTS = 3  # of a command whose answer was lost; it has an id, so it is done once


class Handle:
    """A running engine, from outside.

    Made by :func:`connect`. Nothing is held open between calls, so it may be kept for as long as the notebook lives,
    over restarts of the daemon too.

    Parameters
    ----------
    program
        The name of the program that gives commands: it may tighten what may be sent, and never let go or re-arm. By
        default what ``TRADELAB_PROGRAM`` says; where that is not set either, whoever runs this counts as a person.
    """

    def __init__(self, node: str, *, program: str | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self.node = node
        self._program = program or os.environ.get("TRADELAB_PROGRAM") or None
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
            except (UnknownNameError, ParameterError):
                raise
            except (ConnectivityError, ConfigError):
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since >= patience_s:
                    raise
            self._sleep(0.5)

    def history(
        self, after: int = 0, *, kinds: Iterable[str] = (), until: str | None = None, timeout_s: float = 30.0
    ) -> History:
        """Return what was said behind message ``after``, as a table.

        Parameters
        ----------
        after
            0 is the whole journal; ``live.snapshot()["seq"]`` before something is what came of it.
        kinds
            Only these, such as ``"TradeExecuted"``; by default all.
        until
            Wait until a message of this kind was said, too, at most ``timeout_s`` seconds; what came by then is
            returned whether it is among it or not.

        Raises
        ------
        UnknownNameError
            There are no messages of such a kind.
        """
        wanted = tuple(kinds)
        for kind in (*wanted, *([] if until is None else [until])):
            if kind not in KINDS:
                raise UnknownNameError.of("kind of message", kind, KINDS)
        last, found = after, list[Event]()
        give_up = time.monotonic() + timeout_s
        while True:
            new = list(self._said(last))
            found += new
            last = new[-1].seq or last if new else last
            if until is None or any(event.kind == until for event in new) or time.monotonic() > give_up:
                break
            self._sleep(0.1)
        return History([event for event in found if not wanted or event.kind in wanted])

    def _said(self, after: int) -> Iterator[Event]:
        """Yield the messages behind a number that are there now."""
        until = int(self.snapshot()["seq"])
        if until <= after:
            return
        for raw in self._line.listen("/events", after, silence_s=_SILENCE_S):
            if raw.data:
                yield _event(raw.kind, json.loads(raw.data))
            if raw.id is not None and raw.id >= until:
                return

    def command(self, name: str, /, *, id: str | None = None, timeout_s: float = 30.0, **arguments: object) -> Answer:
        """Ask the engine to do something, once, and return what came of it.

        Parameters
        ----------
        name
            Each has a method of its own here, which says what it takes: ``halt``, ``reduce``, ``resume``,
            ``flatten``, ``acknowledge``, ``arm``, ``disarm``, ``start``, ``stop``, ``pause``, ``resume_bot``,
            ``order``, ``signal``, ``cancel``.
        id
            Names it: sent again with the same one it is not done again, and answered with the first result. By default
            a new one.
        timeout_s
            How long the answer is waited for, in all.

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
        by = user() if self._program is None else f"program {self._program}"
        body = {"id": id_, "name": name, "arguments": told, "by": by}
        give_up, attempt = time.monotonic() + timeout_s, 0
        while True:
            attempt += 1
            try:
                return self._answer(body, max(0.1, give_up - time.monotonic()))
            except ConnectivityError as error:
                if attempt == _ATTEMPTS or time.monotonic() >= give_up:
                    fix = f"Ask again with id={id_!r}: it is done once. {error.fix}"
                    raise ConnectivityError(error.problem, fix=fix) from None
                self._sleep(0.2 * attempt)

    def _answer(self, body: dict[str, Any], timeout_s: float) -> Answer:
        told = self._line.ask("POST", "/command", body, timeout_s=timeout_s)
        return Answer(told["id"], told["done"], told["says"])

    def halt(self, scope: str = "node", says: str = "") -> Answer:
        """Let nothing more be sent that takes on risk; exits and protective stops go on."""
        return self.command("halt", scope=scope, says=says or None)

    def resume(self, scope: str = "node", says: str = "") -> Answer:
        """Let it trade again; of an account it says, too, that you have seen why its guards have tripped."""
        return self.command("resume", scope=scope, says=says or None)

    def reduce(self, scope: str = "node", says: str = "") -> Answer:
        """Let only be sent what makes positions smaller."""
        return self.command("reduce", scope=scope, says=says or None)

    def flatten(self, scope: str = "node", says: str = "", *, timeout_s: float = 120.0) -> Answer:
        """Close every position."""
        return self.command("flatten", timeout_s=timeout_s, scope=scope, says=says or None)

    def acknowledge(self, scope: str = "node", says: str = "") -> Answer:
        """Say that you have seen why guards have tripped: they measure from the equity now, and all stays halted.

        Parameters
        ----------
        scope
            ``"account NAME"``, or the node: all of its accounts.
        """
        return self.command("acknowledge", scope=scope, says=says or None)

    def arm(self, account: str, says: str = "") -> Answer:
        """Let the live bots of an account send orders of real money; only a person does that."""
        return self.command("arm", account=account, says=says or None)

    def disarm(self, account: str, says: str = "") -> Answer:
        """Let the live bots of an account only reduce."""
        return self.command("disarm", account=account, says=says or None)

    def order(
        self,
        symbol: str,
        side: str,
        qty: Number | None = None,
        *,
        account: str | None = None,
        bot: str | None = None,
        preset: str | None = None,
        type: str | None = None,
        price: Number | None = None,
        stop: Number | None = None,
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        close: bool = False,
        ttl_s: float | None = None,
        says: str = "",
        id: str | None = None,
    ) -> Answer:
        """Give an order by hand: it passes the gates of a bot's preset like any other, and is done once for each id.

        Parameters
        ----------
        side
            ``"buy"`` or ``"sell"``.
        qty
            How much, in the venue's unit; ``None`` leaves it to the preset, and where it closes, takes all.
        account, bot, preset
            Whose limits and exits it goes by: a bot, or the only one on an account that trades the symbol, by that
            preset if one is named.
        type
            ``"market"``, ``"limit"``, ``"stop"``, ``"stop_limit"``; by default what ``price`` (of a limit) and ``stop``
            (what triggers it) make it.
        stop_loss, take_profit
            In place of the levels of the preset's exits.
        close
            Make what the bot holds smaller, and never turn it.
        ttl_s
            For how long it may still be sent; 60 by default.

        Examples
        --------
        >>> live.order("BTC/USDT", "buy", "0.01", account="main", price=40_000, stop_loss=39_000)   # doctest: +SKIP
        >>> live.order("BTC/USDT", "sell", bot="btc", close=True)                                   # doctest: +SKIP
        """
        return self.command(
            "order", id=id, symbol=symbol, side=side, qty=qty, account=account, bot=bot, preset=preset, type=type,
            price=price, stop=stop, stop_loss=stop_loss, take_profit=take_profit, close="yes" if close else None,
            ttl_s=ttl_s, says=says or None,
        )  # fmt: skip

    def signal(self, bot: str, symbol: str, action: str, *, id: str | None = None, **more: Any) -> Answer:
        """Raise a signal of a bot: ``"enter_long"``, ``"enter_short"``, ``"exit_long"``, ``"exit_short"``.

        Parameters
        ----------
        more
            ``price`` (the market when it was decided, held against ``max_deviation_bps``), ``qty``, ``share``,
            ``order_type`` with ``order_price`` (a limit's price, a stop's trigger) and ``limit_price`` (of a
            stop-limit), ``stop_loss``, ``take_profit``, ``ttl_s``, ``says``.
        """
        return self.command("signal", id=id, bot=bot, symbol=symbol, action=action, **more)

    def cancel(self, order: str, account: str | None = None) -> Answer:
        """Cancel an order, by its name here or, with its account, by the venue's."""
        return self.command("cancel", order=order, account=account)

    def start_bot(self, bot: str, says: str = "") -> Answer:
        """Let a bot look for trades."""
        return self.command("start", bot=bot, says=says or None)

    def stop_bot(self, bot: str, says: str = "") -> Answer:
        """Let a bot look for no more trades; its positions stay, and stay protected."""
        return self.command("stop", bot=bot, says=says or None)

    def pause_bot(self, bot: str, says: str = "") -> Answer:
        """Let a bot rest; its positions stay, and stay protected."""
        return self.command("pause", bot=bot, says=says or None)

    def resume_bot(self, bot: str, says: str = "") -> Answer:
        """Let a bot go on that rests."""
        return self.command("resume_bot", bot=bot, says=says or None)

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


def connect(node: str | None = None, *, program: str | None = None) -> Handle:
    """Return a hold of a running engine.

    Parameters
    ----------
    node
        Its name, as its file gives it; by default the one that runs.
    program
        Names a program that gives commands by itself, such as a nightly job: it may halt and reduce, and is refused
        where only a person may let go, arm or acknowledge.

    Raises
    ------
    ConfigError
        None runs, or several do and none was named.

    Examples
    --------
    >>> live = connect("paper")                             # doctest: +SKIP
    >>> live.halt(says="the market is mad")                 # doctest: +SKIP
    """
    return Handle(running_node(node), program=program)


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
