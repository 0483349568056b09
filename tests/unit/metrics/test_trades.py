"""Figures of trades, worked by hand."""

import math

import numpy as np
import pytest

from tradelab.metrics import trades as t

PNL = [30.0, -10.0, 0.0, 20.0, 10.0, -20.0]


def test_six_trades_worked_by_hand():
    assert t.win_rate(PNL) == pytest.approx(3 / 6)
    assert t.profit_factor(PNL) == pytest.approx(60 / 30)
    assert t.expectancy(PNL) == pytest.approx(30 / 6)
    assert t.payoff(PNL) == pytest.approx(20 / 15)
    assert t.streaks(PNL) == (2, 1)
    variance = (25**2 + 15**2 + 5**2 + 15**2 + 5**2 + 25**2) / 5
    assert t.sqn(PNL) == pytest.approx(math.sqrt(6) * 5 / math.sqrt(variance))


def test_expectancy_in_r_divides_each_trade_by_its_own_risk():
    assert t.expectancy_r([30.0, -10.0], [10.0, 10.0]) == pytest.approx(1.0)
    assert t.expectancy_r([30.0, -10.0], [30.0, 10.0]) == pytest.approx(0.0)


def test_a_trade_without_risk_is_refused():
    with pytest.raises(ValueError, match=r"risk\[1\]"):
        t.expectancy_r([30.0, -10.0], [10.0, 0.0])


def test_kelly_bets_the_edge_over_the_odds():
    assert t.kelly([1.0] * 6 + [-1.0] * 4) == pytest.approx(0.2)
    assert t.kelly([1.0] * 4 + [-1.0] * 6) == pytest.approx(-0.2)
    assert t.kelly([1.0, 0.0, 1.0, 0.0, -1.0]) == pytest.approx(1 / 3)


def test_holding_and_exposure_are_counted_in_bars():
    assert t.average_bars_held([1, 5], [4, 5]) == 1.5
    assert t.exposure([True, False, False, True]) == 0.5


def test_no_trades_have_no_figures():
    for figure in (t.win_rate, t.profit_factor, t.expectancy, t.payoff, t.sqn, t.kelly):
        assert math.isnan(figure([]))
    assert math.isnan(t.expectancy_r([], []))
    assert math.isnan(t.average_bars_held([], []))
    assert np.isnan(t.extremes([])).all()
    assert t.streaks([]) == (0, 0)


def test_wins_alone_leave_what_divides_by_losses_undefined():
    wins = [1.0, 2.0, 3.0]
    assert t.win_rate(wins) == 1
    assert t.streaks(wins) == (3, 0)
    assert all(math.isnan(figure(wins)) for figure in (t.profit_factor, t.payoff, t.kelly))


def test_losses_alone_have_a_profit_factor_of_nothing():
    assert t.profit_factor([-1.0, -2.0]) == 0
    assert math.isnan(t.payoff([-1.0, -2.0]))


def test_equal_trades_have_no_system_quality():
    assert math.isnan(t.sqn([0.1] * 10))
    assert math.isnan(t.sqn([5.0]))


def test_columns_keep_the_closed_trades_together():
    columns = t.TradeColumns.of(
        pnl=[1, 2, 3], returns=[0.1, 0.2, 0.3], entry_bar=[0, 2, 4], exit_bar=[1, 3, 9], is_open=[0, 0, 1]
    )
    closed = columns.closed()
    assert closed.pnl.tolist() == [1, 2]
    assert closed.exit_bar.tolist() == [1, 3]


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="pnl 2, returns 1"):
        t.TradeColumns.of(pnl=[1, 2], returns=[0.1], entry_bar=[0, 1], exit_bar=[1, 2], is_open=[0, 0])


def test_a_trade_without_a_result_is_refused():
    with pytest.raises(ValueError, match=r"pnl\[0\] is nan"):
        t.win_rate([math.nan, 1.0])
