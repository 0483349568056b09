"""Hold the core to what venues do with orders that wait, and with protection that comes too late."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pandas as pd
import pytest

from tradelab.model.clock import ManualClock
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.orders import OrderStatus, OrderType, Side
from tradelab.model.outcome import RefusalCode
from tradelab.rehearsal.clock import VenueClock
from tradelab.rehearsal.events import MoneyChanged
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.faults import Faults
from tradelab.rehearsal.hub import Hub
from tradelab.rehearsal.ledger_perp import PerpLedger
from tradelab.rehearsal.script import Director
from tradelab.rehearsal.settings import AccountSetup, Ledger, VenueSetup
from tradelab.rehearsal.tape import Print, Tape

D = Decimal
START = 1_700_000_000_000_000_000 // 60_000_000_000 * 60_000_000_000


@pytest.fixture
def venue() -> Exchange:
    """A perpetual at 100 with a tick of 0.1 and an account with 1 000."""
    times = pd.date_range("2024-01-01", periods=5, freq="1min", tz="UTC")
    bars = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), 100.0) | {"volume": 130.0}, index=times)
    perp = Instrument(
        symbol="X", venue="test", quote="USDT", base="XXX", settle="USDT", tick_size=D("0.1"), qty_step=D("0.1"),
        kind=InstrumentKind.PERPETUAL,
    )  # fmt: skip
    setup = VenueSetup(
        ledger=Ledger.PERPETUAL,
        accounts=(AccountSetup(key="k", secret="s", balances={"USDT": D(1000)}),),
        leverage=D(10),
    )
    return Exchange([Tape(perp, bars, start_ns=START, start_bar=2)], VenueClock(ManualClock(START)), setup)


def ledger(venue: Exchange) -> PerpLedger:
    found = venue.ledgers["k"]
    assert isinstance(found, PerpLedger)
    return found


def trade(venue: Exchange, price: str, qty: str = "100") -> None:
    venue.trade(Print(venue.now_ns, "X", D(price), D(qty)))


def test_what_pays_when_triggered_holds_nothing_before_and_ends_there_without_money(venue: Exchange) -> None:
    more = {"stop_price": D(110), "trigger_rises": True, "pays_when_triggered": True}
    small = venue.draft("k", "X", Side.BUY, OrderType.STOP, D(1), **more)
    large = venue.draft("k", "X", Side.BUY, OrderType.STOP, D(1000), **more)  # 11 000 of margin, and 1 000 there
    assert venue.place(small) is None
    assert venue.place(large) is None
    assert ledger(venue).order_margin == 0
    trade(venue, "110")
    assert small.status is OrderStatus.FILLED
    assert (large.status, large.reason) == (OrderStatus.EXPIRED, "margin")
    assert ledger(venue).order_margin == 0


def test_protection_that_is_passed_before_it_can_be_set_closes_at_once(venue: Exchange) -> None:
    entry = venue.draft("k", "X", Side.BUY, OrderType.LIMIT, D(1), price=D(99), stop_loss=D(98), take_profit=D(105))
    assert venue.place(entry) is None
    trade(venue, "97")  # through the entry and through its stop loss in one print
    assert entry.status is OrderStatus.FILLED
    assert ledger(venue).position("X").qty == 0
    assert venue.open == {}
    assert [f.price for f in venue.fills] == [D(99), D("96.9")]  # the bid: one tick below the last price


def test_protection_goes_when_the_position_turns_over(venue: Exchange) -> None:
    entry = venue.draft("k", "X", Side.BUY, OrderType.MARKET, D(1), stop_loss=D(98))
    assert venue.place(entry) is None
    assert [o.extra["protects"] for o in venue.open.values()] == ["stop_loss"]
    assert venue.place(venue.draft("k", "X", Side.SELL, OrderType.MARKET, D(3))) is None
    assert ledger(venue).position("X").qty == D(-2)
    assert ledger(venue).position("X").stop_loss is None
    assert venue.open == {}


def test_adding_with_a_stop_loss_alone_leaves_the_take_profit(venue: Exchange) -> None:
    assert venue.place(venue.draft("k", "X", Side.BUY, OrderType.MARKET, D(1), take_profit=D(110))) is None
    assert venue.place(venue.draft("k", "X", Side.BUY, OrderType.MARKET, D(1), stop_loss=D(95))) is None
    position = ledger(venue).position("X")
    assert (position.stop_loss, position.take_profit) == (D(95), D(110))
    assert sorted(o.extra["protects"] for o in venue.open.values()) == ["stop_loss", "take_profit"]


def test_a_market_buy_on_spot_must_be_paid_for_down_to_its_last_level(venue: Exchange) -> None:
    tape = venue.tapes["X"]
    money = {"USDT": D("300.5")}  # asks are 100.1, 100.2, 100.3: one of each costs 300.6, three at the best 300.3
    setup = VenueSetup(
        ledger=Ledger.SPOT, accounts=(AccountSetup(key="k", secret="s", balances=money),), level_qty=D(1)
    )
    spot = Exchange([tape], VenueClock(ManualClock(START)), setup)
    refused = spot.place(spot.draft("k", "X", Side.BUY, OrderType.MARKET, D(3)))
    assert refused is not None
    assert refused.code is RefusalCode.BALANCE
    assert spot.place(spot.draft("k", "X", Side.BUY, OrderType.MARKET, D(2))) is None
    assert spot.ledgers["k"].free["USDT"] == D("300.5") - D("100.1") - D("100.2")  # type: ignore[union-attr]


@pytest.mark.parametrize("depth", [D(1), None])
def test_where_a_script_set_the_depth_nothing_more_trades_until_the_script_says_so(
    venue: Exchange, depth: Decimal | None
) -> None:
    """A conformance card failed once in a while: the tape filled the rest of an order that was to stay half filled."""
    direct = Director(venue, Faults(), Hub(venue.clock, Faults()))
    direct.move_price("X", D(100), depth=depth)
    order = venue.draft("k", "X", Side.BUY, OrderType.LIMIT, D(3), price=venue.best("X")[1])
    assert venue.place(order) is None
    clock = venue.clock.base
    assert isinstance(clock, ManualClock)
    asyncio.run(clock.advance(60))
    venue.advance()
    assert order.filled_qty == (3 if depth is None else 1)
    direct.move_price("X", D(100), depth=D(1))
    direct.release_price("X")
    asyncio.run(clock.advance(60))
    venue.advance()
    assert order.filled_qty == 3, "the tape leads again"


def test_what_the_insurance_fund_pays_is_told(venue: Exchange) -> None:
    """Else whoever listens believes in a wallet below zero, and money has come from nowhere."""
    heard: list[MoneyChanged] = []
    order = venue.draft("k", "X", Side.BUY, OrderType.MARKET, D(90))
    assert venue.place(order) is None
    venue.listeners.append(lambda event: heard.append(event) if isinstance(event, MoneyChanged) else None)
    trade(venue, "80")
    (paid,) = (event.amount for event in heard if event.why == "insurance")
    booked = sum((f.realized_pnl - f.fee for f in venue.fills), D(1000))
    assert booked < 0
    assert (ledger(venue).wallet, paid, heard[-1].why) == (0, -booked, "insurance")
