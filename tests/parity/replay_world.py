"""Lead bars through the live pipeline on a paper account, and say what was traded, as a backtest would say it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import pandas as pd

from tradelab.adapters.paper_config import PaperConfig
from tradelab.adapters.paper_venue import PaperVenue
from tradelab.app.build import parts_of
from tradelab.model.clock import ManualClock
from tradelab.model.instrument import Calendar, Instrument
from tradelab.model.market import Candle
from tradelab.model.messages import AlarmRaised, Message, SignalDropped, TradeExecuted
from tradelab.model.units import Timeframe
from tradelab.spine.config import parse_node
from tradelab.spine.keeping import MemoryKeeper
from tradelab.spine.node import Node
from tradelab.spine.permit import FreePermit
from tradelab.spine.replay import Replay, TapeBar

CASH = 1_000_000
STEP = Decimal("0.01")
_NEVER_S = 1e9


class Traded(NamedTuple):
    """One fill: when its bar opened, which way, how much, at what price."""

    bar_ns: int
    side: str
    qty: float
    price: float


class Told(NamedTuple):
    """What a replay came to."""

    fills: list[Traded]
    drops: list[SignalDropped]
    alarms: list[AlarmRaised]
    node: Node
    said: list[Message]


async def replay(
    bars: pd.DataFrame,
    timeframe: Timeframe,
    strategy: str,
    parameters: Mapping[str, Any],
    qty: Decimal,
    exits: Mapping[str, Any],
    *,
    modules: tuple[str, ...] = ("risk_management", "execution", "position_monitoring"),
    terms: Mapping[str, Any] = {},
    tick: Decimal = Decimal("1E-20"),
) -> Told:
    """Run a strategy of one instrument, with exits, on a netting paper account."""
    instrument = Instrument(
        symbol="X",
        venue="paper",
        quote="USD",
        base="EUR",
        settle="USD",
        tick_size=tick,
        qty_step=STEP,
        calendar=Calendar.WEEKDAYS,
    )
    quiet = {
        "execution": {"account_s": _NEVER_S, "reconcile_s": _NEVER_S, "fills_s": _NEVER_S},
        "position_monitoring": {"look_every_s": _NEVER_S, "max_quote_age_s": 1e6},
    }
    bot = {"strategy": strategy, "parameters": dict(parameters), "symbols": ["X"], "timeframe": timeframe.alias,
           "source": "tape", "execution": "p", "preset": "plan", "max_bars": len(bars)}  # fmt: skip
    config = parse_node(
        {
            "modules": {name: quiet.get(name, {}) for name in modules},
            "accounts": {"p": {"kind": "paper", "balances": {"USD": CASH}}},
            "bots": {"bot": bot},
            "presets": {"plan": {"sizing": {"by": "qty", "value": str(qty)}, "exits": dict(exits)}},
        }
    )
    clock = ManualClock(bars.index[0].value)
    venue = PaperVenue(PaperConfig(balances={"USD": Decimal(CASH)}, mode="netting", **terms), [instrument], clock=clock)
    keeper = MemoryKeeper()
    node = Node(
        config, parts_of(config), keeper, clock=clock, permit=lambda _: FreePermit(), venues={"p": venue}, providers={}
    )
    leader = Replay(node, clock, {"p": venue}, {("tape", "X"): len(bars)})
    await node.start()
    await leader.settle()
    opened = [stamp.value for stamp in bars.index]
    for open_ns, row in zip(opened, bars.to_numpy(), strict=True):
        await leader.bar(TapeBar("tape", "X", timeframe, Candle(open_ns, *map(float, row), closed=True)))
    said = [recorded.message for recorded in keeper.said]
    fills = [
        Traded(timeframe.floor(m.fill.ts_ns), m.fill.side.value, float(m.fill.qty), float(m.fill.price))
        for m in said
        if isinstance(m, TradeExecuted)
    ]
    drops = [m for m in said if isinstance(m, SignalDropped)]
    alarms = [m for m in said if isinstance(m, AlarmRaised)]
    await node.stop("keep")
    return Told(fills, drops, alarms, node, said)


def net(fills: list[Traded]) -> list[Traded]:
    """Add up fills of one bar, side and price: a position is turned round by two orders here, by one in a backtest."""
    joined: dict[tuple[int, str, float], float] = {}
    for each in fills:
        key = (each.bar_ns, each.side, each.price)
        joined[key] = round(joined.get(key, 0.0) + each.qty, 9)
    return [Traded(bar, side, qty, price) for (bar, side, price), qty in joined.items()]
