"""One set of decisions under several fill policies; the numbers are worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import ConfigError, ParameterError
from tradelab.research.compare_fills import FILLS, compare_fills

PATHS = ("tradelab", "optimistic", "ohlc", "olhc", "colour")


def bars_of(rows: list[tuple[float, float, float, float]]) -> pd.DataFrame:
    index = pd.date_range("2024-01-01", periods=len(rows), freq="D", tz="UTC")
    return pd.DataFrame(rows, index, ["open", "high", "low", "close"], dtype=float)


FLAT = (100.0, 100.0, 100.0, 100.0)


@pytest.fixture
def two_trades() -> tuple[pd.DataFrame, np.ndarray]:
    """Bought at 100 twice, stop at 95, target at 110: a bar that rises touches both, a later one the target only."""
    both, target = (100.0, 111.0, 94.0, 101.0), (100.0, 112.0, 99.0, 100.0)
    bars = bars_of([FLAT, FLAT, both, FLAT, FLAT, target, FLAT])
    return bars, np.array([True, False, False, True, False, False, False])


@pytest.fixture
def compared(two_trades):
    bars, entries = two_trades
    return compare_fills(bars, entries=entries, fills=PATHS, sl_stop=0.05, tp_stop=0.1)


def test_the_way_inside_the_bar_decides_what_a_bar_that_touched_both_brought(compared):
    worst, best = 0.95 * 1.1 - 1.0, 1.1 * 1.1 - 1.0
    returns = {"tradelab": worst, "optimistic": best, "ohlc": best, "olhc": worst, "colour": worst}
    assert compared.table["total_return"].to_dict() == pytest.approx(returns)
    assert compared.table["exits_stop"].tolist() == [1, 0, 0, 1, 1]
    assert compared.table["exits_target"].tolist() == [1, 2, 2, 1, 1]
    assert (compared.table["trades"] == 2).all()


def test_one_of_two_exit_bars_is_ambiguous_under_every_path(compared):
    assert (compared.table["inside"] == 2).all()
    assert (compared.table["doubtful"] == 1).all()
    assert (compared.table["ambiguous"] == 0.5).all()


def test_the_spread_says_how_far_and_under_which(compared):
    spread = compared.spread.loc["total_return"]
    assert spread["spread"] == pytest.approx(1.1 * 1.1 - 0.95 * 1.1)
    assert (spread["lowest"], spread["highest"]) == ("tradelab", "optimistic")
    assert compared.spread.loc["exits_stop", ["low", "high"]].tolist() == [0, 1]


def test_the_sentence_counts_the_bars_and_gives_the_range(compared, two_trades):
    assert compared.paths == PATHS
    assert compared.says == (
        "The result depends on what happened inside 1 of 2 bars with an exit inside: "
        "total return between 4.5% and 21.0%."
    )
    bars, entries = two_trades
    wide = compare_fills(bars, entries=entries, sl_stop=0.05, tp_stop=0.1)
    assert list(wide.table.index) == list(FILLS)
    assert wide.paths == PATHS
    assert wide.says.endswith("Under all 9 policies, total return between 4.5% and 21.0%.")


def test_finer_bars_are_one_more_row_and_settle_what_was_in_doubt(two_trades):
    # The bar that touches both goes up first, by half days; the first trade is a win then: 1.1 x 1.1.
    bars, entries = two_trades
    halves = bars.loc[bars.index.repeat(2)].set_axis(pd.date_range(bars.index[0], periods=14, freq="12h"))
    halves.iloc[4] = (100.0, 111.0, 100.0, 100.0)
    halves.iloc[5] = (100.0, 101.0, 94.0, 101.0)
    told = compare_fills(bars, entries=entries, fills=PATHS, finer=halves, sl_stop=0.05, tp_stop=0.1)
    assert list(told.table.index) == [*PATHS, "finer"]
    assert told.table.loc["finer", "total_return"] == pytest.approx(0.21)
    assert told.table.loc["finer", ["inside", "doubtful"]].tolist() == [2, 0]
    assert told.paths == PATHS
    assert told.spread.loc["total_return", "highest"] == "optimistic"
    assert told.says.endswith("Along the bars of 12h inside: total return 21.0%, 0 of 2 exits are still in doubt.")
    with pytest.raises(ConfigError, match="called 'finer'"):
        compare_fills(bars, entries=entries, fills={"finer": "close"}, finer=halves)


def test_without_exits_inside_bars_nothing_is_in_doubt(two_trades):
    bars, entries = two_trades
    told = compare_fills(bars, entries=entries, exits=np.roll(entries, 1), fills=PATHS)
    assert told.table["ambiguous"].isna().all()
    assert told.says.startswith("No position was left inside a bar: total return ")
    sure = compare_fills(bars, entries=np.roll(entries, 0) & (np.arange(7) == 3), fills=PATHS, tp_stop=0.1)
    assert sure.says == "None of the 1 exits inside a bar is in doubt: total return 10.0% either way."


def test_a_trail_that_may_have_been_pulled_tight_first_is_in_doubt():
    # A trail 5 % behind: 95 at first; high first, it is at 0.95 x 102 = 96.9 when the low comes.
    bars = bars_of([FLAT, FLAT, (100.0, 102.0, 94.0, 96.0), FLAT])
    told = compare_fills(bars, entries=np.array([True, False, False, False]), sl_trail=0.05, fills=PATHS)
    assert told.table["doubtful"].tolist() == [1] * 5
    assert told.table.loc["ohlc", "total_return"] == pytest.approx(-0.031)
    assert told.table.loc["tradelab", "total_return"] == pytest.approx(-0.05)


def test_every_row_is_the_backtest_of_that_policy():
    bars = tl.samples.load("EURUSD-4h").iloc[:800]
    terms = {"sl_stop": 0.004, "tp_stop": 0.004, "fees": 0.0001}
    told = compare_fills(bars, "sma_cross", fast=5, slow=20, **terms)
    for name in FILLS:
        alone = tl.backtest(bars, "sma_cross", fast=5, slow=20, fill=name, **terms)
        assert told.table.loc[name, "total_return"] == alone.summary.total_return
        assert told.results[name].settings["fill"] == name
        exits = told.table.loc[name, [c for c in told.table if c.startswith("exits_")]]
        assert exits.sum() == told.table.loc[name, "trades"] == alone.summary.trades


def test_weights_and_own_policies_can_be_compared():
    bars = {name: tl.samples.load(f"{name}-1d").iloc[-200:] for name in ("AAPL", "MSFT")}
    own = tl.FillPolicy(path="optimistic")
    told = compare_fills(bars, weights={"AAPL": 0.5, "MSFT": 0.5}, fills={"ours": "tradelab", "mine": own}, sl_stop=0.1)
    assert told.strategy == "weights"
    assert told.paths == ("ours", "mine")
    assert (told.table["inside"] == 2).all()


def test_the_pictures_and_the_page(compared):
    drawn = compared.plot()
    assert [trace.name for trace in drawn.data] == list(PATHS)
    assert drawn.data[1].y[-1] == pytest.approx(12_100.0)
    page = compared._repr_html_()
    assert "4.5%" in page
    assert "The result depends" in str(compared)


def test_what_cannot_be_compared_is_refused(two_trades):
    bars, entries = two_trades
    with pytest.raises(ConfigError, match="both fill and fills"):
        compare_fills(bars, entries=entries, fill="close")
    for fills in ((), "tradelab", ("tradelab", "tradelab"), (3,)):
        with pytest.raises(ParameterError, match="fills="):
            compare_fills(bars, entries=entries, fills=fills)
    with pytest.raises(ParameterError, match="'tradelabb' is not known"):
        compare_fills(bars, entries=entries, fills=("tradelabb",))
