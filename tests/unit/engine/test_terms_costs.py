"""Pin what trading and holding cost, entries that rest, and delay, by cases that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tests.unit.engine.test_simulate import FLAT, bars, fills, on, run


def paid(result: tl.Result) -> list[float]:
    return result.orders["fees"].tolist()


def prices(result: tl.Result) -> list[float]:
    return result.orders["price"].tolist()


# What the broker takes


def test_fees_may_be_by_unit_and_have_a_least():
    frame = bars(*[FLAT] * 4)
    assert paid(run(frame, enter=(0,), leave=(1,), per_unit_fees=0.25)) == pytest.approx([2.5, 2.5])
    assert paid(run(frame, enter=(0,), leave=(1,), fees=0.001, fixed_fees=0.5, min_fees=4.0)) == pytest.approx([4, 4])
    assert paid(run(frame, enter=(0,), leave=(1,), fees=0.005, min_fees=4.0)) == pytest.approx([5, 5])


def test_all_of_the_cash_is_spent_whatever_the_fees_are():
    frame = bars(FLAT, FLAT, FLAT)
    by_unit = run(frame, enter=(0,), size=None, fees=0.01, per_unit_fees=1.0, fixed_fees=18.0)
    assert by_unit.orders["size"].item() == pytest.approx(9_982 / 102)
    assert by_unit.cash.iloc[-1] == pytest.approx(0, abs=1e-8)
    least = run(frame, enter=(0,), size=None, fees=1e-6, min_fees=100.0)
    assert least.orders["size"].item() == pytest.approx(99)
    assert least.cash.iloc[-1] == pytest.approx(0, abs=1e-8)


def test_a_tier_holds_from_the_notional_traded_before_the_order():
    # 1 000 an order: the first two are traded at 0 and 1 000, the third at 2 000
    frame = bars(*[FLAT] * 6)
    tiers = ((0.0, 0.002), (2_000.0, 0.001))
    assert paid(run(frame, enter=(0, 2), leave=(1, 3), fee_tiers=tiers)) == pytest.approx([2, 2, 1, 1])


def test_orders_that_rest_pay_the_makers_fee_and_may_be_paid():
    frame = bars(FLAT, FLAT, (100, 106, 99, 105))
    assert paid(run(frame, enter=(0,), tp_stop=0.05, fees=0.002, maker_fees=0.001)) == pytest.approx([2, 1.05])
    falling = run(frame, enter=(0,), plan=tl.ExitPlan(roi={0: 0.05}), fees=0.002, maker_fees=0.001)
    assert paid(falling) == pytest.approx([2, 1.05])
    limit = run(frame, enter=(0,), entry_type="limit", entry_price=99.5, fees=0.002, maker_fees=0.001)
    assert paid(limit) == pytest.approx([0.995])
    rebate = run(frame, enter=(0,), tp_stop=0.05, fees=0.002, maker_fees=-0.001)
    assert paid(rebate) == pytest.approx([2, -1.05])
    assert rebate.trades["pnl"].item() == pytest.approx(50 - 2 + 1.05)
    stopped = bars(FLAT, FLAT, (100, 100, 94, 95))
    assert paid(run(stopped, enter=(0,), sl_stop=0.05, fees=0.002, maker_fees=0.001)) == pytest.approx([2, 1.9])


# What the market takes


def test_half_the_spread_is_paid_on_each_side_but_not_by_orders_that_rest():
    frame = bars(*[FLAT] * 4)
    assert prices(run(frame, enter=(0,), leave=(1,), spread=0.002)) == pytest.approx([100.1, 99.9])
    assert prices(run(frame, enter=(0,), leave=(1,), spread=0.002, slippage=0.001)) == pytest.approx([100.2, 99.8])
    both = bars(FLAT, FLAT, (100, 106, 99, 105))
    assert prices(run(both, enter=(0,), tp_stop=0.05, spread=0.002)) == pytest.approx([100.1, 100.1 * 1.05])
    low = bars(FLAT, FLAT, (100, 100, 94, 95))
    assert prices(run(low, enter=(0,), sl_stop=0.05, spread=0.002)) == pytest.approx([100.1, 100.1 * 0.95 * 0.999])


def test_slippage_may_be_a_fraction_of_the_range_of_the_bar_before():
    frame = bars((100, 104, 98, 100), (100, 101, 99, 100), (100, 150, 50, 100))
    result = run(frame, enter=(0,), leave=(1,), slippage_range=0.25)
    assert prices(result) == pytest.approx([101.5, 99.5])  # a quarter of 6, then of 2; not of the bar it fills in


def test_impact_grows_with_the_square_of_the_share_of_volume():
    frame = bars(*[FLAT] * 4).assign(volume=[1.0, 40.0, 5.0, 1.0])
    result = run(frame, enter=(0,), leave=(1,), impact=0.1)
    # 10 of 40 is a quarter, squared 1/16 of 10 %; 10 of 5 counts as all of it
    assert prices(result) == pytest.approx([100 * (1 + 0.1 / 16), 90])


def test_impact_without_a_volume_is_none():
    assert prices(run(bars(*[FLAT] * 4), enter=(0,), leave=(1,), impact=0.1)) == [100, 100]


def test_impact_does_not_spend_more_than_there_is():
    frame = bars(*[FLAT] * 4).assign(volume=100.0)
    result = run(frame, enter=(0,), size=None, impact=0.1)
    assert result.cash.min() >= -1e-6
    # 100 u hundreds of units at 100 (1 + u^2 / 10) are 10 000 where u + u^3 / 10 = 1, u = 0.92170
    assert result.orders["size"].item() == pytest.approx(92.170, abs=5e-4)
    assert result.cash.iloc[-1] == pytest.approx(0.0, abs=1e-6)


def test_impact_of_a_turn_round_does_not_spend_more_than_there_is():
    frame = bars(*[FLAT] * 4).assign(volume=300.0)
    for first, then in (("entries", "short_entries"), ("short_entries", "entries")):
        for leverage in (None, 2.0):
            result = tl.backtest(
                frame, **{first: on(frame, 0), then: on(frame, 1)}, impact=0.05, fees=0.001, leverage=leverage
            )
            assert result.orders["reason"].tolist() == ["entry", "reversal"]
            cash, qty, price = result.cash.iloc[2], result.positions.iloc[2, 0], result.orders["price"].iloc[1]
            locked = 2 * max(-qty, 0) * price if leverage is None else abs(qty) * price / leverage - qty * price
            assert cash - locked >= -1e-6


# Delay


def test_latency_is_the_bars_between_a_decision_and_its_order():
    frame = bars(FLAT, FLAT, (102, 103, 101, 102), (104, 105, 103, 104), (106, 107, 105, 106), FLAT)
    late = run(frame, enter=(0,), leave=(2,), latency=1)
    assert fills(late) == [(2, "buy", 10, 102, "entry"), (4, "sell", 10, 106, "signal")]
    closes = run(frame, enter=(0,), leave=(2,), latency=1, fill="close")
    assert fills(closes) == [(1, "buy", 10, 100, "entry"), (3, "sell", 10, 104, "signal")]


def test_what_was_given_bar_by_bar_stays_with_its_decision_when_that_is_late():
    frame = bars(*[FLAT] * 4)
    result = run(frame, enter=(0,), latency=1, size=pd.Series([3.0, 5.0, 7.0, 9.0], frame.index))
    assert fills(result) == [(2, "buy", 3, 100, "entry")]


def test_stops_are_not_late():
    frame = bars(FLAT, FLAT, FLAT, (100, 100, 90, 92))
    assert fills(run(frame, enter=(0,), latency=1, sl_stop=0.05))[1] == (3, "sell", 10, 95, "stop")


# Entries that rest


def resting(frame: pd.DataFrame, kind: str, price: float, enter: tuple[int, ...] = (0,), **terms) -> tl.Result:
    return run(frame, enter=enter, entry_type=kind, entry_price=pd.Series(price, frame.index), **terms)


def test_a_limit_entry_waits_for_its_price_and_pays_no_slippage():
    frame = bars(FLAT, (100, 101, 98, 99), (99, 100, 96, 97), FLAT)
    assert fills(resting(frame, "limit", 97, slippage=0.01)) == [(2, "buy", 10, 97, "entry")]
    gapped = bars(FLAT, FLAT, (95, 96, 94, 95), FLAT)
    assert fills(resting(gapped, "limit", 97)) == [(2, "buy", 10, 95, "entry")]


def test_a_stop_entry_waits_until_the_price_breaks_out_and_pays_slippage():
    frame = bars(FLAT, (100, 101, 98, 99), (99, 104, 98, 103), FLAT)
    assert fills(resting(frame, "stop", 103, slippage=0.01)) == [(2, "buy", 10, 103 * 1.01, "entry")]
    gapped = bars(FLAT, FLAT, (105, 106, 104, 105), FLAT)
    assert fills(resting(gapped, "stop", 103)) == [(2, "buy", 10, 105, "entry")]


def test_resting_entries_of_shorts_mirror_those_of_longs():
    frame = bars(FLAT, (100, 104, 96, 100), FLAT)
    for kind, level in (("limit", 103), ("stop", 97)):
        price = pd.Series(float(level), frame.index)
        got = tl.backtest(frame, short_entries=on(frame, 0), size=10.0, entry_type=kind, entry_price=price)
        assert fills(got) == [(1, "sell", 10, level, "entry")]


def test_one_price_may_hold_for_all_bars():
    frame = bars(FLAT, (100, 101, 98, 99), (99, 100, 96, 97), FLAT)
    assert fills(run(frame, enter=(0,), entry_type="limit", entry_price=97.0)) == [(2, "buy", 10, 97, "entry")]


def test_a_resting_entry_expires_after_so_many_bars():
    frame = bars(*[FLAT] * 3, (99, 100, 96, 97), FLAT)
    assert fills(resting(frame, "limit", 97, expiry=2)) == []  # lives on bars 1 and 2
    assert fills(resting(frame, "limit", 97, expiry=3)) == [(3, "buy", 10, 97, "entry")]
    assert fills(resting(frame, "limit", 97)) == [(3, "buy", 10, 97, "entry")]


def test_a_resting_entry_under_close_fills_lives_from_the_next_bar_on():
    frame = bars((100, 101, 90, 100), FLAT, (99, 100, 96, 97), FLAT)
    assert fills(resting(frame, "limit", 97, fill="close", expiry=2)) == [(2, "buy", 10, 97, "entry")]
    assert fills(resting(frame, "limit", 97, fill="close", expiry=1)) == []


def test_a_new_decision_replaces_or_cancels_a_resting_entry():
    frame = bars(*[FLAT] * 3, (99, 100, 94, 97), FLAT)
    levels = pd.Series([97.0, 95.0, 1, 1, 1], frame.index)
    replaced = run(frame, enter=(0, 1), entry_type="limit", entry_price=levels)
    assert fills(replaced) == [(3, "buy", 10, 95, "entry")]
    assert fills(resting(frame, "limit", 97, leave=(1,))) == []


def test_an_exit_of_the_other_side_leaves_a_resting_entry_alone():
    frame = bars(*[FLAT] * 3, (99, 100, 94, 97), FLAT)
    price = pd.Series(97.0, frame.index)
    terms = {"size": 10.0, "entry_type": "limit", "entry_price": price}
    got = tl.backtest(frame, entries=on(frame, 0), short_exits=on(frame, 1), **terms)
    assert fills(got) == [(3, "buy", 10, 97, "entry")]


def test_a_resting_entry_that_is_left_alone_keeps_the_size_and_the_stop_of_its_decision():
    frame = bars(*[FLAT] * 3, (99, 100, 94, 97), (97, 98, 91, 92))
    terms = {"entry_type": "limit", "entry_price": pd.Series([97.0, 50.0, 50.0, 50.0, 50.0], frame.index)}
    terms["size"] = pd.Series([3.0, 7.0, 7.0, 7.0, 7.0], frame.index)
    terms["sl_stop"] = pd.Series([0.05, 0.5, 0.5, 0.5, 0.5], frame.index)
    for left_by in ({"short_exits": on(frame, 1)}, {"exits": on(frame, 2), "entries": on(frame, 0, 2)}):
        got = tl.backtest(frame, **{"entries": on(frame, 0), **left_by}, **terms)
        assert fills(got) == [(3, "buy", 3, 97, "entry"), (4, "sell", 3, 97 * 0.95, "stop")]


def test_flags_that_cancel_each_other_leave_a_resting_entry_alone():
    frame = bars(*[FLAT] * 3, (99, 106, 94, 97), FLAT)
    for side, level in (("", 97.0), ("short_", 103.0)):
        terms = {"size": 10.0, "entry_type": "limit", "entry_price": level}
        both = {f"{side}entries": on(frame, 0, 1), f"{side}exits": on(frame, 1)}
        assert [f[0] for f in fills(tl.backtest(frame, **both, **terms))] == [3]


def test_an_entry_of_the_other_side_takes_the_place_of_one_that_rests():
    frame = bars(*[FLAT] * 3, (99, 106, 94, 97), FLAT)
    prices_of = pd.Series([97.0, 105.0, 1, 1, 1], frame.index)
    terms = {"size": 10.0, "entry_type": "limit", "entry_price": prices_of}
    got = tl.backtest(frame, entries=on(frame, 0), short_entries=on(frame, 1), **terms)
    assert fills(got) == [(3, "sell", 10, 105, "entry")]


def test_a_resting_entry_without_a_price_is_not_sent():
    frame = bars(*[FLAT] * 3)
    assert fills(resting(frame, "limit", np.nan)) == []


def test_a_decision_without_a_price_takes_back_the_one_before_it():
    frame = bars(*[FLAT] * 3, (99, 100, 94, 97), FLAT)
    levels = pd.Series([97.0, np.nan, 1, 1, 1], frame.index)
    assert fills(run(frame, enter=(0, 1), entry_type="limit", entry_price=levels)) == []


def test_the_size_of_a_resting_entry_is_found_when_it_fills():
    frame = bars(FLAT, FLAT, (99, 100, 49, 97), FLAT)
    assert fills(resting(frame, "limit", 50, size=None)) == [(2, "buy", 200, 50, "entry")]


def test_of_the_bar_in_which_it_fills_only_the_worst_is_taken_for_later():
    # bought at 97 inside the bar: its low of 91 may have come after, its high of 110 may not
    frame = bars(FLAT, (100, 110, 96, 99), (99, 103, 98, 102))
    target = {"tp_stop": 0.05}
    assert fills(resting(frame, "limit", 97, **target))[1:] == [(2, "sell", 10, 97 * 1.05, "target")]
    stopped = bars(FLAT, (100, 110, 91, 99), FLAT)
    assert fills(resting(stopped, "limit", 97, sl_stop=0.05, tp_stop=0.05))[1:] == [(1, "sell", 10, 97 * 0.95, "stop")]
    breakout = resting(stopped, "stop", 104, sl_stop=0.05)
    assert fills(breakout) == [(1, "buy", 10, 104, "entry"), (1, "sell", 10, 104 * 0.95, "stop")]


def test_one_that_fills_at_the_open_is_held_against_the_whole_bar():
    frame = bars(FLAT, (95, 103, 94, 99), FLAT)
    assert fills(resting(frame, "limit", 97, tp_stop=0.05)) == [
        (1, "buy", 10, 95, "entry"),
        (1, "sell", 10, 95 * 1.05, "target"),
    ]


def test_the_trail_of_one_that_fills_inside_the_bar_knows_its_close_only():
    # bought at 97; the high of 110 may have come before, the close of 99 has not: 99 - 3 = 96
    frame = bars(FLAT, (100, 110, 96.5, 99), (99, 99, 95, 96))
    plan = tl.ExitPlan(stop="5 price", trail="3 price")
    assert fills(resting(frame, "limit", 97, plan=plan))[1:] == [(2, "sell", 10, 96, "trail")]


def test_a_resting_entry_may_add_to_a_position_or_turn_it_round():
    frame = bars(FLAT, (100, 101, 97, 100), FLAT, (99, 100, 94, 97), FLAT)
    levels = pd.Series([98.0, 95.0, 1, 1, 1], frame.index)
    added = run(frame, enter=(0, 1), entry_type="limit", entry_price=levels, layers=2)
    assert fills(added) == [(1, "buy", 10, 98, "entry"), (3, "buy", 10, 95, "scale")]
    high = bars(FLAT, (100, 101, 97, 100), (100, 106, 99, 105), FLAT)
    prices_ = pd.Series([98.0, 105.0, 1, 1], high.index)
    turned = tl.backtest(
        high, entries=on(high, 0), short_entries=on(high, 1), size=10.0, entry_type="limit", entry_price=prices_
    )
    assert fills(turned) == [(1, "buy", 10, 98, "entry"), (2, "sell", 20, 105, "reversal")]


def test_a_resting_entry_that_the_open_meets_comes_before_what_happens_inside():
    # held from 98; the open of 90 meets the limit of 95 (20 at 94 on average), and 15 % below that the stop waits
    frame = bars(FLAT, (100, 101, 97, 100), FLAT, (90, 91, 79, 80), FLAT)
    levels = pd.Series([98.0, 95.0, 1, 1, 1], frame.index)
    terms = {"entry_type": "limit", "entry_price": levels, "layers": 2, "sl_stop": 0.15}
    assert fills(run(frame, enter=(0, 1), **terms))[1:] == [
        (3, "buy", 10, 90, "scale"),
        (3, "sell", 20, 98 * 0.85, "stop"),
    ]


def test_what_the_open_closes_comes_before_the_resting_entry_it_meets():
    # the open of 80 passes the stop of 83.3 and meets the limit of 95, which was to add and goes with the position
    frame = bars(FLAT, (100, 101, 97, 100), FLAT, (80, 91, 79, 80), FLAT)
    levels = pd.Series([98.0, 95.0, 1, 1, 1], frame.index)
    terms = {"entry_type": "limit", "entry_price": levels, "layers": 2, "sl_stop": 0.15}
    assert fills(run(frame, enter=(0, 1), **terms))[1:] == [(3, "sell", 10, 80, "stop")]
    # one of the other side stays: the long goes at its stop, and the breakout below it opens a short
    frame = bars(FLAT, (100, 101, 99, 100), FLAT, (90, 91, 89, 90), (90, 91, 89, 90))
    levels = pd.Series([100.0, 95.0, 1, 1, 1], frame.index)
    terms = {"size": 10.0, "entry_type": "stop", "entry_price": levels, "sl_stop": 0.08}
    got = tl.backtest(frame, entries=on(frame, 0), short_entries=on(frame, 1), **terms)
    assert fills(got)[1:] == [(3, "sell", 10, 90, "stop"), (3, "sell", 10, 90, "entry")]


def test_a_resting_entry_that_the_open_meets_turns_a_position_round_at_it():
    frame = bars(FLAT, (100, 101, 99, 100), FLAT, (90, 91, 89, 90), FLAT)
    levels = pd.Series([100.0, 95.0, 1, 1, 1], frame.index)
    terms = {"size": 10.0, "entry_type": "stop", "entry_price": levels, "sl_stop": 0.2}
    got = tl.backtest(frame, entries=on(frame, 0), short_entries=on(frame, 1), **terms)
    assert fills(got)[1:] == [(3, "sell", 20, 90, "reversal")]


def test_two_positions_may_leave_by_a_whole_ladder_each_in_one_bar():
    # the open of 110 passes all eight targets and meets the limit of 105, whose own eight lie above the low of 100
    frame = bars(FLAT, FLAT, (110, 110, 100, 100), FLAT)
    levels = pd.Series([100.0, 105.0, 1, 1], frame.index)
    ladder = [(0.011 * k, 0.125) for k in range(1, 9)]
    terms = {"size": 8.0, "entry_type": "limit", "entry_price": levels, "plan": tl.ExitPlan(targets=ladder)}
    got = tl.backtest(frame, entries=on(frame, 0), short_entries=on(frame, 1), **terms)
    below = [(2, "buy", 1, 110 * (1 - 0.011 * k), "target") for k in range(1, 9)]
    above = [(2, "sell", 1, 110, "target")] * 8
    assert fills(got)[1:] == [*above, (2, "sell", 8, 110, "entry"), *below]


def test_an_entry_that_was_to_add_goes_with_the_position_it_was_to_add_to():
    frame = bars(FLAT, FLAT, (100, 100, 94, 96), (96, 97, 89, 90), FLAT)
    entries = {"enter": (0, 1), "layers": 2, "sl_stop": 0.05, "entry_type": "limit"}
    levels = pd.Series([100.0, 90.0, 1, 1, 1], frame.index)
    assert [f[0] for f in fills(run(frame, **entries, entry_price=levels))] == [1, 2]
