"""Direct a rehearsal: prices, fills, faults, clock, listings, by plain calls; the HTTP door offers the same."""

from __future__ import annotations

import math
from decimal import Decimal

from tradelab.model.errors import ParameterError, UnknownNameError
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.faults import Fault, Faults, Script
from tradelab.rehearsal.hub import Hub
from tradelab.rehearsal.orders import SimOrder
from tradelab.rehearsal.tape import Print


class Director:
    """What a script may do to a venue while it runs."""

    def __init__(self, exchange: Exchange, faults: Faults, hub: Hub) -> None:
        self._exchange = exchange
        self._faults = faults
        self._hub = hub

    def fault(
        self,
        fault: Fault | str,
        on: str = "*",
        *,
        skip: int = 0,
        times: int | None = 1,
        seconds: float = 1.0,
        executed: bool = False,
    ) -> None:
        """Let something go wrong with the next request or frame that fits (see :class:`~.faults.Script`)."""
        try:
            kind = Fault(fault)
        except ValueError:
            raise UnknownNameError.of("fault", fault, [f.value for f in Fault]) from None
        self._faults.add(Script(fault=kind, on=on, skip=skip, times=times, seconds=seconds, executed=executed))

    def all_well(self) -> None:
        """Take every fault away, set the clock right, end every stall."""
        self._faults.clear()
        self._hub.resume()
        self._exchange.clock.skew_s = 0.0

    def skew(self, seconds: float) -> None:
        """Set the venue's clock wrong; above zero it is ahead."""
        if not (isinstance(seconds, int | float) and math.isfinite(seconds)):
            raise ParameterError(f"seconds={seconds!r} is no number of seconds.")
        self._exchange.clock.skew_s = seconds

    def move_price(self, symbol: str, price: Decimal, *, depth: Decimal | None = None) -> None:
        """Trade at a price now, and keep the market there until :meth:`release_price`.

        The candles go on telling the tape. With ``depth`` each level of the book holds so much, so much trades at the
        price, and then nothing more: the tape stops until the next call, or it would fill what was left unfilled. Else
        a level holds what it held at first, and the tape goes on at this price.
        """
        self._require(symbol)
        _require_above_zero("price", price)
        if depth is not None:
            _require_above_zero("depth", depth)
        exchange = self._exchange
        exchange.advance()
        exchange.pinned[symbol] = price
        (exchange.thin.discard if depth is None else exchange.thin.add)(symbol)
        book = exchange.books[symbol]
        book.level_qty = exchange.usual_level_qty(symbol) if depth is None else depth
        exchange.trade(Print(exchange.now_ns, symbol, price, book.level_qty))

    def release_price(self, symbol: str) -> None:
        """Let the tape lead again."""
        self._exchange.pinned.pop(symbol, None)
        self._exchange.thin.discard(symbol)

    def fill(self, number: int, qty: Decimal | None = None) -> None:
        """Trade an open order, or a part of it, at its own price."""
        order = self._open(number)
        if qty is not None:
            _require_above_zero("qty", qty)
        price = order.price or self._exchange.worst_price(order)
        self._exchange.fill(order, min(qty or order.leaves_qty, order.leaves_qty), price, maker=True)

    def expire(self, number: int) -> None:
        """End an open order as the venue does by itself; what has filled stays filled."""
        self._exchange.expire(self._open(number), "by script")

    def delist(self, symbol: str) -> None:
        """Take a market off the list: it does not trade, and orders in it are refused."""
        self._require(symbol)
        self._exchange.delisted.add(symbol)

    def relist(self, symbol: str) -> None:
        """Put it back."""
        self._exchange.delisted.discard(symbol)

    def deposit(self, account: str, currency: str, amount: Decimal) -> None:
        """Give an account money from outside."""
        if account not in self._exchange.accounts:
            raise UnknownNameError.of("account", account, self._exchange.accounts)
        if not Decimal(amount).is_finite():
            raise ParameterError(f"amount={amount} is no amount of money.")
        self._exchange.deposit(account, currency, amount)

    def disconnect(self, part: str = "*") -> int:
        """Break the sockets that listen to topics containing ``part``; return how many."""
        return self._hub.disconnect(part)

    def stall(self, part: str = "*", seconds: float = 3600.0) -> None:
        """Say nothing on topics that contain ``part``, while pings are answered."""
        self._hub.stall(part, seconds)

    def _open(self, number: int) -> SimOrder:
        order = self._exchange.open.get(number)
        if order is None:
            raise ParameterError(f"order {number} is not open.", allowed=sorted(self._exchange.open))
        return order

    def _require(self, symbol: str) -> None:
        if symbol not in self._exchange.tapes:
            raise UnknownNameError.of("market", symbol, self._exchange.tapes)


def _require_above_zero(name: str, value: Decimal) -> None:
    if not Decimal(value).is_finite() or value <= 0:
        raise ParameterError(f"{name}={value} must be a number above zero.")
