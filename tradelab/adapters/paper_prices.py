"""Ask the engine at what price an order meets a quote or a bar, and what it pays; no arithmetic of fills is done here.

The functions of :mod:`tradelab.engine` are called as the plain Python they are written in (``py_func``): the same
source as the kernels, the same IEEE numbers, nothing to compile. A float becomes the shortest ``Decimal`` that names
it, so what the engine said can be read back bit for bit.

Three rules are ours, for a backtest has no quotes (``docs/semantics.md``, *On paper*): a limit that rested trades at
its own price, for quotes leap where the market did not; one that takes on arrival slips no further than its limit; and
a quote's spread is its own, so the terms' spread is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace

import numpy as np

from tradelab.adapters.paper_config import PaperConfig
from tradelab.engine.costs import fee_rate, moved, order_fees, slipped
from tradelab.engine.exits import liquidation_level
from tradelab.engine.fills import stop_fill, target_fill
from tradelab.model.orders import Side
from tradelab.model.rounding import exact

_NO_RANGE = math.nan


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar as the engine sees it; NaN volume: unknown. ``before`` is high less low of the bar before."""

    open: float
    high: float
    low: float
    close: float
    volume: float = math.nan
    before: float = _NO_RANGE

    @property
    def start(self) -> Bar:
        """The bar as it opens: nothing of its range is known."""
        return Bar(self.open, self.open, self.open, self.open, self.volume, self.before)

    @property
    def end(self) -> Bar:
        """The bar as it closes: what certainly comes last."""
        return Bar(self.close, self.close, self.close, self.close, self.volume, self.before)


class Prices:
    """The engine's fill rules on one account's terms."""

    def __init__(self, config: PaperConfig) -> None:
        self._of_bars = config.terms()
        self._of_quotes = config.terms()
        self._of_quotes.spread = 0.0

    def limit(self, side: Side, price: Decimal, bar: Bar) -> Decimal | None:
        """Where a resting limit fills in a bar: at its price, or at the open that has passed it; ``None``: nowhere."""
        return _or_none(stop_fill.py_func(side.sign, float(price), bar.open, bar.low, bar.high))

    def trigger(self, side: Side, stop_price: Decimal, bar: Bar) -> Decimal | None:
        """Where a bar sets off a stop: at its level, or at the open that has passed it; ``None``: it does not."""
        return _or_none(stop_fill.py_func(-side.sign, float(stop_price), bar.open, bar.low, bar.high))

    def stop_loss(self, direction: int, level: Decimal, bar: Bar) -> Decimal | None:
        """Where a bar meets the stop of a long (+1) or short (-1) position; ``None``: it spares it."""
        return _or_none(stop_fill.py_func(direction, float(level), bar.open, bar.low, bar.high))

    def take_profit(self, direction: int, level: Decimal, bar: Bar) -> Decimal | None:
        """Where a bar meets the target of a long (+1) or short (-1) position; ``None``: it misses it."""
        return _or_none(target_fill.py_func(direction, float(level), bar.open, bar.low, bar.high))

    def taken(self, quote: Decimal, side: Side, units: Decimal, bar: Bar) -> Decimal:
        """What a market order pays on a bar: half the spread, slippage, its own weight."""
        terms = self._of_bars
        price = slipped.py_func(float(quote), side.sign, bar.before, terms)
        return exact(moved.py_func(price, side.sign, float(units), bar.volume, terms))

    def taken_from_quote(self, quote: Decimal, side: Side, limit: Decimal | None = None) -> Decimal:
        """What an order that takes pays at a quote that has its own spread: slippage, no further than its limit."""
        price = exact(slipped.py_func(float(quote), side.sign, _NO_RANGE, self._of_quotes))
        if limit is None:
            return price
        return min(price, limit) if side is Side.BUY else max(price, limit)

    def fee(self, units: Decimal, price: Decimal, *, maker: bool) -> Decimal:
        """Fee of a fill of so many units of the underlying."""
        rate = fee_rate.py_func(SimpleNamespace(traded=0.0), maker, self._of_bars)
        return exact(order_fees.py_func(float(units), float(price), rate, self._of_bars))

    def spread_around(self, price: float) -> tuple[float, float]:
        """Bid and ask around the price of a bar, slippage left out."""
        half = 0.5 * float(self._of_bars.spread)
        return price * (1.0 - half), price * (1.0 + half)

    def liquidation(
        self, cash: Decimal, net: Decimal, gross: Decimal, units: Decimal, value: Decimal
    ) -> Decimal | None:
        """Price at which equity falls to the maintenance margin, others as they stand; ``None``: there is none.

        Parameters
        ----------
        cash, net, gross
            The engine's: money less what positions cost, their signed value, their value without signs.
        units, value
            Of this position, signed.
        """
        account = SimpleNamespace(cash=float(cash), net=float(net), gross=float(gross))
        line = SimpleNamespace(qty=float(units), value=float(value))
        return _or_none(liquidation_level.py_func(account, line, self._of_bars))


def _or_none(price: float) -> Decimal | None:
    return None if np.isnan(price) else exact(price)
