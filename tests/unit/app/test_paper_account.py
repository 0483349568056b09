"""A paper account trades on the quotes that bots see, and an engine that starts again finds it as it was left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.app.venue_beside import START_NS, make_home
from tradelab.adapters.paper_config import PaperConfig
from tradelab.app.build import join, parts_of
from tradelab.app.paper_account import PaperAccountVenue
from tradelab.model.clock import ManualClock
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.market import Candle, Quote
from tradelab.model.messages import AlarmRaised, DataReceived, PositionAdjusted, TradeExecuted
from tradelab.model.ports import DataProvider
from tradelab.model.states import TradingState
from tradelab.model.units import NS_PER_MIN, NS_PER_S, Timeframe
from tradelab.spine.config import parse_node
from tradelab.spine.keeping import JournalKeeper
from tradelab.spine.node import Node
from tradelab.store.database import Database
from tradelab.store.journal import Journal

SYMBOL = "BTC/USDT"
LISTED = Instrument(
    symbol=SYMBOL, venue="venue", base="BTC", quote="USDT", tick_size=Decimal("0.01"), qty_step=Decimal("0.001"),
    kind=InstrumentKind.SPOT,
)  # fmt: skip


class Lists:
    """A source that lists one market; its quotes are handed in by the test."""

    name, is_connected = "venue", True

    async def connect(self) -> None: ...
    async def disconnect(self) -> None: ...
    async def instruments(self) -> list[Instrument]:
        return [LISTED]


def put_together(folder: Path, database: Database, clock: ManualClock, mode: str) -> Node:
    bot = {"symbols": [SYMBOL], "timeframe": "1m", "source": "venue", "execution": "pocket", "preset": "p"}
    config = parse_node(
        {
            "name": "paper",
            "modules": {"risk_management": True, "execution": True, "position_monitoring": True},
            "accounts": {"pocket": {"kind": "paper", "balances": {"USDT": 10_000}, "settings": {"mode": mode}}},
            "presets": {"p": {"sizing": {"by": "qty", "value": "0.1"}, "exits": {"stop": "50 %"}}},
            "bots": {"hand": bot},
        }
    )
    source = cast(DataProvider, Lists())
    terms = PaperConfig(balances={"USDT": Decimal(10_000)}, name="pocket", mode=mode)  # type: ignore[arg-type]
    venue = PaperAccountVenue(terms, folder / "pocket.json", source, [SYMBOL], clock=clock)
    return join(config, parts_of(config), database, clock, {"pocket": venue}, {"venue": source})


async def settle(node: Node) -> None:
    """Let all that follows happen."""
    quiet, seq = 0, node.ledger.seq
    while quiet < 50:
        await asyncio.sleep(0)
        quiet, seq = quiet + 1 if node.ledger.seq == seq else 0, node.ledger.seq


def quote(node: Node, bid: str, ask: str, *, ahead_s: int = 0) -> None:
    now_ns = node.clock.now_ns() + ahead_s * NS_PER_S
    node.market.quoted("venue", Quote(symbol=SYMBOL, bid=Decimal(bid), ask=Decimal(ask), ts_ns=now_ns), now_ns)


async def buy(node: Node, name: str) -> None:
    given = {"bot": "hand", "symbol": SYMBOL, "action": "enter_long"}
    await node.command("signal", given, id=name, by="test")
    await settle(node)


def said(database: Database, kind: type) -> list[Any]:
    return [r.message for r in JournalKeeper(Journal(database, "paper")).recorded() if isinstance(r.message, kind)]


@pytest.fixture
def lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Database]:
    """Let an engine live once or several times, one after the other, each doing one deed; return the records."""
    make_home(tmp_path / "home", monkeypatch)

    def run(mode: str, *deeds: Callable[[Node], Awaitable[None]]) -> Database:
        async def live() -> None:
            for number, deed in enumerate(deeds):
                node = put_together(tmp_path, database, ManualClock(START_NS + number * NS_PER_MIN), mode)
                await node.start()
                await settle(node)
                await deed(node)
                await node.stop("keep")

        database = Database()
        asyncio.run(live())
        return database

    return run


@pytest.mark.parametrize("mode", ["spot", "netting", "hedging"])
def test_an_order_is_filled_at_once_at_the_ask_that_bots_see(mode: str, lives: Callable[..., Database]) -> None:
    async def deed(node: Node) -> None:
        quote(node, "39999.99", "40000.01")
        await buy(node, "first")

    with lives(mode, deed) as database:
        (fill,) = said(database, TradeExecuted)
    assert (fill.fill.price, fill.fill.qty) == (Decimal("40000.01"), Decimal("0.1"))


def test_a_market_that_is_quoted_is_not_traded_on_its_bars_too(lives: Callable[..., Database]) -> None:
    async def deed(node: Node) -> None:
        quote(node, "39999", "40001")
        await buy(node, "first")
        candle = Candle(START_NS, 40_000.0, 40_000.0, 100.0, 100.0, 1.0, closed=True)  # far through the stop
        node.bus.say(DataReceived(source="venue", symbol=SYMBOL, timeframe=Timeframe.M1, candle=candle))
        await settle(node)

    with lives("netting", deed) as database:
        assert len(said(database, TradeExecuted)) == 1


@pytest.mark.parametrize("mode", ["spot", "netting", "hedging"])
def test_an_engine_that_starts_again_agrees_with_its_account(mode: str, lives: Callable[..., Database]) -> None:
    held: list[Any] = []

    async def first(node: Node) -> None:
        quote(node, "39999", "40001")
        await buy(node, "first")
        held.append(dict(node.ledger.snapshot().positions))

    async def again(node: Node) -> None:
        assert isinstance(node.clock, ManualClock)
        for _ in range(10):  # what differs must differ twice before it is taken over
            await node.clock.advance(1.0)
            await settle(node)
        assert not node.ledger.snapshot().accounts["pocket"].reconciling
        held.append(dict(node.ledger.snapshot().positions))

    with lives(mode, first, again) as database:
        assert said(database, PositionAdjusted) == []
    assert [key.bot for key in held[0]] == ["hand"]
    assert held[0] == held[1]


@pytest.mark.parametrize("comes", ["quote", "bar"])
def test_what_is_ordered_after_a_restart_waits_for_the_market_and_does_not_trade_at_yesterdays_quote(
    comes: str, lives: Callable[..., Database]
) -> None:
    async def first(node: Node) -> None:
        quote(node, "39999", "40001")
        await buy(node, "first")

    async def again(node: Node) -> None:
        assert isinstance(node.clock, ManualClock)
        for _ in range(10):
            await node.clock.advance(1.0)
            await settle(node)
        leave = {"bot": "hand", "symbol": SYMBOL, "action": "exit_long"}
        await node.command("signal", leave, id="leave", by="test")
        await settle(node)
        if comes == "quote":
            quote(node, "36000", "36002")
        else:  # a source that tells bars only: what was quoted once is not quoted for ever
            await node.clock.advance(60.0)
            node.bus.say(fallen(START_NS + 2 * NS_PER_MIN, 36_000.0))
        await settle(node)

    with lives("netting", first, again) as database:
        bought, sold = said(database, TradeExecuted)
    assert (bought.fill.price, sold.fill.price) == (Decimal(40_001), Decimal(36_000))


def fallen(open_ns: int, to: float) -> DataReceived:
    candle = Candle(open_ns, to, to, to, to, 1.0, closed=True)
    return DataReceived(source="venue", symbol=SYMBOL, timeframe=Timeframe.M1, candle=candle)


def alarms(database: Database) -> list[AlarmRaised]:
    return [alarm for alarm in said(database, AlarmRaised) if alarm.kind == "paper"]


def break_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tradelab.app.paper_account.json.dump", full)


@pytest.mark.parametrize("comes", ["quote", "bar"])
def test_an_account_that_fails_once_is_halted_says_so_and_hears_what_comes_next(
    comes: str, lives: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[list[str]] = []

    async def first(node: Node) -> None:
        quote(node, "39999", "40001")
        await buy(node, "first")

    async def deed(node: Node) -> None:
        assert isinstance(node.clock, ManualClock)
        await node.clock.advance(180.0)
        await settle(node)
        faults.append(node.health()["faults"])
        with monkeypatch.context() as while_full:  # the stop is at half of the price
            break_disk(while_full)
            for ns in (1, 2):
                if comes == "quote":
                    quote(node, "100", "101")
                else:
                    node.bus.say(fallen(START_NS + ns * NS_PER_MIN, 100.0))
                await settle(node)
        assert (await node.venues["pocket"].positions())[0].qty == Decimal("0.1")
        assert node.ledger.snapshot().states["account pocket"] is TradingState.HALTED
        faults.append(node.health()["faults"])
        if comes == "quote":
            quote(node, "90", "91")
        else:
            node.bus.say(fallen(START_NS + 3 * NS_PER_MIN, 90.0))
        await settle(node)
        assert await node.venues["pocket"].positions() == []
        await node.command("resume", {"scope": "account pocket"}, id="r", by="test")
        faults.append(node.health()["faults"])

    with lives("netting", first, deed) as database:
        bought, sold = said(database, TradeExecuted)
        (alarm,) = alarms(database)
        assert said(database, PositionAdjusted) == []
    assert (bought.fill.price, sold.fill.price) == (Decimal(40_001), Decimal(90))
    assert "failed on BTC/USDT (OSError" in alarm.says
    assert alarm.says.endswith("hears what comes next; look at the log, then: tradelab resume --account pocket")
    assert faults == [[], [alarm.says], []]


def test_nobody_is_told_what_was_not_written_down(
    lives: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deed(node: Node) -> None:
        quote(node, "39999", "40001")
        with monkeypatch.context() as while_full:
            break_disk(while_full)
            await buy(node, "first")
            assert await node.venues["pocket"].open_orders() == []
            assert await node.venues["pocket"].fills(0) == []

    with lives("netting", deed) as database:
        assert said(database, TradeExecuted) == []


@pytest.mark.parametrize("comes", ["quote", "bar"])
def test_what_is_stamped_ahead_of_our_clock_is_refused_and_the_next_is_heard(
    comes: str, lives: Callable[..., Database]
) -> None:
    faults: list[list[str]] = []

    async def deed(node: Node) -> None:
        for _ in range(2):
            if comes == "quote":
                quote(node, "10", "11", ahead_s=3600)
            else:
                node.bus.say(fallen(START_NS + 60 * NS_PER_MIN, 10.0))
        faults.append(node.health()["faults"])
        quote(node, "39999", "40001", ahead_s=1)  # clocks are never quite the same
        faults.append(node.health()["faults"])
        await buy(node, "first")

    with lives("netting", deed) as database:
        (bought,) = said(database, TradeExecuted)
        (alarm,) = alarms(database)
    assert bought.fill.price == Decimal(40_001)
    assert "3600 s ahead of our clock; one of the two clocks is wrong" in alarm.says
    assert faults == [[alarm.says], []]
