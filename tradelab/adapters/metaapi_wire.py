"""Ask MetaApi over HTTP: every number by its text, every failure by what it proves, no secret in any word."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from tradelab.adapters.metaapi_parse import time_ns
from tradelab.adapters.retry_after import at_most_a_week, seconds_of
from tradelab.model.clock import Clock
from tradelab.model.credentials import Credentials
from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.units import NS_PER_S

_TOO_MANY = 429
_WORDS = 300  # of an answer that is quoted


class RefusedError(RequestError):
    """MetaApi refused a request; ``status`` is HTTP's."""

    status = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one request: an answer, or why there is none.

    Parameters
    ----------
    status
        HTTP's; ``None`` where no answer came.
    body
        The JSON of the answer; ``None`` where it has none, or only half of it.
    words
        What to tell a person, without secrets.
    was_sent
        Whether a byte of the request may have reached the venue.
    retry_after_s
        How long the venue asked to be left alone.
    """

    status: int | None
    body: Any
    words: str
    was_sent: bool = True
    retry_after_s: float | None = None
    headers: Mapping[str, str] | None = None

    @property
    def is_done(self) -> bool:
        """Whether the venue did what was asked and said so whole."""
        return self.status is not None and 200 <= self.status < 300 and self.body is not None


class Wire:
    """One HTTP client with the connection's tokens; it never sends a request twice."""

    def __init__(self, credentials: Credentials, clock: Clock, timeout_s: float, *, trust_env: bool) -> None:
        self._credentials = credentials
        self._clock = clock
        self._http = httpx.AsyncClient(timeout=timeout_s, trust_env=trust_env, follow_redirects=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def get(self, url: str, *, as_user: bool = False, **params: str | int) -> Any:
        """Return the JSON of an answer.

        Parameters
        ----------
        as_user
            Ask with the user's own token even where the account has one.

        Raises
        ------
        ConnectivityError
            No answer, half an answer, an answer that asks to come again, or a server that failed.
        RefusedError
            The venue refused.
        """
        return self.told(await self.ask("GET", url, as_user=as_user, params=params))

    async def ask(
        self,
        method: str,
        url: str,
        *,
        as_user: bool = False,
        params: Mapping[str, str | int] | None = None,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request and say what came of it; nothing is raised."""
        given = {"auth-token": self._token(as_user), "Accept": "application/json", **(headers or {})}
        if body is not None:
            given["Content-Type"] = "application/json"
        failure, was_sent = "", True
        try:
            answer = await self._http.request(method, url, params=params or None, content=body, headers=given)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            failure, was_sent = type(error).__name__, False
        except httpx.HTTPError as error:
            failure = type(error).__name__
        if failure:  # said outside, so that no exception carries the request and its token along
            return Reply(None, None, f"MetaApi at {httpx.URL(url).host} did not answer ({failure})", was_sent)
        return self._reply(answer)

    def told(self, reply: Reply) -> Any:
        """Return the JSON of a reply, or raise what it says; see :meth:`get`."""
        if reply.is_done:
            return reply.body
        status = reply.status
        if status is None or status >= 500 or status == _TOO_MANY or status < 400:
            raise ConnectivityError(f"{reply.words}.", fix="Try again later.", retry_after_s=reply.retry_after_s)
        error = RefusedError(f"{reply.words}.", fix=_REMEDIES.get(status, ""))
        error.status = status
        raise error

    def _token(self, as_user: bool) -> str:
        name = "account_token" if not as_user and "account_token" in self._credentials else "api_token"
        return self._credentials.reveal(name)

    def _reply(self, answer: httpx.Response) -> Reply:
        try:
            body = json.loads(answer.text, parse_float=Decimal)
        except ValueError:
            body = None
        return Reply(
            answer.status_code, body, _words(answer, body, self._credentials.scrub),
            retry_after_s=self._wait(answer, body), headers=answer.headers,
        )  # fmt: skip

    def _wait(self, answer: httpx.Response, body: Any) -> float | None:
        if answer.status_code not in (202, _TOO_MANY, 503):
            return None
        said = answer.headers.get("Retry-After", "")
        if (seconds := seconds_of(said)) is not None:
            return seconds
        until = _date(said)
        metadata = body.get("metadata") if isinstance(body, dict) else None
        if until is None and isinstance(metadata, dict):
            until = time_ns(metadata.get("recommendedRetryTime"))
        return None if until is None else at_most_a_week((until - self._clock.now_ns()) / NS_PER_S)


def dumps(value: Any) -> str:
    """Write JSON with every Decimal by its own digits.

    >>> dumps({"volume": Decimal("0.10"), "fillingModes": ["ORDER_FILLING_FOK"]})
    '{"volume":0.10,"fillingModes":["ORDER_FILLING_FOK"]}'
    """
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{dumps(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(dumps, value)) + "]"
    return json.dumps(value)


_REMEDIES = {
    401: "Check api_token (and account_token): https://app.metaapi.cloud/token.",
    403: "The token does not reach that far; give an API token.",
    404: "Check account_id and symbol, and that the account is deployed.",
}


def _words(answer: httpx.Response, body: Any, scrub: Callable[[str], str]) -> str:
    """Return what is worth telling of an answer; cut after it was freed of secrets, for half of one is not found."""
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        details = f" {json.dumps(body['details'], default=str)}" if body.get("details") else ""
        return scrub(f"MetaApi says {answer.status_code} {body.get('error', '')}: {body['message']}{details}")[:_WORDS]
    if answer.status_code < 400:
        return f"MetaApi's answer ({answer.status_code}) could not be read whole"
    return f"MetaApi says {answer.status_code}: {' '.join(scrub(answer.text).split())[:80]}"


def _date(text: str) -> int | None:
    """Read a date of HTTP, or nothing."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return int(moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp()) * NS_PER_S
