"""Show that history and live are one arithmetic: the loop and the single step give the same bytes."""

from __future__ import annotations

import numpy as np

import tradelab as tl
from tradelab.engine.book import ORDER, open_account
from tradelab.engine.fills import NEXT_OPEN, Costs
from tradelab.engine.simulate import Market, Wishes, equity_of, simulate, step
from tradelab.engine.sizing import PERCENT, Sizing
from tradelab.engine.trading import Terms


def test_one_bar_at_a_time_gives_the_same_bytes_as_the_loop():
    bars = tl.samples.load("EURUSD-1h").iloc[:2000]
    market = Market(*(bars[[name]].to_numpy() for name in ("open", "high", "low", "close")))
    chance = np.random.default_rng(0)
    signals = np.where(chance.random((len(bars), 1)) < 0.1, chance.integers(1, 16, (len(bars), 1)), 0).astype(np.uint8)
    levels = [np.full((len(bars), 1), value) for value in (1.0, 0.002, 0.003, 0.004)]
    wishes = Wishes(signals, *levels)
    terms = Terms(NEXT_OPEN, Sizing(PERCENT, 0.0), Costs(1e-5, 0.1, 1e-5))
    looped = simulate(market, wishes, terms, 10_000.0)

    account, lines = open_account(10_000.0, 1)
    page = np.zeros(3, ORDER)
    orders, equity = [], []
    for bar in range(len(bars)):
        count = step(account, lines, page, bar, market, wishes, terms)
        orders.extend(page[:count].copy())
        equity.append(equity_of(account[0]["cash"], lines))
    assert len(orders) > 100
    assert np.array(orders, ORDER).tobytes() == looped.orders.tobytes()
    assert np.array(equity).tobytes() == looped.equity.tobytes()
