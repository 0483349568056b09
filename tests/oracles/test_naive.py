"""Hold every order, trade and equity value to a naive simulator written from the prose of docs/semantics.md alone.

Histories are random: one to three instruments with bars missing, prices of 1e-8 to 1e8, ticks so coarse that stops lie
exactly on opens, every fill policy, every size type, values bar by bar, accounts that are ruined.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tests.oracles.naive import Account, Decision
from tradelab.engine.fills import POLICIES

FIELDS = ["open", "high", "low", "close"]
SIGNALS = ("entries", "exits", "short_entries", "short_exits")
CASES = 1200
BATCHES = 12


def history(chance: np.random.Generator, times: pd.DatetimeIndex, scale: float) -> pd.DataFrame:
    wild, rows = chance.choice([0.005, 0.03, 0.25]), len(times)
    close = 100 * np.exp(np.cumsum(chance.standard_t(3, rows) * wild).clip(-5, 5))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(chance.normal(0, wild / 2, rows))
    high = np.maximum(open_, close) * np.exp(np.abs(chance.normal(0, wild / 2, rows)))
    low = np.minimum(open_, close) * np.exp(-np.abs(chance.normal(0, wild / 2, rows)))
    values = np.column_stack([open_, high, low, close])
    if chance.random() < 0.4:
        values = np.maximum(np.round(values / 5) * 5, 5)
    there = chance.random(rows) < chance.choice([1.0, 0.7, 0.3])
    there[chance.integers(rows)] = True
    return pd.DataFrame(values * scale / 100, times, FIELDS)[there]


def terms_of(chance: np.random.Generator, frames: dict[str, pd.DataFrame], scale: float) -> dict[str, Any]:
    def one(*values: Any) -> Any:
        return values[chance.integers(len(values))]

    def per_bar(value: float | None) -> Any:
        if value is None or chance.random() < 0.5:
            return value
        drawn = {s: value * chance.uniform(0.3, 1.0, len(f)) for s, f in frames.items()}
        return {
            s: pd.Series(np.where(chance.random(len(v)) < 0.1, np.nan, v), frames[s].index) for s, v in drawn.items()
        }

    cash = one(1.0, 1e4, 1e4, 1e9)
    custom = tl.FillPolicy(*(bool(flag) for flag in chance.random(6) < 0.5))
    terms = {
        "fill": one("next_open", "close", "vectorbt", custom),
        "direction": one("both", "both", "long", "short"),
        "init_cash": cash,
        "fees": one(0.0, 0.001, 0.05),
        "fixed_fees": one(0.0, 2.0, 300.0),
        "slippage": one(0.0, 0.001, 0.05),
        "size_granularity": one(None, None, 0.25, 1.0),
        "sl_stop": per_bar(one(None, 0.02, 0.05, 0.3)),
        "sl_trail": per_bar(one(None, None, 0.05, 0.2)),
        "tp_stop": per_bar(one(None, 0.05, 0.1, 0.5)),
    }
    size_type = one(None, "amount", "value", "percent")
    if size_type is not None:
        share = one(0.1, 0.5, 1.0)
        size = share * {"amount": 2 * cash / scale, "value": 2 * cash, "percent": 1.0}[size_type]
        terms |= {"size_type": size_type, "size": per_bar(size)}
    return terms


def naively(frames: dict[str, pd.DataFrame], signals: dict[str, Any], terms: dict[str, Any]) -> Account:
    def value(name: str, symbol: str, row: int) -> float | None:
        given = terms.get(name)
        given = given[symbol].iloc[row] if isinstance(given, dict) else given
        return None if given is None or (math.isnan(given) and name != "size") else float(given)

    closed = {"long": SIGNALS[2:], "short": SIGNALS[:2], "both": ()}[terms["direction"]]
    decisions = {
        symbol: {
            time: Decision(
                *(bool(signals[name][symbol].iloc[row]) and name not in closed for name in SIGNALS),
                *(value(name, symbol, row) for name in ("size", "sl_stop", "sl_trail", "tp_stop")),
            )
            for row, time in enumerate(frame.index.asi8.tolist())
        }
        for symbol, frame in frames.items()
    }
    return Account(
        bars={s: dict(zip(f.index.asi8.tolist(), f.to_numpy().tolist(), strict=True)) for s, f in frames.items()},
        decisions=decisions,
        policy=POLICIES.get(terms["fill"], terms["fill"]),
        cash=terms["init_cash"],
        fees=terms["fees"],
        fixed_fees=terms["fixed_fees"],
        slippage=terms["slippage"],
        size_type=terms.get("size_type", "amount"),
        step=terms["size_granularity"] or 0.0,
    ).run()


def assert_same(result: tl.Result, account: Account) -> None:
    """Orders and trades to 1e-9 of their size, money to 1e-9 of the account."""
    money = 1e-9 * result.init_cash
    o, t = result.orders, result.trades
    mine = pd.DataFrame(account.orders, columns=account.orders[0]._fields if account.orders else o.columns)
    assert len(mine) == len(o)
    if mine.empty:
        return
    o = o.assign(time=o["time"].astype("int64"), side=np.where(o["side"] == "buy", 1, -1))
    for name in ("time", "symbol", "side", "when", "reason"):
        assert mine[name].tolist() == o[name].tolist(), name
    for ours, name in (("size", "qty"), ("price", "price"), ("fees", "fees")):
        np.testing.assert_allclose(o[ours], mine[name], rtol=1e-9, atol=0)
    np.testing.assert_allclose(result.equity, list(account.equity.values()), rtol=1e-9, atol=money)
    assert result.ruined == account.ruined

    t = t.assign(
        entry_time=t["entry_time"].astype("int64"),
        exit_time=t["exit_time"].astype("int64"),
        side=np.where(t["direction"] == "long", 1, -1),
    )
    theirs = pd.DataFrame(account.trades).sort_values(["entry_time", "symbol"], kind="stable")
    t = t.sort_values(["entry_time", "symbol"], kind="stable")
    for ours, name in (("side", "side"), ("exit_time", "exit_time"), ("exit_reason", "reason")):
        assert t[ours].tolist() == theirs[name].tolist(), name
    for ours, name in (("size", "qty"), ("entry_price",) * 2, ("exit_price",) * 2, ("fees",) * 2):
        np.testing.assert_allclose(t[ours], theirs[name], rtol=1e-9, atol=money)
    np.testing.assert_allclose(t["pnl"], theirs["pnl"], rtol=1e-7, atol=money)
    for name in ("r", "mfe", "mae"):
        np.testing.assert_allclose(t[name], theirs[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_the_engine_agrees_with_the_prose_in_every_order_trade_and_equity_value(batch):
    for seed in range(batch, CASES, BATCHES):
        chance = np.random.default_rng(seed)
        times = pd.date_range("2024-01-01", periods=chance.integers(1, 40), freq="h", tz="UTC", name="time").as_unit(
            "ns"
        )
        scale = chance.choice([1e-8, 1.0, 100.0, 1e8])
        frames = {f"S{k}": history(chance, times, scale) for k in range(chance.integers(1, 4))}
        often = chance.choice([0.05, 0.2, 0.5])
        signals = {
            name: {s: pd.Series(chance.random(len(f)) < often, f.index) for s, f in frames.items()} for name in SIGNALS
        }
        terms = terms_of(chance, frames, float(scale))
        try:
            assert_same(tl.backtest(frames, **signals, **terms), naively(frames, signals, terms))
        except AssertionError as error:
            error.add_note(f"seed {seed}: {terms}")
            raise
