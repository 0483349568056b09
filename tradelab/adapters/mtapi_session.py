"""Speak to a bridge of mtapi.io: one request, one answer; log in, renew a session it forgot; tell no secret."""

from __future__ import annotations

import asyncio
import email.utils
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from tradelab.adapters import mtapi_wire as wire
from tradelab.adapters.mtapi_answers import EDIT, AnswerError, meaning, parsed, query, said
from tradelab.adapters.mtapi_quiet import quietly
from tradelab.adapters.mtapi_rows import ErrorRow
from tradelab.adapters.mtapi_settings import MtapiSettings
from tradelab.adapters.retry_after import seconds_of
from tradelab.model.clock import Clock
from tradelab.model.credentials import HIDDEN, Credentials, Secret
from tradelab.model.errors import ConnectivityError, ParameterError, RequestError
from tradelab.model.units import NS_PER_S

_CONNECT_S = 10.0
_LONGEST = 300  # characters of what a server says that are worth repeating
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the body as JSON says it, or what the server said instead; ``broken`` is no whole answer.

    What the server said has been freed of secrets: some repeat the request, and with it the password.
    """

    status: int
    body: Any = field(repr=False)
    error: ErrorRow | None
    broken: str = ""
    date_ns: int | None = None
    retry_after_s: float | None = None

    @property
    def is_good(self) -> bool:
        """Whether there is an answer to read."""
        return 200 <= self.status < 300 and self.error is None and not self.broken

    @property
    def is_session_gone(self) -> bool:
        """Whether the server does not know our token."""
        return self.error is not None and self.error.code == wire.SESSION_GONE


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer; ``sent`` is false when certainly no byte of the request left this machine."""

    sent: bool
    says: str


class Session:
    """One login at a bridge.

    The bridge keeps one session for each account, whoever asks, and forgets it after some minutes of silence: a read
    that finds it gone logs in again, once.
    """

    def __init__(self, settings: MtapiSettings, credentials: Credentials, clock: Clock) -> None:
        if not settings.server and "host" not in credentials:
            raise ParameterError(
                "mtapi: neither the credential 'host' nor the setting 'server' says where the broker is.",
                fix="Give host and port of the broker's access point, or its server's name.",
            )
        self.settings = settings
        self.clock = clock
        self._credentials = credentials
        self._http: httpx.AsyncClient | None = None
        self._token: Secret | None = None
        self._login = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether a login has succeeded and the session was not closed."""
        return self._token is not None

    @property
    def token(self) -> Secret:
        """The session's name at the bridge: as good as the password while it lives."""
        if self._token is None:
            raise ConnectivityError("mtapi: not connected.", fix="Call connect() first.")
        return self._token

    async def open(self) -> None:
        """Log in."""
        if self._http is None:
            headers = {}
            if "api_key" in self._credentials:
                headers[self.settings.api_key_header] = self._credentials.reveal("api_key")
            self._http = httpx.AsyncClient(
                base_url=self.settings.base_url,
                headers=headers,
                follow_redirects=False,  # a redirect would carry the password to wherever it leads
                trust_env=not self.settings.is_loopback,
            )
        await self.renew(None)

    async def close(self) -> None:
        """Close every connection; the session at the bridge is ended only where the settings say so."""
        if self._token is not None and self.settings.log_out:
            await self._speak(wire.LOGOUT, self.settings.timeout_s, token=self._token)
        self._token = None
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def renew(self, gone: Secret | None) -> None:
        """Log in, unless another has done so since ``gone`` was found to be no longer known."""
        async with self._login:
            if self._token is not None and self._token is not gone:
                return
            self._token = None
            call = wire.LOGIN_BY_NAME if self.settings.server else wire.LOGIN
            known = self._credentials
            port = known.get("port") or Secret("443")
            answer = await self._speak(
                call, self.settings.trade_timeout_s, user=known["user"], password=known["password"],
                host=known.get("host"), port=port, server=self.settings.server,
            )  # fmt: skip
            self.require(answer, "log in")
            assert isinstance(answer, Answer)
            if not isinstance(answer.body, str) or not answer.body or " " in answer.body:
                raise RequestError("mtapi: the login was answered with something that is no token.", fix=EDIT)
            self._token = Secret(answer.body)

    async def ask(self, call: wire.Call, what: str, **ours: Any) -> Answer:
        """Ask for something that changes nothing; log in again if the bridge has forgotten us.

        Raises
        ------
        ConnectivityError
            No answer, or none that is whole, or the server is not in a state to answer.
        RequestError
            The server says that the request is wrong.
        """
        for last in (False, True):
            token = self.token
            answer = await self._speak(call, self.settings.timeout_s, token=token, **ours)
            if isinstance(answer, Answer) and answer.is_session_gone and not last:
                await self.renew(token)
                continue
            return self.require(answer, what)
        raise AssertionError("unreachable")

    async def tell(self, call: wire.Call, **ours: Any) -> Answer | Silence:
        """Send a request that changes something, once, and return whatever came of it."""
        return await self._speak(call, self.settings.trade_timeout_s, token=self.token, **ours)

    async def now_ns(self) -> int:
        """Return the bridge's time: its ``Date`` header tells whole seconds, our clock fills in the rest if it can."""
        answer = await self._speak(wire.PING, self.settings.timeout_s, token=self.token)
        if isinstance(answer, Silence):
            raise self._unreachable(answer, "the time")
        if answer.date_ns is None:
            raise ConnectivityError("mtapi: the server does not say what time it is (no Date header).")
        return min(max(self.clock.now_ns(), answer.date_ns), answer.date_ns + NS_PER_S - 1)

    def require(self, answer: Answer | Silence, what: str) -> Answer:
        """Return the answer to a read, or raise what it means."""
        if isinstance(answer, Silence):
            raise self._unreachable(answer, what)
        if answer.is_good:
            return answer
        says = self.words(answer)
        if answer.error is not None and answer.status < 400:
            known = meaning(answer.error.code)
            if known is None or known.code is None or known.code.may_pass_later:
                raise ConnectivityError(f"mtapi: {what}: {says}.", retry_after_s=answer.retry_after_s)
            raise RequestError(f"mtapi: {what}: {says}.")
        if answer.broken or answer.status == 429 or answer.status >= 500:
            raise ConnectivityError(f"mtapi: {what}: {says}.", retry_after_s=answer.retry_after_s)
        raise RequestError(f"mtapi: {what}: {says}.", fix=EDIT if answer.status in (301, 302, 307, 308, 404) else "")

    def words(self, answer: Answer) -> str:
        """Return what a server said instead of an answer, not too long."""
        text = f"{answer.error.code}: {answer.error.says}" if answer.error is not None else answer.broken
        return " ".join((text or f"status {answer.status}").split())[:_LONGEST].rstrip(".")

    def _freed(self, answer: Answer) -> Answer:
        """Return an answer without our secrets in what it says instead of one."""
        error = answer.error
        if error is not None:
            error = ErrorRow(code=self._starred(error.code), says=self._starred(error.says))
        body = answer.body if answer.is_good else None
        return replace(answer, body=body, error=error, broken=self._starred(answer.broken))

    def _starred(self, text: str) -> str:
        text = self._credentials.scrub(text)
        return text if self._token is None else text.replace(self._token.reveal(), HIDDEN)

    def _unreachable(self, silence: Silence, what: str) -> ConnectivityError:
        return ConnectivityError(f"mtapi: {what}: {self.settings.base_url} {silence.says}.")

    async def _speak(self, call: wire.Call, timeout_s: float, **ours: Any) -> Answer | Silence:
        """Send one request; no exception of the HTTP client leaves here, for each of them carries the URL."""
        if self._http is None:
            return Silence(False, "is not connected to")
        asked = query(call, self.settings.platform, **ours)
        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))
        heard: Answer | Silence | None = None
        with quietly():
            try:
                path = call.paths[self.settings.platform]
                plain = {k: v.reveal() if isinstance(v, Secret) else v for k, v in asked.items()}
                heard = self._freed(_heard(await self._http.get(path, params=plain, timeout=timeout)))
            except asyncio.CancelledError:
                heard = None
            except _NOT_SENT as error:
                heard = Silence(False, f"could not be reached ({type(error).__name__})")
            except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
                heard = Silence(True, f"did not answer ({type(error).__name__})")
            finally:
                plain = {}  # a traceback that shows local variables shows nothing
        if heard is None:
            raise asyncio.CancelledError
        return heard


def _heard(reply: httpx.Response) -> Answer:
    date_ns, retry_after_s = _date_ns(reply.headers.get("Date")), seconds_of(reply.headers.get("Retry-After"))
    kind = reply.headers.get("Content-Type", "")
    if "html" in kind:
        return Answer(reply.status_code, None, None, f"a page of HTML, status {reply.status_code}", date_ns)
    try:
        body = parsed(reply.text)
    except AnswerError as error:
        return Answer(reply.status_code, None, None, error.problem, date_ns, retry_after_s)
    return Answer(reply.status_code, body, said(body), "", date_ns, retry_after_s)


def _date_ns(told: str | None) -> int | None:
    if told is None:
        return None
    try:
        return int(email.utils.parsedate_to_datetime(told).timestamp()) * NS_PER_S
    except ValueError:
        return None
