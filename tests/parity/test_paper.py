"""Show that paper and backtest are one arithmetic: the same decisions on the same bars fill alike, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.adapters.paper_config import PaperConfig
from tradelab.adapters.paper_venue import PaperVenue
from tradelab.model.approval import OrderApproved, approve
from tradelab.model.clock import ManualClock
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle
from tradelab.model.orders import OrderIntent, OrderType, Side, TimeInForce
from tradelab.model.outcome import Accepted

_MARKET = Instrument(
    symbol="X", venue="paper", quote="USD", base="X", tick_size=Decimal("0.00001"), qty_step=Decimal(1)
)
_SIZE = Decimal(1700)
_EXPIRY = 4
_TERMS = {
    "fees": 0.001, "maker_fees": 0.0002, "spread": 0.0004, "slippage": 0.0003, "slippage_range": 0.05, "impact": 1e6,
}  # fmt: skip


def now(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited")


class Trader:
    """Trade at random on paper, one bar after the other, and note what a backtest would have to be told."""

    def __init__(
        self, bars: pd.DataFrame, kind: OrderType, protected: bool, seed: int, share: str | None = None
    ) -> None:
        self.bars, self.kind, self.protected, self.share = bars, kind, protected, share
        self.chance = random.Random(seed)
        self.stamps = bars.index.as_unit("ns").asi8
        config = PaperConfig(
            mode="netting", balances={"USD": 100_000}, leverage=5, taker_fee_bps=10, maker_fee_bps=2, spread_bps=4,
            slippage_bps=3, slippage_range="0.05", impact=1_000_000, volume_share=share,
        )  # fmt: skip
        self.venue = PaperVenue(config, [_MARKET], clock=ManualClock(0))
        now(self.venue.connect())
        flags = ("entries", "exits", "short_entries", "short_exits")
        self.told = {name: np.zeros(len(bars), bool) for name in flags}
        self.levels = {name: np.full(len(bars), np.nan) for name in ("entry_price", "sl_price", "tp_price")}
        self.sent = 0

    def run(self) -> list[tuple[int, int, float, float, float]]:
        """Live all bars; return bar, side, quantity, price and fee of each fill."""
        rows = self.bars[["open", "high", "low", "close", "volume"]].to_numpy()
        for i, row in enumerate(rows):
            self.venue.on_candle("X", Candle(int(self.stamps[i]), *map(float, row), True))
            if i + _EXPIRY + 2 < len(rows):
                self.decide(i, float(row[3]))
        bar_of = {int(stamp): i for i, stamp in enumerate(self.stamps)}
        fills = now(self.venue.fills(0))
        return [(bar_of[f.ts_ns], f.side.sign, float(f.qty), float(f.price), float(f.fee)) for f in fills]

    def decide(self, i: int, close: float) -> None:
        """At the close of bar ``i``: leave what is held, or enter, or do nothing."""
        held = sum(p.qty for p in now(self.venue.positions()))
        if held and self.chance.random() < 0.08:
            self.told["exits" if held > 0 else "short_exits"][i] = True
            self.send(Side.SELL if held > 0 else Side.BUY, abs(held), OrderType.MARKET, reduce_only=True)
        elif (
            self.kind is OrderType.MARKET and self.share is None and held and self.chance.random() < 0.05
        ):  # turn it round
            side = Side.SELL if held > 0 else Side.BUY
            self.enter(i, side, close, abs(held) + _SIZE)
        elif not held and not now(self.venue.open_orders()) and self.chance.random() < 0.3:
            self.enter(i, self.chance.choice(list(Side)), close, _SIZE)

    def enter(self, i: int, side: Side, close: float, qty: Decimal) -> None:
        """Open a position, by the kind of order that is tried here."""
        self.told["entries" if side is Side.BUY else "short_entries"][i] = True
        rest: dict[str, Any] = {} if self.share is None else {"time_in_force": TimeInForce.IOC}
        if self.kind is not OrderType.MARKET:
            level = round(close * (1 + self.chance.uniform(-0.004, 0.004)), 5)
            self.levels["entry_price"][i] = level
            rest["price" if self.kind is OrderType.LIMIT else "stop_price"] = Decimal(repr(level))
            rest |= {"time_in_force": TimeInForce.GTD, "expire_ns": int(self.stamps[i + 1 + _EXPIRY])}
        if self.protected:
            base = self.levels["entry_price"][i] if self.kind is not OrderType.MARKET else close
            away = 1 + side.sign * np.array([-self.chance.uniform(0.001, 0.01), self.chance.uniform(0.001, 0.01)])
            stop, target = (round(float(base * a), 5) for a in away)
            self.levels["sl_price"][i], self.levels["tp_price"][i] = stop, target
            rest |= {"stop_loss": Decimal(repr(stop)), "take_profit": Decimal(repr(target))}
        self.send(side, qty, self.kind, **rest)

    def send(self, side: Side, qty: Decimal, kind: OrderType, **rest: Any) -> None:
        """Send an order that must be taken."""
        self.sent += 1
        intent = OrderIntent(client_order_id=f"c{self.sent}", symbol="X", side=side, type=kind, qty=qty, **rest)
        order = approve(intent, _MARKET, reference_price=Decimal(1), by=("test",), at_ns=0)
        assert isinstance(order, OrderApproved)
        outcome = now(self.venue.submit(order))
        assert isinstance(outcome, Accepted), outcome


@pytest.mark.parametrize("protected", [False, True], ids=["bare", "protected"])
@pytest.mark.parametrize("kind", [OrderType.MARKET, OrderType.LIMIT, OrderType.STOP], ids=lambda kind: kind.value)
def test_orders_on_paper_fill_as_in_a_backtest_of_the_same_decisions(kind: OrderType, protected: bool) -> None:
    bars = tl.samples.load("EURUSD-1h").iloc[:3000]
    trader = Trader(bars, kind, protected, seed=7)
    paper = trader.run()
    rests = kind is not OrderType.MARKET
    terms: dict[str, Any] = {"entry_type": kind.value, "expiry": _EXPIRY} if rests else {}
    if rests:
        terms["entry_price"] = trader.levels["entry_price"]
    if protected:
        terms |= {"sl_price": trader.levels["sl_price"], "tp_price": trader.levels["tp_price"]}
    result = tl.backtest(
        bars, **trader.told, size=float(_SIZE), init_cash=100_000.0, leverage=5.0, **_TERMS, **terms
    )  # fmt: skip
    names = ("bar", "side", "qty", "price", "fees")
    backtest = [tuple(order[name].item() for name in names) for order in result.outcome.run.orders]
    assert len(backtest) > 150
    assert paper == backtest


def test_what_an_order_leaves_of_a_share_of_the_bar_is_what_a_backtest_cuts_off() -> None:
    bars = tl.samples.load("EURUSD-1h").iloc[:3000]
    trader = Trader(bars, OrderType.MARKET, True, seed=3, share="2e-7")
    paper = trader.run()
    levels = {name: trader.levels[name] for name in ("sl_price", "tp_price")}
    result = tl.backtest(
        bars, **trader.told, size=float(_SIZE), init_cash=100_000.0, leverage=5.0, volume_share=2e-7,
        size_granularity=1.0, **_TERMS, **levels,
    )  # fmt: skip
    names = ("bar", "side", "qty", "price", "fees")
    backtest = [tuple(order[name].item() for name in names) for order in result.outcome.run.orders]
    assert len({qty for _, _, qty, _, _ in paper}) > 50
    assert paper == backtest
