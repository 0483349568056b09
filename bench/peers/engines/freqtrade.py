"""Run freqtrade's ``Backtesting`` on bars from memory, with an exchange that knows one market and asks nobody."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bars as benchbars
import numpy as np
import pandas as pd
from freqtrade.enums import CandleType, RunMode
from freqtrade.exchange.binance import Binance
from freqtrade.optimize.backtesting import Backtesting

CASH = 10_000.0
PAIR = "BTC/USDT"
STRATEGIES = Path(__file__).resolve().parents[1] / "strategies"
MARKET = {
    "id": "BTCUSDT",
    "symbol": PAIR,
    "base": "BTC",
    "quote": "USDT",
    "active": True,
    "spot": True,
    "margin": True,
    "future": False,
    "swap": False,
    "type": "spot",
    "contractSize": None,
    "precision": {"price": 1e-8, "amount": 1e-8},
    "limits": {"amount": {"min": 1e-8, "max": 1e9}, "cost": {"min": 1e-8, "max": 1e12}, "price": {}, "leverage": {}},
    "maker": 0.0005,
    "taker": 0.0005,
    "info": {},
}


def config(case: dict[str, Any]) -> dict[str, Any]:
    """The least configuration it accepts."""
    here = Path.cwd()
    return {
        "runmode": RunMode.BACKTEST,
        "dry_run": True,
        "trading_mode": "spot",
        "margin_mode": "",
        "candle_type_def": CandleType.SPOT,
        "stake_currency": "USDT",
        "stake_amount": 100.0,
        "dry_run_wallet": CASH,
        "max_open_trades": 1,
        "tradable_balance_ratio": 1.0,
        "fee": case["fees"],
        "timeframe": "1m",
        "strategy": "Cross",
        "strategy_path": str(STRATEGIES),
        "exchange": {"name": "binance", "pair_whitelist": [PAIR], "pair_blacklist": [], "key": "", "secret": ""},
        "pairlists": [{"method": "StaticPairList"}],
        "entry_pricing": {"price_side": "other", "use_order_book": False, "order_book_top": 1},
        "exit_pricing": {"price_side": "other", "use_order_book": False, "order_book_top": 1},
        "user_data_dir": here,
        "datadir": here,
        "dataformat_ohlcv": "feather",
        "dataformat_trades": "feather",
        "export": "none",
        "internals": {},
    }


def exchange(settings: dict[str, Any]) -> Binance:
    """Their Binance class with the one market it would otherwise ask the network for."""
    made = Binance(settings, validate=False)
    made._markets = {PAIR: MARKET}
    made._last_markets_refresh = int(time.time() * 1000)
    made._api.markets = made._api_async.markets = made._markets
    made.reload_markets = lambda *_args, **_more: None  # no network, ever
    return made


def prepare(case: dict[str, Any]) -> Callable[[], Any]:
    """Return the call to be timed: indicators, signals and the walk over the candles.

    Prices are rounded to the market's tick first: freqtrade rounds the rate of an order, and one that falls outside its
    candle by half a tick would not fill.
    """
    columns = {name: np.round(values, 8) for name, values in benchbars.load(case["file"]).items()}
    frame = pd.DataFrame({"date": pd.to_datetime(benchbars.times(case["bars"]), utc=True), **columns})
    settings = config(case)
    engine = Backtesting(settings, exchange(settings))
    strategy = engine.strategylist[0]
    strategy.windows = tuple(case["windows"])
    engine._set_strategy(strategy)
    begin, end = frame["date"].iloc[0].to_pydatetime(), frame["date"].iloc[-1].to_pydatetime()

    def run() -> Any:
        processed = strategy.advise_all_indicators({PAIR: frame.copy()})
        return engine.backtest(processed=processed, start_date=begin, end_date=end)

    return run


def figures(outcome: Any) -> dict[str, list[float]]:
    """Money made by one unit, and trades."""
    trades = outcome["results"]
    return {"profit": [float(trades["profit_abs"].sum())], "trades": [float(len(trades))]}
