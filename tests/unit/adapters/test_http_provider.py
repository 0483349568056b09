"""The generic HTTP API against a real server on this machine: right answers are read, wrong ones named."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web

from tests.unit.store.world import shown_by_us
from tradelab.adapters import http_provider, registry
from tradelab.adapters.http_provider import HttpProvider
from tradelab.model.clock import ManualClock
from tradelab.model.credentials import Secret
from tradelab.model.errors import ConnectivityError, ParameterError, QualityError, RequestError, TimestampError
from tradelab.model.market import Candle
from tradelab.model.units import NS_PER_MIN, NS_PER_S, Timeframe

START_S = 1_704_067_200  # 2024-01-01
KEY, SECRET = "canary-http-key-1", "canary-http-secret-2"
M1 = Timeframe.M1


class Api:
    """The server: ten one-minute bars, the tenth still forming; ``answer`` replaces the next answers."""

    def __init__(self, unit: int) -> None:
        self.unit = unit  # units in a second
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.answer: web.Response | None = None
        self.handle_instead: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    def bar(self, k: int) -> dict[str, Any]:
        stamp = (START_S + 60 * k) * self.unit
        return {"timestamp": stamp, "open": 100 + k, "high": "112.5", "low": 99.5, "close": 101, "volume": 3, "x": 1}

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, dict(request.query), dict(request.headers)))
        if self.handle_instead is not None:
            return await self.handle_instead(request)
        if self.answer is not None:
            return self.answer
        date = {"Date": formatdate(START_S + 9 * 60 + 30, usegmt=True)}
        if request.path == "/v1/candles":
            since = int(request.query.get("since", 0))
            told = [self.bar(k) for k in range(2) if self.bar(k)["timestamp"] >= since]
            told += [self.bar(9)] if since == 0 else []
            return web.json_response({"data": told[::-1]}, headers=date)
        now = (START_S + 570) * self.unit
        bodies: dict[str, Any] = {
            "/v1/ping": {},
            "/v1/price": {"timestamp": now, "bid": 1.1, "ask": "1.10001"},
            "/v1/ticks": [{"timestamp": now, "bid": 2, "ask": 3}, {"timestamp": now - self.unit, "bid": 1, "ask": 2}],
            "/v1/account": {"currency": "USD", "balance": "1000.10", "margin": "100.10", "equity": 990.5},
            "/v1/symbols": ["GOLD", {"symbol": "EURUSD", "quote": "USD", "tick_size": "0.00001", "qty_step": "0.01"}],
        }
        return web.json_response(bodies[request.path], headers=date)


Play = Callable[[HttpProvider, Api, ManualClock], Awaitable[Any]]


def played(play: Play, unit: str = "ms", credentials: Any = None, **settings: Any) -> Any:
    """Start a server, connect to it, and play."""

    async def scene() -> Any:
        api = Api({"s": 1, "ms": 1000}[unit])
        app = web.Application()
        app.router.add_get("/{tail:.*}", api.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        clock = ManualClock((START_S + 570) * NS_PER_S)
        url = {"api_url": f"http://127.0.0.1:{port}/v1/", "timestamp_unit": unit}
        provider = registry.data_provider("http", url | settings, credentials, clock=clock)
        assert isinstance(provider, HttpProvider)
        try:
            await provider.connect()
            return await play(provider, api, clock)
        finally:
            await provider.disconnect()
            await runner.cleanup()

    return asyncio.run(scene())


@pytest.mark.parametrize("unit", ["s", "ms"])
def test_bars_are_read_by_the_declared_unit_and_the_forming_one_is_open(unit):
    async def play(provider, api, clock):
        return await provider.fetch_ohlcv("EURUSD", M1, limit=3), api.asked[-1]

    candles, (path, query, _) = played(play, unit)
    start = START_S * NS_PER_S
    assert candles == [
        Candle(start, 100.0, 112.5, 99.5, 101.0, 3.0, True),
        Candle(start + NS_PER_MIN, 101.0, 112.5, 99.5, 101.0, 3.0, True),
        Candle(start + 9 * NS_PER_MIN, 109.0, 112.5, 99.5, 101.0, 3.0, False),
    ]
    assert (path, query) == ("/v1/candles", {"symbol": "EURUSD", "timeframe": "M1", "limit": "3"})


def test_since_is_asked_in_the_declared_unit_and_rounded_up():
    async def play(provider, api, clock):
        candles = await provider.fetch_ohlcv("EURUSD", M1, since_ns=START_S * NS_PER_S + 1)
        return candles, api.asked[-1][1]["since"]

    candles, since = played(play, "s")
    assert since == str(START_S + 1)
    assert [candle.open_ns for candle in candles] == [(START_S + 60) * NS_PER_S]


def test_the_spelling_of_timeframes_is_a_setting():
    async def play(provider, api, clock):
        await provider.fetch_ohlcv("EURUSD", M1)
        return api.asked[-1][1]["timeframe"]

    assert played(play, timeframe_style="alias") == "1m"


@pytest.mark.parametrize(
    ("served", "declared", "year", "right"), [("s", "ms", "1970-01-20", "s"), ("ms", "s", "55,", "ms")]
)
def test_a_stamp_in_another_unit_than_declared_is_refused_and_the_likely_one_named(served, declared, year, right):
    async def play(provider, api, clock):
        api.unit = {"s": 1, "ms": 1000}[served]
        with pytest.raises(TimestampError) as caught:
            await provider.fetch_ohlcv("EURUSD", M1)
        return str(caught.value)

    told = played(play, declared)
    assert year in told
    assert f'timestamp_unit="{right}"' in told


def test_credentials_are_sent_as_headers_and_told_nowhere():
    async def play(provider, api, clock):
        headers = api.asked[0][2]
        api.answer = web.Response(status=403, text=f"key {KEY} may not")
        with pytest.raises(RequestError) as caught:
            await provider.symbols()
        test = await provider.test_connection()
        return headers, f"{caught.value!r} {caught.value} {provider!r} {test}"

    headers, told = played(play, credentials={"api_key": KEY, "api_secret": SECRET})
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["X-API-Secret"] == SECRET
    assert "key **** may not" in told
    assert KEY not in told
    assert SECRET not in told


def test_without_credentials_no_header_is_sent():
    async def play(provider, api, clock):
        return api.asked[0][2]

    assert not {"Authorization", "X-API-Secret"} & set(played(play))


@pytest.mark.parametrize(
    "url", ["http://example.org/api", "ftp://127.0.0.1", "http://me:pw@127.0.0.1", "http://127.0.0.1/?k=1"]
)
def test_an_address_that_would_give_secrets_away_is_refused(url):
    with pytest.raises(ParameterError) as caught:
        registry.data_provider("http", {"api_url": url, "timestamp_unit": "s"}, {"api_key": KEY})
    assert "pw" not in str(caught.value).replace("password", "")


def test_the_unit_must_be_declared():
    with pytest.raises(ParameterError, match="timestamp_unit"):
        registry.data_provider("http", {"api_url": "http://127.0.0.1:1"})


@pytest.mark.parametrize("told", ["7", formatdate(START_S + 577, usegmt=True)])
def test_retry_after_is_told_and_nothing_is_sent_before_it_is_over(told):
    async def play(provider, api, clock):
        api.answer = web.Response(
            status=429, headers={"Retry-After": told, "Date": formatdate(START_S + 570, usegmt=True)}
        )
        with pytest.raises(ConnectivityError) as caught:
            await provider.symbols()
        api.answer = None
        count = len(api.asked)
        with pytest.raises(ConnectivityError, match="asked us to wait"):
            await provider.symbols()
        assert len(api.asked) == count
        await clock.advance(7.5)
        assert len(await provider.symbols()) == 2
        return caught.value.retry_after_s

    assert played(play) == 7.0


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        ({"status": 502, "text": "<html>bad gateway</html>"}, ConnectivityError, "502"),
        ({"status": 200, "text": '[{"timestamp": 1704'}, ConnectivityError, "broke off"),
        ({"status": 200, "text": "<html>maintenance</html>"}, ConnectivityError, "no JSON"),
        ({"status": 404, "text": "no such symbol"}, RequestError, "no such symbol"),
        ({"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, RequestError, "302"),
        ({"status": 200, "text": '{"error": "x"}'}, RequestError, "/candles answers what it should not"),
    ],
)
def test_answers_that_are_none_are_told_apart(answer, error, says):
    async def play(provider, api, clock):
        api.answer = web.Response(**answer)
        with pytest.raises(error, match=says):
            await provider.fetch_ohlcv("EURUSD", M1)

    played(play)


@pytest.mark.parametrize(
    ("spoilt", "error", "says"),
    [
        ({"open": None}, RequestError, r"0.open \(None\)"),
        ({"open": -1}, RequestError, r"0.open \(-1\)"),
        ({"open": "1e999999999"}, RequestError, "0.open"),
        ({"timestamp": 1704067200000.5}, RequestError, "0.timestamp"),
        ({"timestamp": "soon"}, RequestError, "0.timestamp"),
        ({"timestamp": 1704067201000}, TimestampError, "open time"),
        ({"high": 1}, QualityError, "none"),
        ({"volume": -1}, RequestError, "0.volume"),
    ],
)
def test_a_bar_that_is_none_is_named_by_field_and_value(spoilt, error, says):
    async def play(provider, api, clock):
        api.answer = web.Response(text=json.dumps([api.bar(0) | {"open": 100} | spoilt]))
        with pytest.raises(error, match=says):
            await provider.fetch_ohlcv("EURUSD", M1)

    played(play)


def test_a_bar_told_twice_is_refused():
    async def play(provider, api, clock):
        api.answer = web.json_response([api.bar(0), api.bar(0)])
        with pytest.raises(TimestampError, match="twice"):
            await provider.fetch_ohlcv("EURUSD", M1)

    played(play)


def test_prices_ticks_account_and_symbols_are_read_exactly():
    async def play(provider, api, clock):
        quote = await provider.quote("EURUSD")
        ticks = await provider.fetch_ticks("EURUSD", limit=5)
        return quote, ticks, await provider.account_info(), await provider.instruments(), await provider.symbols()

    quote, ticks, account, instruments, symbols = played(play)
    assert (quote.bid, quote.ask) == (Decimal("1.1"), Decimal("1.10001"))
    assert [tick.bid for tick in ticks] == [1, 2]
    assert (account.balance("USD").free, account.balance("USD").total) == (Decimal("900.00"), Decimal("1000.10"))
    assert account.equity == Decimal("990.5")
    assert symbols == ["GOLD", "EURUSD"]
    assert [(market.symbol, market.tick_size) for market in instruments] == [("EURUSD", Decimal("0.00001"))]


def test_a_connection_test_tells_latency_and_the_offset_of_its_clock():
    async def play(provider, api, clock):
        return await provider.test_connection(), await provider.now_ns()

    told, now_ns = played(play)
    assert told.passed
    assert told.latency_ms > 0
    assert abs(told.clock_offset_ms) <= 500 + told.latency_ms
    assert now_ns == (START_S + 570) * NS_PER_S


def test_a_server_that_is_not_there_is_said_to_be():
    async def scene():
        settings = {"api_url": "http://127.0.0.1:9", "timestamp_unit": "s"}
        provider = registry.data_provider("http", settings, {"api_key": KEY}, clock=ManualClock(0))
        with pytest.raises(ConnectivityError) as caught:
            await provider.connect()
        assert not provider.is_connected
        assert not (await provider.test_connection()).passed
        await provider.disconnect()
        return f"{caught.value!r}"

    assert KEY not in asyncio.run(scene())


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"[" * 100_000, "broke off, or answered no JSON"),
        (b"\xff\xfe", "broke off, or answered no JSON"),
        (b'{"data": [' + b" " * 3_000_000, "answers with more than 2 MB"),
    ],
)
def test_a_hostile_body_is_an_error_in_words(body, says, monkeypatch):
    monkeypatch.setattr(http_provider, "_MOST_BYTES", 2_000_000)

    async def play(provider, api, clock):
        api.answer = web.Response(body=body)
        with pytest.raises((ConnectivityError, RequestError), match=says):
            await provider.fetch_ohlcv("EURUSD", M1)

    played(play)


def test_an_answer_that_drips_is_given_up_when_its_time_is_over():
    async def play(provider, api, clock):
        async def drip(request):
            answer = web.StreamResponse()
            await answer.prepare(request)
            with contextlib.suppress(OSError, asyncio.CancelledError):
                while True:
                    await answer.write(b" ")
                    await asyncio.sleep(0.01)  # each byte in time, the whole never
            return answer

        api.handle_instead = drip
        with pytest.raises(ConnectivityError, match=r"no whole answer within 0\.3 s"):
            await provider.fetch_ohlcv("EURUSD", M1)

    played(play, timeout_s=0.3)


def test_a_key_that_no_header_can_carry_is_refused_by_name_before_anything_is_sent():
    with pytest.raises(ParameterError, match="api_key is sent in a header and has a letter that none can carry") as no:
        settings = {"api_url": "http://127.0.0.1:1", "timestamp_unit": "s"}
        registry.data_provider("http", settings, {"api_key": Secret("canary-ключ"), "api_secret": Secret("s")})
    assert "canary" not in shown_by_us(no.value)


def test_an_error_of_the_network_carries_no_request_along():
    async def play(provider, api, clock):
        provider._settings = provider._settings.model_copy(update={"api_url": "http://127.0.0.1:1"})
        with pytest.raises(ConnectivityError) as gone:
            await provider.now_ns()
        assert KEY not in shown_by_us(gone.value)
        assert gone.value.__context__ is None

    played(play, credentials={"api_key": KEY, "api_secret": SECRET})
