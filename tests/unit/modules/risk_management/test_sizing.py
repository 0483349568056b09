"""Work out sizes by hand in lots, perpetuals and spot, and hold them to those of a backtest."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

import tradelab as tl
from tests.unit.modules.risk_management.world import (
    BTC_INVERSE,
    BTC_PERP,
    BTC_SPOT,
    EURJPY,
    EURUSD,
    SPOT,
    Bot,
    World,
    code,
    inputs,
    qty,
)
from tradelab.model.account import Balance
from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderType
from tradelab.model.signal import Action, DropCode
from tradelab.modules.risk_management.rules_account import began
from tradelab.spine.presets import Schedule

D = Decimal

SHORT = Action.ENTER_SHORT


def fx(sizing: dict[str, Any], exits: dict[str, Any] | None = None) -> World:
    """10 000 USD; EURUSD at 1.10000 / 1.10010 in lots of 100 000."""
    return World(Bot(sizing=sizing, exits=exits or {}))


def perpetual(sizing: dict[str, Any], exits: dict[str, Any] | None = None) -> World:
    """20 000 USDT; BTC at 39 990 / 40 000 in steps of 0.001."""
    symbol = BTC_PERP.symbol
    world = World(Bot(sizing=sizing, exits=exits or {}, symbols=(symbol,)), instruments=(BTC_PERP,))
    world.report("20000", currency="USDT")
    world.quote(symbol, "39990", "40000")
    return world


def spot(sizing: dict[str, Any]) -> World:
    """1 000 USDT, of an account without a currency of its own; BTC at 40 000 in steps of 0.00001."""
    world = World(Bot(sizing=sizing, symbols=("BTC/USDT",)), instruments=(BTC_SPOT,), capabilities=SPOT)
    world.report(None, currency=None, balances=(Balance("USDT", D(1000), D(0)),))
    world.quote("BTC/USDT", "40000", "40000")
    return world


# ── foreign exchange, lots ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("sizing", "exits", "signal", "lots"),
    [
        ({"by": "qty", "value": "0.37"}, {}, {}, "0.37"),
        ({"by": "notional", "value": "55005"}, {}, {}, "0.5"),  # 55 005 / (1.1001 * 100 000)
        ({"by": "equity", "value": "5"}, {}, {}, "0.45"),  # 50 000 / 110 010 = 0.4545 lots
        # 1 % of 10 000 is 100; a stop 50 pips away loses 0.005 * 100 000 = 500 a lot
        ({"by": "risk", "value": "0.01"}, {"stop": "0.005 price"}, {}, "0.2"),
        ({"by": "risk", "value": "0.01"}, {"stop": "2 atr"}, {"unit": D("0.0025")}, "0.2"),
        # the signal's own stop comes first: 1.1001 - 1.0976 = 0.0025, 250 a lot
        ({"by": "risk", "value": "0.01"}, {"stop": "0.005 price"}, {"stop_loss": D("1.0976")}, "0.4"),
        # a stop of 1 % is 0.011001: 1 100.10 a lot; 100 / 1 100.10 = 0.0909
        ({"by": "risk", "value": "0.01"}, {"stop": "1 %"}, {}, "0.09"),
        # a limit at 1.09 measures its stop from there: 1 090 a lot; 300 / 1 090 = 0.2752
        ({"by": "risk", "value": "0.03"}, {"stop": "1 %"}, {"order_type": OrderType.LIMIT, "order_price": D("1.09")},
         "0.27"),
        # one ATR of 0.004 moves 400 a lot; 200 / 400
        ({"by": "volatility", "value": "0.02"}, {}, {"unit": D("0.004")}, "0.5"),
        # the origin's own quantity, whatever the preset says
        ({"by": "qty", "value": "0.37"}, {}, {"qty": D("0.129")}, "0.12"),
    ],
)  # fmt: skip
def test_lots_of_foreign_exchange(sizing: dict[str, Any], exits: dict[str, Any], signal: dict[str, Any], lots: str):
    assert qty(fx(sizing, exits).enter(**signal)) == D(lots)


def test_a_short_measures_from_the_bid_and_its_stop_lies_above():
    world = fx({"by": "risk", "value": "0.01"}, {"stop": "0.008 price"})
    answer = world.enter(SHORT)
    assert qty(answer) == D("0.12")  # 100 / 800
    assert (inputs(answer)["entry_price"], inputs(answer)["stop_price"]) == ("1.1", "1.108")


def test_a_quantity_a_billionth_below_a_step_is_that_step_as_in_a_backtest():
    """1 % of 1.0007 is 0.010007, in floats 0.0100070000000001; 100.07 over 1 000.7 is a tenth of a lot all the same."""
    world = fx({"by": "risk", "value": "0.01"}, {"stop": "1 %"})
    world.report("10007")
    world.quote("EURUSD", "1.0006", "1.0007")
    answer = world.enter()
    assert D(inputs(answer)["distance"]) > D("0.010007")
    assert qty(answer) == D("0.1")


def test_the_gates_before_cut_the_size():
    world = fx({"by": "qty", "value": "0.5"})
    answer = world.stage.calculate(world.signal(), D("0.25"), world.desk.view(world.config.bot("b")))
    assert qty(answer) == D("0.12")  # 0.125, rounded down


# ── perpetuals and spot ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("sizing", "exits", "action", "signal", "size"),
    [
        # 2 % of 20 000 is 400; 2 % of 40 000 is 800
        ({"by": "risk", "value": "0.02"}, {"stop": "2 %"}, Action.ENTER_LONG, {}, "0.5"),
        # 400 over 2 % of 39 990: 0.50012
        ({"by": "risk", "value": "0.02"}, {"stop": "2 %"}, SHORT, {}, "0.5"),
        ({"by": "equity", "value": "1"}, {}, Action.ENTER_LONG, {}, "0.5"),
        ({"by": "notional", "value": "6000"}, {}, Action.ENTER_LONG, {}, "0.15"),
        ({"by": "volatility", "value": "0.01"}, {}, Action.ENTER_LONG, {"unit": D(500)}, "0.4"),
    ],
)  # fmt: skip
def test_perpetuals(sizing: Any, exits: Any, action: Action, signal: dict[str, Any], size: str):
    answer = perpetual(sizing, exits).enter(action, symbol=BTC_PERP.symbol, **signal)
    assert qty(answer) == D(size)


def test_spot_for_so_much_money():
    answer = spot({"by": "notional", "value": "500"}).enter(symbol="BTC/USDT")
    assert qty(answer) == D("0.0125")
    too_little = spot({"by": "notional", "value": "9.9"}).enter(symbol="BTC/USDT")
    assert code(too_little) is DropCode.RULES
    assert inputs(too_little)["venue_rule"] == "min_notional"
    too_much = spot({"by": "notional", "value": "1001"}).enter(symbol="BTC/USDT")
    assert code(too_much) is DropCode.MARGIN


def test_two_entries_of_one_run_are_not_paid_with_the_same_money():
    bot = Bot(sizing={"by": "notional", "value": "600"}, symbols=("BTC/USDT",), limits={"max_positions_symbol": 2},
              others=("c",))  # fmt: skip
    world = World(bot, instruments=(BTC_SPOT,), capabilities=SPOT)
    world.report(None, currency=None, balances=(Balance("USDT", D(1000), D(0)),))
    world.quote("BTC/USDT", "40000", "40000")
    first, second = (world.signal(symbol="BTC/USDT", bot=name) for name in ("b", "c"))
    world.raise_together(first, second)
    assert code(world.answers[first.id]) is None
    assert code(world.answers[second.id]) is DropCode.MARGIN
    assert inputs(world.answers[second.id])["free"] == "400"
    world.wait(1.0)
    world.report(None, currency=None, balances=(Balance("USDT", D(400), D(600)),))  # counted by the venue now
    world.quote("BTC/USDT", "40000", "40000")
    assert inputs(world.enter(symbol="BTC/USDT", bot="c"))["free"] == "400"


# ── other currencies ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "sizing",
    [
        {"by": "notional", "value": "500"},
        {"by": "equity", "value": "0.1"},
        {"by": "risk", "value": "0.01"},
        {"by": "volatility", "value": "0.01"},
    ],
    ids=lambda sizing: sizing["by"],
)
@pytest.mark.parametrize("instrument", [EURJPY, BTC_INVERSE], ids=lambda one: one.symbol)
def test_money_of_another_currency_is_refused_and_not_guessed(sizing: dict[str, Any], instrument: Instrument):
    bot = Bot(sizing=sizing, exits={"stop": "1 %"}, symbols=(instrument.symbol,))
    world = World(bot, instruments=(instrument,))
    world.quote(instrument.symbol, "160", "160.1")
    answer = world.enter(symbol=instrument.symbol, unit=D(1))
    assert code(answer) is DropCode.CURRENCY


def test_a_plain_quantity_needs_no_rate():
    world = World(Bot(sizing={"by": "qty", "value": "3"}, symbols=(EURJPY.symbol,)), instruments=(EURJPY,))
    world.quote("EURJPY", "160", "160.1")
    assert qty(world.enter(symbol="EURJPY")) == D(3)


def test_an_equity_of_no_currency_sizes_nothing():
    world = fx({"by": "equity", "value": "0.1"})
    world.report("10000", currency=None)
    assert code(world.enter()) is DropCode.CURRENCY


# ── as in a backtest ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("by", "size_type", "value"),
    [("qty", "amount", 3.0), ("notional", "value", 750.0), ("equity", "equity", 0.3), ("risk", "risk", 0.013)],
)
@pytest.mark.parametrize("stop", [0.03, "7.3 price"])
@pytest.mark.parametrize("price", [1.1001, 97.31])
def test_a_size_is_what_a_backtest_opens_at_the_same_price(side: int, by: str, size_type: str, value: float,
                                                          stop: Any, price: float):  # fmt: skip
    stop = stop if price > 10 else 0.03
    frame = pd.DataFrame(
        [[price] * 4] * 3, pd.date_range("2024-01-01", periods=3, tz="UTC"), ["open", "high", "low", "close"]
    )
    first = pd.Series([True, False, False], frame.index)
    entries = {"entries": first} if side > 0 else {"short_entries": first}
    plan = tl.ExitPlan(stop=stop)
    tested = tl.backtest(frame, **entries, size=value, size_type=size_type, plan=plan, leverage=1000.0)
    fine = replace(EURUSD, qty_step=D("1e-9"), min_qty=None, max_qty=None, contract_size=D(1), tick_size=D("1e-9"))
    world = World(Bot(sizing={"by": by, "value": str(value)}, exits={"stop": stop}), instruments=(fine,))
    world.quote("EURUSD", str(price), str(price))
    live = world.enter(Action.ENTER_LONG if side > 0 else SHORT)
    assert float(qty(live)) == pytest.approx(tested.orders["size"].iloc[0], rel=1e-9, abs=1e-9)


# ── hours ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def utc_ns(*moment: int) -> int:
    return int(dt.datetime(*moment, tzinfo=dt.UTC).timestamp()) * 1_000_000_000


NIGHT = Schedule(start=dt.time(22), end=dt.time(6), timezone="UTC")
SPRING = Schedule(start=dt.time(1, 30), end=dt.time(3, 30), timezone="Europe/Berlin")


@pytest.mark.parametrize(
    ("schedule", "now", "day"),
    [
        (NIGHT, (2024, 1, 2, 21, 59), None),
        (NIGHT, (2024, 1, 2, 22, 0), dt.date(2024, 1, 2)),
        (NIGHT, (2024, 1, 3, 5, 59), dt.date(2024, 1, 2)),
        (NIGHT, (2024, 1, 3, 6, 0), None),
        (Schedule(), (2024, 1, 3, 6, 0), dt.date(2024, 1, 3)),
        # 2024-03-31 at 01:00 UTC clocks in Berlin go from 02:00 to 03:00: the window is an hour shorter
        (SPRING, (2024, 3, 31, 0, 29), None),
        (SPRING, (2024, 3, 31, 0, 30), dt.date(2024, 3, 31)),
        (SPRING, (2024, 3, 31, 1, 29), dt.date(2024, 3, 31)),
        (SPRING, (2024, 3, 31, 1, 30), None),
        # 2024-10-27 at 01:00 UTC they go from 03:00 back to 02:00: an hour longer
        (SPRING, (2024, 10, 26, 23, 30), dt.date(2024, 10, 27)),
        (SPRING, (2024, 10, 27, 2, 29), dt.date(2024, 10, 27)),
        (SPRING, (2024, 10, 27, 2, 30), None),
    ],
)  # fmt: skip
def test_hours_are_read_off_the_clock_on_the_wall(schedule: Schedule, now: tuple[int, ...], day: dt.date | None):
    assert began(schedule, utc_ns(*now)) == day


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_began():
    only_monday = {"start": dt.time(22), "end": dt.time(13), "days": (1,)}
    assert code(World(Bot(schedule=only_monday)).enter()) is None  # Tuesday noon: still Monday's
    only_tuesday = only_monday | {"days": (2,)}
    assert code(World(Bot(schedule=only_tuesday)).enter()) is DropCode.OUTSIDE_DAYS
