"""Pin every rule of docs/semantics.md by a case that was worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.engine.fills import CLOSE, NEXT_OPEN, VECTORBT

FLAT = (100.0, 101.0, 99.0, 100.0)


def bars(*rows: tuple[float, float, float, float]) -> pd.DataFrame:
    index = pd.date_range("2024-01-01", periods=len(rows), freq="D", tz="UTC")
    return pd.DataFrame(rows, index, ["open", "high", "low", "close"])


def on(frame: pd.DataFrame, *rows: int) -> pd.Series:
    return pd.Series(np.isin(np.arange(len(frame)), rows), frame.index)


def run(frame: pd.DataFrame, enter: tuple[int, ...] = (), leave: tuple[int, ...] = (), **terms) -> tl.Result:
    terms = {"size": 10.0, **terms}
    return tl.backtest(frame, entries=on(frame, *enter), exits=on(frame, *leave), **terms)


def fills(result: tl.Result) -> list[tuple[int, str, float, float, str]]:
    """(bar, side, size, price, reason) of every order."""
    rows = [result.index.get_loc(t) for t in result.orders["time"]]
    o = result.orders
    return [
        (bar, side, pytest.approx(size), pytest.approx(price), reason)
        for bar, side, size, price, reason in zip(rows, o["side"], o["size"], o["price"], o["reason"], strict=True)
    ]


def test_a_decision_on_a_close_fills_at_the_next_open():
    frame = bars(FLAT, FLAT, (102, 103, 101, 102), (104, 105, 103, 104), FLAT)
    assert fills(run(frame, enter=(1,), leave=(2,))) == [(2, "buy", 10, 102, "entry"), (3, "sell", 10, 104, "signal")]


def test_a_decision_on_the_last_bar_is_never_filled():
    frame = bars(FLAT, FLAT)
    assert fills(run(frame, enter=(1,))) == []


def test_close_fills_happen_on_the_deciding_bar():
    frame = bars(FLAT, (100, 106, 99, 105), (104, 108, 103, 107))
    assert fills(run(frame, enter=(1,), leave=(2,), fill="close")) == [
        (1, "buy", 10, 105, "entry"),
        (2, "sell", 10, 107, "signal"),
    ]


def test_slippage_worsens_both_sides_and_fees_are_of_the_notional_plus_a_fixed_sum():
    frame = bars(FLAT, (100, 101, 99, 100), (110, 111, 109, 110))
    result = run(frame, enter=(0,), leave=(1,), slippage=0.01, fees=0.001, fixed_fees=2.0)
    assert fills(result) == [(1, "buy", 10, 101.0, "entry"), (2, "sell", 10, 108.9, "signal")]
    assert result.orders["fees"].tolist() == pytest.approx([1010 * 0.001 + 2, 1089 * 0.001 + 2])
    assert result.trades["pnl"].item() == pytest.approx(1089 - 1010 - 3.01 - 3.089)
    assert result.equity.iloc[-1] == pytest.approx(10_000 + 1089 - 1010 - 3.01 - 3.089)


def test_a_stop_touched_inside_the_bar_fills_at_its_level_and_pays_slippage():
    frame = bars(FLAT, (100, 100, 99, 100), (100, 101, 94, 98))
    assert fills(run(frame, enter=(0,), sl_stop=0.05)) == [(1, "buy", 10, 100, "entry"), (2, "sell", 10, 95, "stop")]
    slipped = fills(run(frame, enter=(0,), sl_stop=0.05, slippage=0.01))
    assert slipped == [(1, "buy", 10, 101, "entry"), (2, "sell", 10, 101 * 0.95 * 0.99, "stop")]


def test_a_stop_that_the_open_has_passed_fills_at_the_open():
    frame = bars(FLAT, FLAT, (90, 92, 88, 91))
    assert fills(run(frame, enter=(0,), sl_stop=0.05))[1] == (2, "sell", 10, 90, "stop")


def test_stop_is_filled_before_target_when_a_bar_touches_both():
    frame = bars(FLAT, FLAT, (100, 120, 80, 100))
    assert fills(run(frame, enter=(0,), sl_stop=0.05, tp_stop=0.05))[1] == (2, "sell", 10, 95, "stop")


def test_a_target_fills_at_its_level_without_slippage_and_at_the_open_when_passed():
    touched = bars(FLAT, FLAT, (100, 107, 99, 103))
    assert fills(run(touched, enter=(0,), tp_stop=0.05, slippage=0.01))[1] == (2, "sell", 10, 101 * 1.05, "target")
    gapped = bars(FLAT, FLAT, (108, 109, 107, 108))
    assert fills(run(gapped, enter=(0,), tp_stop=0.05))[1] == (2, "sell", 10, 108, "target")


def test_a_target_passed_at_the_open_beats_a_stop_touched_later():
    frame = bars(FLAT, FLAT, (106, 107, 90, 100))
    assert fills(run(frame, enter=(0,), sl_stop=0.05, tp_stop=0.05))[1] == (2, "sell", 10, 106, "target")


def test_stops_already_work_on_the_bar_entered_at_its_open():
    frame = bars(FLAT, (100, 101, 94, 96), FLAT)
    assert fills(run(frame, enter=(0,), sl_stop=0.05)) == [(1, "buy", 10, 100, "entry"), (1, "sell", 10, 95, "stop")]


def test_stops_of_a_position_entered_at_the_close_start_on_the_next_bar():
    frame = bars(FLAT, (100, 130, 70, 100), FLAT)
    assert fills(run(frame, enter=(1,), sl_stop=0.05, tp_stop=0.2, fill="close")) == [(1, "buy", 10, 100, "entry")]


def test_a_trailing_stop_follows_the_high_of_the_bars_before():
    frame = bars(FLAT, (100, 110, 100, 110), (110, 120, 109, 118), (118, 119, 107, 108))
    # entry 100; highs 110 and 120 lift the stop to 99 and 108; the bar with the high 120 is held against 99
    assert fills(run(frame, enter=(0,), sl_trail=0.10)) == [(1, "buy", 10, 100, "entry"), (3, "sell", 10, 108, "trail")]


def test_sl_trail_true_makes_the_stop_trail():
    frame = bars(FLAT, (100, 110, 100, 110), (110, 120, 109, 118), (118, 119, 107, 108))
    assert fills(run(frame, enter=(0,), sl_stop=0.10, sl_trail=True)) == fills(run(frame, enter=(0,), sl_trail=0.10))


def test_the_tighter_of_stop_and_trail_is_hit_and_named():
    frame = bars(FLAT, FLAT, (100, 100, 90, 92))
    assert fills(run(frame, enter=(0,), sl_stop=0.05, sl_trail=0.08))[1][3:] == (pytest.approx(95), "stop")
    assert fills(run(frame, enter=(0,), sl_stop=0.08, sl_trail=0.05))[1][3:] == (pytest.approx(101 * 0.95), "trail")


def test_a_decided_exit_at_the_open_comes_before_the_stop():
    frame = bars(FLAT, FLAT, (98, 99, 90, 92))
    assert fills(run(frame, enter=(0,), leave=(1,), sl_stop=0.05))[1] == (2, "sell", 10, 98, "signal")


def test_short_positions_mirror_long_ones():
    frame = bars(FLAT, FLAT, (100, 106, 99, 105))
    result = tl.backtest(frame, short_entries=on(frame, 0), size=10.0, sl_stop=0.05, fees=0.001)
    assert fills(result) == [(1, "sell", 10, 100, "entry"), (2, "buy", 10, 105, "stop")]
    assert result.trades["pnl"].item() == pytest.approx(-50 - 1.0 - 1.05)
    assert result.trades["return"].item() == pytest.approx((-50 - 1.0 - 1.05) / 1000)


def test_an_opposite_entry_turns_the_position_round_with_one_order():
    frame = bars(FLAT, FLAT, (110, 111, 109, 110), FLAT)
    result = tl.backtest(frame, entries=on(frame, 0), short_entries=on(frame, 1), size=10.0, fixed_fees=3.0)
    assert fills(result) == [(1, "buy", 10, 100, "entry"), (2, "sell", 20, 110, "reversal")]
    assert result.trades["direction"].tolist() == ["long", "short"]
    assert result.trades["fees"].tolist() == pytest.approx([3 + 1.5, 1.5])  # the order's fee is parted by size


@pytest.mark.parametrize("kind", ["entries", "short_entries"])
def test_entry_and_exit_of_one_side_on_one_bar_cancel(kind):
    frame = bars(FLAT, FLAT, FLAT)
    exits = {"entries": "exits", "short_entries": "short_exits"}[kind]
    assert fills(tl.backtest(frame, **{kind: on(frame, 0), exits: on(frame, 0)})) == []


def test_entries_of_both_sides_on_one_bar_cancel():
    frame = bars(FLAT, FLAT, FLAT)
    assert fills(tl.backtest(frame, entries=on(frame, 0), short_entries=on(frame, 0))) == []


def test_a_further_entry_in_the_same_direction_is_ignored():
    frame = bars(*[FLAT] * 5)
    assert len(run(frame, enter=(0, 1, 2)).orders) == 1


def test_an_entry_without_size_spends_all_free_cash_fees_included():
    frame = bars(FLAT, FLAT, FLAT)
    result = run(frame, enter=(0,), size=None, fees=0.01, fixed_fees=5.0)
    assert result.orders["size"].item() == pytest.approx((10_000 - 5) / (100 * 1.01))
    assert result.cash.iloc[-1] == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize(("size", "kind", "units"), [(7.0, "amount", 7), (2500.0, "value", 25), (0.5, "percent", 50)])
def test_size_types_mean_units_money_and_a_fraction_of_free_cash(size, kind, units):
    frame = bars(FLAT, FLAT, FLAT)
    assert run(frame, enter=(0,), size=size, size_type=kind).orders["size"].item() == pytest.approx(units)


def test_a_wish_beyond_the_cash_is_cut_to_what_it_carries():
    frame = bars(FLAT, FLAT, FLAT)
    assert run(frame, enter=(0,), size=1e6).orders["size"].item() == pytest.approx(100)


def test_units_are_rounded_down_to_the_step():
    frame = bars(FLAT, FLAT, FLAT)
    assert run(frame, enter=(0,), size=7.99, size_granularity=0.5).orders["size"].item() == 7.5
    assert len(run(frame, enter=(0,), size=0.3, size_granularity=0.5).orders) == 0


def test_short_proceeds_are_collateral_and_cannot_be_spent():
    frame = bars(FLAT, FLAT, FLAT)
    result = tl.backtest(frame, short_entries=on(frame, 0), size=1e6)
    assert result.orders["size"].item() == pytest.approx(100)  # as much as the cash of 10 000 would buy
    two = {"A": frame, "B": frame}
    flags = pd.DataFrame({"A": on(frame, 0), "B": on(frame, 0) & False})
    both = tl.backtest(two, short_entries=flags, entries=flags[["B", "A"]].set_axis(["A", "B"], axis=1), size=60.0)
    assert both.orders["size"].tolist() == pytest.approx([60, 40])


def test_cash_below_zero_is_counted_when_a_position_turns_round():
    a = bars(FLAT, FLAT, (260, 261, 259, 260), (260, 261, 259, 260), (260, 261, 259, 260))
    b = bars(*[FLAT] * 5)
    shorts = pd.DataFrame({"A": on(a, 0), "B": on(b, 0)})
    sizes = pd.Series([50.0, 50.0, 1e6, 1.0, 1.0], a.index)
    result = tl.backtest(
        {"A": a, "B": b},
        short_entries=shorts,
        short_exits=pd.DataFrame({"A": on(a, 1), "B": on(b)}),
        entries=pd.DataFrame({"A": on(a), "B": on(b, 2)}),
        size={"A": sizes, "B": sizes},
    )
    # A is bought back for 13 000 of the 20 000: free cash is 7 000 - 2 x 5 000 = -3 000. Closing B releases
    # 5 000, so 2 000 are free, which is the equity, and buy 20 units on top of the 50 that close the short.
    assert result.orders["size"].tolist() == pytest.approx([50, 50, 50, 70])
    assert result.cash.iloc[-1] == pytest.approx(0, abs=1e-6)


def test_a_size_of_nan_opens_nothing_and_a_turn_of_nan_only_closes():
    frame = bars(*[FLAT] * 4)
    sizes = pd.Series([np.nan, 10.0, np.nan, 10.0], frame.index)
    assert fills(run(frame, enter=(0,), size=sizes)) == []
    turned = tl.backtest(frame, entries=on(frame, 1), short_entries=on(frame, 2), size=sizes)
    assert fills(turned) == [(2, "buy", 10, 100, "entry"), (3, "sell", 10, 100, "signal")]


def test_what_is_left_of_spent_cash_up_to_a_billionth_of_the_initial_opens_nothing():
    frame = bars(*[FLAT] * 4)
    flags = {"A": on(frame, 0), "B": on(frame, 1)}
    for left, orders in ((2e-5, 2), (5e-6, 1)):  # a billionth of 10 000 is 1e-5
        sizes = {"A": pd.Series((10_000 - left) / 100, frame.index), "B": pd.Series(1.0, frame.index)}
        result = tl.backtest({"A": frame, "B": frame}, entries=pd.DataFrame(flags), size=sizes)
        assert len(result.orders) == orders


def test_a_position_turned_round_is_one_order_among_the_entries_and_exits_alone_come_before():
    frame = bars(*[FLAT] * 4)
    none = on(frame)
    result = tl.backtest(
        {"A": frame, "B": frame},
        entries=pd.DataFrame({"A": on(frame, 0), "B": on(frame, 0)}),
        short_entries=pd.DataFrame({"A": on(frame, 1), "B": none}),
        exits=pd.DataFrame({"A": none, "B": on(frame, 1)}),
        size=10.0,
    )
    got = result.orders[["symbol", "side", "size", "reason"]].to_numpy().tolist()[2:]
    assert got == [["B", "sell", 10.0, "signal"], ["A", "sell", 20.0, "reversal"]]


def test_instruments_share_cash_and_exits_come_before_entries():
    frame = bars(*[FLAT] * 4)
    entries = pd.DataFrame({"A": on(frame, 1), "B": on(frame, 0)})
    exits = pd.DataFrame({"A": on(frame), "B": on(frame, 1)})
    result = tl.backtest({"A": frame, "B": frame}, entries=entries, exits=exits)
    assert result.orders[["symbol", "side"]].to_numpy().tolist() == [["B", "buy"], ["B", "sell"], ["A", "buy"]]
    assert result.orders["size"].tolist() == pytest.approx([100, 100, 100])


def test_an_instrument_without_a_bar_waits_for_its_next_one():
    frame = bars(*[FLAT] * 4)
    gappy = frame.drop(frame.index[1])
    entries = {"A": on(frame, 2), "B": on(gappy, 0)}
    result = tl.backtest({"A": frame, "B": gappy}, entries=entries, size=10.0)
    b = result.orders[result.orders["symbol"] == "B"]
    assert b["time"].tolist() == [frame.index[2]]
    assert result.equity.notna().all()


def test_equity_is_cash_plus_position_at_every_close():
    frame = bars(FLAT, (100, 104, 100, 103), (103, 108, 102, 107))
    result = run(frame, enter=(0,))
    assert result.equity.tolist() == pytest.approx([10_000, 10_000 + 30, 10_000 + 70])


def test_a_ruined_account_is_closed_out_and_trades_no_more():
    frame = bars(FLAT, FLAT, (100, 260, 100, 250), FLAT, FLAT, FLAT)
    result = tl.backtest(frame, short_entries=on(frame, 0, 3))
    assert fills(result) == [(1, "sell", 100, 100, "entry"), (2, "buy", 100, 250, "ruin")]
    assert result.ruined
    assert result.equity.iloc[-1] == pytest.approx(20_000 - 25_000)  # the loss is not hidden


def test_an_open_trade_is_valued_at_the_last_close_without_exit_fees():
    frame = bars(FLAT, FLAT, (100, 111, 100, 110))
    trade = run(frame, enter=(0,), fees=0.001).trades.iloc[0]
    assert (trade["status"], trade["exit_reason"]) == ("open", "still open")
    assert trade["pnl"] == pytest.approx(100 - 1.0)


def test_r_is_the_profit_over_what_the_first_stop_risked():
    frame = bars(FLAT, FLAT, (100, 111, 100, 110), (110, 111, 109, 110))
    with_stop = run(frame, enter=(0,), leave=(2,), sl_stop=0.05).trades.iloc[0]
    assert with_stop["r"] == pytest.approx(100 / 50)
    assert math.isnan(run(frame, enter=(0,), leave=(2,)).trades.iloc[0]["r"])


def test_r_of_a_stop_so_near_that_it_risks_nothing_is_undefined():
    frame = bars(FLAT, FLAT, FLAT)
    trade = run(frame, enter=(0,), sl_stop=1e-17, fees=0.01).trades.iloc[0]
    assert trade["pnl"] < 0 and math.isnan(trade["r"])


def test_excursions_cover_the_bars_held_and_the_fills():
    frame = bars(FLAT, (100, 104, 97, 103), (103, 109, 102, 108), (106, 130, 60, 107))
    trade = run(frame, enter=(0,), leave=(2,)).trades.iloc[0]  # in at 100 on bar 1, out at 106 at the open of bar 3
    assert trade["mfe"] == pytest.approx(0.09)
    assert trade["mae"] == pytest.approx(-0.03)


def test_of_the_bar_in_which_a_stop_fired_only_the_fill_is_known():
    frame = bars(FLAT, (100, 104, 97, 103), (103, 130, 60, 95), FLAT)
    trade = run(frame, enter=(0,), sl_stop=0.05).trades.iloc[0]
    assert trade["mfe"] == pytest.approx(0.04)
    assert trade["mae"] == pytest.approx(-0.05)


def test_stops_and_sizes_given_bar_by_bar_are_read_on_the_bar_that_decides():
    frame = bars(FLAT, FLAT, (100, 101, 90, 95))
    stops = pd.Series([0.02, 0.08, 0.5], frame.index)
    sizes = pd.Series([3.0, 5.0, 7.0], frame.index)
    result = run(frame, enter=(0,), sl_stop=stops, size=sizes)
    assert fills(result) == [(1, "buy", 3, 100, "entry"), (2, "sell", 3, 98, "stop")]


def test_under_vectorbt_fills_a_bar_that_stopped_out_ignores_its_signals():
    frame = bars(FLAT, FLAT, (100, 100, 90, 92), FLAT)
    stopped = {"enter": (1, 2), "sl_stop": 0.05}
    assert [f[0] for f in fills(run(frame, fill="vectorbt", **stopped))] == [1, 2]
    assert [f[0] for f in fills(run(frame, fill="close", **stopped))] == [1, 2, 2]


def test_a_policy_of_ones_own_is_accepted_and_named_policies_differ():
    frame = bars(FLAT, (100, 101, 94, 96), FLAT)
    spared = NEXT_OPEN._replace(exits_on_entry_bar=False)
    assert len(run(frame, enter=(0,), sl_stop=0.05, fill=spared).orders) == 1
    assert len({NEXT_OPEN, CLOSE, VECTORBT}) == 3


def test_turning_round_into_dust_only_closes_and_makes_no_money():
    frame = bars((1, 1, 1, 1), (1, 1, 1, 1), (1, 1, 1, 1), (1, 1, 1, 1))
    result = tl.backtest(
        frame,
        entries=on(frame, 0),
        short_entries=on(frame, 1),
        size=pd.Series([1e12, 10.0, 1.0, 1.0], frame.index),
        init_cash=1e12,
    )
    assert [(side, size) for _, side, size, *_ in fills(result)] == [("buy", 1e12), ("sell", 1e12)]
    assert result.equity.iloc[-1] == 1e12
