"""Show that history and live are one arithmetic: the loop and the single step give the same bytes."""

from __future__ import annotations

import numpy as np

import tradelab as tl
from tradelab.engine.book import ORDER, open_account
from tradelab.engine.simulate import ORDERS_A_BAR, Wishes, simulate, step
from tradelab.engine.terms import WISH
from tradelab.research.inputs import read_bars
from tradelab.research.settings import Settings


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
