"""A tearsheet is one file that asks for nothing, a card is HTML without script."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.engine.terms import SIZE_TYPES
from tradelab.model.errors import StorageError


def bars(opens: list[float], freq: str = "1D") -> pd.DataFrame:
    index = pd.date_range("2024-01-01", periods=len(opens), freq=freq, tz="UTC", name="time")
    o = np.array(opens)
    return pd.DataFrame({"open": o, "high": o + 0.5, "low": o - 0.5, "close": o, "volume": 1.0}, index)


def flags(frame: pd.DataFrame, *at: int) -> pd.Series:
    marked = pd.Series(False, frame.index)
    marked.iloc[list(at)] = True
    return marked


def trade_every_other_bar(count: int) -> tl.Result:
    frame = bars([10.0 + (k % 7) for k in range(2 * count + 2)])
    return tl.backtest(
        frame, entries=flags(frame, *range(0, 2 * count, 2)), exits=flags(frame, *range(1, 2 * count, 2)), size=1
    )


@pytest.fixture(scope="module")
def goog() -> tl.Result:
    return tl.backtest(tl.samples.load("GOOG-1d"), "sma_cross", fast=10, slow=30, fees=0.001)


def rows_of(page: str, caption: str) -> int:
    table = page.split(f"<caption>{caption}</caption>")[1].split("</table>")[0]
    return table.split("<tbody>")[1].count("<tr>")


def test_the_page_is_one_file_that_asks_the_network_for_nothing(goog: tl.Result, tmp_path: Path) -> None:
    page = goog.to_html(tmp_path / "goog.html").read_text(encoding="utf-8")
    assert (tmp_path / "goog.html").read_text(encoding="utf-8") == page
    assert len(page) < 5_000_000
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?\s*(?:https?:)?//""", page)
    assert [p.name for p in tmp_path.iterdir()] == ["goog.html"]


def test_the_page_holds_title_parameters_terms_data_hash_and_every_figure(goog: tl.Result) -> None:
    page = goog.to_html()
    assert "<h1>sma_cross on GOOG</h1>" in page
    assert re.search(r'<th scope="row">slow</th><td>30</td>', page)
    assert "fees 0.1 %" in page
    assert goog.data_hash in page
    assert page.count('<figure class="chart"') == 5
    for label, value in goog.summary.rows():
        assert f"<dt>{label}</dt><dd>{value}</dd>" in page
    assert str(Path.home()) not in page
    assert str(Path.cwd()) not in page


def test_months_of_the_page_are_the_results_own(goog: tl.Result) -> None:
    page = goog.to_html()
    assert rows_of(page, "Returns by month, %") == 10  # 2004 to 2013
    october = 100 * goog.monthly.loc[2008, 10]
    assert f">{october:.1f}</td>" in page


@pytest.mark.parametrize(
    ("count", "caption", "rows"),
    [(1, "The only trade", 1), (200, "All 200 trades", 200), (201, "The last 50 of 201 trades", 50)],
)
def test_all_trades_are_listed_up_to_two_hundred_and_the_last_fifty_of_more(
    count: int, caption: str, rows: int
) -> None:
    assert rows_of(trade_every_other_bar(count).to_html(), caption) == rows


def test_best_and_worst_trades_come_in_order() -> None:
    result = trade_every_other_bar(12)
    page = result.to_html()
    best = page.split("<caption>The best 5 trades</caption>")[1].split("</table>")[0]
    returns = [float(r) for r in re.findall(r">\+(\d+\.\d+)%</td>", best)]
    assert returns == sorted(returns, reverse=True)
    assert f"{100 * result.trades['return'].max():+.2f}" == f"{returns[0]:+.2f}"


def test_a_strategy_that_never_traded_is_told_at_the_top() -> None:
    frame = bars([10.0] * 5)
    result = tl.backtest(frame, entries=flags(frame))
    assert 'class="notice"><p>No trade was made' in result.to_html()
    assert "No trade was made" in result._repr_html_()


def test_a_ruined_account_is_told_at_the_top() -> None:
    frame = bars([10.0, 10.0, 40.0, 40.0])
    result = tl.backtest(frame, short_entries=flags(frame, 0), size=1_000.0)
    assert result.ruined
    assert "Ruined: equity fell to zero" in result.to_html()
    assert "Ruined: equity fell to zero" in result._repr_html_()


def test_one_bar_makes_a_page() -> None:
    frame = bars([10.0])
    assert "Less than a month of bars" in tl.backtest(frame, entries=flags(frame, 0)).to_html()


def test_names_are_escaped_and_folders_of_this_machine_shortened() -> None:
    frame = bars([10.0, 11.0, 12.0])
    result = tl.backtest({"<b>A&B</b>": frame}, entries={"<b>A&B</b>": flags(frame, 0)})
    for text in (result.to_html(), result._repr_html_()):
        assert "<b>A&B" not in text
        assert "&lt;b&gt;A&amp;B" in text
    home = tl.backtest({str(Path.home() / "x.csv"): frame}, entries={str(Path.home() / "x.csv"): flags(frame, 0)})
    assert str(Path.home()) not in home.to_html()


def test_a_page_that_cannot_be_written_leaves_what_was_there(goog: tl.Result, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        goog.to_html(tmp_path / "nowhere" / "goog.html")
    (tmp_path / "taken").mkdir()
    with pytest.raises(StorageError, match="taken"):
        goog.to_html(tmp_path / "taken")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_a_card_is_small_and_needs_neither_script_nor_style_sheet(goog: tl.Result) -> None:
    card = goog._repr_html_()
    assert len(card) < 25_000
    assert "<script" not in card
    assert "<style" not in card
    assert "252 bars a year (sessions calendar, daily bars)" in card
    assert f"Grade {goog.summary.grade}" in card
    assert "360.94%" in card  # as the engine's parity tests find it


def test_stops_and_sizes_are_said_in_words() -> None:
    frame = bars([10.0, 11.0, 12.0, 13.0])
    page = tl.backtest(
        frame, entries=flags(frame, 0), size=0.5, size_type="percent", sl_stop=0.02, sl_trail=True, tp_stop=0.1
    ).to_html()
    assert "50 % of free cash" in page
    assert "trailing stop 2 %, target 10 %" in page


@pytest.mark.parametrize("kind", SIZE_TYPES)
def test_every_way_to_size_an_entry_has_words(kind: str) -> None:
    frame = bars([10.0, 11.0, 12.0, 13.0])
    terms = {"size": 0.5, "size_type": kind, "kelly_start": 0.1, "sl_stop": 0.02}
    assert "Size of an entry" in tl.backtest(frame, entries=flags(frame, 0), **terms).to_html()


def test_an_account_that_rebalances_has_a_report() -> None:
    frame = bars([10.0, 11.0, 12.0, 13.0])
    assert "of equity" in tl.backtest(frame, weights=pd.Series(0.5, frame.index[:1])).to_html()
