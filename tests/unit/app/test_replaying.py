"""A bot of a node's file, led over history through the live modules, trades what the backtest of its preset trades."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import tradelab as tl
from tradelab.app.replaying import replay_bot
from tradelab.model.errors import ConfigError, ParameterError
from tradelab.modules.backtesting.rules import terms_of
from tradelab.spine.config import NodeConfig, parse_node

CASH, FEE_BPS = 100_000, 10
LADDER = {"stop": "0.5 %", "targets": [["0.5 r", 0.5, "break_even"], "1.5 r"]}


def node(
    *, symbols: tuple[str, ...] = ("BTC/USDT",), exits: dict[str, Any] = LADDER, mode: str = "spot", by: str = "qty",
    value: str = "0.5", **bot: Any,
) -> NodeConfig:  # fmt: skip
    settings = {"taker_fee_bps": FEE_BPS, "mode": mode}
    told: dict[str, Any] = {
        "modules": dict.fromkeys(("filter_strategy", "risk_management", "execution", "position_monitoring"), True),
        "accounts": {"pocket": {"kind": "paper", "balances": {"USDT": CASH}, "settings": settings}},
        "presets": {"plan": {"sizing": {"by": by, "value": value}, "exits": exits}},
        "filters": {"never": {"long": ["close < 0"]}},
        "bots": {"cross": {
            "strategy": "sma_cross", "parameters": {"fast": 10, "slow": 30}, "symbols": list(symbols),
            "timeframe": "1m", "source": "venue", "execution": "pocket", "preset": "plan",
        } | bot},
    }  # fmt: skip
    return parse_node(told)


def minutes(count: int, seed: int = 7) -> pd.DataFrame:
    return tl.samples.synthetic("1m", count, seed=seed, price=40_000.0)


@pytest.mark.parametrize("mode", ["netting", "spot"])
@pytest.mark.parametrize(("by", "value"), [("qty", "0.5"), ("risk", "0.001")])
def test_every_order_fee_and_exit_is_that_of_the_backtest(mode: str, by: str, value: str) -> None:
    # on spot, targets beside a stop are watched by quotes, which bars do not have
    exits = LADDER if mode == "netting" else {"stop": "0.5 %"}
    config, bars = node(mode=mode, exits=exits, by=by, value=value), minutes(600)
    replayed = replay_bot(config, "cross", bars)
    tested = tl.backtest(
        {"BTC/USDT": bars}, "sma_cross", fast=10, slow=30, direction="long" if mode == "spot" else "both",
        init_cash=CASH, fees=FEE_BPS / 1e4, leverage=1.0, **terms_of(config.presets["plan"]),
    )  # fmt: skip
    keys = ["time", "symbol", "side", "price"]
    expected = tested.orders.groupby(keys, sort=False, as_index=False)[["size", "fees"]].sum()
    assert len(expected) > 20
    assert {"stop", "target" if mode == "netting" else "signal"} <= set(tested.orders["reason"])
    # a backtest sizes in floats, the live road exactly
    exact = {"check_exact": True} if by == "qty" else {"rtol": 1e-9}
    pd.testing.assert_frame_equal(replayed.orders, expected[list(replayed.orders)], **exact)


def test_what_a_gate_dropped_is_told_with_its_reason() -> None:
    replayed = replay_bot(node(filter="never"), "cross", minutes(300))
    assert len(replayed.orders) == 0
    assert {("filter_strategy", "filter")} <= set(zip(replayed.dropped["by"], replayed.dropped["code"], strict=True))


def test_several_symbols_share_the_account_and_a_missing_one_is_refused() -> None:
    symbols = ("BTC/USDT", "ETH/USDT")
    replayed = replay_bot(node(symbols=symbols), "cross", {name: minutes(200, k) for k, name in enumerate(symbols)})
    assert set(replayed.orders["symbol"]) == set(symbols)
    with pytest.raises(ParameterError, match="no bars of ETH/USDT"):
        replay_bot(node(symbols=symbols), "cross", minutes(200))


def test_a_bot_that_does_not_start_by_itself_is_replayed_too() -> None:
    assert len(replay_bot(node(starts=False), "cross", minutes(300)).orders) > 0


@pytest.mark.parametrize(
    ("wrong", "says"), [({"strategy": None}, "no strategy"), ({"execution": "main"}, "does not say what money")]
)
def test_what_history_cannot_be_led_through_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        replay_bot(node(**wrong), "cross", minutes(100))
