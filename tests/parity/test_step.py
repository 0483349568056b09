"""Show that history and live are one arithmetic: the loop and the single step give the same bytes."""

from __future__ import annotations

import numpy as np
import pandas as pd

import tradelab as tl
from tradelab.engine.book import ORDER, open_account
from tradelab.engine.simulate import ORDERS_A_BAR, Wishes, simulate, step
from tradelab.engine.terms import WISH
from tradelab.research.inputs import read_bars
from tradelab.research.settings import Settings
from tradelab.research.weights import aimed


def test_one_bar_at_a_time_gives_the_same_bytes_as_the_loop():
    bars = tl.samples.load("EURUSD-1h").iloc[:2000]
    market = read_bars(bars).market
    chance = np.random.default_rng(0)
    signals = np.where(chance.random((len(bars), 1)) < 0.1, chance.integers(1, 16, (len(bars), 1)), 0).astype(np.uint8)
    wishes = Wishes(signals, np.empty((0, 0), WISH), 0)
    terms = Settings(sl_stop=0.002, sl_trail=0.003, tp_stop=0.004, fees=1e-5, fixed_fees=0.1, slippage=1e-5).row()
    looped = simulate(market, wishes, terms, 10_000.0)

    account, lines = open_account(10_000.0, 1)
    page = np.zeros(ORDERS_A_BAR, ORDER)
    orders, equity = [], []
    for bar in range(len(bars)):
        count = step(account, lines, page, bar, market, wishes, terms)
        orders.extend(page[:count].copy())
        equity.append(account[0]["cash"] + account[0]["net"])
    assert len(orders) > 100
    assert np.array(orders, ORDER).tobytes() == looped.orders.tobytes()
    assert np.array(equity).tobytes() == looped.equity.tobytes()


def test_an_account_that_rebalances_by_step_gives_the_same_bytes_as_the_loop():
    bars = {name: tl.samples.load(f"{name}-1d").iloc[-500:] for name in ("AAPL", "GOOG", "MSFT")}
    tape = read_bars(bars)
    chance = np.random.default_rng(1)
    drawn = pd.DataFrame(chance.dirichlet([1.0, 1.0, 1.0], 60), tape.index[::5][:60], list(bars))
    drawn.iloc[7:9, 1] = np.nan
    settings, wishes = aimed(tape, Settings(fees=0.001, slippage=1e-4, sl_stop=0.1), drawn)
    terms = settings.row()
    looped = simulate(tape.market, wishes, terms, 10_000.0)

    account, lines = open_account(10_000.0, 3)
    page = np.zeros(3 * ORDERS_A_BAR, ORDER)
    orders, equity = [], []
    for bar in range(len(tape.index)):
        count = step(account, lines, page, bar, tape.market, wishes, terms)
        orders.extend(page[:count].copy())
        equity.append(account[0]["cash"] + account[0]["net"])
    assert len(orders) > 100
    assert np.array(orders, ORDER).tobytes() == looped.orders.tobytes()
    assert np.array(equity).tobytes() == looped.equity.tobytes()


def test_a_step_values_positions_at_the_open_it_rebalances_at():
    """Half and half at 100 each; both open at 110: nothing has drifted, so nothing is traded."""
    index = pd.date_range("2024-01-01", periods=3, freq="D", tz="UTC")
    prices = pd.DataFrame({name: [100.0, 100.0, 110.0] for name in ("open", "high", "low", "close")}, index)
    tape = read_bars({"A": prices, "B": prices})
    settings, wishes = aimed(tape, Settings(), pd.DataFrame(0.5, index[:2], ["A", "B"]))
    account, lines = open_account(10_000.0, 2)
    page = np.zeros(2 * ORDERS_A_BAR, ORDER)
    counts = [step(account, lines, page, bar, tape.market, wishes, settings.row()) for bar in range(3)]
    assert counts == [0, 2, 0]
