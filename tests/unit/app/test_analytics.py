"""Figures of trading, asked from a running engine, from what is stored and from the journal: always the same ones."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

import tradelab as tl
from tests.parity.replay_world import replay
from tests.unit.app import engine_beside
from tests.unit.app.engine_beside import Beside, daemon_beside, write_file
from tests.unit.app.venue_beside import make_home
from tests.unit.modules.position_monitoring.world import ACCOUNT, BOT, KEY, SYMBOL, World
from tradelab.app import cli, trading_days
from tradelab.app.daemon_events import Counts
from tradelab.app.daemon_views import snapshot_view
from tradelab.app.handle_views import LiveSnapshot
from tradelab.app.metrics_page import Tally, metrics_of, page
from tradelab.app.trading_days import KeepsDays, read_rows, stored_days
from tradelab.model.account import AccountInfo
from tradelab.model.clock import SystemClock
from tradelab.model.errors import ConfigError, StorageError
from tradelab.model.messages import AccountReported, AlarmRaised, InstrumentListed, PositionClosed, Recorded
from tradelab.model.states import Severity
from tradelab.model.units import NS_PER_DAY, Timeframe
from tradelab.modules.position_monitoring.analytics_log import TradeLog
from tradelab.modules.position_monitoring.manifest import MANIFEST
from tradelab.modules.position_monitoring.shown import Closings
from tradelab.modules.position_monitoring.stage import Stage
from tradelab.spine.codec import encode
from tradelab.spine.keeping import JournalKeeper
from tradelab.spine.node import Node, Part
from tradelab.spine.permit import FreePermit
from tradelab.spine.positions import Round
from tradelab.spine.snapshot import PositionKey
from tradelab.store.database import Database
from tradelab.store.day_rows import DayRows
from tradelab.store.journal import Journal

D = Decimal
NODE = "default"
FIRST_NS = 1_704_067_200_000_000_000  # 2024-01-01


@pytest.fixture(scope="module")
def life() -> tuple[Node, list[Recorded[Any]]]:
    """An engine that has traded for three weeks of hours, and all that it said."""
    bars = tl.samples.load("EURUSD-1h").iloc[:500]
    exits = {"stop": "0.3 %", "targets": ["1 r"]}
    told = asyncio.run(replay(bars, Timeframe.H1, "ema_cross", {"fast": 3, "slow": 8}, D("0.5"), exits))
    return told.node, list(told.node._keeper.recorded())


def journalled(database: Database, said: list[Recorded[Any]], node: str = NODE) -> None:
    """Write what was said into a journal."""
    with Journal(database, node).writing() as writing:
        for one in said:
            writing.append(*encode(one.message), one.ts_event_ns, one.ts_init_ns, one.cause)


def live_days(node: Node) -> Any:
    return node.stage("position_monitoring").trades.catch_up().days


# ── a copy, and never another truth ──────────────────────────────────────────────────────────────────────────────────


def test_the_journal_alone_gives_the_days_that_the_engine_counted(
    database: Database, life: tuple[Node, list[Recorded[Any]]]
) -> None:
    node, said = life
    journalled(database, said)
    days, counted = stored_days(database, NODE), live_days(node)
    assert sum(len(facts.rounds) for facts in counted.facts.values()) > 50
    assert sum(len(facts.apart) for facts in counted.facts.values()) > 50
    assert (days.facts, days.worth) == (counted.facts, counted.worth)


def test_what_was_folded_once_is_stored_until_the_journal_goes_on(
    database: Database, life: tuple[Node, list[Recorded[Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = life[1]
    half = len(said) // 2
    journalled(database, said[:half])
    first = stored_days(database, NODE)
    with monkeypatch.context() as without:
        without.setattr(trading_days, "_folded", None)
        again = stored_days(database, NODE)
    assert (again.facts, again.worth) == (first.facts, first.worth)
    journalled(database, said[half:])
    whole = stored_days(database, NODE)
    assert whole.facts == live_days(life[0]).facts != first.facts


class Half:
    """An engine that has said a part of it."""

    def __init__(self) -> None:
        self.name, self.ledger = NODE, SimpleNamespace(seq=0)
        self.log, self.trades = TradeLog(), SimpleNamespace(failure=None, catch_up=lambda: self.log)

    def stage(self, _: str) -> Any:
        return self

    def say(self, recorded: Recorded[Any]) -> None:
        self.log.remember(recorded)
        self.ledger.seq = recorded.seq


@pytest.mark.parametrize("seed", range(3))
def test_killed_and_stored_at_any_points_it_is_what_one_life_comes_to(
    tmp_path: Path, life: tuple[Node, list[Recorded[Any]]], seed: int
) -> None:
    node, said = life
    chance = random.Random(seed)
    with Database(f"sqlite:///{tmp_path}/records.sqlite") as database:
        engine = Half()
        keeps = KeepsDays(database, engine)  # type: ignore[arg-type]
        for place, recorded in enumerate(said):
            engine.say(recorded)
            if chance.random() < 0.01:
                keeps.keep()
            if chance.random() < 0.005:  # killed: the next one folds what is in the journal, and knows no more
                engine = Half()
                for each in said[: place + 1]:
                    engine.say(each)
                keeps = KeepsDays(database, engine)  # type: ignore[arg-type]
        keeps.keep()
        days = read_rows(DayRows(database, NODE).read())
        assert DayRows(database, NODE).seq == len(said)
    assert (days.facts, days.worth) == (live_days(node).facts, live_days(node).worth)


def test_nothing_is_stored_of_an_engine_that_does_not_count_or_has_failed_to(database: Database) -> None:
    failed, off = Half(), Half()
    failed.trades.failure = "a mistake of ours"

    def stage(_: str) -> Any:
        raise KeyError

    off.stage = stage  # type: ignore[method-assign]
    assert not KeepsDays(database, failed).keep()  # type: ignore[arg-type]
    assert not KeepsDays(database, off).keep()  # type: ignore[arg-type]
    assert DayRows(database, NODE).seq == 0


# ── a running engine ─────────────────────────────────────────────────────────────────────────────────────────────────


def counting(config: Any, database: Database) -> Node:
    """A real node of which one module is on: the one that counts."""
    return Node(
        config, [Part(MANIFEST, Stage)], JournalKeeper(Journal(database, config.name)), clock=SystemClock(),
        permit=lambda _: FreePermit(), venues={}, providers={}, version="test",
    )  # fmt: skip


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_home(tmp_path / "home", monkeypatch)
    monkeypatch.setattr(engine_beside, "engine_of", counting)
    return write_file(tmp_path)


@pytest.fixture
def beside(file: Path) -> Iterator[Beside]:
    with daemon_beside(file) as running:
        running.do(lambda: [running.node.bus.say(each) for each in traded()])
        yield running


def traded() -> list[Any]:
    """Two bots that closed six rounds on three days, and what their account was worth."""
    instrument = World({}).instrument
    rounds = [
        PositionClosed(
            account="paper", bot=bot, symbol=SYMBOL, opened_ns=FIRST_NS + day * NS_PER_DAY + 2 * n,
            closed_ns=FIRST_NS + day * NS_PER_DAY + 2 * n + 1,
            qty=D(1), entry_price=D(100), exit_price=D(101), realized_pnl=D(pnl), fees=D("0.10"), reason="signal",
        )
        for n, (bot, day, pnl) in enumerate(
            [("a", 0, "30"), ("a", 0, "-10"), ("a", 1, "5.05"), ("a", 2, "-2"), ("a", 2, "1"), ("b", 1, "7")]
        )
    ]  # fmt: skip
    worth = AccountReported(account="paper", info=AccountInfo(balances=(), ts_ns=0, equity=D(1000), currency="USDT"))
    return [InstrumentListed(account="paper", instrument=instrument), worth, *rounds]


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.main, words, prog_name="tradelab")


def test_a_notebook_has_the_figures_as_a_table(beside: Beside) -> None:
    table = beside.handle.analytics(by="bot")
    assert (table.index.name, list(table.index)) == ("bot", ["a", "b"])
    assert (table.loc["a", "pnl"], table.loc["a", "trades"], table.loc["a", "win_rate"]) == (24.05, 5, 0.6)
    assert table.loc["a", "profit_factor"] == pytest.approx(36.05 / 12)
    assert pd.isna(table.loc["b", "win_rate"])  # of one round
    assert (table.loc["a", "not_compared"], table.loc["b", "not_compared_why"]) == (5, "no bar decided it (1)")
    assert beside.handle.analytics("bot", least_trades=1).loc["b", "win_rate"] == 1.0
    days = beside.handle.analytics("day", first="2024-01-02", last="2024-01-02")
    assert days["pnl"].to_dict() == {"2024-01-02": 12.05}
    assert table.attrs["node"] == "paper"
    assert "profit_factor" in table._repr_html_()


def test_what_is_asked_wrongly_is_refused_with_what_would_be_right(beside: Beside) -> None:
    with pytest.raises(ConfigError, match=r"by='week' is not allowed.*bot"):
        beside.handle.analytics("week")
    with pytest.raises(ConfigError, match="first='January' is no day"):
        beside.handle.analytics(first="January")
    with pytest.raises(ConfigError, match="no word named 'leest_days'; did you mean 'least_days'"):
        beside.handle.analytics(leest_days=3)


def test_a_failure_of_counting_is_told_in_the_health_and_to_who_asks(beside: Beside) -> None:
    beside.node.stage("position_monitoring").trades.failure = "trading is not counted any more: a mistake of ours"
    assert beside.handle.health()["faults"] == ["trading is not counted any more: a mistake of ours"]
    with pytest.raises((StorageError, ConfigError), match="a mistake of ours"):
        beside.handle.analytics()


def test_an_engine_that_does_not_watch_positions_says_that_it_counts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_home(tmp_path / "home", monkeypatch)
    with daemon_beside(write_file(tmp_path)) as running, pytest.raises(ConfigError, match="counts nothing"):
        running.handle.analytics()


def test_the_page_of_figures_has_protection_and_today(beside: Beside) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    def today() -> None:
        now_ns = SystemClock().now_ns()
        beside.node.bus.say(replace(traded()[-1], opened_ns=now_ns - 1, closed_ns=now_ns))

    beside.do(today)
    told = {row["name"]: row for row in beside.handle.snapshot()["bots"]}
    assert (told["eurusd"]["pnl_today"], told["eurusd"]["trades_today"]) == (None, None)
    families = {family.name: family for family in text_string_to_metric_families(beside.handle.metrics())}
    (pnl,) = families["tradelab_today_pnl"].samples
    assert (pnl.labels, pnl.value) == ({"bot": "b"}, 7.0)
    assert families["tradelab_today_drift_bps"].samples == []
    assert families["tradelab_unprotected_ms"].samples == []


# ── the command line ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_is_told_while_the_engine_runs_and_when_it_is_gone(file: Path, tmp_path: Path) -> None:
    with daemon_beside(file) as running:
        running.do(lambda: [running.node.bus.say(each) for each in traded()])
        during = run("analytics", "--by", "symbol", "--format", "json")
    after = run("analytics", "paper", "--by", "symbol", "--format", "json")
    assert (during.exit_code, after.exit_code) == (0, 0), during.output + after.output
    assert json.loads(after.output)["rows"] == json.loads(during.output)["rows"]
    assert json.loads(after.output)["rows"][0]["pnl"] == "31.05"


def test_an_engine_that_ended_in_good_order_has_stored_what_it_came_to(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with daemon_beside(file) as running:
        running.do(lambda: [running.node.bus.say(each) for each in traded()])
    monkeypatch.setattr(trading_days, "_folded", None)
    assert run("analytics").exit_code == 0


def test_the_journal_is_not_folded_where_the_engine_runs_or_nothing_that_counts_was_said_since(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trading_days, "_folded", None)
    with daemon_beside(file) as running:
        running.do(lambda: [running.node.bus.say(each) for each in traded()])
        during = json.loads(run("analytics", "--format", "json").output)["rows"]
    with Database() as database:
        more = [AlarmRaised(kind="k", about="it", severity=Severity.INFO, says="so")] * 3
        journalled(database, [Recorded(0, 0, 0, None, each) for each in more], "paper")
    assert json.loads(run("analytics", "--format", "json").output)["rows"] == during


def test_figures_are_written_in_every_format(beside: Beside, tmp_path: Path) -> None:
    table = run("analytics", "--by", "bot").output.splitlines()
    assert table[0].split()[:4] == ["group", "currency", "trades", "pnl"]
    assert table[1].split()[:4] == ["a", "USDT", "5", "24.05"]
    rows = list(csv.DictReader(io.StringIO(run("analytics", "--format", "csv").output)))
    assert [row["pnl"] for row in rows] == ["24.05", "7"]
    assert [row["not_compared"] for row in rows] == ["5", "1"]
    assert "a: not compared with the shadow book, for no bar decided it (5)" in table
    assert (rows[1]["win_rate"], rows[1]["sharpe"]) == ("", "")
    for ending in ("csv", "json", "parquet", "html"):
        assert (
            run("analytics", "--out", str(tmp_path / f"a.{ending}")).output
            == f"2 row(s) in {tmp_path / 'a'}.{ending}\n"
        )
    assert pd.read_parquet(tmp_path / "a.parquet")["pnl"].tolist() == [24.05, 7.0]
    html = (tmp_path / "a.html").read_text()
    assert "<!doctype html>" in html.lower() and "24.05" in html and "Content-Security-Policy" in html


def test_who_asks_wrongly_on_the_command_line_is_told_what_to_do(file: Path) -> None:
    assert "no engine ever traded" in run("analytics").stderr
    with daemon_beside(file):
        assert "Name a file: --out" in run("analytics", "--format", "parquet").stderr
        assert "no day" in run("analytics", "--from", "yesterday").stderr
        assert "nothing was traded" in run("analytics").output
    assert "no node named 'papre'; did you mean 'paper'" in run("analytics", "papre").stderr


# ── a position, as it is shown ───────────────────────────────────────────────────────────────────────────────────────


def engine_of(world: World) -> Any:
    """What the views look at, of a world of position_monitoring."""

    def stage(name: str) -> Any:
        return {"position_monitoring": world.stage}[name]

    config = world.stage._desk.config
    return SimpleNamespace(name="n", config=config, ledger=world.ledger, market=world.market, stage=stage)


def test_an_open_position_is_shown_with_its_levels_r_excursions_and_protection() -> None:
    world = World({"stop": "2 %", "targets": ["2 r"]})
    world.quote("100")
    world.fill(world.enter("1"), "1")
    world.pass_s(0.5)
    world.quote("101")
    (bare,) = snapshot_view(engine_of(world))["positions"]
    assert (bare["protection"], bare["unprotected_ms"]) == ("here", None)
    world.settle()
    world.bar(100, 103, 99, 102)
    world.quote("101")
    told = snapshot_view(engine_of(world))
    (shown,) = told["positions"]
    assert (shown["stop_price"], shown["target_price"], shown["protection"]) == ("98.0", "104.0", "venue")
    assert (shown["r"], shown["mfe"], shown["mae"], shown["unprotected_ms"]) == ("0.5", "3", "-1", None)
    assert "98.0" in repr(LiveSnapshot(told)) and "venue" in repr(LiveSnapshot(told))


def test_a_position_is_not_shown_at_another_venues_price_of_a_symbol_of_the_same_name() -> None:
    world = World({"stop": "2 %"})
    world.quote("100")
    world.fill(world.enter("1"), "1")
    world.settle()
    engine = engine_of(world)
    mine = world.market.quotes[ACCOUNT, SYMBOL]
    others = replace(mine, quote=replace(mine.quote, bid=D(50), ask=D(51)), seen_ns=mine.seen_ns + 1)
    world.market.quotes["another", SYMBOL] = others
    (shown,) = snapshot_view(engine)["positions"]
    assert (shown["price"], shown["pnl"]) == ("100", "0")
    world.market.quotes["src", SYMBOL] = replace(mine, quote=replace(mine.quote, bid=D(101), ask=D(102)))
    del world.market.quotes[ACCOUNT, SYMBOL]
    (shown,) = snapshot_view(engine)["positions"]
    assert (shown["price"], shown["pnl"]) == ("101", "1")


def test_a_position_that_nothing_stops_shows_for_how_long() -> None:
    world = World({"stop": "2 %"})
    world.fill(world.enter("1"), "1")
    world.pass_s(0.5)
    world.stage.look()
    engine = engine_of(world)
    (shown,) = snapshot_view(engine)["positions"]
    assert (shown["protection"], shown["unprotected_ms"], shown["r"]) == ("none", 500.0, None)
    text = page(metrics_of(engine, Tally(), Counts(), {}, up_s=1.0))
    assert f'position_unprotected_ms{{account="{ACCOUNT}",bot="{BOT}",symbol="{SYMBOL}"}} 500' in text
    world.deliver()
    world.settle_inbox()
    text = page(metrics_of(engine, Tally(), Counts(), {}, up_s=1.0))
    assert 'tradelab_unprotected_ms{quantile="0.99"} 500' in text
    assert 'tradelab_unconfirmed_ms{quantile="1"} 500' in text
    assert world.stage.protection()["unprotected"] == {
        "count": 1,
        "p50_ms": 500.0,
        "p99_ms": 500.0,
        "longest_ms": 500.0,
    }


def test_a_bot_is_shown_with_what_today_came_to() -> None:
    world = World({"stop": "2 %"})
    world.quote("100")
    world.fill(world.enter("1"), "1", "100.1")
    world.settle()
    (stop,) = world.venue.exits()
    world.fill(stop.intent.client_order_id, "1", "97.5")
    engine = engine_of(world)
    told = snapshot_view(engine)
    (bot,) = told["bots"]
    assert (bot["trades_today"], bot["pnl_today"], bot["drift_bps_today"]) == (1, "-2.6", None)
    shown = LiveSnapshot(told)
    assert "pnl today" in repr(shown)
    why = f"{bot['name']}: 1 trade(s) of today are not compared with the shadow book, for no bar decided it (1)"
    assert (bot["not_compared_today"], bot["not_compared_why_today"]) == (1, "no bar decided it (1)")
    assert why in repr(shown) and why in shown._repr_html_()
    world.pass_s(86_400)
    assert snapshot_view(engine)["bots"][0]["pnl_today"] is None


def test_a_round_that_is_over_is_shown_with_its_reason_r_and_excursions() -> None:
    world = World({"stop": "2 %", "targets": ["2 r"]})
    world.quote("100")
    world.fill(world.enter("1"), "1")
    world.settle()
    world.bar(100, 103, 99, 102)
    world.settle()
    (stop,) = [order for order in world.venue.exits() if order.intent.stop_price is not None]
    world.fill(stop.intent.client_order_id, "1", "97.5")
    (shown,) = snapshot_view(engine_of(world))["closed"]
    assert (shown["reason"], shown["r"], shown["mfe"], shown["mae"]) == ("stop", "-1.25", "3", "-2.5")
    world.restart()
    assert snapshot_view(engine_of(world))["closed"] == [shown]
    assert world.stage.closings.of(KEY, Round()) == dict.fromkeys(("reason", "r", "mfe", "mae"))


def test_rounds_that_closed_in_the_same_nanosecond_are_shown_each_with_its_own_reason() -> None:
    closings, key = Closings(), PositionKey("paper", "a", "EURUSD")
    rounds = []
    for opened_ns, left, reason in ((5, "97", "stop"), (9, "103", "target"), (9, "104", "signal")):
        one = Round(entered=D(1), entry_value=D(100), left=D(1), exit_value=D(left), opened_ns=opened_ns, updated_ns=9)
        rounds.append(one)
        closings.remember(
            PositionClosed(
                **key._asdict(), opened_ns=opened_ns, closed_ns=9, qty=D(-1), entry_price=one.entry_price,
                exit_price=one.exit_price, realized_pnl=D(0), fees=D(0), reason=reason,
            )
        )  # fmt: skip
    assert [closings.of(key, one)["reason"] for one in rounds] == ["stop", "target", "signal"]
