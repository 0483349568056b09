"""An account is brought to its target weights; every number here is worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import AlignmentError, ConfigError, DataError, ParameterError, TimestampError

NAN = float("nan")


def bars_of(opens: list[float], closes: list[float] | None = None, start: str = "2024-01-01") -> pd.DataFrame:
    index = pd.date_range(start, periods=len(opens), freq="D", tz="UTC", name="time")
    closes = opens if closes is None else closes
    high, low = np.maximum(opens, closes), np.minimum(opens, closes)
    return pd.DataFrame({"open": opens, "high": high, "low": low, "close": closes}, index, dtype=float)


def rows_of(bars: dict[str, pd.DataFrame], rows: dict[int, list[float]]) -> pd.DataFrame:
    index = next(iter(bars.values())).index
    return pd.DataFrame(list(rows.values()), index[list(rows)], list(bars))


def held(result: tl.Result) -> list[list[float]]:
    return result.positions.to_numpy().round(9).tolist()


@pytest.fixture
def pair() -> dict[str, pd.DataFrame]:
    return {"A": bars_of([100.0, 100.0, 200.0, 200.0, 200.0]), "B": bars_of([50.0, 50.0, 50.0, 50.0, 50.0])}


def test_weights_are_fractions_of_equity_at_the_next_open(pair):
    # 5 000 each: 50 A, 100 B. A doubles: equity 15 000, 7 500 each: 37.5 A, 150 B.
    result = tl.backtest(pair, weights=rows_of(pair, {0: [0.5, 0.5], 2: [0.5, 0.5]}))
    assert held(result) == [[0, 0], [50, 100], [50, 100], [37.5, 150], [37.5, 150]]
    assert result.equity.iloc[-1] == pytest.approx(15_000.0)
    assert result.orders["reason"].tolist() == ["entry", "entry", "rebalance", "scale"]


def test_with_close_fills_the_deciding_bar_fills(pair):
    result = tl.backtest(pair, weights=rows_of(pair, {0: [0.5, 0.5], 2: [0.5, 0.5]}), fill="close")
    assert held(result) == [[50, 100], [50, 100], [37.5, 150], [37.5, 150], [37.5, 150]]


def test_what_the_night_does_to_all_prices_alike_is_no_drift():
    closes = [100.0, 100.0, 110.0]
    both = {name: bars_of([100.0, 100.0, 110.0], closes) for name in ("A", "B")}
    result = tl.backtest(both, weights=rows_of(both, {0: [0.5, 0.5], 1: [0.5, 0.5]}))
    assert len(result.orders) == 2


def test_what_is_nan_is_left_alone_and_zero_is_sold(pair):
    result = tl.backtest(pair, weights=rows_of(pair, {0: [0.5, 0.5], 1: [NAN, NAN], 2: [NAN, 0.0]}))
    assert held(result) == [[0, 0], [50, 100], [50, 100], [50, 0], [50, 0]]


def test_sales_free_the_cash_of_purchases_whatever_the_column(pair):
    for order in (["A", "B"], ["B", "A"]):
        bars = {name: pair[name] for name in order}
        weights = pd.DataFrame({"A": [0.0, 1.0], "B": [1.0, 0.0]}, pair["A"].index[[0, 2]])
        result = tl.backtest(bars, weights=weights)
        assert result.positions["A"].tolist() == [0, 0, 0, 50, 50]
        assert result.positions["B"].tolist() == [0, 200, 200, 0, 0]


def test_purchases_are_cut_to_the_cash_that_fees_leave(pair):
    # A: 5 000 and 50 in fees; B is left 4 950, of which it pays its own: 4 950 / 1.01 / 50 units.
    result = tl.backtest(pair, weights=rows_of(pair, {0: [0.5, 0.5]}), fees=0.01)
    assert held(result)[1] == pytest.approx([50.0, 4_950 / 1.01 / 50])
    assert result.cash.iloc[-1] == pytest.approx(0.0, abs=1e-6)


def test_negative_weights_are_short_and_a_turn_is_a_cover_and_a_sale(pair):
    # 50 A long, 100 B short. A doubles: equity 15 000. B covers 100, then buys 7 500 / 50 = 150; A is 37.5 short.
    result = tl.backtest(pair, weights=rows_of(pair, {0: [0.5, -0.5], 2: [-0.5, 0.5]}))
    assert held(result) == [[0, 0], [50, -100], [50, -100], [-37.5, 150], [-37.5, 150]]
    assert result.orders["size"].tolist() == pytest.approx([50, 100, 50, 100, 37.5, 150])
    assert len(result.trades) == 4


def test_one_instrument_takes_a_series_and_symbols_take_weights_once(pair):
    one = {"A": pair["A"]}
    weights = pd.Series([0.5, 0.0], pair["A"].index[[0, 2]])
    assert held(tl.backtest(one, weights=weights)) == [[0], [50], [50], [0], [0]]
    once = tl.backtest(pair, weights={"A": 0.2, "B": 0.1})
    assert held(once) == [[0, 0]] + [[20, 20]] * 4


def test_a_rebalancing_too_small_is_left_out_but_leaving_never_is(pair):
    # After A doubled: 12.5 A and 50 B would be traded, worth 2 500 each.
    weights = rows_of(pair, {0: [0.5, 0.5], 2: [0.5, 0.5], 3: [0.0, 0.5]})
    result = tl.backtest(pair, weights=weights, min_notional=2_501.0, min_size=55.0, init_cash=12_000.0)
    assert held(result)[1:4] == [[60, 120], [60, 120], [60, 120]]
    assert held(result)[4] == [0, 180]


def test_orders_are_rounded_down_to_the_step(pair):
    # 33.3 A and 66.6 B wished; then equity is 13 300 + rest: 10 000 + 33 x 100 = 13 300, 0.333 of it 22.1 A and 88.5 B.
    weights = rows_of(pair, {0: [0.333, 0.333], 2: [0.333, 0.333]})
    result = tl.backtest(pair, weights=weights, size_granularity=1.0)
    assert held(result)[1] == [33, 66]
    assert held(result)[3] == [33 - 10, 66 + 22]


def test_no_position_is_aimed_above_the_largest_weight(pair):
    result = tl.backtest(pair, weights=rows_of(pair, {0: [0.8, 0.2]}), max_weight=0.5)
    assert held(result)[-1] == [50, 40]


def test_a_stop_closes_a_position_until_the_next_rebalancing():
    bars = {"A": bars_of([100.0, 100.0, 80.0, 80.0, 80.0])}
    weights = rows_of(bars, {0: [0.5], 3: [0.5]})
    result = tl.backtest(bars, weights=weights, sl_stop=0.1)
    assert result.trades["exit_reason"].tolist() == ["stop", "still open"]
    assert result.positions["A"].tolist() == [0, 50, 0, 0, 56.25]  # 9 000 x 0.5 / 80


def test_a_margin_account_carries_more_than_its_equity(pair):
    weights = rows_of(pair, {0: [1.0, -0.5]})
    with pytest.raises(ParameterError, match=r"2024-01-01.*add up to 1\.5.*leverage=2"):
        tl.backtest(pair, weights=weights)
    result = tl.backtest(pair, weights=weights, leverage=2)
    assert held(result)[1] == [100, -100]
    with pytest.raises(ParameterError, match=r"up to 1\.2"):
        tl.backtest(pair, weights=weights, leverage=1.2)


def test_the_first_row_that_is_too_heavy_is_named(pair):
    with pytest.raises(ParameterError, match="2024-01-03"):
        tl.backtest(pair, weights=rows_of(pair, {0: [0.5, 0.5], 2: [0.7, 0.4], 3: [9.0, 9.0]}))


def test_a_weight_waits_for_the_next_bar_of_its_instrument():
    late = {"A": bars_of([100.0] * 6), "B": bars_of([50.0] * 3, start="2024-01-03")}
    result = tl.backtest(late, weights=pd.DataFrame({"A": [0.5], "B": [0.5]}, late["A"].index[:1]))
    assert held(result) == [[0, 0], [50, 0], [50, 0], [50, 100], [50, 100], [50, 100]]


def test_latency_puts_a_rebalancing_off(pair):
    result = tl.backtest(pair, weights=rows_of(pair, {0: [0.5, 0.5]}), latency=1)
    assert held(result)[:3] == [[0, 0], [0, 0], [25, 100]]


def test_an_account_that_is_ruined_aims_at_nothing_any_more():
    bars = {"A": bars_of([100.0, 100.0, 250.0, 100.0, 100.0])}
    result = tl.backtest(bars, weights=rows_of(bars, {0: [-1.0], 2: [-1.0], 3: [-1.0]}), leverage=1)
    assert result.ruined
    assert result.positions["A"].tolist() == [0, -100, 0, 0, 0]


@pytest.mark.parametrize(
    ("spoilt", "error", "words"),
    [
        (lambda w: w.rename(columns={"B": "C"}), AlignmentError, "has the columns"),
        (lambda w: w[["A"]], AlignmentError, "has the columns"),
        (lambda w: w["A"], AlignmentError, "one series for 2"),
        (lambda w: w.to_numpy(), DataError, "ndarray without times"),
        (lambda w: w.tz_localize(None), TimestampError, "without a time zone"),
        (lambda w: w.shift(freq="1h"), AlignmentError, "no instrument has a bar"),
        (lambda w: pd.concat([w, w]), TimestampError, "repeated"),
        (lambda w: w * np.inf, DataError, "infinite"),
        (lambda w: w * NAN, DataError, "only NaN"),
        (lambda w: w.astype(str) + " %", DataError, "not numbers"),
    ],
)
def test_weights_that_do_not_fit_are_refused(pair, spoilt, error, words):
    with pytest.raises(error, match=words):
        tl.backtest(pair, weights=spoilt(rows_of(pair, {0: [0.5, 0.4]})))


def test_weights_exclude_every_other_way_of_sizing_and_deciding(pair):
    weights = rows_of(pair, {0: [0.5, -0.4]})
    with pytest.raises(ConfigError, match="weights and size, layers"):
        tl.backtest(pair, weights=weights, size=3.0, layers=2)
    with pytest.raises(ConfigError, match="a strategy and weights"):
        tl.backtest(pair, "sma_cross", weights=weights)
    with pytest.raises(ConfigError, match="weights and entries"):
        tl.backtest(pair, weights=weights, entries=weights > 0)
    with pytest.raises(ParameterError, match=r"B weighs -0\.4 at 2024-01-01"):
        tl.backtest(pair, weights=weights, direction="long")
    with pytest.raises(ParameterError, match=r"A weighs 0\.5"):
        tl.backtest(pair, weights=weights, direction="short")


def test_the_future_changes_no_rebalancing():
    chance = np.random.default_rng(5)
    walks = {name: bars_of((100 * np.exp(chance.normal(0, 0.02, 80).cumsum())).tolist()) for name in ("A", "B", "C")}
    table = chance.dirichlet(np.ones(3), 80)
    table[chance.random(80) < 0.5] = NAN
    weights = pd.DataFrame(table, walks["A"].index, list(walks))
    whole = tl.backtest(walks, weights=weights, fees=0.001)
    part = tl.backtest({n: b.iloc[:50] for n, b in walks.items()}, weights=weights.iloc[:50], fees=0.001)
    assert len(part.orders) > 20
    pd.testing.assert_series_equal(whole.equity.iloc[:50], part.equity, check_freq=False)
    pd.testing.assert_frame_equal(whole.orders.iloc[: len(part.orders)], part.orders)
