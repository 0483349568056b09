"""Pin margin, what holding costs, paths inside a bar and the last bar by cases that were worked out by hand."""

from __future__ import annotations

import pandas as pd
import pytest

import tradelab as tl
from tests.unit.engine.test_simulate import FLAT, bars, fills, on, run
from tradelab.engine.fills import NEXT_OPEN


def short(frame: pd.DataFrame, **terms) -> tl.Result:
    return tl.backtest(frame, short_entries=on(frame, 0), **{"size": 10.0, **terms})


# Margin


def test_a_margin_account_opens_its_leverage_and_owes_the_rest():
    frame = bars(FLAT, FLAT, (100, 103, 99, 102))
    result = run(frame, enter=(0,), size=None, leverage=5.0)
    assert result.orders["size"].item() == pytest.approx(500)
    assert result.cash.tolist() == pytest.approx([10_000, -40_000, -40_000])
    assert result.equity.tolist() == pytest.approx([10_000, 10_000, 11_000])


def test_a_fraction_of_cash_is_one_of_free_margin_in_a_margin_account():
    frame = bars(*[FLAT] * 4)
    entries = pd.DataFrame({"A": on(frame, 0), "B": on(frame, 1)})
    half = tl.backtest({"A": frame, "B": frame}, entries=entries, size=0.5, size_type="percent", leverage=4.0)
    assert half.orders["size"].tolist() == pytest.approx([200, 100])  # 5 000 and 2 500 of margin, four times as much


def test_fees_are_paid_from_the_same_money_as_the_margin():
    frame = bars(FLAT, FLAT, FLAT)
    result = run(frame, enter=(0,), size=None, leverage=5.0, fees=0.01)
    assert result.orders["size"].item() == pytest.approx(10_000 / (20 + 1))


def test_longs_and_shorts_lock_their_value_over_the_leverage():
    frame = bars(*[FLAT] * 4)
    entries = pd.DataFrame({"A": on(frame, 0), "B": on(frame)})
    shorts = pd.DataFrame({"A": on(frame), "B": on(frame, 1)})
    result = tl.backtest({"A": frame, "B": frame}, entries=entries, short_entries=shorts, size=150.0, leverage=2.0)
    assert result.orders["size"].tolist() == pytest.approx([150, 50])  # 7 500 of 10 000 are locked, 2 500 carry 5 000


def test_a_margin_account_turns_round_with_what_closing_leaves():
    frame = bars(FLAT, FLAT, (90, 91, 89, 90), FLAT)
    result = tl.backtest(frame, entries=on(frame, 0), short_entries=on(frame, 1), size=1e6, leverage=2.0)
    # 200 units lose 2 000; the 8 000 left open 16 000 / 90 units the other way
    assert result.orders["size"].tolist() == pytest.approx([200, 200 + 16_000 / 90])


def test_a_long_is_liquidated_where_equity_meets_the_maintenance_margin():
    # 500 units, 40 000 owed: 500 p - 40 000 = 1 % of 500 p at p = 40 000 / 495
    frame = bars(FLAT, FLAT, (100, 100, 80, 85))
    result = run(frame, enter=(0,), size=None, leverage=5.0, maintenance=0.01, liquidation_fee=0.005)
    price = 40_000 / 495
    assert fills(result)[1] == (2, "sell", 500, price, "liquidation")
    assert result.orders["fees"].iloc[1] == pytest.approx(0.005 * 500 * price)
    spared = bars(FLAT, FLAT, (100, 100, 81, 85))
    assert len(run(spared, enter=(0,), size=None, leverage=5.0, maintenance=0.01).orders) == 1


def test_of_the_other_positions_a_liquidation_counts_the_last_close():
    # 200 A and 200 B at 100, 30 000 owed. B has closed at 95: 200 p + 19 000 - 30 000 = 5 % of (200 p + 19 000)
    a = bars(FLAT, FLAT, FLAT, (100, 100, 60, 70))
    b = bars(FLAT, FLAT, (100, 100, 94, 95), (95, 95, 95, 95))
    entries = pd.DataFrame({"A": on(a, 0), "B": on(a, 0)})
    result = tl.backtest({"A": a, "B": b}, entries=entries, size=200.0, leverage=5.0, maintenance=0.05)
    last = result.orders.iloc[2:]
    assert (last["symbol"].tolist(), last["reason"].tolist()) == (["A"], ["liquidation"])
    assert last["price"].item() == pytest.approx((30_000 - 19_000 * 0.95) / (200 * 0.95))


def test_a_short_is_liquidated_above_its_entry():
    frame = bars(FLAT, FLAT, (100, 120, 99, 110))
    result = short(frame, size=None, leverage=5.0, maintenance=0.01)
    assert fills(result)[1] == (2, "buy", 500, 60_000 / 505, "liquidation")


def test_a_stop_before_the_liquidation_price_is_hit_first():
    frame = bars(FLAT, FLAT, (100, 100, 80, 85))
    result = run(frame, enter=(0,), size=None, leverage=5.0, maintenance=0.01, sl_stop=0.10)
    assert fills(result)[1] == (2, "sell", 500, 90, "stop")
    after = run(frame, enter=(0,), size=None, leverage=5.0, maintenance=0.01, sl_stop=0.30)
    assert fills(after)[1][4] == "liquidation"


def test_a_stop_that_looks_at_closes_does_not_keep_the_broker_from_liquidating():
    frame = bars(FLAT, FLAT, (100, 100, 80, 99), FLAT)
    plan = tl.ExitPlan(stop=0.05, stop_at_close=True)
    result = run(frame, enter=(0,), size=None, leverage=5.0, maintenance=0.01, plan=plan)
    assert fills(result)[1][4] == "liquidation"


# Holding


def test_a_long_pays_funding_at_the_open_and_a_short_receives_it():
    frame = bars(FLAT, FLAT, (110, 111, 109, 110), FLAT)
    rate = pd.Series([0.5, 0.0, 0.001, 0.0], frame.index)  # what is due before the entry is not owed
    long = run(frame, enter=(0,), funding=rate)
    assert long.equity.tolist() == pytest.approx([10_000, 10_000, 10_100 - 1.1, 10_000 - 1.1])
    assert long.trades["pnl"].item() == pytest.approx(-1.1)
    assert short(frame, funding=rate).equity.iloc[-1] == pytest.approx(10_000 + 1.1)


def test_funding_that_holds_for_all_bars_may_be_a_plain_number():
    frame = bars(*[FLAT] * 4)
    assert run(frame, enter=(0,), funding=0.001).equity.iloc[-1] == pytest.approx(10_000 - 2.0)  # bars 2 and 3


def test_borrowed_units_cost_by_the_night_and_weekends_are_three():
    frame = bars(*[FLAT] * 3)
    assert short(frame, borrow=0.365).equity.tolist() == pytest.approx([10_000, 10_000, 9_999])
    weekend = frame.set_axis(pd.to_datetime(["2024-01-04", "2024-01-05", "2024-01-08"], utc=True))
    assert short(weekend, borrow=0.365).equity.iloc[-1] == pytest.approx(9_997)
    assert run(weekend, enter=(0,), borrow=0.365).equity.iloc[-1] == pytest.approx(10_000)


def test_borrowed_cash_costs_by_the_night():
    frame = bars(*[FLAT] * 3)
    result = run(frame, enter=(0,), size=None, leverage=5.0, interest=0.0365)
    assert result.equity.tolist() == pytest.approx([10_000, 10_000, 9_996])  # 40 000 x 3.65 % / 365
    assert result.trades["pnl"].item() == pytest.approx(0)  # it is the account's
    assert run(frame, enter=(0,), interest=0.0365).equity.iloc[-1] == pytest.approx(10_000)


def test_a_swap_is_charged_by_unit_and_night():
    frame = bars(*[FLAT] * 4)
    assert run(frame, enter=(0,), swap_long=0.3, swap_short=-0.1).equity.iloc[-1] == pytest.approx(10_000 - 2 * 3)
    assert short(frame, swap_long=0.3, swap_short=-0.1).equity.iloc[-1] == pytest.approx(10_000 + 2 * 1)


def test_nights_are_counted_by_the_session():
    index = pd.date_range("2024-01-01 21:00", periods=4, freq="h", tz="UTC")
    frame = bars(*[FLAT] * 4).set_axis(index)
    assert run(frame, enter=(0,), swap_long=0.3).equity.tolist() == pytest.approx([10_000, 10_000, 10_000, 9_997])
    berlin = run(frame, enter=(0,), swap_long=0.3, session="Europe/Berlin")
    assert berlin.equity.tolist() == pytest.approx([10_000, 10_000, 9_997, 9_997])  # midnight there is 23:00 UTC


def test_what_holding_cost_is_part_of_the_trade():
    frame = bars(*[FLAT] * 5)
    result = run(frame, enter=(0,), leave=(2,), swap_long=0.3, fees=0.001)
    # bought at the open of bar 1, sold at the open of bar 3, which two nights end
    assert result.trades["pnl"].item() == pytest.approx(-2 * 3 - 2 * 1)
    assert result.trades["carry"].item() == pytest.approx(2 * 3)
    assert result.equity.iloc[-1] == pytest.approx(10_000 - 8)


# Which way the price went inside a bar


ROSE = (100, 106, 94, 103)
FELL = (100, 106, 94, 97)


@pytest.mark.parametrize(
    ("fill", "bar", "price", "reason"),
    [
        ("tradelab", ROSE, 95, "stop"),
        ("optimistic", ROSE, 105, "target"),
        ("ohlc", ROSE, 105, "target"),
        ("olhc", ROSE, 95, "stop"),
        ("colour", ROSE, 95, "stop"),
        ("colour", FELL, 105, "target"),
    ],
)
def test_paths_differ_where_a_bar_touches_stop_and_target(fill, bar, price, reason):
    result = run(bars(FLAT, FLAT, bar), enter=(0,), sl_stop=0.05, tp_stop=0.05, fill=fill)
    assert fills(result)[1] == (2, "sell", 10, price, reason)


def test_a_bar_that_neither_rose_nor_fell_goes_to_its_low_first():
    result = run(bars(FLAT, FLAT, (100, 106, 94, 100)), enter=(0,), sl_stop=0.05, tp_stop=0.05, fill="colour")
    assert fills(result)[1] == (2, "sell", 10, 95, "stop")


def test_along_a_path_the_trail_follows_inside_the_bar():
    frame = bars(FLAT, FLAT, (100, 110, 98, 105))
    assert fills(run(frame, enter=(0,), sl_trail=0.10, fill="ohlc"))[1] == (2, "sell", 10, 99, "trail")
    assert len(run(frame, enter=(0,), sl_trail=0.10, fill="olhc").orders) == 1  # to 98, up to 110, back to 105
    assert len(run(frame, enter=(0,), sl_trail=0.10).orders) == 1


def test_along_a_path_a_ladder_and_its_stop_happen_in_order():
    # O-H-L-C: half at 105, which moves the stop to 100, then the low of 98 takes the rest
    frame = bars(FLAT, FLAT, (101, 106, 98, 103))
    plan = tl.ExitPlan(stop=0.05, targets=[(0.05, 0.5, "break_even"), (0.10, 0.5)])
    assert fills(run(frame, enter=(0,), plan=plan, fill="ohlc"))[1:] == [
        (2, "sell", 5, 105, "target"),
        (2, "sell", 5, 100, "break_even"),
    ]


# The last bar


def test_what_is_held_at_the_end_is_left_open_or_closed():
    frame = bars(FLAT, FLAT, (104, 108, 103, 106))
    assert len(run(frame, enter=(0,)).orders) == 1
    at_open = run(frame, enter=(0,), fill=NEXT_OPEN._replace(last_bar="close_at_open"))
    assert fills(at_open)[1] == (2, "sell", 10, 104, "end")
    assert at_open.equity.iloc[-1] == pytest.approx(10_040)
    at_close = run(frame, enter=(0,), fill=NEXT_OPEN._replace(last_bar="close_at_close"), slippage=0.01)
    assert fills(at_close)[1] == (2, "sell", 10, 106 * 0.99, "end")
    assert at_close.trades["status"].tolist() == ["closed"]


def test_stops_of_the_last_bar_come_before_its_end():
    frame = bars(FLAT, FLAT, (104, 108, 94, 96))
    assert fills(run(frame, enter=(0,), sl_stop=0.05, fill="backtesting.py"))[1] == (2, "sell", 10, 95, "stop")


# Presets


def test_a_backtesting_py_stop_pays_no_slippage_and_comes_before_a_target_the_open_has_passed():
    frame = bars(FLAT, FLAT, (106, 107, 94, 95), FLAT)
    terms = {"enter": (0,), "sl_stop": 0.05, "tp_stop": 0.05, "fill": "backtesting.py"}
    assert fills(run(frame, **terms))[1] == (2, "sell", 10, 95, "stop")
    slipped = run(frame, **terms, slippage=0.01)
    assert fills(slipped)[1] == (2, "sell", 10, 101 * 0.95, "stop")


def test_freqtrade_fills_a_stop_the_open_has_passed_at_its_level_when_the_bar_traded_there():
    through = bars(FLAT, FLAT, (93, 96, 92, 94), FLAT)
    plan = tl.ExitPlan(stop=0.05)
    assert fills(run(through, enter=(0,), plan=plan, fill="freqtrade"))[1] == (2, "sell", 10, 95, "stop")
    beyond = bars(FLAT, FLAT, (93, 94, 92, 93), FLAT)
    assert fills(run(beyond, enter=(0,), plan=plan, fill="freqtrade"))[1] == (2, "sell", 10, 93, "stop")


def test_freqtrade_turns_round_only_with_an_exit_signal_and_enters_nothing_at_the_last_open():
    frame = bars(*[FLAT] * 5)
    alone = tl.backtest(frame, entries=on(frame, 0), short_entries=on(frame, 1), size=10.0, fill="freqtrade")
    assert fills(alone) == [(1, "buy", 10, 100, "entry"), (4, "sell", 10, 100, "end")]
    both = tl.backtest(
        frame, entries=on(frame, 0), exits=on(frame, 1), short_entries=on(frame, 1), size=10.0, fill="freqtrade"
    )
    assert [f[4] for f in fills(both)] == ["entry", "reversal", "end"]
    late = tl.backtest(frame, entries=on(frame, 3), size=10.0, fill="freqtrade")
    assert fills(late) == []


def test_break_even_under_freqtrade_fills_is_done():
    frame = bars(FLAT, FLAT, (100, 103, 99, 102), (102, 102, 98, 99), FLAT)
    plan = tl.ExitPlan(stop=0.05, break_even=tl.BreakEven(0.03, fees=False))
    assert fills(run(frame, enter=(0,), plan=plan, fill="freqtrade"))[1] == (3, "sell", 10, 100, "break_even")


def test_what_a_target_does_to_the_stop_is_done_under_freqtrade_fills():
    frame = bars(FLAT, FLAT, (100, 103, 99, 102), (102, 102, 98, 99), FLAT)
    plan = tl.ExitPlan(stop=0.05, targets=[(0.02, 0.5, "previous"), (0.2, 0.5)])
    assert fills(run(frame, enter=(0,), plan=plan, fill="freqtrade"))[1:3] == [
        (2, "sell", 5, 102, "target"),
        (3, "sell", 5, 100, "break_even"),
    ]
    # started by a target, freqtrade's trail still learns a bar before its exits: 105 less 2 %
    frame = bars(FLAT, FLAT, (100, 103, 99, 102), (104, 105, 102, 104), FLAT)
    plan = tl.ExitPlan(stop=0.05, targets=[(0.02, 0.5, "trail"), (0.2, 0.5)], trail=0.02)
    assert fills(run(frame, enter=(0,), plan=plan, fill="freqtrade"))[2] == (3, "sell", 5, 105 * 0.98, "trail")


def test_a_trail_that_freqtrade_does_not_know_follows_as_ours_does():
    # the true range of flat bars is 2: 2 ATR below 106 is 102, from the next bar on
    frame = bars(*[FLAT] * 4, (100, 106, 99, 105), (105, 105, 101, 102), FLAT)
    plan = tl.ExitPlan(stop=0.5, trail="2 atr", atr_window=2)
    assert fills(run(frame, enter=(3,), plan=plan, fill="freqtrade"))[1] == (5, "sell", 10, 102, "trail")


def test_along_a_path_a_chandelier_waits_for_the_atr_of_its_bar():
    # O-H-L-C: with the ATR of the entry, 2, the 110 of this bar would put a stop at 104 before its low of 103 comes
    frame = bars(*[FLAT] * 4, (103.5, 110, 103, 109), (109, 110, 108, 109))
    plan = tl.ExitPlan(trail=tl.Trail("3 atr", chandelier=True), atr_window=2)
    assert fills(run(frame, enter=(3,), plan=plan, fill="ohlc")) == [(4, "buy", 10, 103.5, "entry")]
