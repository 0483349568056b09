"""A bot over history is its strategy with its preset's exits and size on the bars of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tradelab as tl
from tests.unit.modules.desk import BOT
from tradelab.catalog.bars import Catalog
from tradelab.engine.terms import SIZE_TYPES
from tradelab.model.errors import ConfigError, ParameterError, UnknownNameError
from tradelab.model.exits import ExitPlan
from tradelab.modules.backtesting.rules import SIZES
from tradelab.modules.backtesting.run import backtest_bot
from tradelab.spine.config import NodeConfig, parse_node

BARS = tl.samples.load("EURUSD-1h")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    folder: Path = tmp_path_factory.mktemp("bars")
    with Catalog(folder) as opened:
        opened.write("sample", "EURUSD", "1h", BARS)
        opened.write("other", "EURUSD", "1h", BARS.iloc[:2000])
        yield opened


def node(sizing: dict[str, Any], exits: dict[str, Any] | None = None, **bot: Any) -> NodeConfig:
    told = {"strategy": "sma_cross", "parameters": {"fast": 10, "slow": 40}, "symbols": ["EURUSD"], "timeframe": "1h"}
    bots = [{**BOT, "name": "bot", "source": "sample", **told, **bot}]
    return parse_node({"bots": bots, "presets": {"small": {"sizing": sizing, "exits": exits or {}}}})


EXITS = {"stop": "2 atr", "targets": ["3 r"], "max_bars": 48}


@pytest.mark.parametrize(
    ("by", "value", "size_type"),
    [
        ("qty", 1000, "amount"), ("notional", 5000, "value"), ("equity", 0.5, "equity"), ("risk", 0.01, "risk"),
        ("volatility", 0.01, "atr"),
    ],
)  # fmt: skip
def test_it_is_what_research_says_of_the_same_strategy_exits_and_size(
    catalog: Catalog, by: str, value: float, size_type: str
) -> None:
    ours = backtest_bot(node({"by": by, "value": value}, EXITS), "bot", catalog, init_cash=50_000.0)
    plan = ExitPlan(stop="2 atr", targets=["3 r"], max_bars=48)
    theirs = tl.backtest(
        BARS, "sma_cross", fast=10, slow=40, plan=plan, size=value, size_type=size_type, init_cash=50_000.0
    )
    assert ours.summary.trades == theirs.summary.trades > 20
    assert ours.equity.tolist() == theirs.equity.tolist()


def test_every_way_to_size_has_a_word_in_research() -> None:
    assert set(SIZES.values()) <= set(SIZE_TYPES)


def test_only_the_range_that_is_asked_for_is_traded(catalog: Catalog) -> None:
    ours = backtest_bot(node({"by": "qty", "value": 1}), "bot", catalog, "2017-06-01", "2017-09-01")
    assert str(ours.equity.index[0]) >= "2017-06-01"
    assert str(ours.equity.index[-1]) < "2017-09-01"


def test_bars_may_be_filed_under_another_name_than_the_connections(catalog: Catalog) -> None:
    ours = backtest_bot(node({"by": "qty", "value": 1}), "bot", catalog, catalog_source="other")
    assert len(ours.equity) == 2000


def test_what_the_preset_says_is_not_said_twice(catalog: Catalog) -> None:
    with pytest.raises(ParameterError, match="size is what preset 'small' says"):
        backtest_bot(node({"by": "qty", "value": 1}), "bot", catalog, size=2)


def test_a_bot_without_a_strategy_has_nothing_to_run(catalog: Catalog) -> None:
    with pytest.raises(ConfigError, match="bot 'bot' has no strategy"):
        backtest_bot(node({"by": "qty", "value": 1}, strategy=None, parameters={}), "bot", catalog)


def test_a_bot_or_bars_that_are_not_there_are_named(catalog: Catalog) -> None:
    config = node({"by": "qty", "value": 1})
    with pytest.raises(UnknownNameError, match="no bot named 'bto'; did you mean 'bot'"):
        backtest_bot(config, "bto", catalog)
    with pytest.raises(UnknownNameError, match="no series named"):
        backtest_bot(config, "bot", catalog, catalog_source="nowhere")
