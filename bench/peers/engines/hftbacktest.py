"""Run hftbacktest over a synthetic book feed: a quote re-posted ten times a second, nanoseconds an event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bars as benchbars
import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    GTC,
    LIMIT,
    LOCAL_EVENT,
    SELL_EVENT,
    BacktestAsset,
    ROIVectorMarketDepthBacktest,
    event_dtype,
)
from numba import njit

TICK = 0.01
EVENTS_IN_BAR = 2  # one change of the best bid and one of the best ask for every bar of the others
STEP_NS = 50_000_000


def feed(columns: dict[str, np.ndarray]) -> np.ndarray:
    """Depth events that walk along the closes: a level goes, another comes."""
    ticks = np.round(columns["close"] / TICK).astype(np.int64)
    bars = len(ticks)
    events = np.zeros(2 * bars, event_dtype)
    stamp = 1_704_412_800_000_000_000 + STEP_NS * np.arange(2 * bars, dtype=np.int64)
    side = np.where(np.arange(2 * bars) % 2 == 0, BUY_EVENT, SELL_EVENT).astype(np.uint64)
    events["ev"] = np.uint64(DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT) | side
    events["exch_ts"], events["local_ts"] = stamp, stamp + 1_000_000
    events["px"][0::2] = (ticks - 1) * TICK
    events["px"][1::2] = (ticks + 1) * TICK
    events["qty"] = 1.0 + np.arange(2 * bars) % 7
    return events


@njit
def quote(backtest: Any) -> int:
    """Re-post one bid below the best ten times a second; return how often."""
    posted = 0
    while backtest.elapse(100_000_000) == 0:
        backtest.clear_inactive_orders(0)
        depth = backtest.depth(0)
        if depth.best_bid_tick > 0:
            posted += 1
            price = (depth.best_bid_tick - 50) * depth.tick_size
            backtest.submit_buy_order(0, posted, price, 1.0, GTC, LIMIT, False)
            if posted > 1:
                backtest.cancel(0, posted - 1, False)
    return posted


def prepare(case: dict[str, Any]) -> Callable[[], Any]:
    """Return the call to be timed; making the feed is not in it."""
    columns = benchbars.load(case["file"])
    events = feed(columns)
    lowest, highest = columns["low"].min() - 1.0, columns["high"].max() + 1.0

    def run() -> int:
        asset = (
            BacktestAsset()
            .data(events)
            .linear_asset(1.0)
            .constant_latency(1_000_000, 1_000_000)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(case["fees"], case["fees"])
            .tick_size(TICK)
            .lot_size(1.0)
            .roi_lb(lowest)
            .roi_ub(highest)
        )
        backtest = ROIVectorMarketDepthBacktest([asset])
        posted = quote(backtest)
        backtest.close()
        return int(posted)

    return run


def figures(outcome: Any) -> dict[str, list[float]]:
    """How often it quoted: proof that it ran, nothing to compare."""
    return {"quotes": [float(outcome)]}
