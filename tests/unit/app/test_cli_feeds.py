"""A stranger at the terminal backfills and follows a market, and is told what is safe when it stops."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.unit.feeds.scripted import START_NS, ScriptedProvider, walk
from tradelab.app import cli_feeds
from tradelab.app.cli import main
from tradelab.catalog.bars import Catalog
from tradelab.feeds.keeper import candles
from tradelab.model.clock import ScaledClock
from tradelab.model.errors import ConnectivityError
from tradelab.model.units import NS_PER_S

Make = Callable[..., ScriptedProvider]


@pytest.fixture
def venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Have the commands speak to a scripted provider whose minutes pass in tenths of a second."""
    monkeypatch.setenv("TRADELAB_HOME", str(tmp_path))

    def make(minutes: float, speed: float = 600.0, **how: object) -> ScriptedProvider:
        clock = ScaledClock(START_NS + int(minutes * 60 * NS_PER_S), speed)
        provider = ScriptedProvider(clock, walk(5_000), name="acme", **how)  # type: ignore[arg-type]

        async def found(_: str) -> cli_feeds._Source:
            return cli_feeds._Source(provider, clock)

        monkeypatch.setattr(cli_feeds, "_provider", found)
        return provider

    return make


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["data", *words])


def stored() -> list[object]:
    with Catalog() as catalog:
        return list(candles(catalog.read("acme", "BTC/USDT", "1m")))


@pytest.mark.parametrize("command", ["backfill", "stream"])
def test_help_says_what_it_does_and_shows_an_example(command: str) -> None:
    said = run(command, "--help").output
    for word in ("SOURCE", "SYMBOL", "TIMEFRAME", "Try:", f"tradelab data {command} binance BTC/USDT"):
        assert word in said
    assert command in run("--help").output


def test_a_backfill_stores_what_is_missing_and_again_says_that_nothing_is(venue: Make) -> None:
    provider = venue(50.5, speed=0.0)
    first = run("backfill", "acme", "BTC/USDT", "1m", "--since", "2024-01-02", "--until", "2024-01-02 00:30")
    assert first.exit_code == 0, first.output
    assert "stored 30 bars, 2024-01-02 00:00 to 2024-01-02 00:29 UTC." in first.output
    assert "tl.Catalog().read('acme', 'BTC/USDT', '1m')" in first.output
    assert stored() == provider.bars[:30]
    assert "stored 20 bars, 2024-01-02 00:30 to 2024-01-02 00:49" in run("backfill", "acme", "BTC/USDT", "1m").output
    assert "nothing new" in run("backfill", "acme", "BTC/USDT", "1m", "--since", "2024-01-02").output
    assert not provider.is_connected, "and it hangs up"


def test_holes_of_the_source_are_said(venue: Make) -> None:
    provider = venue(50.5, speed=0.0)
    del provider.bars[10:20]
    said = run("backfill", "acme", "BTC/USDT", "1m", "--since", "2024-01-02").output
    assert "The source itself has none in 1 stretch(es) of time." in said


def test_a_failure_says_what_was_kept_and_what_to_do(venue: Make) -> None:
    provider = venue(350.5, speed=1e6)

    def fail() -> None:
        if len(provider.asked) > 2:
            raise ConnectivityError("the line is dead.")

    provider.before_fetch = fail
    said = run("backfill", "acme", "BTC/USDT", "1m", "--since", "2024-01-02")
    assert said.exit_code == 2
    assert "the line is dead. 200 bar(s) were stored, up to 2024-01-02 03:19 UTC. Check the network" in said.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["backfill", "acme", "BTC/USDT", "1m"], "Say where to begin: --since"),
        (["backfill", "acme", "BTC/USDT", "1m", "--until", "2024"], "--until needs --since"),
        (["backfill", "acme", "BTC/USDT", "1m", "--since", "soon"], "since='soon' is no date"),
        (["backfill", "acme", "BTC/USD", "1m"], "did you mean 'BTC/USDT'?"),
        (["backfill", "acme", "BTC/USDT", "1h"], "no timeframe at acme named '1h'"),
        (["backfill", "acme", "BTC/USDT", "7m"], "timeframe '7m' is not known"),
        (["stream", "acme", "BTC/USDT", "1m", "--for", "soon"], "--for 'soon' is no length of time. Allowed: 90s, 10m"),
        (["stream", "acme", "BTC/USDT", "1m", "--for", "0m"], "is no length of time"),
    ],
)
def test_a_refusal_is_words_that_say_what_to_do(venue: Make, words: list[str], said: str) -> None:
    venue(5.5, speed=0.0)
    told = run(*words)
    assert told.exit_code == 2
    assert said in told.output
    assert "Traceback" not in told.output


def test_following_prints_a_line_a_closed_bar_with_its_age_and_stores_it(venue: Make) -> None:
    provider = venue(5.5)
    run("backfill", "acme", "BTC/USDT", "1m", "--since", "2024-01-02")
    told = run("stream", "acme", "BTC/USDT", "1m", "--for", "20m", "--quotes")
    assert told.exit_code == 0, told.output
    lines = re.findall(r"^(2024-01-02 \d\d:\d\d)  open .* close .* volume .* age \d+\.\d s$", told.output, re.MULTILINE)
    assert lines, told.output
    assert lines == sorted(set(lines)), "each bar once, in order"
    assert re.search(r"bid \d+.*ask \d+.*age", told.output)
    assert "following acme BTC/USDT 1m" in told.output
    bars = stored()
    assert bars == provider.bars[: len(bars)]
    assert f"{len(lines)} bar(s) are stored, up to {lines[-1]} UTC." in told.output


def test_alarms_are_printed_and_their_end(venue: Make) -> None:
    venue(5.5, script=["ok"] * 3 + ["stall"])
    told = run("stream", "acme", "BTC/USDT", "1m", "--for", "20m")
    assert told.exit_code == 0, told.output
    assert "ALARM BTC/USDT 1m: no new data for" in told.output
    assert "resumed BTC/USDT 1m after" in told.output


@pytest.mark.parametrize("command", ["backfill", "stream"])
def test_ctrl_c_says_what_is_safe(venue: Make, command: str) -> None:
    """SIGINT to this process, as a terminal sends it, once the command is at work."""
    provider = venue(350.5)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    at_work = threading.Event()
    if command == "backfill":

        async def hang() -> None:
            if len(provider.asked) > 2:
                at_work.set()
                await ScaledClock(0, 1.0).sleep(60)

        provider.before_fetch = hang
        words = ["backfill", "acme", "BTC/USDT", "1m", "--since", "2024-01-02"]
    else:
        run("backfill", "acme", "BTC/USDT", "1m", "--since", "2024-01-02")
        tell, words = cli_feeds._line, ["stream", "acme", "BTC/USDT", "1m"]

        def line(*what: object) -> str:
            at_work.set()
            return tell(*what)  # type: ignore[arg-type]

        cli_feeds._line = line  # type: ignore[assignment]

    def interrupt() -> None:
        if at_work.wait(60):
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        told = run(*words)
    finally:
        at_work.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
        if command == "stream":
            cli_feeds._line = tell
    assert told.exit_code == 130, told.output
    assert re.search(r"stopped; [\d,]+ bar\(s\) are stored, up to 2024-01-02 \d\d:\d\d UTC\.", told.output)
    if command == "backfill":
        assert "stopped; 200 bar(s) are stored" in told.output
        assert "The same command goes on from there." in told.output
        assert len(stored()) == 200
    assert not provider.is_connected


def test_a_source_is_an_adapter_or_else_an_exchange_of_ccxt(monkeypatch: pytest.MonkeyPatch) -> None:
    from tradelab.adapters import registry

    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(registry, "providers", lambda: ("acme", "ccxt"))
    monkeypatch.setattr(registry, "data_provider", lambda *what: asked.append(what))
    asyncio.run(cli_feeds._provider("acme"))
    asyncio.run(cli_feeds._provider("binance"))
    assert asked == [("acme", {}), ("ccxt", {"exchange": "binance"})]
