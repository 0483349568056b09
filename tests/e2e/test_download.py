"""Kill `tradelab data download` half-way and run it again: nothing is lost and nothing is asked for twice."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tradelab.catalog.bars import Catalog

server = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "unit" / "adapters" / "binance_server.py")))


@pytest.mark.slow
def test_a_killed_download_goes_on_where_it_was(tmp_path: Path) -> None:
    third_page = threading.Event()
    hold = threading.Event()

    class Slow(server.Exchange):  # type: ignore[name-defined, misc]
        """Holds the third page back until the process is dead."""

        def klines(self, query: dict[str, str]) -> list[list[object]]:
            if len(self.asked) == 3 and not hold.is_set():
                third_page.set()
                hold.wait(60)
            return super().klines(query)

    exchange = Slow()
    with server.serving(exchange) as url:
        command = [sys.executable, "-m", "tradelab", "data", "download", "binance", "BTC/USDT", "1h", "--since", "2024"]
        command += ["--base-url", url]
        world = os.environ | {"TRADELAB_HOME": str(tmp_path)}
        process = subprocess.Popen(command, env=world, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert third_page.wait(120), "the download never came to its third page"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        hold.set()
        with Catalog(tmp_path / "bars") as catalog:
            assert len(catalog.read("binance", "BTC/USDT", "1h")) == 2000
        before = len(exchange.asked)
        again = subprocess.run(command, env=world, capture_output=True, text=True, timeout=180, check=False)
        assert again.returncode == 0, again.stderr
        assert "stored 499 bars" in again.stdout
        assert "BTC/USDT" in again.stderr, "a progress bar was shown"
        assert [int(q["startTime"]) for q in exchange.asked[before:]] == [server.FIRST_MS + 2000 * server.HOUR_MS]
    with Catalog(tmp_path / "bars") as catalog:
        assert len(catalog.read("binance", "BTC/USDT", "1h")) == 2499
        assert catalog.coverage("binance", "BTC/USDT", "1h").missing == 0
