"""Health names a position that should be kept and is not, and what something that failed has halted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.unit.app.test_paper_account import SYMBOL, Lists, buy, quote, settle
from tests.unit.app.venue_beside import START_NS, make_home
from tests.unit.modules.position_monitoring.world import World
from tradelab.app.build import join, parts_of
from tradelab.app.daemon_views import faults_of, snapshot_view
from tradelab.app.left_alone import left_alone
from tradelab.app.paper_account import PaperAccountVenue, paper_terms
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConfigError
from tradelab.model.ports import DataProvider
from tradelab.model.states import TradingState
from tradelab.model.units import NS_PER_MIN
from tradelab.spine.config import parse_node
from tradelab.spine.node import Node
from tradelab.store.database import Database
from tradelab.store.states import TradingStates

Deed = Callable[[Node], Awaitable[None]]


def put_together(folder: Path, database: Database, clock: ManualClock, bot: str, account: str) -> Node:
    told = {"symbols": [SYMBOL], "timeframe": "1m", "source": "venue", "execution": account, "preset": "p"}
    pocket = {"kind": "paper", "balances": {"USDT": 10_000}, "settings": {"mode": "netting"}}
    config = parse_node(
        {
            "name": "paper",
            "modules": {"risk_management": True, "execution": True, "position_monitoring": True},
            "accounts": {account: pocket},
            "presets": {"p": {"sizing": {"by": "qty", "value": "0.1"}, "exits": {"stop": "50 %"}}},
            "bots": {bot: told},
        }
    )
    source = cast(DataProvider, Lists())
    terms = paper_terms(account, config.accounts[account])
    venue = PaperAccountVenue(terms, folder / f"{account}.json", source, [SYMBOL], clock=clock)
    return join(config, parts_of(config), database, clock, {account: venue}, {"venue": source})


@pytest.fixture
def lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let an engine live several times, each with a bot and an account of some name, and do one deed in each."""
    make_home(tmp_path / "home", monkeypatch)

    def run(*of: tuple[str, str, Deed]) -> None:
        async def live() -> None:
            with Database() as database:
                for number, (bot, account, deed) in enumerate(of):
                    clock = ManualClock(START_NS + number * NS_PER_MIN)
                    node = put_together(tmp_path, database, clock, bot, account)
                    await node.start()
                    await settle(node)
                    await deed(node)
                    await node.stop("keep")

        asyncio.run(live())

    return run


async def bought(node: Node) -> None:
    quote(node, "39999", "40001")
    await buy(node, "first")
    await settle(node)
    assert faults_of(node.health()) == [], "it is kept"
    (shown,) = snapshot_view(node)["positions"]
    assert shown["protection"] == "venue"


@pytest.mark.parametrize("account", ["pocket", "purse"])
def test_a_position_whose_bot_was_renamed_or_whose_account_was_left_out_is_a_fault(
    account: str, lives: Callable[..., None]
) -> None:
    async def again(node: Node) -> None:
        (fault,) = faults_of(node.health())
        assert fault.startswith("hand holds 0.1 BTC/USDT on pocket: nobody protects it, for no bot of this name")
        (shown,) = snapshot_view(node)["positions"]
        assert (shown["protection"], shown["unprotected_ms"]) == ("nobody", None)

    lives(("hand", "pocket", bought), ("renamed", account, again))


def test_a_bot_that_was_given_another_account_while_it_holds_something_does_not_start(
    lives: Callable[..., None],
) -> None:
    with pytest.raises(ConfigError, match=r"execution = 'pocket', and its table says execution = 'purse'"):
        lives(("hand", "pocket", bought), ("hand", "purse", bought))


def test_a_node_that_a_failing_gate_has_halted_is_a_fault_until_a_person_lets_it_go(lives: Callable[..., None]) -> None:
    async def fails(node: Node) -> None:
        def broken(*_: Any) -> None:
            raise ZeroDivisionError("of nothing")

        node.stage("risk_management").calculate = broken
        quote(node, "39999", "40001")
        await buy(node, "first")
        (fault,) = faults_of(node.health())
        assert fault == (
            "node is halted by a failure: risk_management: it failed: ZeroDivisionError: of nothing; "
            "look at the log, then: tradelab resume"
        )

    async def again(node: Node) -> None:
        assert len(faults_of(node.health())) == 1, "a restart mends nothing"
        assert (await node.command("resume", {}, id="r", by="ada")).done
        assert faults_of(node.health()) == []

    lives(("hand", "pocket", fails), ("hand", "pocket", again))


@pytest.mark.parametrize("by", ["ada", "program nightly"])
def test_what_somebody_has_halted_is_as_it_was_meant(by: str, lives: Callable[..., None]) -> None:
    async def halted(node: Node) -> None:
        await node.command("halt", {"says": "it failed me"}, id="h", by=by)
        assert node.ledger.snapshot().state() is TradingState.HALTED
        assert faults_of(node.health()) == []

    lives(("hand", "pocket", halted))


def test_a_state_that_cannot_be_read_halts_the_engine_and_is_a_fault(lives: Callable[..., None]) -> None:
    async def first(node: Node) -> None:
        await node.command("reduce", {}, id="r", by="ada")
        with Database() as database, database.writing("type into") as transaction:
            transaction.exec_driver_sql("PRAGMA ignore_check_constraints = ON")  # as another version's table may be
            transaction.exec_driver_sql("UPDATE trading_states SET state = 'reducin'")
            transaction.exec_driver_sql("PRAGMA ignore_check_constraints = OFF")

    async def again(node: Node) -> None:
        assert node.ledger.snapshot().state() is TradingState.HALTED
        (fault,) = faults_of(node.health())
        assert "ada left 'reducin' in the records, which is no trading state" in fault
        with Database() as database:
            assert TradingStates(database, "paper").read()["node"].state is TradingState.HALTED

    lives(("hand", "pocket", first), ("hand", "pocket", again))


def seen(world: World) -> Any:
    """What health looks at, of a world of position_monitoring."""

    def stage(name: str) -> Any:
        return {"position_monitoring": world.stage}[name]

    desk = world.stage._desk
    return SimpleNamespace(config=desk.config, ledger=world.ledger, clock=world.clock, stage=stage)


def test_a_position_whose_stop_does_not_stand_is_a_fault_from_when_the_alarm_of_it_is() -> None:
    world = World({"stop": "2 %"})
    world.fill(world.enter("1"), "1")
    world.pass_s(0.5)
    world.stage.look()
    assert list(left_alone(seen(world))) == [], "a stop takes a moment to get there"
    world.pass_s(1.0)
    world.stage.look()
    (fault,) = left_alone(seen(world))
    assert (
        fault
        == "trend holds 1 BTC/USDT on acc: nothing has stopped it for 1.5 s: no stop stands, and no quote is fresh"
    )
    world.settle()
    assert list(left_alone(seen(world))) == []


def test_a_position_without_a_stop_in_its_plan_is_as_it_was_meant() -> None:
    world = World({})
    world.fill(world.enter("1"), "1")
    world.pass_s(60.0)
    world.stage.look()
    assert list(left_alone(seen(world))) == []


def test_a_stop_that_no_module_keeps_is_a_fault() -> None:
    world = World({"stop": "2 %"})
    world.fill(world.enter("1"), "1")
    it = seen(world)
    it.stage = {}.__getitem__
    assert [fault.partition(": ")[2] for fault in left_alone(it)] == [
        "its stop is kept by nobody, for position_monitoring is not on"
    ]
    assert Decimal(1) in {held.qty for held in world.ledger.snapshot().positions.values()}
