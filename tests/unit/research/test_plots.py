"""Pictures say what the result says; answers are worked by hand on a few bars."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import UnknownNameError
from tradelab.report.bundle import trace_types
from tradelab.research import plots, plots_overview, plots_theme
from tradelab.research.plots_thin import rounded, stamps, thin
from tradelab.research.plots_trades import bin_edges

DRAWN = ["overview", "monthly", "yearly", "rolling", "trades", "distribution"]


def bars(opens: list[float], start: str = "2024-01-01", freq: str = "1D") -> pd.DataFrame:
    """Bars that close where they open: what fills at an open is then easy to see."""
    index = pd.date_range(start, periods=len(opens), freq=freq, tz="UTC", name="time")
    o = np.array(opens)
    return pd.DataFrame({"open": o, "high": o + 0.5, "low": o - 0.5, "close": o, "volume": 1.0}, index)


def flags(frame: pd.DataFrame, *at: int) -> pd.Series:
    marked = pd.Series(False, frame.index)
    marked.iloc[list(at)] = True
    return marked


@pytest.fixture(scope="module")
def tiny() -> tl.Result:
    """Long from 11 to 13 (won), long from 12 to 10 (lost), long from 9, still open at 8 (losing)."""
    frame = bars([10, 11, 13, 12, 10, 9, 8, 8])
    return tl.backtest(frame, entries=flags(frame, 0, 2, 4), exits=flags(frame, 1, 3), size=1, calendar="24/7")


def trace(figure: object, name: str) -> object:
    found = [t for t in figure.data if t.name == name]
    assert len(found) == 1, (name, [t.name for t in figure.data])
    return found[0]


def test_overview_marks_every_trade_where_it_was_filled(tiny: tl.Result) -> None:
    entry = trace(tiny.plot(), "Long entry")
    assert list(entry.x) == ["2024-01-02", "2024-01-04", "2024-01-06"]
    assert list(entry.y) == [11.0, 12.0, 9.0]
    assert list(entry.marker.symbol) == ["triangle-up", "triangle-up-open", "triangle-up-open"]
    assert list(entry.marker.color) == [plots_theme.WON, plots_theme.LOST, plots_theme.LOST]


def test_overview_has_an_exit_for_closed_trades_only(tiny: tl.Result) -> None:
    leave = trace(tiny.plot(), "Exit")
    assert list(leave.x) == ["2024-01-03", "2024-01-05"]
    assert list(leave.y) == [13.0, 10.0]


def test_overview_points_short_entries_down() -> None:
    frame = bars([10, 11, 9, 9])
    result = tl.backtest(frame, short_entries=flags(frame, 0), short_exits=flags(frame, 1), size=1)
    entry = trace(result.plot(), "Short entry")
    assert (list(entry.x), list(entry.y), list(entry.marker.symbol)) == (["2024-01-02"], [11.0], ["triangle-down"])


def test_overview_shows_equity_benchmark_and_drawdown_in_percent(tiny: tl.Result) -> None:
    figure = tiny.plot()
    # 10 000 + 2 won - 2 lost, then one unit bought at 9 and worth 8
    assert list(trace(figure, "Equity").y) == [10000, 10000, 10002, 10002, 10000, 10000, 9999, 9999]
    assert trace(figure, "Drawdown").y[6] == pytest.approx(100 * (9999 / 10002 - 1), abs=5e-4)
    assert list(trace(figure, "Benchmark").y)[:3] == [10000, 11000, 13000]
    assert {t.yaxis or "y" for t in figure.data} == {"y", "y2", "y3"}
    assert {t.xaxis or "x" for t in figure.data} == {"x"}


def test_candles_give_way_to_a_line_when_there_are_too_many() -> None:
    few, many = bars([10.0] * plots_overview.MOST_CANDLES), bars([10.0] * (plots_overview.MOST_CANDLES + 1))
    kinds = [plots.overview(tl.backtest(f, entries=flags(f, 0))).data[0].type for f in (few, many)]
    assert kinds == ["candlestick", "scatter"]


def test_a_weekend_is_cut_out_of_the_axis_and_a_hole_in_the_data_is_not() -> None:
    frame = bars([10.0] * 60, start="2024-01-01")
    frame = frame[frame.index.day_of_week < 5].drop(pd.date_range("2024-01-15", "2024-01-19", tz="UTC"))
    cut = tl.backtest(frame, entries=flags(frame, 0)).plot().layout.xaxis.rangebreaks
    bounds = [tuple(b.bounds) for b in cut]
    assert ("2024-01-06", "2024-01-08") in bounds
    assert all("2024-01-13" not in pair for pair in bounds)


def test_of_several_instruments_each_shows_its_own_price_and_trades() -> None:
    a, b = bars([10, 11, 12, 13]), bars([20, 21, 22, 23], start="2024-01-02")
    entries = pd.DataFrame({"A": flags(a, 0), "B": flags(b, 1)}).fillna(False).astype(bool)
    result = tl.backtest({"A": a, "B": b}, entries={"A": entries["A"][a.index], "B": entries["B"][b.index]}, size=1)
    assert list(trace(plots.overview(result), "Long entry").y) == [11.0]
    assert list(trace(plots.overview(result, "B"), "Long entry").y) == [22.0]
    assert plots.overview(result, "B").data[0].close[0] == 20
    with pytest.raises(UnknownNameError, match="'C'"):
        result.plot("C")
    assert list(result.figures()) == DRAWN


def test_without_trades_figures_say_so_in_words() -> None:
    frame = bars([10.0] * 40)
    figures = tl.backtest(frame, entries=flags(frame)).figures()
    assert list(figures) == DRAWN
    assert plots_theme.said(figures["trades"]) == plots_theme.said(figures["distribution"]) == "No trade was made."
    assert plots_theme.said(figures["rolling"]) is not None
    assert "no trades" in figures["overview"].layout.title.text


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_bars_are_enough_for_figures_that_speak(count: int) -> None:
    frame = bars([10.0, 11.0, 12.0][:count])
    figures = tl.backtest(frame, entries=flags(frame, 0)).figures()
    assert "Less than a month" in plots_theme.said(figures["monthly"])
    assert "2024" in plots_theme.said(figures["yearly"])


def test_months_hold_the_returns_of_the_account_in_percent() -> None:
    frame = bars([100.0] * 31 + [110.0] * 29 + [99.0] * 20)  # January, February, part of March 2024
    figure = tl.backtest(frame, entries=flags(frame, 0), calendar="24/7").figures()["monthly"]
    months, year = figure.data
    assert list(months.z[0][:3]) == [0.0, 10.0, -10.0]
    assert months.z[0][3] is None
    assert year.z[0][0] == -1.0
    assert (months.zmin, months.zmax) == (-10.0, 10.0)
    assert [a.text for a in figure.layout.annotations] == ["0.0", "10.0", "-10.0", "<b>-1.0</b>"]


def test_years_stand_beside_the_benchmark() -> None:
    frame = bars([100.0] * 366 + [150.0] * 30)
    figure = tl.backtest(frame, entries=flags(frame, 370), calendar="24/7").figures()["yearly"]
    assert [(t.name, list(t.y)) for t in figure.data] == [("Account", [0.0, 0.0]), ("Benchmark", [0.0, 50.0])]


def test_each_trade_is_a_dot_at_its_worst_move_and_its_return(tiny: tl.Result) -> None:
    figure = tiny.figures()["trades"]
    won, lost, still = trace(figure, "Won"), trace(figure, "Lost"), trace(figure, "Still open")
    assert list(won.y) == [pytest.approx(100 * 2 / 11, abs=5e-4)]
    assert list(lost.y) == [pytest.approx(-100 * 2 / 12, abs=5e-4)]
    assert list(still.y) == [pytest.approx(-100 / 9, abs=5e-4)]
    assert list(still.x) == [pytest.approx(100 * (7.5 / 9 - 1), abs=5e-4)]


def test_the_histogram_counts_every_trade_once_and_parts_at_zero(tiny: tl.Result) -> None:
    figure = tiny.figures()["distribution"]
    assert sum(trace(figure, "Won").y) == 1
    assert sum(trace(figure, "Lost").y) == 2
    edges = bin_edges(np.random.default_rng(1).normal(0.3, 2.0, 500))
    assert 0.0 in edges
    assert np.allclose(np.diff(edges), edges[1] - edges[0])


def test_thinning_keeps_extremes_at_their_own_place() -> None:
    values = np.random.default_rng(2).normal(size=100_000).cumsum()
    values[4_321], values[77_777] = 1e6, -1e6
    kept = thin(values)
    assert {0, 4_321, 77_777, 99_999} <= set(kept.tolist())
    assert len(kept) <= 8_000
    assert (np.diff(kept) > 0).all()


def test_thinning_leaves_a_gap_a_gap() -> None:
    values = np.arange(20_000.0)
    values[5_000:6_000] = np.nan
    assert np.isnan(values[thin(values)]).any()
    assert rounded(np.array([np.nan, 1.0])) == [None, 1.0]


def test_times_are_written_as_short_as_the_bars_allow() -> None:
    hours = pd.date_range("2024-01-01", periods=2, freq="1h", tz="UTC")
    assert stamps(hours) == ["2024-01-01T00:00", "2024-01-01T01:00"]
    assert stamps(hours[:1], hours) == ["2024-01-01T00:00"]
    assert stamps(pd.DatetimeIndex(["2024-01-01T00:00:07"], tz="UTC")) == ["2024-01-01T00:00:07"]


def test_more_trades_than_a_browser_likes_are_cut_and_the_figure_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = bars([10, 11, 13, 12, 10, 9, 8, 8])
    result = tl.backtest(frame, entries=flags(frame, 0, 2, 4), exits=flags(frame, 1, 3), size=1)
    monkeypatch.setattr(plots_overview, "MOST_TRADES", 2)
    figure = plots.overview(result)
    assert list(trace(figure, "Long entry").y) == [11.0, 12.0]  # +18 % and -17 %; the third lost 11 %
    assert "the 2 largest of 3 trades" in figure.layout.title.text


def test_half_a_million_bars_make_a_small_figure() -> None:
    prices = 100 + np.random.default_rng(3).normal(size=500_000).cumsum() * 0.01
    frame = bars(list(np.maximum(prices, 50)), freq="1min")
    figure = tl.backtest(frame, entries=flags(frame, 10), size=1).plot()
    assert len(figure.to_json()) < 3_000_000
    assert max(len(t.x) for t in figure.data) <= 8_000
    assert max(trace(figure, "bars").y) == pytest.approx(frame["close"].max(), rel=1e-6)


def test_every_trace_can_be_drawn_by_the_reports_own_plotly(tiny: tl.Result) -> None:
    table = pd.DataFrame([[1.0, 2.0]], index=pd.Index([5], name="slow"), columns=pd.Index([1, 2], name="fast"))
    figures = [
        *tiny.figures().values(),
        plots.heatmap(table, "sharpe", "x"),
        plots.sweep_lines(table.iloc[0], "sharpe", "x"),
    ]
    kinds = {t["type"] for f in figures for t in json.loads(f.to_json())["data"]}
    assert kinds <= trace_types()


def sweep_table() -> pd.DataFrame:
    return pd.DataFrame(
        [[0.1, np.nan], [0.3, 0.2]], index=pd.Index([20, 40], name="slow"), columns=pd.Index([5, 30], name="fast")
    )


def test_heatmap_rings_the_best_cell_and_leaves_undefined_ones_empty() -> None:
    figure = plots.heatmap(sweep_table(), "sharpe", "sma_cross")
    cells, ring = figure.data[0], figure.layout.shapes[0]
    assert (list(cells.x), list(cells.y)) == (["5", "30"], ["20", "40"])
    assert cells.z[0][1] is None
    assert (ring.x0, ring.x1, ring.y0, ring.y1) == (-0.5, 0.5, 0.5, 1.5)
    assert "fast=5, slow=40: 0.30" in figure.layout.title.text


def test_heatmap_of_what_should_be_low_rings_the_lowest_in_percent() -> None:
    figure = plots.heatmap(sweep_table(), "volatility", "sma_cross")
    assert "fast=5, slow=20: 10.00 %" in figure.layout.title.text


def test_heatmap_of_nothing_says_so() -> None:
    assert "undefined" in plots_theme.said(plots.heatmap(sweep_table() * np.nan, "sharpe", "sma_cross"))


def test_a_sweep_over_one_parameter_is_a_line_and_over_two_a_map() -> None:
    frame = tl.samples.load("GOOG-1d").iloc[:200]
    one = tl.sweep(frame, "sma_cross", fast=[10, 5], slow=30, progress=False)
    two = tl.sweep(frame, "sma_cross", fast=[5, 10], slow=[20, 30], progress=False)
    assert list(one.plot("total_return").data[0].x) == [5, 10]
    assert two.plot("total_return").data[0].type == "heatmap"
