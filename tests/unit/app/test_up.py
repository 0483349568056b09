"""The whole of it: `tradelab up` with its modules on a rehearsed exchange; and a secret that gets out nowhere."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.canary import traces
from tests.house.tree import ROOT
from tests.unit.app.test_daemon import WAIT_S, until
from tests.unit.app.venue_beside import KEY, make_home, venue_beside
from tradelab.app import connections as service
from tradelab.app.handle import Handle
from tradelab.app.run_folder import RunFolder
from tradelab.model.credentials import Secret
from tradelab.model.signal import DropCode
from tradelab.store.database import Database
from tradelab.store.journal import Journal
from tradelab.store.secrets import Secrets
from tradelab.store.vault import Vault

FILE = """
name = "rehearsed"

[modules]
data_provider = true
market_data = true
risk_management = true
execution = true
position_monitoring = true

[accounts.main]
stop_policy = "cancel_entries"

[presets.small]
sizing = { by = "qty", value = "0.01" }

[bots.btc]
symbols = ["BTC/USDT"]
timeframe = "1m"
source = "main"
execution = "main"
preset = "small"

[daemon]
webhook = "127.0.0.1:0"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, canary: str) -> Iterator[Path]:
    """A node's file on a rehearsed exchange, whose key and whose webhook's secret are the planted one."""
    make_home(tmp_path / "home", monkeypatch)
    with venue_beside(canary) as venue:
        with service.records(who="ada") as kept:
            service.add_connection(
                kept, "main", "binance", purposes=["data", "execution"], account_kind="rehearsal",
                settings={"base_url": venue.url, "symbols": ["BTC/USDT"]},
                credentials={"api_key": KEY, "api_secret": canary},
            )  # fmt: skip
            service.in_own_loop(lambda: service.test_connection(kept, "main"))
            kept.activate("main")
        with Database() as database:
            Secrets(Vault(database)).put("webhook rehearsed", Secret(canary))
        path = tmp_path / "rehearsed.toml"
        path.write_text(FILE, encoding="utf-8")
        yield path


def tradelab(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tradelab", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=WAIT_S * 3)


def send(canary: str, body: bytes) -> tuple[int, dict[str, object]]:
    address = RunFolder("rehearsed").address()
    assert address is not None
    now = str(int(time.time()))
    digest = hmac.new(canary.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    at = (address.webhook or "").removeprefix("http://").partition("/")[0]
    connection = http.client.HTTPConnection(at, timeout=WAIT_S)
    headers = {"X-Tradelab-Timestamp": now, "X-Tradelab-Signature": f"sha256={digest}"}
    connection.request("POST", "/signal", body, headers)
    answer = connection.getresponse()
    told = answer.status, json.loads(answer.read())
    connection.close()
    return told


def prometheus(page: str) -> list[tuple[str, float]]:
    """Return the samples of a page of figures, as Prometheus' own parser reads them."""
    return [(one.name, one.value) for family in text_string_to_metric_families(page) for one in family.samples]


def told() -> list[str]:
    with Database() as database:
        return [row.kind for row in Journal(database, "rehearsed").rows()]


def test_a_signed_signal_becomes_an_order_at_a_rehearsed_exchange_and_no_secret_gets_out(
    file: Path, canary: str, tmp_path: Path
) -> None:
    said = [tradelab("up", str(file), "--detach"), tradelab("doctor", str(file)), tradelab("status")]
    address = RunFolder("rehearsed").address()
    assert said[0].returncode == 0, said[0].stdout + said[0].stderr
    assert address is not None
    try:
        live = Handle("rehearsed")
        until("agreement with the venue", lambda: not live.snapshot()["accounts"]["main"]["reconciling"])
        body = {"id": "a-1", "bot": "btc", "symbol": "BTC/USDT", "action": "enter_long", "qty": "0.01"}
        health = live.health()
        assert {(one["what"], one["of"], one["connected"]) for one in health["engine"]["streams"]} >= {
            ("orders", "main", True), ("fills", "main", True), ("bars 1m", "main", True),
        }  # fmt: skip
        until("the venue's clock", lambda: live.health()["engine"]["clocks"]["main"]["offset_ms"] is not None)
        (lease,) = health["leases"]
        assert (lease["account"], lease["ours"], lease["left_s"] > 0) == ("main", True, True)
        assert {"account main", "orders of main"} & set(health["engine"]["workers"]["execution"])
        figures = {name for name, _ in prometheus(live.metrics())}
        assert {"tradelab_stream_connected", "tradelab_venue_clock_offset_seconds", "tradelab_lease_ours"} <= figures
        assert send(canary, json.dumps(body).encode())[1]["done"] is True
        until("what became of it", lambda: {"SignalDropped", "OrderAccepted"} & set(told()))
        by_hand = live.order("BTC/USDT", "buy", "0.01", account="main", stop_loss="1", id="by-hand")
        assert by_hand == live.order("BTC/USDT", "buy", "0.01", account="main", stop_loss="1", id="by-hand")
        assert by_hand.done or by_hand.says.partition(":")[0] in {code.value for code in DropCode}, by_hand
        assert live.halt(says="enough").done
        assert live.snapshot()["state"] == "halted"
        os.kill(address.pid, signal.SIGKILL)
        until("its end", lambda: not RunFolder("rehearsed").is_held)
        said += [tradelab("up", str(file), "--detach")]
        assert said[-1].returncode == 0, said[-1].stdout + said[-1].stderr
        assert live.snapshot()["state"] == "halted"
        said += [tradelab("logs", "-n", "1000", "--json"), tradelab("audit", "show"), tradelab("down")]
        assert [result.returncode for result in said[-3:]] == [0, 0, 0], said[-1].stderr
    finally:
        left = RunFolder("rehearsed").address() if RunFolder("rehearsed").is_held else None
        if left is not None:
            os.kill(left.pid, signal.SIGKILL)
    assert "WRONG" not in said[1].stdout, said[1].stdout
    text = "".join(result.stdout + result.stderr for result in said).encode()
    files = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for where, content in {"what was said": text, **files}.items():
        assert [(where, coding) for coding, trace in traces(canary).items() if trace in content] == []
    with Database() as database:
        assert Journal(database, "rehearsed").verify() == []
