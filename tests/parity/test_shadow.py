"""The shadow book beside a paper account that fills by the same arithmetic: it drifts by nothing, to the last digit."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

import tradelab as tl
from tests.parity.replay_world import Told, replay
from tests.parity.test_replay import EXITS, STRATEGIES
from tradelab.model.units import Timeframe
from tradelab.modules.position_monitoring.drift import Drifts


def drifts(told: Told) -> Drifts:
    trades = told.node.stage("position_monitoring").trades
    found: Drifts = trades.catch_up().drifts
    assert trades.failure is None
    return found


def played(strategy: str, exits: dict[str, Any], bars: int = 500, **more: Any) -> Drifts:
    hours = tl.samples.load("EURUSD-1h").iloc[:bars]
    told = asyncio.run(replay(hours, Timeframe.H1, strategy, STRATEGIES[strategy], Decimal("0.5"), exits, **more))
    return drifts(told)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_bars_decide_drifts_by_nothing(strategy: str) -> None:
    found = played(strategy, {})
    assert len(found.found) > 3
    assert {drift.money for drift in found.found} == {Decimal(0)}
    assert found.untold == []


@pytest.mark.parametrize("kind", EXITS)
def test_what_a_plan_decides_drifts_by_nothing(kind: str) -> None:
    found = played("ema_cross", EXITS[kind][0])
    assert len(found.found) > 10
    assert {drift.money for drift in found.found} == {Decimal(0)}
    assert found.untold == []


def test_slippage_that_nobody_declared_is_the_drift() -> None:
    """Paper loses 5 bp to the market in each market order; the shadow, without costs, does not."""
    found = played("ema_cross", {}, terms={"slippage_bps": 5}).found
    assert len(found) > 10
    for drift in found:
        assert (float(drift.entry_bps), float(drift.exit_bps)) == (pytest.approx(5.0), pytest.approx(5.0))
        assert 9.9 < drift.bps < 10.1  # both, of what was entered
