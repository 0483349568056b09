"""A schedule of rebalancings knows the calendar and the past; every date here is worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tests.unit.research.test_weights import bars_of
from tradelab.model.errors import AlignmentError, DataError, ParameterError
from tradelab.research.rebalance import rebalance

MIX = {"A": 0.6, "B": 0.4}


@pytest.fixture
def pair() -> dict[str, pd.DataFrame]:
    return {"A": bars_of([100.0] * 70), "B": bars_of([50.0] * 70)}


def days(table: pd.DataFrame) -> list[str]:
    return [f"{stamp:%m-%d}" for stamp in table.index]


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        ("month", ["01-01", "02-01", "03-01"]),
        ("week", ["01-01", *[f"01-{d:02d}" for d in (8, 15, 22, 29)], "02-05", "02-12", "02-19", "02-26", "03-04"]),
        ("quarter", ["01-01"]),
        (30, ["01-01", "01-31", "03-01"]),
    ],
)
def test_the_first_bar_of_a_period_decides(pair, every, expected):
    table = rebalance(pair, MIX, every=every)
    assert days(table) == expected
    assert (table.to_numpy() == [0.6, 0.4]).all()


def test_every_day_is_every_bar_of_daily_bars_and_the_zone_says_when_it_begins(pair):
    assert len(rebalance(pair, MIX, every="day")) == 70
    tokyo = rebalance(pair, MIX, every="month", session="America/New_York")
    assert days(tokyo) == ["01-01", "01-02", "02-02", "03-02"]  # 2024-01-01 00:00 UTC is still December there


def test_a_month_that_opens_on_a_holiday_is_decided_on_its_first_bar(pair):
    gone = {name: bars.drop(bars.index[31:33]) for name, bars in pair.items()}
    assert days(rebalance(gone, MIX)) == ["01-01", "02-03", "03-01"]


def test_within_its_band_a_portfolio_is_left_alone():
    # Bought at 100 and 50 with 60 % and 40 %. A at 120: 0.72 / 1.12 = 64.3 %. At 123: 0.738 / 1.138 = 64.85 %.
    # At 124: 0.744 / 1.144 = 65.03 %: decided there (bar 4), bought at the next open, 124. Then 150 / 124 is
    # 0.7258 / 1.1258 = 64.5 %, and 155 / 124 = 1.25 is 0.75 / 1.15 = 65.2 %.
    a = bars_of([100.0, 100.0, 120.0, 123.0, 124.0, 124.0, 150.0, 155.0])
    both = {"A": a, "B": bars_of([50.0] * 8)}
    assert days(rebalance(both, MIX, every=1, band=0.05)) == ["01-01", "01-05", "01-08"]
    assert days(rebalance(both, MIX, every=2, band=0.05)) == ["01-01", "01-05"]


def test_cash_is_part_of_the_portfolio_that_drifts():
    # 50 % of A at 100, the rest cash. A at 122: 0.61 / 1.11 = 54.95 %; at 123: 0.615 / 1.115 = 55.2 %.
    one = {"A": bars_of([100.0, 100.0, 122.0, 123.0])}
    assert days(rebalance(one, 0.5, every=1, band=0.05)) == ["01-01", "01-04"]


def test_an_instrument_is_left_out_until_it_has_bars():
    both = {"A": bars_of([100.0] * 40), "B": bars_of([50.0] * 25, start="2024-01-16")}
    table = rebalance(both, MIX, every="month")
    assert days(table) == ["01-01", "02-01"]
    np.testing.assert_array_equal(table.to_numpy(), [[0.6, np.nan], [0.6, 0.4]])
    assert days(rebalance(both, MIX, every="week", band=0.05)) == ["01-01", "01-22"]


def test_targets_may_change_over_time(pair):
    index = pair["A"].index
    changing = pd.DataFrame({"A": [0.6, 0.1], "B": [0.4, 0.9]}, index[[0, 40]])
    table = rebalance(pair, changing, every="month")
    assert table["A"].tolist() == [0.6, 0.6, 0.1]
    assert days(rebalance(pair, changing, every="month", band=0.05)) == ["01-01", "03-01"]


def test_no_row_knows_what_comes_later():
    chance = np.random.default_rng(3)
    walks = {name: bars_of((100 * np.exp(chance.normal(0, 0.03, 200).cumsum())).tolist()) for name in ("A", "B")}
    whole = rebalance(walks, MIX, every=1, band=0.03)
    assert 5 < len(whole) < 100
    for cut in (20, 57, 111, 199):
        part = rebalance({name: bars.iloc[:cut] for name, bars in walks.items()}, MIX, every=1, band=0.03)
        pd.testing.assert_frame_equal(part, whole[whole.index < walks["A"].index[cut]])


def test_the_account_is_back_at_its_weights_after_a_rebalancing(pair):
    chance = np.random.default_rng(4)
    walks = {name: bars_of((100 * np.exp(chance.normal(0, 0.03, 70).cumsum())).tolist()) for name in ("A", "B")}
    rows = rebalance(walks, MIX, every="month")
    result = tl.backtest(walks, weights=rows)
    for stamp in rows.index[1:]:
        after = stamp + pd.Timedelta("1D")  # open and close are one price here
        prices = [frame["close"][after] for frame in walks.values()]
        assert (result.positions.loc[after] * prices / result.equity[after]).tolist() == pytest.approx([0.6, 0.4])


def test_what_is_no_schedule_is_refused(pair):
    for every in ("fortnight", 0, True, 1.5):
        with pytest.raises(ParameterError, match="every="):
            rebalance(pair, MIX, every=every)
    with pytest.raises(ParameterError, match="band"):
        rebalance(pair, MIX, band=0.0)
    with pytest.raises(ParameterError, match="no time zone"):
        rebalance(pair, MIX, session="Mars")
    with pytest.raises(AlignmentError, match=r"of \['A'\]"):
        rebalance(pair, {"A": 1.0})
    with pytest.raises(DataError, match="ndarray"):
        rebalance(pair, np.ones(2))
