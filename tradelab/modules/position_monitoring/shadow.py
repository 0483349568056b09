"""Lead one trade through the bars as a backtest would have: the engine's own steps, beside a live account.

What was decided live is told to it, and nothing of what the account made of that. It enters at the open after the
decision, or rests; it leaves by the plan that the account's position keeps, or at the open after an exit was decided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from tradelab.engine.fills import AT_OPEN
from tradelab.engine.simulate import at_close, inside, written
from tradelab.engine.terms import AMOUNT, LIMIT, MARKET, STOP_ENTRY
from tradelab.engine.trading import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT, Bar, act
from tradelab.model.exits import ExitPlan
from tradelab.model.market import Candle
from tradelab.model.orders import OrderIntent, OrderType, TimeInForce
from tradelab.model.rounding import exact
from tradelab.modules.position_monitoring.config import Costs
from tradelab.modules.position_monitoring.levels import Measured, carried, fresh_row, terms_of
from tradelab.modules.position_monitoring.plain import plain

_act, _inside, _at_close, _written = plain(act), plain(inside), plain(at_close), plain(written)
_PLENTY = 1e15  # money: a shadow is never cut to what an account carries, for that has been decided
_TYPES = {OrderType.MARKET: MARKET, OrderType.LIMIT: LIMIT, OrderType.STOP: STOP_ENTRY}
_AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)


class _Page(list[Any]):
    """Room for orders, made as they are written."""

    def __getitem__(self, place: Any) -> Any:
        while len(self) <= place:
            self.append(SimpleNamespace())
        return super().__getitem__(place)


@dataclass(frozen=True, slots=True)
class Leg:
    """What entered, or what left: its quantity, and its average price."""

    qty: Decimal
    price: Decimal


class Shadow:
    """One trade of the engine.

    Parameters
    ----------
    plan, costs, measured
        As the account's position was armed with; of the costs, slippage and spread move prices.
    entry
        The order that the account was to enter by; one that is immediate or cancelled is a market order here.
    qty_step
        Units that a target's share is rounded down to.

    Examples
    --------
    >>> from tradelab.model.orders import Side
    >>> entry = OrderIntent(client_order_id="c", symbol="X", side=Side.BUY, type=OrderType.MARKET, qty=Decimal(2))
    >>> shadow = Shadow(ExitPlan(stop=0.02), Costs(slippage=0.001), Measured(), entry, qty_step=0.01)
    >>> shadow.bar(Candle(0, 100.0, 101.0, 99.0, 100.5, 1.0, True))
    >>> shadow.bar(Candle(60, 99.0, 99.5, 97.0, 97.5, 1.0, True))
    >>> shadow.entered().price, shadow.left().price, shadow.is_over
    (Decimal('100.1'), Decimal('97.999902'), True)
    """

    def __init__(
        self, plan: ExitPlan, costs: Costs, measured: Measured, entry: OrderIntent, *, qty_step: float
    ) -> None:  # fmt: skip
        self._terms = terms = terms_of(plan, costs, measured, qty_step)
        terms.size_type, terms.leverage = AMOUNT, 1.0
        at_once = entry.type is OrderType.MARKET or entry.time_in_force in _AT_ONCE
        terms.entry_type = MARKET if at_once else _TYPES[entry.type]
        self._side = entry.side.sign
        self._line = line = fresh_row(terms, measured)
        line.size, line.signals = float(entry.qty), LONG_ENTRY if self._side > 0 else SHORT_ENTRY
        rest = entry.stop_price if entry.type is OrderType.STOP else entry.price
        line.wish_price = math.nan if at_once or rest is None else float(rest)
        self._account = SimpleNamespace(cash=_PLENTY, debt=0.0, net=0.0, gross=0.0, traded=0.0, dust=0.0, ruined=0)
        self._window, self._atr, self._close = plan.atr_window, measured.atr, measured.close
        self._orders = _Page()
        self._bars = 0

    @property
    def has_entered(self) -> bool:
        """Whether it has opened."""
        return any(order.side == self._side for order in self._orders)

    @property
    def is_over(self) -> bool:
        """Whether it has opened and is flat again."""
        return self.has_entered and self._line.qty == 0.0

    def leave(self, share: float) -> None:
        """Take down that so much of it is to be closed at the next open."""
        self._line.signals, self._line.wish_exit = LONG_EXIT if self._side > 0 else SHORT_EXIT, share

    def bar(self, candle: Candle, *, session_ends: bool = False) -> None:
        """Live a closed bar, the first one being that behind whose open the entry was decided."""
        account, line, terms, page = self._account, self._line, self._terms, self._orders
        bar = Bar(self._bars, candle.open, candle.high, candle.low, candle.close, candle.volume)
        for exits in (True, False):
            fill = _act(account, line, bar, bar.open, exits, terms)
            _written(page, len(page), line, bar.number, 0, AT_OPEN, fill)
        self._atr = carried(self._atr, self._close, candle, self._window)
        self._close = candle.close
        if line.qty != 0.0 or line.rest_side != 0:
            _inside(account, line, page, len(page), 0, bar, self._atr, terms)
        _at_close(account, line, page, len(page), 0, bar, session_ends, terms)
        self._bars += 1

    def close_at(self, price: float) -> None:
        """Take what is left of it as sold at a price, without costs: the account holds nothing any more."""
        qty = abs(self._line.qty)
        if qty:
            self._orders.append(SimpleNamespace(side=-self._side, qty=qty, price=price))
            self._line.qty = 0.0

    def entered(self) -> Leg | None:
        """What opened it; ``None``: nothing has."""
        return _together([order for order in self._orders if order.side == self._side])

    def left(self) -> Leg | None:
        """What closed it so far."""
        return _together([order for order in self._orders if order.side == -self._side])


def _together(orders: Sequence[Any]) -> Leg | None:
    qty = sum((exact(order.qty) for order in orders), Decimal(0))
    if not qty:
        return None
    value = sum((exact(order.qty) * exact(order.price) for order in orders), Decimal(0))
    return Leg(qty, value / qty)
