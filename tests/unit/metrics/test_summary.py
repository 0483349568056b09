"""The summary: a four-bar account worked by hand, and the accounts that have no figures."""

import dataclasses
import math

import numpy as np
import pytest

from tradelab.metrics.annualise import Annualisation
from tradelab.metrics.summary import LABELS, Summary, summarise
from tradelab.metrics.trades import TradeColumns

YEAR = Annualisation(4.0, "months", "4 bars a year (3-month bars)")
NO_TRADES = TradeColumns.of(pnl=[], returns=[], entry_bar=[], exit_bar=[], is_open=[])


def summary(equity, *, trades=NO_TRADES, **changes):
    bars = len(equity)
    given = {
        "ts_ns": np.arange(bars) * 86_400_000_000_000,
        "equity": equity,
        "init_cash": 100.0,
        "in_position": np.zeros(bars, dtype=bool),
        "traded_notional": 0.0,
        "fees": 0.0,
        "annualisation": YEAR,
    }
    return summarise(trades=trades, **(given | changes))


@pytest.fixture
def worked():
    trades = TradeColumns.of(
        pnl=[10.0, -22.0, 5.0], returns=[0.1, -0.2, 0.05], entry_bar=[0, 1, 3], exit_bar=[1, 2, 3], is_open=[0, 0, 1]
    )
    return summary(
        [100.0, 110.0, 88.0, 93.0],
        trades=trades,
        in_position=[True, True, False, True],
        traded_notional=391.0,
        fees=1.5,
        benchmark_returns=[0.0, 0.05, -0.1, 0.02],
    )


def test_growth_and_risk_of_the_worked_account(worked):
    assert worked.total_return == pytest.approx(-0.07)
    assert worked.cagr == pytest.approx(-0.07)  # four bars are the year
    assert worked.max_drawdown == pytest.approx(-0.2)
    assert worked.max_drawdown_bars == 2
    assert worked.calmar == pytest.approx(-0.07 / 0.2)
    returns = [0.0, 0.1, -0.2, 5 / 88]
    mean = sum(returns) / 4
    deviation = math.sqrt(sum((x - mean) ** 2 for x in returns) / 3)
    assert worked.sharpe == pytest.approx(mean / deviation * 2)
    assert worked.omega == pytest.approx((0.1 + 5 / 88) / 0.2)
    assert worked.benchmark_return == pytest.approx(1.05 * 0.9 * 1.02 - 1)


def test_trades_of_the_worked_account_are_the_closed_ones(worked):
    assert (worked.trades, worked.open_trades) == (2, 1)
    assert worked.win_rate == 0.5
    assert worked.expectancy == pytest.approx(-6)
    assert worked.profit_factor == pytest.approx(10 / 22)
    assert (worked.best_trade, worked.worst_trade) == (0.1, -0.2)
    assert worked.avg_bars_held == 1
    assert (worked.longest_win_streak, worked.longest_loss_streak) == (1, 1)


def test_activity_of_the_worked_account(worked):
    assert worked.exposure == 0.75
    assert worked.turnover == pytest.approx(391 / (391 / 4))  # over mean equity, in one year
    assert worked.fees == 1.5
    assert worked.grade == "D"  # win rate 20, drawdown 10


def test_a_flat_account_has_no_ratios_and_no_drawdown():
    flat = summary([100.0] * 5)
    assert flat.total_return == flat.max_drawdown == flat.volatility == 0
    assert flat.max_drawdown_bars == flat.trades == 0
    for name in ("sharpe", "sortino", "calmar", "omega", "win_rate", "profit_factor", "sqn", "beta"):
        assert math.isnan(getattr(flat, name)), name
    assert flat.grade == "–"  # no trade, no mark


def test_a_ruined_account_keeps_its_growth_and_loses_its_ratios():
    ruined = summary([50.0, -10.0, -10.0], benchmark_returns=[0.01, 0.02, 0.03])
    assert ruined.total_return == pytest.approx(-1.1)
    assert ruined.max_drawdown == pytest.approx(-1.1)
    for name in ("cagr", "sharpe", "volatility", "value_at_risk", "alpha", "beta"):
        assert math.isnan(getattr(ruined, name)), name


def test_one_bar_is_summed_up():
    assert summary([110.0]).total_return == pytest.approx(0.1)


def test_no_figure_is_infinite():
    for equity in ([100.0], [101.0, 102.0], [1e-30, 1e30], [100.0] * 3):
        values = summary(equity).to_dict().values()
        assert not any(isinstance(value, float) and math.isinf(value) for value in values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"equity": []}, "no bars"),
        ({"equity": [100.0, math.nan]}, r"equity\[1\]"),
        ({"equity": [100.0], "init_cash": 0.0}, "init_cash is 0.0"),
        ({"equity": [100.0, 101.0], "in_position": [True]}, "in_position 1"),
        ({"equity": [100.0, 101.0], "benchmark_returns": [0.1]}, "benchmark 1"),
    ],
)
def test_an_account_that_cannot_be_summed_up_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        summary(**change)


def test_values_are_plain_python_in_field_order(worked):
    values = worked.to_dict()
    assert list(values) == [field.name for field in dataclasses.fields(Summary)]
    assert {type(value) for value in values.values()} <= {int, float, str}


def test_every_label_names_a_field_and_only_two_fields_go_unshown():
    names = {field.name for field in dataclasses.fields(Summary)}
    assert set(LABELS) <= names
    assert names - set(LABELS) == {"periods_per_year", "calendar"}  # both are in the sentence of `annualisation`


def test_a_reader_sees_percent_dashes_and_the_year(worked):
    text = str(worked)
    assert "Max drawdown" in text
    assert "-20.00%" in text
    assert "4 bars a year (3-month bars)" in text
    assert "nan" not in str(summary([100.0] * 3))
    assert "–" in str(summary([100.0] * 3))


def test_a_notebook_sees_a_table_with_escaped_text(worked):
    page = dataclasses.replace(worked, annualisation="<b>")._repr_html_()
    assert page.startswith("<table")
    assert "&lt;b&gt;" in page
