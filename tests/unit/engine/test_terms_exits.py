"""Pin every rule of an exit plan by a case that was worked out by hand: stops, ladders, falling targets, the clock."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tests.unit.engine.test_simulate import FLAT, bars, fills, on, run
from tradelab.model.errors import ParameterError

BOUGHT = (1, "buy", 10, 100, "entry")


def series(frame: pd.DataFrame, *values: float) -> pd.Series:
    return pd.Series(values, frame.index, dtype=float)


def short(frame: pd.DataFrame, **terms) -> tl.Result:
    return tl.backtest(frame, short_entries=on(frame, 0), size=10.0, **terms)


# Where the stop lies


def test_a_stop_in_atr_is_measured_by_the_range_of_the_deciding_bar():
    # the true range of flat bars is 2, so 2 ATR below 100 is 96; the wide bar after the entry does not widen it
    frame = bars(*[FLAT] * 4, (100, 110, 98, 100), (100, 101, 95, 97))
    plan = tl.ExitPlan(stop="2 atr", atr_window=2)
    assert fills(run(frame, enter=(3,), plan=plan)) == [(4, "buy", 10, 100, "entry"), (5, "sell", 10, 96, "stop")]


def test_a_stop_in_units_of_price_lies_that_far_from_the_entry():
    frame = bars(FLAT, FLAT, (100, 100, 84, 90))
    assert fills(run(frame, enter=(0,), plan=tl.ExitPlan(stop="15 price")))[1] == (2, "sell", 10, 85, "stop")
    assert fills(short(bars(FLAT, FLAT, (100, 116, 99, 110)), plan=tl.ExitPlan(stop="15 price")))[1][3:] == (
        115,
        "stop",
    )


def test_a_stop_at_a_price_is_read_on_the_bar_that_decides():
    frame = bars(FLAT, FLAT, (100, 101, 90, 95))
    assert fills(run(frame, enter=(0,), sl_price=series(frame, 97.5, 99.5, 50)))[1] == (2, "sell", 10, 97.5, "stop")
    high = bars(FLAT, FLAT, (100, 109, 99, 105))
    assert fills(run(high, enter=(0,), tp_price=series(high, 107.5, 1, 1)))[1] == (2, "sell", 10, 107.5, "target")


def test_a_price_that_holds_for_all_bars_may_be_a_plain_number():
    frame = bars(FLAT, FLAT, (100, 101, 90, 95))
    assert fills(run(frame, enter=(0,), sl_price=97.5))[1] == (2, "sell", 10, 97.5, "stop")
    high = bars(FLAT, FLAT, (100, 109, 99, 105))
    assert fills(run(high, enter=(0,), tp_price=107.5))[1] == (2, "sell", 10, 107.5, "target")


def test_a_stop_price_on_the_wrong_side_of_the_fill_is_hit_at_once():
    frame = bars(FLAT, (100, 101, 99, 100), FLAT)
    assert fills(run(frame, enter=(0,), sl_price=series(frame, 100.5, 1, 1))) == [BOUGHT, (1, "sell", 10, 100, "stop")]


def test_r_is_the_distance_of_the_first_stop():
    # stop 5 below 101 x 0.95 = 95.95: R = 5.05, so 2 R above the fill of 101 is 111.1
    frame = bars(FLAT, FLAT, (100, 112, 99.5, 110))
    plan = tl.ExitPlan(stop=0.05, targets="2 r")
    assert fills(run(frame, enter=(0,), plan=plan, slippage=0.01))[1] == (2, "sell", 10, 111.1, "target")


def test_short_words_may_be_distances_too():
    frame = bars(*[FLAT] * 5, (100, 101, 95, 97))
    assert fills(run(frame, enter=(3,), sl_stop="5 %"))[1][3:] == (95, "stop")
    assert fills(run(frame, enter=(3,), sl_stop="3 price"))[1][3:] == (97, "stop")


# A ladder of targets


def test_each_target_of_a_ladder_closes_its_fraction_of_what_was_entered():
    frame = bars(FLAT, FLAT, (100, 103, 99, 102), (102, 105, 101, 104), (104, 109, 103, 108))
    plan = tl.ExitPlan(targets=[(0.02, 0.5), (0.04, 0.2), (0.08, 0.3)])
    result = run(frame, enter=(0,), plan=plan)
    assert fills(result)[1:] == [
        (2, "sell", 5, 102, "target"),
        (3, "sell", 2, 104, "target"),
        (4, "sell", 3, 108, "target"),
    ]
    trade = result.trades.iloc[0]
    assert len(result.trades) == 1
    assert trade["pnl"] == pytest.approx(5 * 2 + 2 * 4 + 3 * 8)
    assert trade["exit_price"] == pytest.approx(1042 / 10)


def test_one_bar_may_reach_several_targets_and_a_gap_fills_all_it_has_passed_at_the_open():
    plan = tl.ExitPlan(targets=[(0.02, 0.5), (0.04, 0.5)])
    through = bars(FLAT, FLAT, (100, 105, 99, 104))
    assert fills(run(through, enter=(0,), plan=plan))[1:] == [
        (2, "sell", 5, 102, "target"),
        (2, "sell", 5, 104, "target"),
    ]
    gapped = bars(FLAT, FLAT, (103, 105, 102.5, 104))
    assert fills(run(gapped, enter=(0,), plan=plan))[1:] == [
        (2, "sell", 5, 103, "target"),
        (2, "sell", 5, 104, "target"),
    ]


def test_what_a_ladder_leaves_over_runs_on():
    frame = bars(FLAT, FLAT, (100, 103, 99, 102), (102, 130, 101, 120))
    result = run(frame, enter=(0,), plan=tl.ExitPlan(targets=[(0.02, 0.4)]))
    assert fills(result)[1:] == [(2, "sell", 4, 102, "target")]
    assert result.trades["status"].tolist() == ["open"]
    assert result.trades["pnl"].item() == pytest.approx(4 * 2 + 6 * 20)


def test_the_last_target_of_a_whole_ladder_closes_what_rounding_left():
    frame = bars(FLAT, FLAT, (100, 103, 99, 102), (102, 105, 101, 104))
    plan = tl.ExitPlan(targets=[(0.02, 0.5), (0.04, 0.5)])
    result = run(frame, enter=(0,), plan=plan, size=3.0, size_granularity=1.0)
    assert fills(result)[1:] == [(2, "sell", 1, 102, "target"), (3, "sell", 2, 104, "target")]


def test_a_target_whose_share_is_less_than_a_step_is_passed_over():
    frame = bars(FLAT, FLAT, (100, 103, 99, 102), (102, 105, 101, 104))
    plan = tl.ExitPlan(stop=0.1, targets=[(0.02, 0.3, "break_even"), (0.04, 0.7)])
    result = run(frame, enter=(0,), plan=plan, size=2.0, size_granularity=1.0)
    assert fills(result)[1][:4] == (3, "sell", pytest.approx(2), pytest.approx(104))


def test_a_stop_closes_what_the_ladder_has_left():
    frame = bars(FLAT, FLAT, (100, 103, 99, 102), (102, 102, 94, 95))
    plan = tl.ExitPlan(stop=0.05, targets=[(0.02, 0.5), (0.04, 0.5)])
    assert fills(run(frame, enter=(0,), plan=plan))[1:] == [(2, "sell", 5, 102, "target"), (3, "sell", 5, 95, "stop")]


def test_a_trade_ends_at_the_average_of_its_exits_for_the_last_reason():
    plan = tl.ExitPlan(stop=0.05, targets=[(0.02, 0.4), (0.2, 0.6)])
    stopped = run(bars(FLAT, FLAT, (100, 103, 99, 102), (102, 102, 94, 95)), enter=(0,), plan=plan).trades.iloc[0]
    assert (stopped["exit_reason"], stopped["exit_price"]) == ("stop", pytest.approx((4 * 102 + 6 * 95) / 10))
    still = run(bars(FLAT, FLAT, (100, 103, 99, 102), (102, 111, 101, 110)), enter=(0,), plan=plan).trades.iloc[0]
    assert (still["exit_reason"], still["exit_price"]) == ("still open", pytest.approx((4 * 102 + 6 * 110) / 10))


def test_a_filled_target_moves_the_stop_from_the_next_bar_on():
    # bar 2 takes 102 and falls to 99: the stop at 100 is held against bar 3 first
    frame = bars(FLAT, FLAT, (101, 103, 99, 102), (102, 103, 99, 100))
    plan = tl.ExitPlan(stop=0.05, targets=[(0.02, 0.5, "break_even"), (0.10, 0.5)])
    assert fills(run(frame, enter=(0,), plan=plan))[1:] == [
        (2, "sell", 5, 102, "target"),
        (3, "sell", 5, 100, "break_even"),
    ]


@pytest.mark.parametrize(("then", "level"), [("0.5 r", 102.5), ("-0.2 r", 99), (0.01, 101), ("1 price", 101)])
def test_a_filled_target_may_put_the_stop_a_distance_from_the_entry(then, level):
    # R = 5; the target at 1 R is 105
    frame = bars(FLAT, FLAT, (101, 106, 100, 105), (105, 105, 98, 99))
    plan = tl.ExitPlan(stop=0.05, targets=[("1 r", 0.5, then), ("4 r", 0.5)])
    assert fills(run(frame, enter=(0,), plan=plan))[1:] == [
        (2, "sell", 5, 105, "target"),
        (3, "sell", 5, level, "break_even"),
    ]


def test_a_filled_target_may_put_the_stop_to_the_target_before_it():
    frame = bars(FLAT, FLAT, (101, 103, 100.5, 102.5), (102.5, 105, 102.4, 104), (104, 104, 101, 102))
    plan = tl.ExitPlan(stop=0.05, targets=[(0.02, 0.4, "previous"), (0.04, 0.3, "previous"), (0.10, 0.3)])
    got = fills(run(frame, enter=(0,), plan=plan))
    assert got[1:] == [(2, "sell", 4, 102, "target"), (3, "sell", 3, 104, "target"), (4, "sell", 3, 102, "break_even")]


def test_a_filled_target_may_start_the_trail():
    # without a target the trail of 3 % would stand at 105 x 0.97 = 101.85 after bar 2; it starts with the one at 106
    frame = bars(FLAT, FLAT, (100, 105, 100, 101), (101, 107, 100, 106.5), (106.5, 107, 103, 104))
    plan = tl.ExitPlan(stop=0.05, targets=[(0.06, 0.5, "trail")], trail=0.03)
    assert fills(run(frame, enter=(0,), plan=plan))[1:] == [
        (3, "sell", 5, 106, "target"),
        (4, "sell", 5, 107 * 0.97, "trail"),
    ]


# A target that falls with time


def test_a_falling_target_asks_less_the_longer_it_is_held():
    # bought at the open of bar 1, so bar 3 is the second bar after it: 1 % is enough, which 101 is
    frame = bars(*[FLAT] * 5)
    assert fills(run(frame, enter=(0,), plan=tl.ExitPlan(roi={0: 0.05, 2: 0.01})))[1] == (3, "sell", 10, 101, "roi")
    at_once = bars(FLAT, (100, 106, 99, 100))
    assert fills(run(at_once, enter=(0,), plan=tl.ExitPlan(roi={0: 0.05, 2: 0.01})))[1] == (1, "sell", 10, 105, "roi")


def test_a_falling_target_that_the_open_has_passed_fills_at_the_open():
    frame = bars(FLAT, FLAT, (103, 104, 102, 103), (103, 104, 102, 103))
    assert fills(run(frame, enter=(0,), plan=tl.ExitPlan(roi={0: 0.05, 2: 0.01})))[1] == (3, "sell", 10, 103, "roi")


def test_a_falling_target_may_begin_later_and_end_with_any_price():
    frame = bars(FLAT, FLAT, (98, 99, 96, 97), (97, 98, 95, 96))
    assert fills(run(frame, enter=(0,), plan=tl.ExitPlan(roi={2: -1})))[1] == (3, "sell", 10, 97, "roi")


def test_the_nearer_of_ladder_and_falling_target_is_taken():
    frame = bars(FLAT, FLAT, (100, 104, 99, 103))
    plan = tl.ExitPlan(targets=0.03, roi={0: 0.02})
    assert fills(run(frame, enter=(0,), plan=plan))[1] == (2, "sell", 10, 102, "roi")
    assert fills(run(frame, enter=(0,), plan=tl.ExitPlan(targets=0.01, roi={0: 0.02})))[1][3:] == (101, "target")
    assert fills(run(frame, enter=(0,), plan=tl.ExitPlan(targets=0.02, roi={0: 0.02})))[1][3:] == (102, "target")


# Break-even


def test_break_even_moves_the_stop_to_the_entry_once_the_profit_was_seen():
    frame = bars(FLAT, FLAT, (100, 103, 99, 102), (102, 102, 98, 99))
    plan = tl.ExitPlan(stop=0.05, break_even=tl.BreakEven(0.03, fees=False))
    assert fills(run(frame, enter=(0,), plan=plan))[1] == (3, "sell", 10, 100, "break_even")
    later = tl.ExitPlan(stop=0.05, break_even=tl.BreakEven(0.04, fees=False))
    assert len(run(frame, enter=(0,), plan=later).orders) == 1


def test_break_even_covers_fees_and_slippage_of_both_ways():
    frame = bars(FLAT, FLAT, (102, 115, 101, 114), (114, 114, 90, 95))
    costs = {"fees": 0.01, "slippage": 0.005, "per_unit_fees": 0.02, "fixed_fees": 3.0}
    result = run(frame, enter=(0,), plan=tl.ExitPlan(break_even=0.10), **costs)
    # 100.5 x 1.01 + 2 x (0.02 + 0.3) = 102.145 must come in for a unit: 102.145 / (0.99 x 0.995) is sold 0.5 % lower
    assert fills(result)[1] == (3, "sell", 10, 102.145 / 0.99, "break_even")
    assert result.trades["pnl"].item() == pytest.approx(0.0, abs=1e-9)


def test_break_even_of_a_short_lies_below_its_entry():
    frame = bars(FLAT, FLAT, (99, 99.5, 90, 91), (91, 110, 90, 105))
    result = short(frame, plan=tl.ExitPlan(break_even=0.05), fees=0.01)
    assert fills(result)[1] == (3, "buy", 10, 99 / 1.01, "break_even")
    assert result.trades["pnl"].item() == pytest.approx(0.0, abs=1e-9)


def test_break_even_may_go_beyond_the_entry():
    frame = bars(FLAT, FLAT, (101, 105, 100.5, 104), (104, 104, 98, 99))
    plan = tl.ExitPlan(break_even=tl.BreakEven(0.04, offset=0.01, fees=False))
    assert fills(run(frame, enter=(0,), plan=plan))[1] == (3, "sell", 10, 101, "break_even")


def test_break_even_waits_until_the_price_has_been_where_the_stop_would_go():
    # fees of 2 % put break-even at 102 / 0.98 = 104.08: a stop there would lie above the market at 101
    frame = bars(FLAT, FLAT, (100, 101.5, 100, 101), (101, 102, 100.5, 101), (101, 106, 101, 105), (105, 105, 99, 100))
    result = run(frame, enter=(0,), plan=tl.ExitPlan(break_even=0.01), fees=0.02)
    assert fills(result)[1] == (5, "sell", 10, 102 / 0.98, "break_even")


def test_break_even_that_a_target_asks_for_waits_too():
    # the target of 101.2 lies below the 104.08 that fees ask for: the stop goes there once the price has been beyond
    frame = bars(FLAT, FLAT, (100, 101.5, 100, 101), (101, 102, 100.5, 101), (101, 106, 101, 105), (105, 105, 99, 100))
    plan = tl.ExitPlan(stop=0.1, targets=[(0.012, 0.5, "break_even"), (0.5, 0.5)])
    assert fills(run(frame, enter=(0,), plan=plan, fees=0.02))[1:] == [
        (2, "sell", 5, 101.2, "target"),
        (5, "sell", 5, 102 / 0.98, "break_even"),
    ]


# Trails


def test_a_trail_may_start_at_a_profit():
    frame = bars(FLAT, (100, 104, 99, 103), (103, 104, 80, 103), (103, 106, 102, 105), (105, 105, 103, 104))
    plan = tl.ExitPlan(trail=tl.Trail(0.02, start=0.05))
    assert fills(run(frame, enter=(0,), plan=plan))[1] == (4, "sell", 10, 106 * 0.98, "trail")


def test_a_trail_may_follow_from_further_behind_until_it_starts():
    plan = tl.ExitPlan(trail=tl.Trail(0.02, start=0.05, before=0.10))
    low = bars(FLAT, (100, 104, 99, 103), (103, 104, 93, 95))
    assert fills(run(low, enter=(0,), plan=plan))[1] == (2, "sell", 10, 104 * 0.90, "trail")
    high = bars(FLAT, (100, 106, 99, 105), (105, 105, 103, 104))
    assert fills(run(high, enter=(0,), plan=plan))[1] == (2, "sell", 10, 106 * 0.98, "trail")


def test_a_trail_may_follow_in_steps():
    # best 103.9: one whole step of 2 % above 100 is 102, and 5 % behind it 96.9
    frame = bars(FLAT, (100, 103.9, 99, 103), (103, 103, 96, 97))
    plan = tl.ExitPlan(trail=tl.Trail(0.05, step=0.02))
    assert fills(run(frame, enter=(0,), plan=plan))[1] == (2, "sell", 10, 96.9, "trail")


def test_a_trail_may_be_measured_in_atr_of_the_deciding_bar_or_in_r():
    frame = bars(*[FLAT] * 4, (100, 110, 98, 109), (109, 109, 103, 104))
    atr = tl.ExitPlan(trail="3 atr", atr_window=2)  # 3 x 2 behind 110
    assert fills(run(frame, enter=(3,), plan=atr))[1] == (5, "sell", 10, 104, "trail")
    r = tl.ExitPlan(stop=0.04, trail="1.5 r")  # 1.5 x 4 behind 110
    assert fills(run(frame, enter=(3,), plan=r))[1] == (5, "sell", 10, 104, "trail")


def test_a_chandelier_is_measured_by_the_atr_of_each_bar():
    # ATR of two bars, Wilder's: 2 until bar 3, then (2 + 11) / 2 = 6.5 after the bar of range 11: 110 - 6.5 = 103.5
    frame = bars(*[FLAT] * 4, (100, 110, 99, 109), (109, 109, 102, 104))
    plan = tl.ExitPlan(trail=tl.Trail("1 atr", chandelier=True), atr_window=2)
    assert fills(run(frame, enter=(3,), plan=plan))[1] == (5, "sell", 10, 103.5, "trail")


def test_a_stop_never_loosens():
    frame = bars(*[FLAT] * 4, (100, 110, 99, 109), (109, 109.5, 108.5, 109), (109, 109, 80, 90))
    # entry 100, R = 5; 1 R behind 110 is 105, and it stays there
    assert fills(run(frame, enter=(3,), plan=tl.ExitPlan(stop=0.05, trail="1 r")))[1] == (6, "sell", 10, 105, "trail")


# The clock and the close


def test_a_position_is_left_at_the_open_after_so_many_bars():
    frame = bars(*[FLAT] * 5)
    assert fills(run(frame, enter=(0,), plan=tl.ExitPlan(max_bars=2)))[1] == (3, "sell", 10, 100, "time")
    assert fills(run(frame, enter=(0,), plan=tl.ExitPlan(max_bars=1), fill="close"))[1] == (1, "sell", 10, 100, "time")


def test_bars_are_counted_on_the_time_axis_of_all_instruments():
    # B has no bar 2; after three bars of the axis, 1 to 3, it is left at the open of bar 4, its own third
    frame = bars(*[FLAT] * 6)
    both = {"A": frame, "B": frame.drop(frame.index[2])}
    entries = {"A": on(frame), "B": on(both["B"], 0)}
    result = tl.backtest(both, entries=entries, size=10.0, plan=tl.ExitPlan(max_bars=3))
    assert result.orders["time"].tolist() == [frame.index[1], frame.index[4]]


def test_a_stop_that_looks_at_closes_is_done_at_the_next_open():
    frame = bars(FLAT, FLAT, (100, 101, 90, 96), (96, 97, 93, 94), (93, 94, 92, 93))
    plan = tl.ExitPlan(stop=0.05, stop_at_close=True)
    assert fills(run(frame, enter=(0,), plan=plan))[1] == (4, "sell", 10, 93, "stop")
    assert fills(run(frame, enter=(0,), plan=plan, fill="close"))[1] == (3, "sell", 10, 94, "stop")
    slipped = run(frame, enter=(0,), plan=tl.ExitPlan(stop="6 price", stop_at_close=True), slippage=0.01)
    assert fills(slipped)[1] == (4, "sell", 10, 93 * 0.99, "stop")


def hourly(*rows: tuple[float, float, float, float]) -> pd.DataFrame:
    """Bars from 21:00 UTC on; midnight falls before row 3."""
    index = pd.date_range("2024-01-01 21:00", periods=len(rows), freq="h", tz="UTC")
    return pd.DataFrame(rows, index, ["open", "high", "low", "close"])


def test_a_session_is_left_at_the_close_of_its_last_bar():
    frame = hourly(FLAT, FLAT, (100, 104, 99, 103), FLAT, FLAT)
    plan = tl.ExitPlan(session_close=True)
    assert fills(run(frame, enter=(0,), plan=plan, slippage=0.01))[1] == (2, "sell", 10, 103 * 0.99, "session")
    # midnight in Berlin is 23:00 UTC: the last bar of that session is row 1, whose open was bought
    assert fills(run(frame, enter=(0,), plan=plan, session="Europe/Berlin"))[1] == (1, "sell", 10, 100, "session")


def test_the_last_bar_of_history_ends_no_session():
    frame = hourly(FLAT, FLAT, FLAT)
    assert len(run(frame, enter=(0,), plan=tl.ExitPlan(session_close=True)).orders) == 1


def test_an_exit_by_the_clock_comes_before_what_the_same_close_decided():
    frame = bars(*[FLAT] * 5)
    result = run(frame, enter=(0,), leave=(2,), plan=tl.ExitPlan(max_bars=2))
    assert [f[4] for f in fills(result)] == ["entry", "time"]


def test_a_plan_in_atr_trades_nothing_before_there_is_one():
    """Without an ATR a stop cannot be placed; an entry that is to have one must not go without."""
    frame = bars(*[FLAT] * 4)
    got = fills(run(frame, enter=(0,), plan=tl.ExitPlan(stop="2 atr", atr_window=3)))
    assert got == []


@pytest.mark.parametrize("plan", [{"stop": "2 atr"}, {"targets": "2 atr"}, {"trail": "2 atr"}, {"break_even": "1 atr"}])
def test_an_entry_waits_for_whatever_in_its_plan_is_measured_in_atr(plan):
    frame = bars(*[FLAT] * 6)
    result = run(frame, enter=(0, 4), plan=tl.ExitPlan(**plan, atr_window=3))
    assert fills(result) == [(5, "buy", 10, 100, "entry")]


def test_what_a_trail_follows_from_before_it_starts_is_measured_as_its_distance_is():
    # the true range of flat bars is 2: 4 of them are 8 below the best price of 101
    frame = bars(*[FLAT] * 5, (100, 101, 92.5, 95))
    plan = tl.ExitPlan(trail=tl.Trail("2 atr", start="1 atr", before="4 atr"), atr_window=2)
    assert fills(run(frame, enter=(3,), plan=plan))[1] == (5, "sell", 10, 93, "trail")


def test_distances_need_what_they_are_measured_in():
    with pytest.raises(ParameterError, match="need a stop"):
        tl.ExitPlan(targets="2 r")
    assert np.isnan(run(bars(FLAT, FLAT), enter=(0,)).trades["r"]).all()
