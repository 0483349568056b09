"""Nothing trades real money before a person has said so twice: of the account, and to the engine that runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.unit.app.test_daemon import WAIT_S, until
from tests.unit.app.venue_beside import KEY, make_home, venue_beside
from tradelab.app import connections as service
from tradelab.app.build import build_node
from tradelab.app.handle import Handle
from tradelab.app.run_folder import RunFolder
from tradelab.model.errors import ConfigError, UnknownNameError
from tradelab.spine.config import read_node
from tradelab.store.arming import arm, disarm
from tradelab.store.database import Database

FILE = """
name = "real"

[modules]
data_provider = true
market_data = true
risk_management = true
execution = true
position_monitoring = true

[presets.small]
sizing = { by = "qty", value = "0.01" }
exits = { stop = "5 %" }
limits = { max_quote_age_s = 3600 }

[bots.btc]
symbols = ["BTC/USDT"]
timeframe = "1m"
source = "main"
execution = "main"
preset = "small"
mode = "live"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, canary: str) -> Iterator[Path]:
    """A node's file whose account is called live; behind it is a rehearsal on this machine, at ``url.txt``."""
    make_home(tmp_path / "home", monkeypatch)
    with venue_beside(canary) as venue:
        with service.records(who="ada") as kept:
            for name, kind in (("main", "live"), ("toy", "rehearsal")):
                service.add_connection(
                    kept, name, "binance", purposes=["data", "execution"], account_kind=kind,
                    settings={"base_url": venue.url, "symbols": ["BTC/USDT"]},
                    credentials={"api_key": KEY, "api_secret": canary},
                )  # fmt: skip
                service.in_own_loop(lambda n=name: service.test_connection(kept, n))
                kept.activate(name)
        path = tmp_path / "real.toml"
        path.write_text(FILE, encoding="utf-8")
        (tmp_path / "url.txt").write_text(venue.url, encoding="utf-8")
        yield path


def move(file: Path, price: str) -> None:
    """Let the market move, so that there is a quote to be heard."""
    told = json.dumps({"symbol": "BTCUSDT", "price": price}).encode()
    url = (file.parent / "url.txt").read_text(encoding="utf-8") + "/rehearsal/move_price"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, told, timeout=WAIT_S) as answer:
        assert answer.status == 200


def tradelab(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tradelab", *words]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=WAIT_S * 3, stdin=subprocess.DEVNULL
    )


def test_who_armed_it_is_kept_and_a_change_takes_it_back(file: Path, canary: str) -> None:
    with service.records(who="ada") as kept:
        assert arm(kept, "main").armed_by == "ada"
        assert kept.set_credentials("main", {"api_key": KEY, "api_secret": canary}).armed_by is None
        with pytest.raises(ConfigError, match=r"is inactive; only an active one is armed.*connections test main"):
            arm(kept, "main")
        with pytest.raises(ConfigError, match="account of rehearsal: only a live one"):
            arm(kept, "toy")
        with pytest.raises(UnknownNameError):
            arm(kept, "mian")
        service.in_own_loop(lambda: service.test_connection(kept, "main"))
        kept.activate("main")
        arm(kept, "main")
        assert disarm(kept, "main").armed_at_ns is None


def test_another_key_or_address_is_another_account_to_an_engine(file: Path, canary: str) -> None:
    def armed_for() -> str:
        with Database() as database:
            node = asyncio.run(build_node(read_node(file), database))
            return dict(node.stage("risk_management")._desk.identities)["main"]

    with service.records(who="ada") as kept:
        arm(kept, "main")
        before = armed_for()
        assert "binance live" in before and KEY not in before and canary not in before
        assert armed_for() == before
        kept.set_credentials("main", {"api_key": KEY, "api_secret": canary})
        service.in_own_loop(lambda: service.test_connection(kept, "main"))
        kept.activate("main")
        arm(kept, "main")
    assert armed_for() != before


def test_a_live_account_trades_when_a_person_has_armed_it_and_the_engine(file: Path) -> None:
    refused = tradelab("up", str(file), "--detach")
    assert refused.returncode == 2
    assert "tradelab connections arm main" in refused.stderr
    nobody = tradelab("connections", "arm", "main")
    assert (nobody.returncode, "nobody agreed; nothing was armed" in nobody.stderr) == (2, True)
    assert tradelab("connections", "arm", "main", "--agree", "toy").returncode == 2
    assert tradelab("connections", "arm", "main", "--agree", "main").returncode == 0
    up = tradelab("up", str(file), "--detach")
    assert up.returncode == 0, up.stderr
    assert "REAL MONEY" in up.stdout
    live = Handle("real")
    pid = int(live.health()["pid"])
    try:
        until("agreement with the venue", lambda: not live.snapshot()["accounts"]["main"]["reconciling"])
        quotes = live.events(kinds=["quote"])
        threading.Timer(1.0, move, (file, "41000")).start()
        next(quotes)
        quotes.close()  # type: ignore[attr-defined]
        before = live.snapshot()["seq"]
        live.command("signal", bot="btc", symbol="BTC/USDT", action="enter_long", ttl_s=3600)
        (dropped,) = live.history(before, until="SignalDropped").of("SignalDropped")
        assert dropped.body["code"] == "not_armed"
        assert "nobody agreed" in tradelab("arm", "main").stderr
        armed = tradelab("arm", "main", "--agree", "main", "--why", "the checklist is done")
        assert armed.returncode == 0, armed.stderr
        live.command("signal", bot="btc", symbol="BTC/USDT", action="enter_long", ttl_s=3600)
        assert live.history(before, until="TradeExecuted", timeout_s=WAIT_S).of("TradeExecuted")
        assert tradelab("disarm", "main").stdout.startswith("account main is disarmed")
    finally:
        os.kill(pid, signal.SIGKILL)
        until("its end", lambda: not RunFolder("real").is_held)
