"""Figures of returns, worked by hand; agreement with other libraries is in tests/oracles/test_metrics.py."""

import math

import numpy as np
import pytest

from tradelab.metrics import returns as r

HAND = [0.10, -0.05, 0.02, -0.01]
RATES = [r.sharpe, r.sortino, r.calmar, r.volatility, r.cagr, r.downside_deviation]
PLAIN = [r.total_return, r.omega, r.max_drawdown, r.value_at_risk, r.cvar, r.tail_ratio, r.skew, r.excess_kurtosis]


def test_growth_is_compounded():
    assert r.total_return(HAND) == pytest.approx(1.1 * 0.95 * 1.02 * 0.99 - 1, abs=1e-15)
    assert r.cagr([0.1, 0.1], periods_per_year=1) == pytest.approx(0.1)
    assert r.cagr([0.21], periods_per_year=0.5) == pytest.approx(0.1)


def test_sharpe_divides_the_mean_by_the_sample_deviation():
    mean, squares = 0.015, 0.085**2 + 0.065**2 + 0.005**2 + 0.025**2
    assert r.sharpe(HAND, periods_per_year=252) == pytest.approx(mean / math.sqrt(squares / 3) * math.sqrt(252))
    assert r.volatility(HAND, periods_per_year=4) == pytest.approx(2 * math.sqrt(squares / 3))


def test_risk_free_is_taken_from_every_period():
    lowered = [value - 0.01 for value in HAND]
    assert r.sharpe(HAND, periods_per_year=252, risk_free=0.01) == pytest.approx(
        r.sharpe(lowered, periods_per_year=252)
    )


def test_sortino_spreads_the_shortfalls_over_all_periods():
    downside = math.sqrt((0.05**2 + 0.01**2) / 4)
    assert r.downside_deviation(HAND, periods_per_year=9) == pytest.approx(3 * downside)
    assert r.sortino(HAND, periods_per_year=9) == pytest.approx(3 * 0.015 / downside)


def test_omega_is_gains_over_shortfalls():
    assert r.omega(HAND) == pytest.approx(0.12 / 0.06)
    assert r.omega(HAND, required=0.01) == pytest.approx((0.09 + 0.01) / (0.06 + 0.02))


def test_drawdown_is_measured_from_the_starting_wealth_too():
    assert r.drawdown([-0.2, 0.5, -0.5]) == pytest.approx([-0.2, 0.0, -0.5])
    assert r.max_drawdown([-0.2, 0.25]) == pytest.approx(-0.2)
    assert r.calmar([0.5, -0.2], periods_per_year=2) == pytest.approx(0.2 / 0.2)


@pytest.mark.parametrize(
    ("returns", "bars"),
    [([0.1, 0.1], 0), ([-0.1, 0.05, 0.2], 2), ([0.1, -0.1, 0.01, 0.01], 3), ([-0.1, 0.2, -0.1, -0.1, -0.1], 3)],
)
def test_the_longest_drawdown_counts_the_bars_below_a_height(returns, bars):
    assert r.max_drawdown_duration(returns) == bars


def test_value_at_risk_interpolates_between_two_returns():
    returns = np.arange(-10, 11) / 100  # 21 returns: the 5 % quantile is the second lowest
    assert r.value_at_risk(returns) == pytest.approx(-0.09)
    assert r.cvar(returns) == pytest.approx(-0.095)
    assert r.value_at_risk([-0.02, 0.0], cutoff=0.25) == pytest.approx(-0.015)


def test_beta_and_alpha_of_a_leveraged_benchmark_are_its_leverage_and_its_drift():
    market = np.array([0.01, -0.02, 0.03, 0.00])
    alpha, beta = r.alpha_beta(2 * market + 0.001, market, periods_per_year=10)
    assert beta == pytest.approx(2)
    assert alpha == pytest.approx(1.001**10 - 1)


@pytest.mark.parametrize("figure", RATES)
def test_no_return_at_all_makes_every_rate_nan(figure):
    assert math.isnan(figure([], periods_per_year=252))


@pytest.mark.parametrize("figure", PLAIN)
def test_no_return_at_all_makes_every_figure_nan(figure):
    assert math.isnan(figure([]))


@pytest.mark.parametrize("figure", [r.sharpe, r.sortino, r.volatility])
def test_one_return_has_no_dispersion(figure):
    assert math.isnan(figure([0.01], periods_per_year=252))


@pytest.mark.parametrize("level", [0.0, 0.01, 0.1])
def test_equal_returns_have_no_ratio_rather_than_an_enormous_one(level):
    flat = np.full(1000, level)
    assert math.isnan(r.sharpe(flat, periods_per_year=252))
    assert math.isnan(r.sortino(flat, periods_per_year=252))
    assert math.isnan(r.omega(flat))
    assert math.isnan(r.calmar(flat, periods_per_year=252))
    assert math.isnan(r.alpha_beta(HAND, [level] * 4, periods_per_year=252).beta)
    assert r.volatility(flat, periods_per_year=252) == 0


@pytest.mark.parametrize("figure", RATES)
def test_an_unknown_year_makes_every_rate_nan(figure):
    assert math.isnan(figure(HAND, periods_per_year=math.nan))


def test_a_loss_beyond_everything_has_no_growth_rate():
    assert r.cagr([-1.0], periods_per_year=252) == -1
    assert math.isnan(r.cagr([-1.5], periods_per_year=252))


def test_a_growth_rate_beyond_the_floats_is_nan_not_infinity():
    assert math.isnan(r.cagr([1e6], periods_per_year=525_600))


@pytest.mark.parametrize("figure", PLAIN)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_return_that_is_no_number_is_refused_with_its_place(figure, bad):
    with pytest.raises(ValueError, match=r"returns\[1\]"):
        figure([0.01, bad, 0.02])


def test_returns_and_benchmark_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="returns 4, benchmark 3"):
        r.alpha_beta(HAND, HAND[:3], periods_per_year=252)


@pytest.mark.parametrize("cutoff", [0.0, 1.0, 5.0])
def test_a_cutoff_given_in_percent_is_refused(cutoff):
    with pytest.raises(ValueError, match="cutoff"):
        r.value_at_risk(HAND, cutoff=cutoff)
