"""Figures of returns and trades against empyrical-reloaded, quantstats and vectorbt, to 1e-9."""

import warnings
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from tradelab.metrics import returns as r
from tradelab.metrics import trades as t


@pytest.fixture(scope="module")
def empyrical(oracle):
    return oracle("empyrical")


@pytest.fixture(scope="module")
def quantstats(oracle):
    return oracle("quantstats.stats")


def google(oracle):
    return oracle("backtesting.test").GOOG["Close"].pct_change().dropna().to_numpy()


def euro(oracle):
    return oracle("backtesting.test").EURUSD["Close"].pct_change().dropna().to_numpy()


def fat_tails(_oracle):
    return np.random.default_rng(11).standard_t(3, 3000) * 0.01


def losing(_oracle):
    return np.random.default_rng(12).normal(-0.002, 0.02, 777)


SERIES = {"google": google, "euro": euro, "fat_tails": fat_tails, "losing": losing}
PER_YEAR = 252


@pytest.fixture(params=SERIES)
def returns(request, oracle):
    return SERIES[request.param](oracle)


@pytest.fixture
def market(returns):
    return 0.4 * returns + np.random.default_rng(5).normal(0, 0.01, len(returns))


def same(ours, theirs):
    assert ours == pytest.approx(float(theirs), rel=1e-9, abs=1e-12)


def test_growth_and_ratios_equal_empyrical(empyrical, returns):
    year = {"annualization": PER_YEAR}
    ours = {"periods_per_year": PER_YEAR}
    same(r.total_return(returns), empyrical.cum_returns_final(returns))
    same(r.cagr(returns, **ours), empyrical.annual_return(returns, **year))
    same(r.volatility(returns, **ours), empyrical.annual_volatility(returns, **year))
    same(r.sharpe(returns, **ours), empyrical.sharpe_ratio(returns, **year))
    same(r.sharpe(returns, risk_free=2e-4, **ours), empyrical.sharpe_ratio(returns, risk_free=2e-4, **year))
    same(r.sortino(returns, **ours), empyrical.sortino_ratio(returns, **year))
    same(r.sortino(returns, required=1e-4, **ours), empyrical.sortino_ratio(returns, required_return=1e-4, **year))
    same(r.downside_deviation(returns, **ours), empyrical.downside_risk(returns, **year))
    same(r.calmar(returns, **ours), empyrical.calmar_ratio(returns, **year))
    same(r.omega(returns), empyrical.omega_ratio(returns))
    same(r.omega(returns, required=1e-4), empyrical.omega_ratio(returns, required_return=1e-4, annualization=1))


def test_drawdowns_and_tails_equal_empyrical(empyrical, returns):
    same(r.max_drawdown(returns), empyrical.max_drawdown(returns))
    same(r.value_at_risk(returns), empyrical.value_at_risk(returns))
    same(r.cvar(returns), empyrical.conditional_value_at_risk(returns))
    same(r.value_at_risk(returns, cutoff=0.01), empyrical.value_at_risk(returns, cutoff=0.01))
    same(r.cvar(returns, cutoff=0.01), empyrical.conditional_value_at_risk(returns, cutoff=0.01))
    same(r.tail_ratio(returns), empyrical.tail_ratio(returns))


def test_alpha_and_beta_equal_empyrical(empyrical, returns, market):
    for risk_free in (0.0, 1e-4):
        ours = r.alpha_beta(returns, market, periods_per_year=PER_YEAR, risk_free=risk_free)
        alpha, beta = empyrical.alpha_beta_aligned(returns, market, risk_free=risk_free, annualization=PER_YEAR)
        same(ours.alpha, alpha)
        same(ours.beta, beta)


def test_short_histories_equal_empyrical(empyrical):
    rng = np.random.default_rng(17)
    for length in range(2, 40):
        returns = rng.normal(0, 0.02, length)
        same(r.cvar(returns), empyrical.conditional_value_at_risk(returns))
        same(r.value_at_risk(returns), empyrical.value_at_risk(returns))
        same(r.max_drawdown(returns), empyrical.max_drawdown(returns))


def test_equal_returns_are_undefined_as_in_empyrical_up_to_infinity(empyrical):
    flat = np.full(500, 0.01)
    with np.errstate(all="ignore"):
        assert not np.isfinite(empyrical.sharpe_ratio(flat))
        assert not np.isfinite(empyrical.sortino_ratio(flat))
    assert np.isnan(r.sharpe(flat, periods_per_year=PER_YEAR))
    assert np.isnan(r.sortino(flat, periods_per_year=PER_YEAR))


def test_what_quantstats_defines_alike_is_equal(quantstats, returns):
    series = pd.Series(returns, index=pd.date_range("2010-01-01", periods=len(returns), freq="D"))
    ours = {"periods_per_year": PER_YEAR}
    same(r.sharpe(returns, **ours), quantstats.sharpe(series, periods=PER_YEAR))
    same(r.sortino(returns, **ours), quantstats.sortino(series, periods=PER_YEAR))
    same(r.cagr(returns, **ours), quantstats.cagr(series, periods=PER_YEAR))
    same(r.calmar(returns, **ours), quantstats.calmar(series, periods=PER_YEAR))
    same(r.omega(returns), quantstats.omega(series, periods=PER_YEAR))
    same(r.max_drawdown(returns), quantstats.max_drawdown(series))
    same(r.volatility(returns, **ours), quantstats.volatility(series, periods=PER_YEAR))
    same(r.tail_ratio(returns), quantstats.tail_ratio(series))
    same(r.skew(returns), quantstats.skew(series))
    same(r.excess_kurtosis(returns), quantstats.kurtosis(series))


def dated(returns):
    return pd.Series(returns, index=pd.date_range("2010-01-01", periods=len(returns), freq="D"))


@pytest.mark.parametrize("cutoff", [0.05, 0.01])
def test_ours_and_empyrical_s_value_at_risk_are_historical(empyrical, returns, cutoff):
    """The quantile of what happened, interpolated between two returns; the shortfall is the mean of what lies below."""
    quantile = np.quantile(returns, cutoff)
    below = returns[returns <= quantile]
    for value_at_risk, cvar in (
        (r.value_at_risk(returns, cutoff=cutoff), r.cvar(returns, cutoff=cutoff)),
        (empyrical.value_at_risk(returns, cutoff), empyrical.conditional_value_at_risk(returns, cutoff)),
    ):
        same(value_at_risk, quantile)
        same(cvar, below.mean())


@pytest.mark.parametrize("cutoff", [0.05, 0.01])
def test_quantstats_value_at_risk_is_that_of_a_fitted_normal(quantstats, returns, cutoff):
    """They share the name with ours: a quantile and the mean below it, but of a normal of that mean and spread."""
    mean, spread, z = returns.mean(), returns.std(ddof=1), NormalDist().inv_cdf(cutoff)
    same(mean + z * spread, quantstats.value_at_risk(dated(returns), confidence=1 - cutoff))
    same(mean - spread * NormalDist().pdf(z) / cutoff, quantstats.cvar(dated(returns), confidence=1 - cutoff))


def test_the_two_definitions_lie_apart(quantstats, oracle):
    returns = google(oracle)
    assert quantstats.value_at_risk(dated(returns)) == pytest.approx(-0.0344, abs=1e-4)
    assert r.value_at_risk(returns) == pytest.approx(-0.0308, abs=1e-4)
    assert r.cvar(returns) < quantstats.cvar(dated(returns))  # fat tails: the normal overstates the one, not the other


def test_quantstats_historical_shortfall_is_ours(quantstats, returns):
    for cutoff in (0.05, 0.01):
        theirs = quantstats.cvar(dated(returns), confidence=1 - cutoff, method="historical")
        same(r.cvar(returns, cutoff=cutoff), theirs)


def test_quantstats_beta_is_ours_and_its_alpha_is_not_compounded(quantstats, returns, market):
    theirs = quantstats.greeks(dated(returns), dated(market), periods=PER_YEAR)
    ours = r.alpha_beta(returns, market, periods_per_year=PER_YEAR)
    same(ours.beta, theirs["beta"])
    same(((1 + ours.alpha) ** (1 / PER_YEAR) - 1) * PER_YEAR, theirs["alpha"])


def test_every_drawdown_equals_quantstats(quantstats, returns):
    ours = r.drawdown(returns)
    np.testing.assert_allclose(ours, quantstats.to_drawdown_series(dated(returns)), rtol=1e-9, atol=1e-12)


def test_bar_by_bar_wins_equal_quantstats(quantstats, returns):
    """Each return taken as one trade."""
    series = pd.Series(returns, index=pd.date_range("2010-01-01", periods=len(returns), freq="D"))
    same(t.profit_factor(returns), quantstats.profit_factor(series))
    same(t.payoff(returns), quantstats.payoff_ratio(series))
    same(t.win_rate(returns[returns != 0]), quantstats.win_rate(series))
    same(t.kelly(returns), quantstats.kelly_criterion(series))
    same(t.streaks(returns).wins, quantstats.consecutive_wins(series))
    same(t.streaks(returns).losses, quantstats.consecutive_losses(series))


def test_published_statistics_of_the_backtesting_py_example(oracle):
    """backtesting.py 0.6 documents SQN 1.0766187356697705 and profit factor 2.167945974262033 for its GOOG SMA cross.

    The trade list comes from running that example; the figures are ours.
    """
    backtesting = oracle("backtesting")
    cross = oracle("backtesting.lib").crossover
    sma = oracle("backtesting.test").SMA
    bars = oracle("backtesting.test").GOOG

    class SmaCross(backtesting.Strategy):
        def init(self):
            self.fast = self.I(sma, self.data.Close, 10)
            self.slow = self.I(sma, self.data.Close, 30)

        def next(self):
            if cross(self.fast, self.slow):
                self.position.close()
                self.buy()
            elif cross(self.slow, self.fast):
                self.position.close()
                self.sell()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats = backtesting.Backtest(bars, SmaCross, finalize_trades=True).run()
    trades = stats["_trades"].sort_values("ExitBar")
    assert len(trades) == 66
    assert t.sqn(trades["PnL"].to_numpy()) == pytest.approx(1.0766187356697705, rel=1e-8)
    assert t.profit_factor(trades["ReturnPct"].to_numpy()) == pytest.approx(2.167945974262033, rel=1e-8)
    assert 100 * t.win_rate(trades["PnL"].to_numpy()) == pytest.approx(stats["Win Rate [%]"])
