"""Ask any HTTP API for bars that answers ``/ping``, ``/candles`` and the rest as ``docs/adapters.md`` says."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NoReturn
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, field_validator

from tradelab.adapters.header_values import require_header_values
from tradelab.adapters.http_bodies import NS_PER, AccountBody, CandleBody, SymbolBody, TickBody, Unit, parsed
from tradelab.adapters.registry import AdapterSpec, Purpose, checked, fields_of
from tradelab.adapters.retry_after import at_most_a_week, seconds_of
from tradelab.model.account import AccountInfo
from tradelab.model.capabilities import DataCapabilities, Evidence
from tradelab.model.clock import Clock
from tradelab.model.credentials import CredentialField, Credentials
from tradelab.model.errors import (
    ConnectivityError,
    ParameterError,
    RequestError,
    TimestampError,
    TradelabError,
)
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle, Quote, Tick
from tradelab.model.ports import ConnectionTest
from tradelab.model.units import NS_PER_S, Timeframe

_PINGS = 3
_MOST_BYTES = 64_000_000  # 100 000 bars, the largest page, are a fifth of that
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class HttpSettings(BaseModel):
    """Where the API is and how it tells the time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_url: str = Field(description="address that /ping, /candles … are appended to")
    timestamp_unit: Unit = Field(description="unit of every timestamp it tells and takes: s, ms, us or ns")
    timeframe_style: Literal["code", "alias"] = Field("code", description="how it spells timeframes: H1 or 1h")
    timeframes: tuple[str, ...] = Field((), description="those it has; none named: all")
    page_bars: int = Field(1000, ge=1, le=100_000, description="most bars of one answer")
    timeout_s: float = Field(15.0, gt=0, le=300, description="seconds until an answer is given up")
    name: str = Field("http", min_length=1, description="what the data is filed under")

    @field_validator("api_url")
    @classmethod
    def _address(cls, api_url: str) -> str:
        parts = urlsplit(api_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an http or https address without a query")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not carry a name or password; give api_key and api_secret instead")
        return api_url.rstrip("/")


class HttpProvider:
    """A :class:`~tradelab.model.ports.DataProvider` over the generic HTTP API.

    Credentials go in headers, ``Authorization: Bearer <api_key>`` and ``X-API-Secret``, only to ``api_url`` (a
    redirection is an error), and over plain http only to this machine. After an answer that says Retry-After nothing is
    sent before that time is over.
    """

    def __init__(self, settings: HttpSettings, credentials: Credentials, clock: Clock) -> None:
        parts = urlsplit(settings.api_url)
        if credentials and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ParameterError(
                f"api_url={settings.api_url!r} would send credentials unencrypted.", fix="Use an https address."
            )
        self._settings, self._credentials, self._clock = settings, credentials, clock
        self._client: httpx.AsyncClient | None = None
        self._wait_until_ns = 0

    def __repr__(self) -> str:
        return f"HttpProvider(name={self.name!r}, api_url={self._settings.api_url!r})"

    @property
    def name(self) -> str:
        """What the data is filed under."""
        return self._settings.name

    @property
    def is_connected(self) -> bool:
        """Whether :meth:`connect` has succeeded."""
        return self._client is not None

    @property
    def data_capabilities(self) -> DataCapabilities:
        """The timeframes of the settings; no streams."""
        named = tuple(Timeframe.of(text) for text in self._settings.timeframes)
        return DataCapabilities(timeframes=named or tuple(Timeframe), page_bars=self._settings.page_bars, ticks=True)

    async def connect(self) -> None:
        """Ping it once."""
        if self._client is not None:
            return
        self._client = httpx.AsyncClient(timeout=self._settings.timeout_s, follow_redirects=False)
        try:
            await self._get("/ping")
        except TradelabError:
            await self.disconnect()
            raise

    async def disconnect(self) -> None:
        """Close the sockets."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def test_connection(self) -> ConnectionTest:
        """Ping it three times and ask for its symbols."""
        took_ms, offsets_ms = [], []
        opened = self._client is None
        try:
            if opened:
                self._client = httpx.AsyncClient(timeout=self._settings.timeout_s, follow_redirects=False)
            for _ in range(_PINGS):
                began, began_ns = time.perf_counter(), self._clock.now_ns()
                _, date_ns = await self._get("/ping")
                took_ms.append((time.perf_counter() - began) * 1_000)
                if date_ns is not None:  # it is told in whole seconds: on average half of one has gone since
                    offsets_ms.append((date_ns + NS_PER_S // 2 - began_ns) / 1e6 - took_ms[-1] / 2)
            count = len(await self.symbols())
        except TradelabError as error:
            refused, latency_ms = isinstance(error, RequestError), statistics.median(took_ms) if took_ms else None
            return ConnectionTest(False, str(error), latency_ms, refused=refused)
        finally:
            if opened:
                await self.disconnect()
        offset_ms = statistics.median(offsets_ms) if offsets_ms else None
        return ConnectionTest(True, f"answers, {count} symbol(s)", statistics.median(took_ms), offset_ms)

    async def now_ns(self) -> int:
        """Return the venue's time, to the second: that of its Date header.

        Raises
        ------
        RequestError
            It tells none.
        """
        _, date_ns = await self._get("/ping")
        if date_ns is None:
            raise RequestError(f"{self.name} tells no time: /ping has no Date header.")
        return date_ns

    async def instruments(self) -> Sequence[Instrument]:
        """Return those of ``/symbols`` that tell quote currency, tick and step."""
        listed = (told.instrument(self.name) for told in await self._listed() if isinstance(told, SymbolBody))
        return [instrument for instrument in listed if instrument is not None]

    async def symbols(self) -> Sequence[str]:
        """Return the symbols it has data for."""
        return [told if isinstance(told, str) else told.symbol for told in await self._listed()]

    async def fetch_ohlcv(
        self, symbol: str, timeframe: Timeframe, *, since_ns: int | None = None, limit: int | None = None
    ) -> Sequence[Candle]:
        """Return one page of bars, oldest first, each stamped with its open time.

        Raises
        ------
        ConnectivityError
            It could not be reached, or asks us to wait (``retry_after_s``).
        RequestError, TimestampError, QualityError
            It refuses, or what it answers are no bars of that timeframe.
        """
        settings, most = self._settings, min(limit or self._settings.page_bars, self._settings.page_bars)
        spelled = timeframe.code if settings.timeframe_style == "code" else timeframe.alias
        asked: dict[str, Any] = {"symbol": symbol, "timeframe": spelled, "limit": most}
        if since_ns is not None:
            asked["since"] = -(-since_ns // NS_PER[settings.timestamp_unit])
        body, date_ns = await self._get("/candles", asked)
        now_ns = self._clock.now_ns() if date_ns is None else date_ns
        told: list[CandleBody] = parsed(list[CandleBody], body, "/candles")
        candles = [one.read(timeframe, settings.timestamp_unit, now_ns) for one in told]
        candles.sort(key=lambda candle: candle.open_ns)
        for before, after in itertools.pairwise(candles):
            if before.open_ns == after.open_ns:
                raise TimestampError(f"/candles tells the bar of {symbol} at {after.open_ns} ns twice.")
        if since_ns is None:
            return candles[-most:]
        return [candle for candle in candles if candle.open_ns >= since_ns][:most]

    async def fetch_ticks(self, symbol: str, *, limit: int = 100) -> Sequence[Tick]:
        """Return the newest ticks, oldest first."""
        body, date_ns = await self._get("/ticks", {"symbol": symbol, "limit": limit})
        now_ns = self._clock.now_ns() if date_ns is None else date_ns
        told: list[TickBody] = parsed(list[TickBody], body, "/ticks")
        ticks = [one.tick(self._settings.timestamp_unit, now_ns) for one in told]
        return sorted(ticks, key=lambda tick: tick.ts_ns)[-limit:]

    async def quote(self, symbol: str) -> Quote:
        """Return best bid and ask now."""
        body, date_ns = await self._get("/price", {"symbol": symbol})
        now_ns = self._clock.now_ns() if date_ns is None else date_ns
        told: TickBody = parsed(TickBody, body, "/price")
        return told.quote(symbol, self._settings.timestamp_unit, now_ns)

    async def account_info(self) -> AccountInfo:
        """Return the account behind the key."""
        body, date_ns = await self._get("/account")
        told: AccountBody = parsed(AccountBody, body, "/account")
        return told.read(self._clock.now_ns() if date_ns is None else date_ns)

    def watch_candles(self, symbol: str, timeframe: Timeframe) -> AsyncIterator[Candle]:
        """Refuse: this API pushes nothing."""
        self._refuse("candles")

    def watch_quotes(self, symbol: str) -> AsyncIterator[Quote]:
        """Refuse: this API pushes nothing."""
        self._refuse("quotes")

    async def _listed(self) -> list[str | SymbolBody]:
        body, _ = await self._get("/symbols")
        told: list[str | SymbolBody] = parsed(list[str | SymbolBody], body, "/symbols")
        return told

    async def _get(self, path: str, asked: Mapping[str, Any] | None = None) -> tuple[Any, int | None]:
        """Send one request; return its body and the time of its Date header."""
        if self._client is None:
            raise ConnectivityError(f"{self.name} is not connected.", fix="await provider.connect()")
        left_s = (self._wait_until_ns - self._clock.now_ns()) / NS_PER_S
        if left_s > 0:
            raise ConnectivityError(f"{self.name} asked us to wait; nothing was sent.", retry_after_s=left_s)
        answer, body, failure = None, bytearray(), ""
        try:
            async with (
                asyncio.timeout(self._settings.timeout_s),  # of all of it: a body that drips never ends
                self._client.stream("GET", self._settings.api_url + path, **self._asked(asked)) as answer,
            ):
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > _MOST_BYTES:
                        break
        except TimeoutError:
            failure = f"no whole answer within {self._settings.timeout_s:g} s"
        except httpx.HTTPError as error:
            failure = self._clean(error)
        if failure or answer is None:  # said outside, so that no exception carries the request and its key along
            fix = "Check the address and the network."
            raise ConnectivityError(f"{self.name} could not be reached: {failure}.", fix=fix)
        if len(body) > _MOST_BYTES:
            fix = "Ask for less: a smaller page_bars."
            raise RequestError(f"{self.name}{path} answers with more than {_MOST_BYTES / 1e6:.0f} MB.", fix=fix)
        self._require_good(answer, bytes(body), path)
        return self._body(bytes(body), path), _date_ns(answer)

    def _asked(self, params: Mapping[str, Any] | None) -> dict[str, Any]:
        return {"params": dict(params or {}), "headers": self._headers()}

    def _headers(self) -> dict[str, str]:
        given = self._credentials
        headers = {"Accept": "application/json"}
        if "api_key" in given:
            headers["Authorization"] = f"Bearer {given.reveal('api_key')}"
        if "api_secret" in given:
            headers["X-API-Secret"] = given.reveal("api_secret")
        return headers

    def _require_good(self, answer: httpx.Response, body: bytes, path: str) -> None:
        if answer.is_success:
            return
        said = self._clean(" ".join(body.decode("utf-8", "replace").split()))[:120]
        problem = f"{self.name}{path} answers {answer.status_code}: {said or answer.reason_phrase}."
        if answer.status_code == 429 or answer.status_code >= 500:
            wait_s = _retry_after_s(answer, self._clock)
            if wait_s is not None:
                self._wait_until_ns = self._clock.now_ns() + int(wait_s * NS_PER_S)
            raise ConnectivityError(problem, retry_after_s=wait_s)
        fix = "Check api_key and api_secret." if answer.status_code in (401, 403) else ""
        raise RequestError(problem, fix=fix)

    def _body(self, body: bytes, path: str) -> Any:
        if path == "/ping":
            return None
        try:
            return json.loads(body, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            raise ConnectivityError(f"{self.name}{path} broke off, or answered no JSON: {error}.") from None

    def _clean(self, said: object) -> str:
        text = str(said) or type(said).__name__
        return self._credentials.scrub(text)

    def _refuse(self, what: str) -> NoReturn:
        raise RequestError(f"{self.name} pushes no {what}; ask for them again instead.")


def _date_ns(answer: httpx.Response) -> int | None:
    try:
        return int(parsedate_to_datetime(answer.headers["Date"]).timestamp()) * NS_PER_S
    except (KeyError, ValueError):
        return None


def _retry_after_s(answer: httpx.Response, clock: Clock) -> float | None:
    """Seconds to wait: told as such, or as the moment when it is over; ``None`` where neither is told."""
    told = answer.headers.get("Retry-After", "").strip()
    if (seconds := seconds_of(told)) is not None:
        return seconds
    try:
        until_s = parsedate_to_datetime(told).timestamp()
    except (ValueError, OverflowError):
        return None
    now_ns = _date_ns(answer) or clock.now_ns()
    return at_most_a_week(until_s - now_ns / NS_PER_S)


def _open(settings: Mapping[str, Any], credentials: Credentials, clock: Clock) -> HttpProvider:
    require_header_values(credentials, "api_key", "api_secret")
    return HttpProvider(checked(HttpSettings, settings, "http"), credentials, clock)


SPEC = AdapterSpec(
    provider="http",
    title="Generic HTTP API",
    evidence=Evidence.SIMULATOR_ONLY,
    purposes=frozenset({Purpose.DATA}),
    open=_open,
    credentials=(
        CredentialField("api_key", required=False, says="sent as Authorization: Bearer"),
        CredentialField("api_secret", required=False, says="sent as X-API-Secret"),
    ),
    settings=fields_of(HttpSettings),
)
