"""Pin every way an entry is sized, grown, cut down and turned round by a case that was worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tests.unit.engine.test_simulate import FLAT, bars, fills, on, run
from tradelab.model.errors import ParameterError


def units(result: tl.Result) -> list[float]:
    return result.orders["size"].tolist()


# What a size means


def test_a_fraction_of_equity_counts_what_is_held_elsewhere():
    frame = bars(*[FLAT] * 4)
    entries = pd.DataFrame({"A": on(frame, 0), "B": on(frame, 1)})
    equity = tl.backtest({"A": frame, "B": frame}, entries=entries, size=0.4, size_type="equity")
    assert units(equity) == pytest.approx([40, 40])
    cash = tl.backtest({"A": frame, "B": frame}, entries=entries, size=0.4, size_type="percent")
    assert units(cash) == pytest.approx([40, 24])  # 40 % of 10 000, then of the 6 000 left


def test_risk_is_what_the_stop_would_lose():
    frame = bars(FLAT, FLAT, (100, 100, 90, 92))
    result = run(frame, enter=(0,), size=0.01, size_type="risk", sl_stop=0.05)
    assert units(result) == pytest.approx([20, 20])  # 100 of 10 000 over 5 a unit
    assert result.equity.iloc[-1] == pytest.approx(9_900)
    atr = run(bars(*[FLAT] * 5), enter=(3,), size=0.01, size_type="risk", plan=tl.ExitPlan(stop="4 atr", atr_window=2))
    assert units(atr) == pytest.approx([12.5])  # 4 x 2 a unit


def test_risk_at_a_stop_on_the_wrong_side_opens_nothing():
    frame = bars(FLAT, FLAT, FLAT)
    above = pd.Series(101.0, frame.index)
    assert units(run(frame, enter=(0,), size=0.01, size_type="risk", sl_price=above)) == []


def test_risk_is_cut_to_what_the_cash_or_the_leverage_carries():
    frame = bars(FLAT, (100, 100.5, 99.5, 100), (100, 100.5, 99.5, 100))
    near = {"enter": (0,), "size": 0.05, "size_type": "risk", "sl_stop": 0.01}  # 500 over 1 a unit
    assert units(run(frame, **near)) == pytest.approx([100])
    assert units(run(frame, **near, leverage=3.0)) == pytest.approx([300])
    assert units(run(frame, **near, leverage=10.0)) == pytest.approx([500])
    assert units(run(frame, **near, leverage=10.0, max_weight=2.0)) == pytest.approx([200])


def test_sizes_by_atr_and_by_volatility_scale_the_position_by_how_much_it_moves():
    frame = bars(*[FLAT] * 5)
    by_atr = run(frame, enter=(3,), size=0.01, size_type="atr", plan=tl.ExitPlan(max_bars=9, atr_window=2))
    assert units(by_atr) == pytest.approx([50])  # 1 % of 10 000 over an ATR of 2
    # closes 100, 110, 99, 108.9: log returns +a, -b, +a with the sample deviation of the last two, a year of 365 days
    moves = bars(*[FLAT] * 8, (100, 111, 99, 110), (110, 111, 98, 99), (99, 110, 98, 108.9), (108.9, 110, 108, 109))
    daily = abs(math.log(1.1) - math.log(0.9)) / math.sqrt(2)
    wide = run(moves, enter=(10,), size=0.20, size_type="volatility", plan=tl.ExitPlan(max_bars=9, atr_window=2))
    assert units(wide) == pytest.approx([0.20 * 10_000 / (108.9 * daily * math.sqrt(365))])


def test_kelly_begins_with_its_start_and_then_follows_the_trades_so_far():
    # +10 %, -5 %: chance 1/2, payoff 2, Kelly 1/2 - 1/2 / 2 = 1/4; half of it is 1/8 of the equity
    rows = [FLAT, FLAT, (110, 111, 109, 110), (100, 101, 99, 100), (95, 96, 94, 95), (100, 101, 99, 100), FLAT]
    result = run(
        bars(*rows), enter=(0, 2, 4), leave=(1, 3), size=0.5, size_type="kelly", kelly_trades=2, kelly_start=0.10
    )
    got = units(result)
    assert got[:2] == pytest.approx([10, 10])  # 1 000 of 10 000 at 100
    assert got[2:4] == pytest.approx([10.1, 10.1])  # 1 010 of 10 100
    assert got[4] == pytest.approx((10_100 - 50.5) / 8 / 100)


def test_kelly_without_a_start_would_never_trade_and_is_refused():
    frame = bars(FLAT, FLAT, FLAT)
    with pytest.raises(ParameterError, match="kelly_start"):
        run(frame, enter=(0,), size=0.5, size_type="kelly")


def test_kelly_opens_nothing_where_the_trades_so_far_have_no_edge():
    rows = [FLAT, FLAT, (101, 102, 100, 101), (100, 101, 99, 100), (90, 91, 89, 90), FLAT, FLAT]
    result = run(
        bars(*rows), enter=(0, 2, 4), leave=(1, 3), size=0.5, size_type="kelly", kelly_trades=2, kelly_start=0.10
    )
    assert len(result.orders) == 4  # +1 %, -10 %: 1/2 - 1/2 / 0.1 is below 0


# What cuts a wish down


def test_an_entry_below_the_least_units_or_money_is_left_out():
    frame = bars(FLAT, FLAT, FLAT)
    assert units(run(frame, enter=(0,), size=3.0, min_size=3.0)) == [3]
    assert units(run(frame, enter=(0,), size=2.9, min_size=3.0)) == []
    assert units(run(frame, enter=(0,), size=3.7, size_granularity=1.0, min_size=3.5)) == []  # looked at when rounded
    assert units(run(frame, enter=(0,), size=3.0, min_notional=300.0)) == [3]
    assert units(run(frame, enter=(0,), size=3.0, min_notional=301.0)) == []


def test_an_exit_is_never_too_small():
    frame = bars(FLAT, FLAT, (1, 1, 1, 1), (1, 1, 1, 1))
    assert units(run(frame, enter=(0,), leave=(1,), size=3.0, min_notional=300.0)) == [3, 3]


def test_a_position_is_no_larger_than_its_weight_of_the_equity():
    frame = bars(FLAT, FLAT, FLAT)
    assert units(run(frame, enter=(0,), size=None, max_weight=0.25)) == pytest.approx([25])
    assert units(run(frame, enter=(0,), size=None, leverage=5.0, max_weight=2.0)) == pytest.approx([200])


def test_the_largest_weight_is_that_of_all_layers_together():
    frame = bars(*[FLAT] * 4)
    assert units(run(frame, enter=(0, 1), size=20.0, layers=2, max_weight=0.25)) == pytest.approx([20, 5])


def test_an_entry_takes_no_more_than_its_share_of_the_bars_volume():
    frame = bars(*[FLAT] * 4).assign(volume=[1e6, 40.0, 1e6, 1e6])
    assert units(run(frame, enter=(0,), leave=(1,), size=30.0, volume_share=0.25)) == pytest.approx([10, 10])
    unknown = bars(*[FLAT] * 4).assign(volume=np.nan)
    assert units(run(unknown, enter=(0,), size=30.0, volume_share=0.25)) == pytest.approx([30])


def test_rounding_comes_last():
    frame = bars(FLAT, FLAT, FLAT)
    assert units(run(frame, enter=(0,), size=None, max_weight=0.333, size_granularity=2.0)) == [32]


# Scaling in and out


def test_a_position_may_consist_of_several_entries_whose_average_is_its_price():
    frame = bars(FLAT, FLAT, (110, 111, 109, 110), (120, 121, 119, 120), (130, 131, 129, 130), FLAT)
    result = run(frame, enter=(0, 1, 2), leave=(3,), layers=2)
    assert fills(result) == [(1, "buy", 10, 100, "entry"), (2, "buy", 10, 110, "scale"), (4, "sell", 20, 130, "signal")]
    trade = result.trades.iloc[0]
    assert len(result.trades) == 1
    assert (trade["size"], trade["entry_price"]) == (pytest.approx(20), pytest.approx(105))
    assert trade["pnl"] == pytest.approx(10 * 30 + 10 * 20)


def test_r_of_several_entries_is_over_what_all_of_them_risked_at_the_first_stop():
    # 10 at 100 with a stop at 90, and 10 at 110: 20 from 105 down to 90 are 300
    frame = bars(FLAT, FLAT, (110, 111, 109, 110), (120, 121, 119, 120), (130, 131, 129, 130), FLAT)
    result = run(frame, enter=(0, 1), leave=(3,), layers=2, sl_stop=0.10)
    assert result.trades["r"].item() == pytest.approx((10 * 30 + 10 * 20) / 300)


def test_exits_are_measured_from_the_average_entry_and_the_stop_keeps_to_the_tighter_side():
    # 10 at 100 and 10 at 110: average 105, stop 94.5 instead of 90, target 115.5 instead of 110
    up = bars(FLAT, FLAT, (110, 110, 109, 110), (110, 111, 94, 95))
    terms = {"enter": (0, 1), "layers": 2, "sl_stop": 0.10, "tp_stop": 0.10}
    assert fills(run(up, **terms | {"tp_stop": 0.2}))[2] == (3, "sell", 20, 94.5, "stop")
    high = bars(FLAT, FLAT, (109, 109.5, 108, 109), (109, 118, 108, 117))
    assert fills(run(high, **terms))[2] == (3, "sell", 20, 104.5 * 1.1, "target")
    down = bars(FLAT, FLAT, (94, 95, 93, 94), (94, 95, 89, 90))
    assert fills(run(down, **terms))[2] == (3, "sell", 20, 90, "stop")  # not 97 x 0.9 = 87.3


def test_all_layers_together_lose_no_more_than_the_cap_at_their_stop():
    # 2 % of 10 000 = 200; 10 units at 100 with a stop at 90 risk 100; at 110 each further unit risks 11
    frame = bars(FLAT, FLAT, (110, 110, 109, 110), (110, 111, 80, 95))
    result = run(frame, enter=(0, 1), layers=2, sl_stop=0.10, risk_cap=0.02, size=10.0)
    room = 0.02 * 10_000 - 100  # the equity at the last close is still 10 000
    assert units(result)[:2] == pytest.approx([10, room / 11])
    first = run(frame, enter=(0,), sl_stop=0.10, risk_cap=0.005, size=10.0)
    assert units(first)[0] == pytest.approx(5)


def test_the_risk_of_a_stop_in_atr_is_capped_from_the_first_entry_on():
    frame = bars(*[FLAT] * 5)
    plan = tl.ExitPlan(stop="4 atr", atr_window=2)
    assert units(run(frame, enter=(3,), plan=plan, risk_cap=0.001, size=10.0)) == pytest.approx([1.25])  # 10 over 8


def test_the_risk_of_a_position_that_is_turned_round_does_not_count():
    # the trailed stop of the long stands at 114 above its entry; the short at 116 risks 11.6 a unit, the cap is 300
    frame = bars(FLAT, FLAT, (118, 120, 117, 118), (116, 117, 115, 116), FLAT)
    result = tl.backtest(
        frame, entries=on(frame, 0), short_entries=on(frame, 2), size=20.0, risk_cap=0.03,
        plan=tl.ExitPlan(stop=0.10, trail=0.05),
    )  # fmt: skip
    equity = 10_000 + 20 * 18  # marked at the close of bar 2
    assert units(result)[1] == pytest.approx(20 + min(20, 0.03 * equity / 11.6))


def test_a_cap_on_risk_needs_a_stop():
    frame = bars(FLAT, FLAT, FLAT)
    with pytest.raises(ParameterError, match="risk_cap"):
        run(frame, enter=(0,), risk_cap=0.01)


def test_an_exit_signal_may_close_a_part():
    frame = bars(*[FLAT] * 6)
    result = run(frame, enter=(0,), leave=(1, 2), exit_size=0.5)
    assert fills(result)[1:] == [(2, "sell", 5, 100, "signal"), (3, "sell", 2.5, 100, "signal")]
    given = run(frame, enter=(0,), leave=(1, 2), exit_size=pd.Series([1, 0.2, 1, 1, 1, 1.0], frame.index))
    assert fills(given)[1:] == [(2, "sell", 2, 100, "signal"), (3, "sell", 8, 100, "signal")]


def test_a_part_is_rounded_down_to_the_step():
    frame = bars(*[FLAT] * 4)
    result = run(frame, enter=(0,), leave=(1,), exit_size=0.25, size_granularity=1.0)
    assert units(result) == [10, 2]


def test_a_position_that_is_turned_round_starts_afresh():
    # long 10 + 10, then short: one order of 30, and the short has one layer and exits of its own
    frame = bars(FLAT, FLAT, FLAT, FLAT, (100, 106, 99, 105))
    result = tl.backtest(frame, entries=on(frame, 0, 1), short_entries=on(frame, 2), size=10.0, layers=2, sl_stop=0.05)
    assert fills(result)[2:] == [(3, "sell", 30, 100, "reversal"), (4, "buy", 10, 105, "stop")]
    assert result.trades["size"].tolist() == pytest.approx([20, 10])
