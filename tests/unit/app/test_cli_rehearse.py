"""A stranger starts a local exchange, connects the real client to it by the words it printed, and comes back to it."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import pty
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from tests.unit.app.venue_beside import make_home, venue_beside
from tradelab.app.cli import main
from tradelab.app.cli_rehearse import WAYS, status
from tradelab.app.rehearsal_market import METATRADER, PERPETUAL, SPOT, Wish, market_of
from tradelab.catalog import samples
from tradelab.catalog.bars import Catalog
from tradelab.model.errors import ParameterError, TradelabError
from tradelab.model.instrument import Calendar, Instrument, InstrumentKind
from tradelab.rehearsal.state import StateFile
from tradelab.rehearsal.venue import DIALECTS

D = Decimal


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_home(tmp_path / "home", monkeypatch)


@contextlib.contextmanager
def started(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`tradelab rehearse` in a process of its own, once it has said all; killed at the end, if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tradelab", "rehearse", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = ""
    assert process.stdout is not None
    try:
        for line in process.stdout:
            said += line
            if line.startswith("Ctrl-C"):
                break
        yield process, said
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


def command(*words: str, stdin: str | None = None) -> str:
    done: Result = CliRunner().invoke(main, list(words), input=stdin)
    assert done.exit_code == 0, done.output + done.stderr
    return done.output


def refusal(*words: str) -> str:
    done = CliRunner().invoke(main, ["rehearse", *words])
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    return done.output + done.stderr


def connect(said: str) -> None:
    """Do what it says: the line with `echo '…' | tradelab connections add …`, as a shell would."""
    line = next(text for text in said.splitlines() if "connections add" in text)
    login, _, words = line.partition(" | ")
    command(*shlex.split(words)[1:], stdin=shlex.split(login)[1])


# ── the whole way, by the real client ────────────────────────────────────────────────────────────────────────────────


def test_what_it_prints_leads_a_stranger_to_streaming_bars() -> None:
    """add, test, activate, backfill, stream, deactivate, remove: at six hundred times the speed of the clock."""
    with started("--dialect", "binance", "--speed", "600", "--history", "3000") as (process, said):
        assert "made up, no real prices" in said
        connect(said)
        assert "passed" in command("connections", "test", "rehearsal")
        command("connections", "activate", "rehearsal")
        since = f"{dt.datetime.now(dt.UTC) - dt.timedelta(hours=20):%Y-%m-%d %H:%M}"
        told = command("data", "backfill", "rehearsal", "BTC/USDT", "15m", "--since", since)
        assert re.search(r"stored [78]\d bars", told), told
        assert "tl.Catalog().read('binance-rehearsal', 'BTC/USDT', '15m')" in told
        told = command("data", "stream", "rehearsal", "BTC/USDT", "15m", "--for", "2h")
        lines = re.findall(r"^(\d{4}-\d\d-\d\d \d\d:\d\d)  open .* close .* age", told, re.MULTILINE)
        assert len(lines) >= 5
        with Catalog() as catalog:
            bars = catalog.read("binance-rehearsal", "BTC/USDT", "15m")
            assert catalog.list()["source"].tolist() == ["binance-rehearsal"], "nothing is filed as Binance's own"
            instrument = catalog.instrument("binance-rehearsal", "BTC/USDT")
        assert set(bars.index.to_series().diff().dropna()) == {pd.Timedelta("15min")}, (
            "no bar is missing between the two"
        )
        assert instrument is not None
        assert instrument.tick_size == D("0.01")
        command("connections", "deactivate", "rehearsal")
        command("connections", "remove", "rehearsal", "--yes")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0
        assert out.strip().splitlines()[-1] == "stopped: 0 orders (0 open), 0 fills."
        assert err == "", "and nothing is said where nobody looks"


@pytest.mark.parametrize("dialect", ["binanceusdm", "bybit", "bybit-spot", "metaapi", "mtapi", "mtapi-mt4"])
def test_every_dialect_prints_a_command_that_connects(dialect: str) -> None:
    with started("--dialect", dialect) as (_, said):
        connect(said)
        assert "passed" in command("connections", "test", "rehearsal")
        line = next(text for text in command("connections", "list").splitlines() if text.startswith("rehearsal"))
        assert "data, execution" in line
        assert ("our own simulator only" in line) == dialect.startswith(("metaapi", "mtapi"))


def test_the_door_opens_by_the_lines_it_prints() -> None:
    with started() as (_, said):
        for line in (text for text in said.splitlines() if "curl" in text):
            words = shlex.split(line)
            url, body = words[3], words[5]
            assert httpx.post(url, content=body, trust_env=False).json() == {"done": True, "result": None}
        url = re.search(r"at (http://127\.0\.0\.1:\d+)", said)[1]  # type: ignore[index]
        assert [f["fault"] for f in httpx.get(f"{url}/rehearsal/faults", trust_env=False).json()] == ["hang"]
        moved = json.loads(shlex.split(next(t for t in said.splitlines() if "move_price" in t))[5])["price"]
        assert (
            httpx.get(f"{url}/api/v3/ticker/price?symbol=BTCUSDT", trust_env=False).json()["price"] == f"{D(moved):.8f}"
        )


def test_at_speed_one_the_market_is_now() -> None:
    with started("--history", "100") as (_, said):
        url = re.search(r"at (http://127\.0\.0\.1:\d+)", said)[1]  # type: ignore[index]
        told = httpx.get(f"{url}/rehearsal/clock", trust_env=False).json()
        assert told["speed"] == 1.0
        assert abs(told["now_ns"] - time.time_ns()) < 5 * 10**9
        rows = httpx.get(f"{url}/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1000", trust_env=False).json()
        assert 100 <= len(rows) <= 102
        assert 0 <= time.time_ns() - rows[-1][0] * 10**6 < 120 * 10**9


# ── kept ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_command_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "evening"
    login = (r"key +(\S+)", r"secret +(\S+)", r"rehearsal at (\S+)")
    with started("--state", str(path), "--speed", "60", "--balance", "USDT=777", "--spread", "4") as (first, said):
        before = [re.search(pattern, said)[1] for pattern in login]  # type: ignore[index]
        assert path.stat().st_size > 0
        assert "another rehearsal runs with" in refusal("--state", str(path))
        first.kill()
        first.wait(30)
    with started("--state", str(path)) as (second, said):
        assert [re.search(pattern, said)[1] for pattern in login] == before  # type: ignore[index]
        assert "60 times as fast" in said
        assert f"goes on     from {path}: 0 orders (0 open), 0 fills" in said
        second.send_signal(signal.SIGTERM)
        out, _ = second.communicate(timeout=30)
        assert f"all is kept in {path}: the same command goes on." in out
    with StateFile(path) as kept:
        assert kept.load().setup.spread_ticks == 4
    for words in (["--dialect", "bybit"], ["--balance", "USDT=1"], ["--data", "sample", "--tick", "1"]):
        said = refusal("--state", str(path), *words)
        assert f"holds a rehearsal of binance already; {', '.join(words[::2])} cannot be chosen again" in said


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} cannot be had" in refusal("--port", str(port))


def test_where_somebody_looks_a_line_says_how_it_stands() -> None:
    here, there = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tradelab", "rehearse"],
        stdin=there,
        stdout=subprocess.DEVNULL,
        stderr=there,
        close_fds=True,
    )
    os.close(there)
    shown, patience = "", time.monotonic() + 60
    try:
        while "requests" not in shown and time.monotonic() < patience:
            if select.select([here], [], [], 0.5)[0]:
                shown += os.read(here, 4096).decode()
    finally:
        process.kill()
        process.wait(30)
        os.close(here)
    assert re.search(r"\d\d:\d\d:\d\d  BTCUSDT \d+\.\d+  0 requests  0 orders \(0 open\), 0 fills", shown), shown


def test_the_line_says_when_the_tape_is_over() -> None:
    with venue_beside("s") as at:
        assert "tape is over" not in status(at)
        at.exchange.now_ns = next(iter(at.exchange.tapes.values())).end_ns + 1
        assert "BTCUSDT 40000.0 (the tape is over)" in status(at)


# ── the market ───────────────────────────────────────────────────────────────────────────────────────────────────────


def write(path: Path, price: str, count: int = 3, zone: str = "Z") -> Path:
    rows = [f"2024-01-01T{hour:02}:00{zone},{price},{price},{price},{price},5" for hour in range(count)]
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]))
    return path


def test_a_series_of_the_catalog_keeps_its_instrument_spelled_as_the_dialect_does() -> None:
    real = Instrument(
        symbol="ETH/USDT:USDT", venue="binance", quote="USDT", base="ETH", settle="USDT", kind=InstrumentKind.PERPETUAL,
        tick_size=D("0.05"), qty_step=D("0.003"), min_qty=D("0.006"), min_notional=D(20),
    )  # fmt: skip
    with Catalog() as catalog:
        catalog.write("binance", "ETH/USDT:USDT", "1h", samples.synthetic("1h", 50, price=2000.0))
        catalog.save_instrument(real)
    market = market_of(Wish(data="binance ETH/USDT:USDT 1h"), PERPETUAL, "bybit")
    made = market.instrument
    assert (made.symbol, made.venue, made.base, made.settle) == ("ETHUSDT", "bybit", "ETH", "USDT")
    assert (made.tick_size, made.qty_step, made.min_qty, made.min_notional) == (
        D("0.05"),
        D("0.003"),
        D("0.006"),
        D(20),
    )
    assert market.symbol == "ETH/USDT:USDT"
    assert len(market.bars) == 50
    assert any("as the catalog keeps it for binance" in said for said in market.says)


def test_a_file_gives_its_market_and_its_tick_and_what_is_assumed_is_said(tmp_path: Path) -> None:
    market = market_of(Wish(data=str(write(tmp_path / "sol-usdc_1h.csv", "151.375"))), SPOT, "binance")
    made = market.instrument
    assert (made.symbol, made.base, made.quote, made.settle) == ("SOLUSDC", "SOL", "USDC", None)
    assert (made.tick_size, made.qty_step, made.min_qty, made.min_notional) == (
        D("0.001"),
        D("0.00001"),
        D("0.00001"),
        D(5),
    )
    said = "\n".join(market.says)
    for words in (
        "SOL for USDC, from 'SOL/USDC'",
        "0.001, the decimals of the prices",
        "0.00001, assumed; --step",
        "5 USDC",
    ):
        assert words in said
    assert market.symbol == "SOL/USDC"


def test_what_is_said_goes_before_what_is_derived(tmp_path: Path) -> None:
    wish = Wish(
        data=str(write(tmp_path / "bars.csv", "10", zone="")), symbol="ABC/EUR", tz="Europe/Athens",
        tick=D("0.5"), step=D(2), min_notional=D(0), contract_size=D(10),
    )  # fmt: skip
    market = market_of(wish, SPOT, "binance")
    made = market.instrument
    assert f"{market.bars.index[0]:%H:%M}" == "22:00", "midnight in Athens, in winter"
    assert (made.symbol, made.tick_size, made.qty_step, made.min_qty) == ("ABCEUR", D("0.5"), D(2), D(2))
    assert (made.min_notional, made.contract_size) == (D(0), D(10))


def test_metatrader_trades_lots_of_currencies() -> None:
    made = market_of(Wish(), METATRADER, "mtapi").instrument
    assert (made.symbol, made.contract_size, made.qty_step, made.calendar) == (
        "EURUSD",
        D(100_000),
        D("0.01"),
        Calendar.WEEKDAYS,
    )
    assert made.tick_size == D("0.00001"), "EURUSD is quoted to a tenth of a pip"
    made = market_of(Wish(data="sample:GOOG-1d"), METATRADER, "mtapi").instrument
    assert (made.symbol, made.contract_size) == ("GOOGUSD", D(1))


@pytest.mark.parametrize(
    ("data", "symbol", "says"),
    [
        ("bars.csv", "BTC", "does not say what is priced in what. Write it BTC/USDT"),
        ("bars.csv", "/USDT", "does not say what is priced in what"),
        ("my_old_bars.csv", None, "it is not said what the bars are of. Name the market: --symbol BTC/USDT"),
        ("nowhere.csv", None, "no file named"),
        ("binance BTC/USDT 1h", None, "binance"),
        ("sample:BTC-1h", None, "no sample named 'BTC-1h'"),
    ],
)
def test_a_market_that_cannot_be_told_is_refused(tmp_path: Path, data: str, symbol: str | None, says: str) -> None:
    for name in ("bars.csv", "my_old_bars.csv"):
        write(tmp_path / name, "1.5")
    given = data if " " in data or ":" in data else str(tmp_path / data)
    with pytest.raises(TradelabError, match=re.escape(says)):
        market_of(Wish(data=given, symbol=symbol), SPOT, "binance")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--speed", "0"], "0 must be above zero"),
        (["--speed", "fast"], "'fast' is not a number"),
        (["--tick", "nan"], "must be above zero"),
        (["--balance", "USDT"], "--balance 'USDT' wants CURRENCY=AMOUNT"),
        (["--balance", "USDT=much"], "wants CURRENCY=AMOUNT"),
        (["--balance", "USDT=-5"], "none of it below zero"),
        (["--dialect", "bybit", "--balance", "USDT=5", "--balance", "BTC=1"], "an account of bybit has one currency"),
        (["--history", "20000"], "20000 bars, and the replay begins after 20000"),
        (["--dialect", "kraken"], "'kraken' is not one of"),
    ],
)
def test_a_refusal_is_words_that_say_what_to_do(words: list[str], says: str) -> None:
    assert says in refusal(*words)


def test_what_it_offers_is_what_there_is() -> None:
    assert set(WAYS) == set(DIALECTS)
    said = CliRunner().invoke(main, ["rehearse", "--help"]).output
    for word in ("No money, no network", "--state", "Try:  tradelab rehearse", "--speed 60", "Ctrl-C"):
        assert word in said
    with pytest.raises(ParameterError):
        market_of(Wish(symbol="X"), SPOT, "binance")
