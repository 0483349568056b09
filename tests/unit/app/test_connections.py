"""Saved connections lead to adapters: by whose clock, for what, and what a test of one shows and hides."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tradelab as tl
from tests.canary import traces
from tests.unit.app.venue_beside import KEY, make_home, venue_beside
from tradelab.adapters import registry
from tradelab.app import connections as service
from tradelab.app.connections_table import table
from tradelab.model.capabilities import Evidence
from tradelab.model.clock import ScaledClock, SystemClock
from tradelab.model.errors import ConfigError, ParameterError, UnknownNameError
from tradelab.rehearsal.venue import Rehearsal
from tradelab.store.connections import Connections
from tradelab.store.database import home
from tradelab.store.records import Status
from tradelab.store.sealing import new_key
from tradelab.store.settings import Purpose


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connections]:
    make_home(tmp_path / "home", monkeypatch)
    with service.records(who="ada") as opened:
        yield opened


@pytest.fixture
def venue(canary: str) -> Iterator[Rehearsal]:
    with venue_beside(canary) as at:
        yield at


def made(kept: Connections, at: Rehearsal, canary: str, name: str = "main", **how: Any) -> None:
    how = {"purposes": ["data", "execution"], "account_kind": "rehearsal"} | how
    settings = {"base_url": at.url, "symbols": ["BTC/USDT"]}
    service.add_connection(
        kept, name, "binance", settings=settings, credentials={"api_key": KEY, "api_secret": canary}, **how
    )


def absent(canary: str, said: object) -> None:
    raw = f"{said!r}{said}".encode()
    assert [coding for coding, trace in traces(canary).items() if trace in raw] == []


# ── providers ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_an_adapter_declares_is_what_the_records_ask_for() -> None:
    declared = service.provider_of("ccxt:binance")
    spec = registry.spec("ccxt")
    assert declared.id == "ccxt:binance"
    assert declared.credentials == spec.credentials
    assert set(declared.settings.model_fields) == {f.name for f in spec.settings} - {"exchange"} | {"timeframes"}


def test_an_adapter_that_trades_serves_copying_and_one_of_data_does_not() -> None:
    assert service.provider_of("ccxt:bybit").purposes == frozenset(Purpose)
    assert service.provider_of("paper").purposes == {Purpose.EXECUTION, Purpose.COPY}
    assert service.provider_of("files").purposes == {Purpose.DATA}


@pytest.mark.parametrize(
    ("provider", "error", "says"),
    [
        ("ccxt", ParameterError, "provider 'ccxt' is not one. Allowed: ccxt:<exchange>"),
        ("ccxt:", ParameterError, "Allowed: ccxt:<exchange>"),
        ("mtapi:x", ParameterError, "provider 'mtapi:x' is not one. Allowed: mtapi"),
        ("mtapy", UnknownNameError, "no adapter named 'mtapy'; did you mean 'mtapi'?"),
    ],
)
def test_a_provider_that_is_none_is_refused_with_what_there_is(provider: str, error: type, says: str) -> None:
    with pytest.raises(error, match=says.replace("?", r"\?")):
        service.provider_of(provider)


def test_how_far_an_adapter_is_proved_is_told_of_each_exchange() -> None:
    assert service.evidence_of("ccxt:binance") is Evidence.REHEARSED
    assert service.evidence_of("ccxt:bitstamp") is Evidence.UNVERIFIED
    assert service.evidence_of("mtapi") is Evidence.SIMULATOR_ONLY
    assert service.evidence_of("gone") is None


def test_looking_for_records_makes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_home(tmp_path / "home", monkeypatch)
    assert not service.are_kept()
    assert not (tmp_path / "home").exists()
    with service.records():
        assert (home() / "records.sqlite").exists()
    assert service.are_kept()


# ── making ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("provider", "settings", "says"),
    [
        ("binanse", {}, "no exchange named 'binanse'; did you mean 'binance'"),
        ("binance", {"timeout_s": "soon"}, "timeout_s: Input should be a valid number"),
        ("binance", {"base_url": "http://example.com:80"}, "which is not this machine"),
        ("binance", {"sandbx": True}, "unknown 'sandbx' \\(did you mean 'sandbox'\\?\\)"),
        (
            "mtapi",
            {"base_url": "http://1.2.3.4"},
            "missing 'user', missing 'password'|missing 'user'; missing 'password'",
        ),
        ("http", {"api_url": "http://127.0.0.1:1"}, "'timestamp_unit': field required"),
    ],
)
def test_what_the_adapter_would_not_take_is_refused_before_it_is_kept(
    kept: Connections, provider: str, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        service.add_connection(kept, "x", provider, purposes=["data"], settings=settings)
    assert kept.list() == ()


# ── testing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_test_that_passes_is_kept_with_its_latency_and_allows_to_activate(
    kept: Connections, venue: Rehearsal, canary: str
) -> None:
    made(kept, venue, canary)
    after, result = asyncio.run(service.test_connection(kept, "main"))
    assert result.passed
    assert result.latency_ms is not None
    assert after.status is Status.INACTIVE
    assert kept.tests("main")[-1].latency_ms == result.latency_ms
    assert kept.activate("main").status is Status.ACTIVE
    kinds = {asked.kind for asked in venue.server.log}
    assert {"time", "instruments", "balances"} <= kinds or {"time", "instruments", "account"} <= kinds
    assert not kinds & {"submit", "cancel", "modify"}, "nothing is traded"
    assert venue.server.hub.sessions == [], "and it has hung up"


def test_a_refused_login_is_a_failed_test_whose_words_hold_no_secret(kept: Connections, canary: str) -> None:
    with venue_beside("another secret") as at:
        made(kept, at, canary)
        after, result = asyncio.run(service.test_connection(kept, "main"))
    assert (result.passed, result.refused) == (False, True)
    assert after.status is Status.ERROR
    assert "ignature" in result.says
    absent(canary, (result, after, table(kept), kept.audit()))


def test_a_venue_that_never_answers_is_given_up_in_time(kept: Connections, canary: str) -> None:
    async def run() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        service.add_connection(kept, "mute", "binance", purposes=["data"], settings={"base_url": url})
        _, result = await service.test_connection(kept, "mute", timeout_s=0.5)
        assert (result.passed, result.says) == (False, "no answer within 0.5 s")
        server.close()

    asyncio.run(run())
    assert kept.get("mute").status is Status.ERROR


def test_a_test_that_is_stopped_is_over_at_once(kept: Connections, venue: Rehearsal, canary: str) -> None:
    made(kept, venue, canary)
    venue.direct.fault("delay", "time", seconds=30 * 60.0)

    async def run() -> None:
        testing = asyncio.create_task(service.test_connection(kept, "main"))
        while kept.get("main").status is not Status.TESTING:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        testing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await testing

    asyncio.run(run())
    assert "stopped before it ended" in (kept.get("main").error or "")
    venue.direct.all_well()
    assert asyncio.run(service.test_connection(kept, "main"))[1].passed, "and can be tested again at once"


def test_without_the_key_nothing_is_said_about_the_venue(
    kept: Connections, venue: Rehearsal, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(kept, venue, canary)
    monkeypatch.setenv("TRADELAB_KEY", new_key().text.reveal())
    with service.records() as again:
        with pytest.raises(ConfigError, match="TRADELAB_KEY is not what they were sealed with"):
            asyncio.run(service.test_connection(again, "main"))
        with pytest.raises(ConfigError, match="is not what they were sealed with"):
            service.watch_health(again)
        assert again.get("main").status is Status.INACTIVE
        assert again.tests("main") == ()


def test_the_watch_tests_what_is_in_use(kept: Connections, venue: Rehearsal, canary: str) -> None:
    made(kept, venue, canary)
    made(kept, venue, canary, "spare")
    asyncio.run(service.test_connection(kept, "main"))
    kept.activate("main")
    watch = service.watch_health(kept, timeout_s=20.0)
    assert [c.name for c in asyncio.run(watch.sweep())] == ["main"]
    assert [past.passed for past in kept.tests("main")] == [True, True]
    venue.direct.fault("maintenance", "*", times=None)
    (after,) = asyncio.run(watch.sweep())
    assert (after.status, after.resumes) == (Status.ERROR, True)
    venue.direct.all_well()
    (after,) = asyncio.run(watch.sweep())
    assert after.status is Status.ACTIVE, "a venue that was down for a while takes nothing out of use"


# ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def opened(kept: Connections, name: str = "main", **how: Any) -> service.Opened:
    return asyncio.run(service.open_connection(kept, name, **how))


def test_an_active_connection_opens_by_the_clock_of_its_rehearsal(
    kept: Connections, venue: Rehearsal, canary: str
) -> None:
    made(kept, venue, canary)
    asyncio.run(service.test_connection(kept, "main"))
    kept.activate("main")

    async def run() -> None:
        ours = await service.open_connection(kept, "main", purpose="execution")
        assert isinstance(ours.clock, ScaledClock)
        assert ours.clock.speed == 30.0
        assert not ours.adapter.is_connected
        await ours.adapter.connect()
        assert [b.total for b in await ours.adapter.balances()] == [10_000]
        await ours.adapter.disconnect()

    asyncio.run(run())
    assert kept.get("main").used_ns is not None


def test_one_without_an_address_of_its_own_runs_by_the_machine_s_clock(kept: Connections, tmp_path: Path) -> None:
    (tmp_path / "EURUSD-1h.csv").write_text(
        "time,open,high,low,close\n2024-01-01T00:00Z,1,1,1,1\n2024-01-01T01:00Z,1,1,1,1\n"
    )
    service.add_connection(kept, "bars", "files", purposes=["data"], settings={"folder": str(tmp_path)})
    asyncio.run(service.test_connection(kept, "bars"))
    kept.activate("bars")
    assert isinstance(opened(kept, "bars").clock, SystemClock)


def test_one_that_is_not_active_is_not_used_and_says_what_to_do(
    kept: Connections, venue: Rehearsal, canary: str
) -> None:
    made(kept, venue, canary)
    with pytest.raises(
        ConfigError, match=r"is inactive; only an active one is used. Next: tradelab connections test main"
    ):
        opened(kept)
    asyncio.run(service.test_connection(kept, "main"))
    with pytest.raises(ConfigError, match="Next: tradelab connections activate main"):
        opened(kept)


def test_it_is_not_used_for_what_it_is_not_for(kept: Connections, venue: Rehearsal, canary: str) -> None:
    made(kept, venue, canary, purposes=["data"])
    asyncio.run(service.test_connection(kept, "main"))
    kept.activate("main")
    with pytest.raises(
        ParameterError, match=r"'main' is not for 'execution'. Allowed: data. Allow it: .* --for execution"
    ):
        opened(kept, purpose="execution")


def test_a_live_account_that_nobody_has_armed_gives_data_and_does_not_trade(
    kept: Connections, venue: Rehearsal, canary: str
) -> None:
    made(kept, venue, canary, account_kind="live")
    asyncio.run(service.test_connection(kept, "main"))
    kept.activate("main")
    assert opened(kept).connection.account_kind == "live"
    for purpose in ("execution", "copy"):
        with pytest.raises(ConfigError, match=r"nobody has armed|is not for 'copy'"):
            opened(kept, purpose=purpose)


# ── in a notebook ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_in_a_running_loop_the_plain_calls_work(
    tmp_path: Path, venue: Rehearsal, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a cell of Jupyter: a loop runs in this thread while each call is made."""
    make_home(tmp_path / "home", monkeypatch)

    async def cell() -> None:
        assert "no connections" in repr(tl.connections)
        login = {"api_key": KEY, "api_secret": canary}
        tl.connections.add("main", "binance", credentials=login, settings={"base_url": venue.url})
        assert tl.connections.test("main").passed
        tl.connections.activate("main")
        shown = repr(tl.connections) + tl.connections._repr_html_()
        assert "healthy" in shown
        assert "rehearsed" in shown
        absent(canary, shown)
        adapter = tl.connections.open("main")
        await adapter.connect()
        assert "BTC/USDT" in await adapter.symbols()
        await adapter.disconnect()
        tl.connections.deactivate("main")
        tl.connections.remove("main")
        assert len(tl.connections.list()) == 0

    asyncio.run(cell())


def test_a_refusal_comes_out_of_the_thread_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_home(tmp_path / "home", monkeypatch)
    with pytest.raises(UnknownNameError, match="no connection named 'nobody'"):
        tl.connections.test("nobody")


def test_the_table_escapes_what_people_wrote(kept: Connections, tmp_path: Path) -> None:
    service.add_connection(
        kept, "bars", "files", purposes=["data"], settings={"folder": str(tmp_path)}, owner="<b>ada</b>"
    )
    kept.mark_error("bars", "<script>alert(1)</script>")
    shown = table(kept)
    assert "<script>" not in shown._repr_html_()
    assert "bars: <script>alert(1)</script>" in repr(shown), "what is wrong stands below the table"
    assert [line.name for line in shown] == [shown[0].name] == ["bars"]
    assert os.linesep not in shown[0].name
