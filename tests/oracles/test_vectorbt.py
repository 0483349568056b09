"""Hold orders, trades, equity and metrics against vectorbt 1.2's ``from_signals``, the answers being vectorbt's own.

``fill="vectorbt"`` is meant to be vectorbt's default semantics exactly; ``fill="next_open"`` is compared where both
mean the same (no stops: ours act on the bar entered at its open, vectorbt's do not). vectorbt runs with
``lock_cash=True``, for we never spend short proceeds, and with its numba engine.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tests.oracles import vectorbt_columns
from tests.oracles.vectorbt_columns import Column

pytestmark = pytest.mark.filterwarnings("ignore")

SERIES = ["EURUSD-1h", "EURUSD-4h", "GOOG-1d", "AAPL-1d", "IBM-1d", "MSFT-1d"]
CASH = 10_000.0


@pytest.fixture(scope="module")
def vbt(oracle) -> ModuleType:
    return oracle("vectorbt")


def random_signals(bars: pd.DataFrame, direction: str, chance: np.random.Generator) -> dict[str, pd.Series]:
    density = chance.choice([0.005, 0.03, 0.15])
    names = ["entries", "exits", "short_entries", "short_exits"]
    signals = {name: pd.Series(chance.random(len(bars)) < density, bars.index) for name in names}
    for name in {"long": names[2:], "short": names[:2], "both": []}[direction]:
        signals[name][:] = False
    return signals


def theirs(vbt: ModuleType, bars: pd.DataFrame, signals: dict[str, pd.Series], **terms: object):
    terms = {"init_cash": CASH, "freq": "1h", "engine": "numba", "lock_cash": True, **terms}
    prices = {name: bars[name] for name in ("open", "high", "low")}
    return vbt.Portfolio.from_signals(bars["close"], **signals, **prices, **terms)


def assert_same(result: tl.Result, portfolio) -> None:
    column = Column(portfolio.orders.records, portfolio.trades.records, portfolio.value(), portfolio.cash())
    vectorbt_columns.assert_same(result, column, CASH)


def random_terms(chance: np.random.Generator, direction: str) -> dict[str, object]:
    """Costs, exits and sizes at random, in the words the two share."""
    terms: dict[str, object] = {
        "fees": chance.choice([0.0, 5e-4, 3e-3]),
        "fixed_fees": chance.choice([0.0, 1.5]),
        "slippage": chance.choice([0.0, 2e-4, 1e-3]),
    }
    kind = chance.choice(["all", "amount", "value", "percent"])
    if kind == "percent" and direction != "both":  # vectorbt refuses to turn a position round by percent
        terms |= {"size": 0.4, "size_type": "percent", "fixed_fees": 0.0}
    elif kind in ("amount", "value"):
        terms |= {"size": {"amount": 20.0, "value": 2500.0}[kind], "size_type": kind}
    if chance.random() < 0.3:
        terms["size_granularity"] = 0.5
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in terms.items()}


def random_exits(chance: np.random.Generator, wide: float) -> dict[str, object]:
    exits: dict[str, object] = {}
    stop = chance.choice([0.0, 0.5, 1.5])
    if stop:
        exits["sl_stop"] = wide * stop
        exits["sl_trail"] = bool(chance.random() < 0.4)
    target = chance.choice([0.0, 0.7, 2.5])
    if target:
        exits["tp_stop"] = wide * target
    return exits


def typical_move(bars: pd.DataFrame) -> float:
    """What a stop must be measured in: the spread of 20-bar returns."""
    return float(bars["close"].pct_change(20).std())


@pytest.mark.parametrize("direction", ["long", "short", "both"])
@pytest.mark.parametrize("name", SERIES)
def test_orders_trades_and_equity_equal_vectorbt_on_close_fills(vbt, name, direction):
    bars = tl.samples.load(name)
    chance = np.random.default_rng([SERIES.index(name), len(direction)])
    for _ in range(9):
        signals = random_signals(bars, direction, chance)
        terms = random_terms(chance, direction) | random_exits(chance, typical_move(bars))
        ours = tl.backtest(bars, fill="vectorbt", init_cash=CASH, **signals, **terms)
        if ours.ruined:  # vectorbt lets a ruined account trade on; we close it out (docs/semantics.md)
            continue
        assert_same(ours, theirs(vbt, bars, signals, **terms))


@pytest.mark.parametrize("direction", ["long", "short", "both"])
@pytest.mark.parametrize("name", SERIES)
def test_orders_trades_and_equity_equal_vectorbt_on_next_open_fills(vbt, name, direction):
    bars = tl.samples.load(name)
    chance = np.random.default_rng([SERIES.index(name), len(direction), 7])
    for _ in range(3):
        signals = random_signals(bars, direction, chance)
        terms = random_terms(chance, direction)
        ours = tl.backtest(bars, init_cash=CASH, **signals, **terms)
        if ours.ruined:
            continue
        shifted = {key: flags.shift(1, fill_value=False) for key, flags in signals.items()}
        assert_same(ours, theirs(vbt, bars, shifted, price=bars["open"], **terms))


def test_two_hundred_random_configurations_were_really_compared():
    """The two tests above draw 18 x 9 and 18 x 3 configurations and leave out ruined ones: count what remains."""
    compared = {"vectorbt": 0, "next_open": 0}
    for k, name in enumerate(SERIES):
        bars = tl.samples.load(name)
        for direction in ("long", "short", "both"):
            for fill, rounds, seed in (("vectorbt", 9, [k, len(direction)]), ("next_open", 3, [k, len(direction), 7])):
                chance = np.random.default_rng(seed)
                for _ in range(rounds):
                    signals = random_signals(bars, direction, chance)
                    terms = random_terms(chance, direction)
                    if fill == "vectorbt":
                        terms |= random_exits(chance, typical_move(bars))
                    compared[fill] += not tl.backtest(bars, fill=fill, init_cash=CASH, **signals, **terms).ruined
    assert compared == {"vectorbt": 160, "next_open": 52}  # the figures of docs/semantics.md


@pytest.mark.parametrize("direction", ["long", "both"])
@pytest.mark.parametrize("name", SERIES)
def test_metrics_equal_vectorbt(vbt, name, direction):
    bars = tl.samples.load(name)
    result = tl.backtest(bars, "sma_cross", fast=8, slow=21, direction=direction, fees=1e-4, fill="vectorbt")
    periods = result.summary.periods_per_year
    portfolio = result.to_vectorbt()
    returns = portfolio.returns()
    accessor = vbt.returns.accessors.ReturnsSRAccessor(returns, freq="1h", year_freq=pd.Timedelta(hours=periods))
    s = result.summary
    pairs = {
        "total_return": (s.total_return, portfolio.total_return()),
        "sharpe": (s.sharpe, accessor.sharpe_ratio()),
        "sortino": (s.sortino, accessor.sortino_ratio()),
        "volatility": (s.volatility, accessor.annualized_volatility()),
        "omega": (s.omega, accessor.omega_ratio()),
        "calmar": (s.calmar, accessor.calmar_ratio()),
        "cagr": (s.cagr, accessor.annualized()),
        "max_drawdown": (s.max_drawdown, portfolio.max_drawdown()),
        "value_at_risk": (s.value_at_risk, accessor.value_at_risk()),
        "cvar": (s.cvar, accessor.cond_value_at_risk()),
        "win_rate": (s.win_rate, portfolio.trades.closed.win_rate()),
        "profit_factor": (s.profit_factor, portfolio.trades.closed.profit_factor()),
        "expectancy": (s.expectancy, portfolio.trades.closed.expectancy()),
        "sqn": (s.sqn, portfolio.trades.closed.sqn()),
        "trades": (s.trades, portfolio.trades.closed.count()),
        "exposure": (s.exposure, portfolio.position_coverage()),
        "fees": (s.fees, portfolio.orders.fees.sum()),
    }
    for figure, (ours, expected) in pairs.items():
        assert ours == pytest.approx(expected, rel=1e-9, abs=1e-12), figure


def test_instruments_that_share_one_account_equal_vectorbt_with_cash_sharing(vbt):
    names = ["AAPL-1d", "IBM-1d", "MSFT-1d"]
    bars = {name: tl.samples.load(name) for name in names}
    chance = np.random.default_rng(11)
    index = bars[names[0]].index
    entries, exits = (pd.DataFrame(chance.random((len(index), 3)) < 0.02, index, names) for _ in range(2))
    ours = tl.backtest(
        bars, entries=entries, exits=exits, size=4000.0, size_type="value", fees=1e-3, init_cash=CASH, fill="vectorbt"
    )
    close = pd.DataFrame({name: bars[name]["close"] for name in names})
    portfolio = vbt.Portfolio.from_signals(
        close,
        entries,
        exits,
        size=4000.0,
        size_type="value",
        fees=1e-3,
        init_cash=CASH,
        cash_sharing=True,
        group_by=True,
        call_seq="auto",
        lock_cash=True,
        freq="1D",
        engine="numba",
    )
    expected = portfolio.orders.records_readable
    assert len(ours.orders) == len(expected) > 100
    np.testing.assert_allclose(ours.equity, portfolio.value(), rtol=1e-9)


def test_to_vectorbt_is_a_real_portfolio_with_our_equity(vbt):
    bars = tl.samples.load("EURUSD-1h")
    result = tl.backtest(bars, "rsi_reversion", sl_stop=0.004, tp_stop=0.006, fees=1e-5)
    portfolio = result.to_vectorbt()
    assert isinstance(portfolio, vbt.Portfolio)
    assert set(result.orders["when"]) == {"open", "intrabar"}
    np.testing.assert_allclose(portfolio.value(), result.equity, rtol=1e-9)
    np.testing.assert_allclose(portfolio.trades.records["pnl"], result.trades["pnl"], rtol=1e-9, atol=1e-6)


def test_to_vectorbt_keeps_instruments_that_share_one_account(vbt):
    bars = {name: tl.samples.load(name) for name in ("AAPL-1d", "MSFT-1d")}
    result = tl.backtest(bars, "sma_cross", size=0.5, size_type="percent", direction="long")
    np.testing.assert_allclose(result.to_vectorbt().value(), result.equity, rtol=1e-9)
