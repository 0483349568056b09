"""Hold ``fill="backtesting.py"`` to the statistics backtesting.py publishes for its GOOG average cross, to all digits.

The five figures written out are those of its documentation and own test (0.6: ``SmaCross`` 10/30, 10 000 in cash, open
trade closed at the end); the other 26 come from running the installed package. What our ``Summary`` defines otherwise
(they annualise daily geometric means and weigh trades by their return) is computed here from our equity and trades by
the definition in its documentation.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import tradelab as tl

pytestmark = pytest.mark.filterwarnings("ignore")

FAST, SLOW = 10, 30
DAYS = 252

PUBLISHED = {
    "Equity Final [$]": 51422.98999999996,
    "# Trades": 66,
    "SQN": 1.0766187356697705,
    "Profit Factor": 2.167945974262033,
    "Max. Drawdown [%]": -47.98012705007589,
}


@pytest.fixture(scope="module")
def goog(oracle) -> pd.DataFrame:
    return oracle("backtesting.test").GOOG


@pytest.fixture(scope="module")
def theirs(oracle, goog) -> pd.Series:
    """Run backtesting.py's example and return its statistics."""
    backtesting, lib, sma = oracle("backtesting"), oracle("backtesting.lib"), oracle("backtesting.test").SMA

    class SmaCross(backtesting.Strategy):
        def init(self):
            self.fast, self.slow = self.I(sma, self.data.Close, FAST), self.I(sma, self.data.Close, SLOW)

        def next(self):
            if lib.crossover(self.fast, self.slow):
                self.position.close()
                self.buy()
            elif lib.crossover(self.slow, self.fast):
                self.position.close()
                self.sell()

    return backtesting.Backtest(goog, SmaCross, cash=10_000, finalize_trades=True).run()


@pytest.fixture(scope="module")
def result(goog) -> tl.Result:
    bars = goog.tz_localize("UTC")
    fast, slow = bars["Close"].rolling(FAST).mean(), bars["Close"].rolling(SLOW).mean()
    up = (fast > slow) & (fast.shift(1) < slow.shift(1))  # backtesting.lib.crossover is strict on both bars
    down = (fast < slow) & (fast.shift(1) > slow.shift(1))
    return tl.backtest(
        bars,
        entries=up,
        exits=down,
        short_entries=down,
        short_exits=up,
        fill="backtesting.py",
        size=0.9999,
        size_type="percent",
        size_granularity=1.0,
        init_cash=10_000.0,
    )


def growth(returns: pd.Series) -> float:
    """Geometric mean."""
    return float(np.expm1(np.log1p(returns).mean()))


def of_equity(equity: pd.Series, close: pd.Series) -> dict[str, float]:
    """Figures of the equity curve; days are its bars, a year has 252 of them or 365.25 on the calendar."""
    daily = equity.pct_change().dropna()
    mean = growth(daily)
    annual = (1 + mean) ** DAYS - 1
    spread = np.sqrt((daily.var() + (1 + mean) ** 2) ** DAYS - (1 + mean) ** (2 * DAYS))
    years = (equity.index[-1] - equity.index[0]).days / 365.25
    total, held = equity.iloc[-1] / equity.iloc[0] - 1, close.iloc[-1] / close.iloc[SLOW - 1] - 1
    covariance = np.cov(np.diff(np.log(equity)), np.diff(np.log(close)))
    beta = covariance[0, 1] / covariance[1, 1]
    return {
        "Equity Final [$]": equity.iloc[-1],
        "Equity Peak [$]": equity.max(),
        "Return [%]": 100 * total,
        "Buy & Hold Return [%]": 100 * held,
        "Return (Ann.) [%]": 100 * annual,
        "Volatility (Ann.) [%]": 100 * spread,
        "CAGR [%]": 100 * ((1 + total) ** (1 / years) - 1),
        "Sharpe Ratio": annual / spread,
        "Sortino Ratio": annual / np.sqrt(DAYS * (daily.clip(upper=0) ** 2).mean()),
        "Alpha [%]": 100 * (total - beta * held),
        "Beta": beta,
    }


def of_drawdown(equity: pd.Series) -> dict[str, object]:
    """Depth and length of each stay below an earlier height; one bar under it is too short to count as a stay."""
    depth = 1 - equity / equity.cummax()
    tops = np.flatnonzero(depth == 0)
    tops = np.append(tops, len(depth) - 1) if tops[-1] < len(depth) - 1 else tops
    stays = [(a, b) for a, b in pairwise(tops) if b > a + 1]
    lengths = pd.Series([equity.index[b] - equity.index[a] for a, b in stays])
    return {
        "Max. Drawdown [%]": -100 * depth.max(),
        "Avg. Drawdown [%]": -100 * np.mean([depth.iloc[a : b + 1].max() for a, b in stays]),
        "Max. Drawdown Duration": lengths.max().ceil("D"),
        "Avg. Drawdown Duration": lengths.mean().ceil("D"),
    }


def of_trades(trades: np.ndarray, index: pd.DatetimeIndex) -> dict[str, object]:
    """Figures of the trade list: by profit (`pnl`) or by return, as their names do not say."""
    pnl, returns = trades["pnl"], pd.Series(trades["direction"] * (trades["exit_price"] / trades["entry_price"] - 1))
    held = pd.Series(index[trades["exit_bar"]] - index[trades["entry_bar"]])
    wins = float((pnl > 0).mean())
    covered = np.zeros(len(index), bool)
    for entry, exit_ in zip(trades["entry_bar"], trades["exit_bar"], strict=True):
        covered[entry : exit_ + 1] = True
    return {
        "# Trades": len(trades),
        "Exposure Time [%]": 100 * covered.mean(),
        "Win Rate [%]": 100 * wins,
        "Best Trade [%]": 100 * returns.max(),
        "Worst Trade [%]": 100 * returns.min(),
        "Avg. Trade [%]": 100 * growth(returns),
        "Max. Trade Duration": held.max().ceil("D"),
        "Avg. Trade Duration": held.mean().ceil("D"),
        "Profit Factor": returns[returns > 0].sum() / -returns[returns < 0].sum(),
        "Expectancy [%]": 100 * returns.mean(),
        "SQN": np.sqrt(len(pnl)) * pnl.mean() / pnl.std(ddof=1),
        "Kelly Criterion": wins - (1 - wins) / (pnl[pnl > 0].mean() / -pnl[pnl < 0].mean()),
    }


@pytest.fixture(scope="module")
def figures(result, goog) -> dict[str, object]:
    equity = pd.Series(np.asarray(result.equity), goog.index)
    ours = of_equity(equity, goog["Close"]) | of_drawdown(equity) | of_trades(result.outcome.trades, goog.index)
    ours["Calmar Ratio"] = ours["Return (Ann.) [%]"] / -ours["Max. Drawdown [%]"]
    return ours | {"Start": goog.index[0], "End": goog.index[-1], "Duration": goog.index[-1] - goog.index[0]}


def test_the_published_figures_come_out_to_all_digits(figures):
    for name, expected in PUBLISHED.items():
        assert figures[name] == pytest.approx(expected, rel=1e-13), name


def test_every_statistic_of_the_library_comes_out(figures, theirs):
    names = [name for name in theirs.index if not name.startswith("_")]
    assert len(names) == 31
    for name in names:
        expected = theirs[name]
        if isinstance(expected, pd.Timedelta | pd.Timestamp):
            assert figures[name] == expected, name
        else:
            assert figures[name] == pytest.approx(expected, rel=1e-11), name


def test_the_published_figures_are_those_of_the_installed_library(theirs):
    for name, expected in PUBLISHED.items():
        assert theirs[name] == pytest.approx(expected, rel=1e-13), name


def test_trades_equal_theirs(result, theirs):
    expected = theirs["_trades"].sort_values("EntryBar", ignore_index=True)
    got = result.outcome.trades
    np.testing.assert_array_equal(got["entry_bar"], expected["EntryBar"])
    np.testing.assert_array_equal(got["exit_bar"], expected["ExitBar"])
    np.testing.assert_array_equal(got["direction"] * got["qty"], expected["Size"])
    np.testing.assert_array_equal(got["entry_price"], expected["EntryPrice"])
    np.testing.assert_array_equal(got["exit_price"], expected["ExitPrice"])
    np.testing.assert_allclose(got["pnl"], expected["PnL"], rtol=1e-9, atol=1e-9)


def test_equity_equals_theirs_at_every_bar(result, theirs):
    np.testing.assert_allclose(result.equity, theirs["_equity_curve"]["Equity"], rtol=1e-12)


def test_what_our_summary_defines_alike_is_equal(result, theirs):
    s = result.summary
    assert s.final_equity == pytest.approx(theirs["Equity Final [$]"], rel=1e-13)
    assert 100 * s.total_return == pytest.approx(theirs["Return [%]"], rel=1e-12)
    assert 100 * s.max_drawdown == pytest.approx(theirs["Max. Drawdown [%]"], rel=1e-12)
    assert 100 * s.win_rate == pytest.approx(theirs["Win Rate [%]"], rel=1e-12)
    assert 100 * s.best_trade == pytest.approx(theirs["Best Trade [%]"], rel=1e-12)
    assert 100 * s.worst_trade == pytest.approx(theirs["Worst Trade [%]"], rel=1e-12)
    assert s.sqn == pytest.approx(theirs["SQN"], rel=1e-11)
    assert (s.trades, s.open_trades) == (66, 0)
