"""Hold one ccxt client: its clock is the venue's, its requests are budgeted, its addresses are what was asked for."""

from __future__ import annotations

import difflib
import ipaddress
import logging
import re
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tradelab.adapters.budget import BudgetError, Urgency, urgency
from tradelab.adapters.ccxt_answers import require_whole
from tradelab.adapters.ccxt_limits import Budgets, Limits
from tradelab.adapters.ccxt_outcomes import Heard, heard, is_there_already, outcome_of, read_error
from tradelab.adapters.retry_after import at_most_a_week, seconds_of
from tradelab.model.approval import OrderApproved
from tradelab.model.clock import Clock, elapsed_ns
from tradelab.model.credentials import Credentials, Secret
from tradelab.model.errors import ConfigError, ConnectivityError, MissingExtraError, UnknownNameError, VenueError
from tradelab.model.outcome import RefusalCode, Refused, Unknown

T = TypeVar("T")
_NS_PER_MS = 1_000_000
_DEFAULT_PAUSE_S = 60.0  # after a 429 that names none: the longest window venues count in
_CLOCK_SAMPLES = 5
_ANSWER: ContextVar[Heard | None] = ContextVar("answer", default=None)  # to the request this task makes
_ORDER: ContextVar[OrderApproved | None] = ContextVar("order", default=None)  # that this task is about to send
_SHORT_WAY_NS = 1_000_000_000
# When a task's request was let go, by our clock and by the machine's: a wait for room in the budget is not on the way.
_LET_GO: ContextVar[tuple[int, int]] = ContextVar("let_go")


class CcxtClient:
    """One account at one venue, through ccxt's own client for REST and WebSockets.

    Parameters
    ----------
    exchange
        A ccxt id, ``"binance"``.
    credentials
        ``api_key``, ``api_secret``, ``api_passphrase``: text, or empty for public data. They go into ccxt's client and
        stay nowhere else.
    options
        ccxt's own ``options``, such as ``{"defaultType": "swap"}``.
    base_url
        A rehearsal venue on this machine; see :func:`point_at`.
    budgets
        Those of the client before this one: what was spent, and a ban, outlive a connection.
    """

    def __init__(
        self,
        exchange: str,
        clock: Clock,
        *,
        credentials: Mapping[str, str | Secret] | None = None,
        options: Mapping[str, object] | None = None,
        sandbox: bool = False,
        base_url: str | None = None,
        timeout_s: float = 10.0,
        budgets: Budgets | None = None,
    ) -> None:
        self.id = exchange
        self.clock = clock
        self.offset_ns = 0
        self._credentials = Credentials(credentials or {})
        given = {name: secret.reveal() or None for name, secret in self._credentials.items()}
        self.raw: Any = _make(exchange)(
            {
                "apiKey": given.get("api_key"),
                "secret": given.get("api_secret"),
                "password": given.get("api_passphrase"),
                "enableRateLimit": True,
                "timeout": int(timeout_s * 1000),
                "newUpdates": True,
            }
        )
        self.raw.options.update(options or {})
        self.raw.logger = _SILENT  # at DEBUG ccxt logs every signed request
        if sandbox:
            self.raw.set_sandbox_mode(True)
        if base_url is not None:
            point_at(self.raw, base_url)
        self.budgets = budgets or Budgets(clock, Limits(self.raw, "spot"))
        self._bind()

    def __repr__(self) -> str:
        return f"<ccxt client of {self.id}>"

    async def close(self) -> None:
        """Close every socket."""
        await self.raw.close()

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def now_ns(self) -> int:
        """Return the venue's time as far as we know it: what it told last and what has passed since.

        A clock of ours that is set in between makes no difference.
        """
        return elapsed_ns(self.clock) + self.offset_ns

    async def sync_clock(self, samples: int = 1) -> float:
        """Measure the venue's clock, half a round trip allowed for, and sign by it from now on.

        Returns
        -------
        float
            The median round trip, milliseconds of the machine, whatever the speed of our clock.
        """
        offsets, trips = [], []
        for _ in range(samples):
            told, sent, came, trip_ms = await self._told_time()
            trips.append(trip_ms)
            offsets.append(told - (sent + came) // 2)
        self.offset_ns = int(statistics.median(offsets))
        return statistics.median(trips)

    async def told_ns(self) -> int:
        """Return what the venue says its time is, nothing added for the way; sign by it if the way was short."""
        told, sent, came, _ = await self._told_time()
        if came - sent <= _SHORT_WAY_NS:  # else nobody knows on which leg the time was lost
            self.offset_ns = told - (sent + came) // 2
        return told

    async def _told_time(self) -> tuple[int, int, int, float]:
        """Return the venue's time, ours when the question left and when the answer came, and milliseconds between."""
        try:
            told_ms = await self.raw.fetch_time()
        except Exception as error:  # noqa: BLE001 - as in ask(), without another look at the clock
            raise self.as_read_error(error) from None
        sent_ns, began = _LET_GO.get()
        trip_ms = (time.monotonic_ns() - began) / _NS_PER_MS
        return int(told_ms) * _NS_PER_MS, sent_ns, elapsed_ns(self.clock), trip_ms

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def ask(self, question: Callable[..., Awaitable[T]], *args: object, **more: object) -> T:
        """Put a question; one that our clock spoiled is put once more, after the clock is set right.

        Raises
        ------
        ConnectivityError, RequestError
            As every read of a venue does.
        """
        try:
            return await self._ask(question, *args, **more)
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read is no answer either
            raise self.as_read_error(error) from None

    async def look_up(self, question: Callable[..., Awaitable[T]], *args: object) -> T | None:
        """Put a question about one order; ``None`` when the venue says that there is none."""
        try:
            return await self._ask(question, *args)
        except Exception as error:  # noqa: BLE001 - the same
            outcome = outcome_of(error, self.id, self._heard(error))
            if isinstance(outcome, Refused) and outcome.code is RefusalCode.ORDER_NOT_FOUND:
                return None
            raise self.as_read_error(error) from None

    async def _ask(self, question: Callable[..., Awaitable[T]], *args: object, **more: object) -> T:
        try:
            return await question(*args, **more)
        except Exception as error:
            outcome = outcome_of(error, self.id, self._heard(error))
            if not (isinstance(outcome, Refused) and outcome.code is RefusalCode.CLOCK):
                raise
        await self.sync_clock()
        return await question(*args, **more)

    async def send(self, level: Urgency, request: Callable[..., Awaitable[T]], *args: object) -> T | Refused | Unknown:
        """Make a request that changes something, once; what was raised comes back as what became of it.

        Whatever breaks, even ccxt's own reading of the answer, may have broken after the request had left: unknown.
        """
        try:
            with urgency(level):
                return await request(*args)
        except Exception as error:  # noqa: BLE001 - nothing may hide that an order could be there
            told = self._heard(error)
            if is_there_already(error, self.id, told):
                return Unknown(f"{self.id} has had an order of that client id: {told.words}")
            outcome = outcome_of(error, self.id, told)
        self._heed(outcome)
        if isinstance(outcome, Refused) and outcome.code is RefusalCode.CLOCK:
            await self._set_clock_right()
        return outcome

    def as_read_error(self, error: Exception) -> Exception:
        """Return the error of ours that a failed question raises; an answer ccxt cannot read is no answer."""
        told = self._heard(error)
        self._heed(outcome_of(error, self.id, told))
        return read_error(error, self.id, told).with_traceback(None)  # its frames hold signed requests

    def _heed(self, outcome: Refused | Unknown) -> None:
        """Ask nothing while a limit lasts that was told in the body of an answer, with a status of 200."""
        if isinstance(outcome, Refused) and outcome.code in (RefusalCode.RATE_LIMITED, RefusalCode.BANNED):
            banned = outcome.code is RefusalCode.BANNED
            if outcome.retry_after_s and self.budgets.whole.closed_for_s < outcome.retry_after_s:
                self.budgets.whole.close_for(outcome.retry_after_s, banned=banned)

    async def _set_clock_right(self) -> None:
        try:
            with urgency(Urgency.PROTECT):
                await self.sync_clock()
        except VenueError:
            return  # the refusal stands; the next request finds the clock wrong again and tries again

    def _heard(self, error: Exception) -> Heard:
        answer = getattr(error, "answer", None) or Heard(None, "")
        scrub = self._credentials.scrub
        return heard(error, status=answer.status, retry_after_s=answer.retry_after_s, scrub=scrub)

    # ── what ccxt is made to do ──────────────────────────────────────────────────────────────────────────────────

    def _bind(self) -> None:
        """Let ccxt sign by the venue's time, spend our budget, and tell us of every answer."""
        raw, handle, fetch, sign = self.raw, self.raw.handle_errors, self.raw.fetch2, self.raw.sign
        _follow_nothing(raw)

        def handle_errors(
            status: int, reason: str, url: str, method: str, headers: Any, body: Any, parsed: Any, *rest: Any
        ) -> Any:
            self._learn(int(status), headers or {})
            require_whole(self.id, int(status), method, body, parsed)
            return handle(status, reason, url, method, headers, body, parsed, *rest)

        async def fetch2(path: str, api: Any = "public", method: str = "GET", params: Any = None, *rest: Any) -> Any:
            params = {} if params is None else params
            cost = float(raw.calculate_rate_limiter_cost(api, method, path, params, *rest))
            _ANSWER.set(None)
            try:
                async with self.budgets.departure(api, method, path, cost):
                    self._look_once_more()
                    _LET_GO.set((elapsed_ns(self.clock), time.monotonic_ns()))
                    return await fetch(path, api, method, params, *rest)
            except Exception as error:
                error.answer = _ANSWER.get()  # type: ignore[attr-defined]
                raise

        raw.fetch2 = fetch2
        raw.sign = lambda *request, **more: self._signed(lambda *r: sign(*r, **more), *request)
        raw.throttle = _no_other_throttle
        raw.milliseconds = lambda: self.now_ns() // _NS_PER_MS
        raw.seconds = lambda: self.now_ns() // 1_000_000_000
        raw.microseconds = lambda: self.now_ns() // 1_000
        raw.handle_errors = handle_errors

    def _look_once_more(self) -> None:
        """Refuse to let an order leave that was decided on something which has grown too old in the queue."""
        order = _ORDER.get()
        refused = None if order is None else order.stale_at(self.now_ns())
        if refused is not None:
            error = BudgetError(f"{refused.says}; nothing was sent.")
            error.code = refused.code
            raise error

    def _signed(self, sign: Callable[..., Any], *request: Any) -> Any:
        """Sign a request; an order is to arrive before what it was decided on is too old, by the venue's own clock.

        So if ours is off by less than anybody would notice, or the way there is long, the venue turns it away.
        """
        order, options = _ORDER.get(), self.raw.options
        usual, until_ns = options.get("recvWindow"), None if order is None else order.fresh_until_ns
        if until_ns is None or usual is None:
            return sign(*request)
        options["recvWindow"] = max(1, min(int(usual), (until_ns - self.now_ns()) // _NS_PER_MS))
        try:
            return sign(*request)
        finally:
            options["recvWindow"] = usual

    def _learn(self, status: int, headers: Mapping[str, str]) -> None:
        """Close the budget when the venue says so, and take over what it has counted."""
        told = {name.lower(): value for name, value in headers.items()}
        asked, reset_ms = seconds_of(told.get("retry-after")), told.get("x-bapi-limit-reset-timestamp", "")
        if asked is None and re.fullmatch(r"[0-9]{1,15}", reset_ms):
            asked = at_most_a_week(int(reset_ms) / 1000 - self.now_ns() / 1e9)
        banned = status == 418 or (status == 403 and self.id.startswith("bybit"))
        if banned or status == 429:
            asked = asked or (self.budgets.limits.ban_s if banned else _DEFAULT_PAUSE_S)
            self.budgets.whole.close_for(asked, banned=banned)
        _ANSWER.set(Heard(None, "", asked, status))
        self.budgets.learn(told)


@contextmanager
def about_to_send(order: OrderApproved) -> Iterator[None]:
    """Let every request of this block be held against what the order was decided on, when its turn has come."""
    token = _ORDER.set(order)
    try:
        yield
    finally:
        _ORDER.reset(token)


async def _no_other_throttle(cost: float | None = None) -> None:
    """Let a request go on at once: it has waited for the budget before."""


_SILENT = logging.Logger("tradelab.ccxt")
_SILENT.addHandler(logging.NullHandler())
_SILENT.disabled = True


def point_at(client: Any, base_url: str) -> None:
    """Let a ccxt client speak to a venue on this machine, and to nothing else whatever it is asked.

    Every address in ``client.urls`` gets the host of ``base_url`` and keeps its path; requests and sockets to any other
    host are refused before they are opened.

    Raises
    ------
    ConfigError
        ``base_url`` is not on loopback.
    """
    host = require_loopback(base_url)
    _keep_error_classes(client, host)
    client.urls["api"] = _moved(client.urls["api"], host)
    if "test" in client.urls:
        client.urls["test"] = _moved(client.urls["test"], host)
    client.has["fetchCurrencies"] = False
    client.options["fetchMargins"] = False
    fetch, dial = client.fetch, client.client

    async def fetch_here(url: str, *args: Any, **more: Any) -> Any:
        require_loopback(url)
        return await fetch(url, *args, **more)

    def dial_here(url: str) -> Any:
        if "://" in url:  # ccxt also keeps clients that are never dialled, by a plain name
            require_loopback(url)
        return dial(url)

    client.fetch, client.client = fetch_here, dial_here


def _follow_nothing(client: Any) -> None:
    """Let a ccxt client follow no redirect: one would take a signed order, and the key, to wherever it leads."""
    open_session = client.open

    async def refuse(_session: Any, _context: Any, redirected: Any) -> None:
        status, to = redirected.response.status, redirected.response.headers.get("Location", "")
        host = urlsplit(to).hostname or "itself"
        raise ConnectivityError(
            f"{client.id} answered {status}, a redirect to {host}, which is not followed.",
            fix="Check the address, and that no proxy or login page of this network is in the way.",
        )

    def open_(*args: Any, **more: Any) -> None:
        before = client.session
        open_session(*args, **more)
        if client.session is not None and client.session is not before:
            from aiohttp import TraceConfig

            watch = TraceConfig()
            watch.on_request_redirect.append(refuse)
            watch.freeze()
            client.session.trace_configs.append(watch)

    client.open = open_


def _keep_error_classes(client: Any, host: str) -> None:
    """Let ccxt choose its error classes by the real address, where it goes by that (Binance's spot and futures)."""
    choose = getattr(client, "get_exceptions_by_url", None)
    if choose is None:
        return
    real = {_moved(url, host): url for url in _flat(client.urls["api"])}

    def choose_by_real(url: str, kind: str) -> Any:
        known = max((here for here in real if url.startswith(here)), key=len, default=None)
        return choose(url if known is None else real[known] + url[len(known) :], kind)

    client.get_exceptions_by_url = choose_by_real


def _flat(urls: Any) -> list[str]:
    if isinstance(urls, dict):
        return [url for inner in urls.values() for url in _flat(inner)]
    return [urls] if isinstance(urls, str) else []


def require_loopback(url: str) -> str:
    """Return ``host:port`` of an address on this machine, or refuse it."""
    parts = urlsplit(url)
    try:
        is_here = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        raise ConfigError(
            f"base_url leads to {parts.hostname!r}, which is not this machine.",
            fix="A rehearsal venue is on loopback: http://127.0.0.1:<port>. For a real venue leave base_url out.",
        )
    return parts.netloc


def _moved(urls: Any, host: str) -> Any:
    if isinstance(urls, dict):
        return {name: _moved(url, host) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    parts = urlsplit(urls)
    scheme = "ws" if parts.scheme.startswith("ws") else "http"
    return f"{scheme}://{host}{parts.path}"


def _make(exchange: str) -> Any:
    try:
        import ccxt.pro
    except ImportError as error:
        raise MissingExtraError("a venue needs ccxt.", fix='Install it: pip install "tradelab[venues]".') from error
    known = ccxt.async_support.exchanges
    if exchange not in known:
        near = difflib.get_close_matches(exchange, known, n=8, cutoff=0.4) or ["binance", "kraken"]
        raise UnknownNameError.of("exchange", exchange, near, fix="ccxt's ids are lower-case.")
    return getattr(ccxt.pro, exchange, None) or getattr(ccxt.async_support, exchange)
