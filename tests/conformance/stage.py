"""Say what an adapter's test file supplies: a stage with a venue on it, and a hand on the market behind the venue."""

from __future__ import annotations

import abc
import asyncio
import enum
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from typing import Any

from tradelab.model.account import PositionMode
from tradelab.model.approval import OrderApproved, approve
from tradelab.model.instrument import Instrument
from tradelab.model.orders import Fill, Order, OrderIntent, OrderRef, OrderType, Side
from tradelab.model.outcome import Accepted, Outcome
from tradelab.model.ports import ExecutionVenue

PATIENCE_S = 20.0  # of the machine's time: how long `until` asks; a pass never waits for it


class Fault(enum.Enum):
    """What a stage may be able to do to the next request, or to the sockets."""

    ACCEPT_THEN_SILENCE = "accept_then_silence"  # the next order is taken, and no answer comes
    ACCEPT_THEN_RESET = "accept_then_reset"  # it is taken, and the connection is reset
    TRUNCATED_BODY = "truncated_body"  # it is taken, and the answer is 200 with half a body
    ERROR_PAGE = "error_page"  # 502 with HTML; the order is not taken
    RATE_LIMITED = "rate_limited"  # the next request is refused with 429 and Retry-After of 7 seconds
    CLOCK_SKEW = "clock_skew"  # from now on the venue's clock is ten minutes ahead of ours
    UNREACHABLE = "unreachable"  # from now on nothing answers and nothing can be connected to
    CANCEL_THEN_SILENCE = "cancel_then_silence"  # the next cancel is done, and no answer comes
    DROP_STREAMS = "drop_streams"  # every open stream is cut now; the next `watch_*` may connect again


class Stage(abc.ABC):
    """A venue that is connected, with an account that holds money and nothing else, in a market that stands still.

    The attributes are set when the stage is given; ``venue_contract.py`` says what each must be.
    """

    venue: ExecutionVenue
    instrument: Instrument
    price: Decimal
    funds: Decimal
    faults: frozenset[Fault] = frozenset()
    secrets: tuple[str, ...] = ()

    # what an adapter's stage must write

    @abc.abstractmethod
    async def move_price(self, symbol: str, price: Decimal, depth: Decimal | None = None) -> None:
        """Move the market there; return once every order that the new price meets has been matched."""

    @abc.abstractmethod
    async def advance(self, seconds: float) -> None:
        """Let time pass on the venue's clock, the market standing still."""

    @abc.abstractmethod
    async def reopen(self) -> ExecutionVenue:
        """Throw the adapter away as a crash would, and connect a new one to the same account."""

    # what it may write

    async def fault(self, fault: Fault) -> None:
        """Bring about one of ``self.faults``."""
        raise NotImplementedError(f"this stage has no {fault.value}")

    def requests_sent(self) -> int:
        """How many requests have reached the venue's server so far; 0 for ever where there is no server."""
        return 0

    async def settle(self) -> None:
        """Give answers that are under way a moment to arrive."""
        await asyncio.sleep(0.01)

    # what cards use

    def __init__(self) -> None:
        self._names = itertools.count()
        self.began_ns = 0  # the venue's time when the play began, less a second

    @property
    def symbol(self) -> str:
        """What is traded."""
        return self.instrument.symbol

    @property
    def money(self) -> str:
        """The currency that pays."""
        return self.instrument.settle or self.instrument.quote

    @property
    def unit(self) -> Decimal:
        """A small order: twice the least that may be traded even at falling prices, so that half of it may."""
        market = self.instrument
        value = self.price * market.contract_size
        step = max(market.qty_step, market.market_qty_step or market.qty_step)
        least = max(step, market.min_qty or step, market.min_market_qty or step)
        least = max(least, Decimal("1.5") * (market.min_notional or Decimal(0)) / value)
        return 2 * (least / step).to_integral_value(ROUND_CEILING) * step

    def away(self, percent: float | str) -> Decimal:
        """A price on the tick, so many percent from where the market stood at first."""
        return self.instrument.floor_price(self.price * (1 + Decimal(str(percent)) / 100))

    async def quote_moves(self, percent: float | str, depth: Decimal | None = None) -> None:
        """Move the market so many percent away from where it stood at first."""
        await self.move_price(self.symbol, self.away(percent), depth)

    def intent(self, side: Side, qty: Decimal, kind: OrderType = OrderType.MARKET, **rest: Any) -> OrderIntent:
        """Write an order down, with a fresh client id unless one is given."""
        rest.setdefault("client_order_id", f"tlconformance{next(self._names):05}")
        rest.setdefault("symbol", self.symbol)
        return OrderIntent(side=side, qty=qty, type=kind, **rest)

    def approved(self, intent: OrderIntent, **loosened: Any) -> OrderApproved:
        """Let an order pass as a person would; ``loosened`` are limits we pretend not to know."""
        market = replace(self.instrument, symbol=intent.symbol, **loosened)
        passed = approve(intent, market, reference_price=self.price, by=("person",), at_ns=time.time_ns())
        assert isinstance(passed, OrderApproved), passed
        return passed

    async def submit(self, side: Side, qty: Decimal, kind: OrderType = OrderType.MARKET, **rest: Any) -> Outcome:
        """Send an order, fitted to the instrument."""
        return await self.venue.submit(self.approved(self.intent(side, qty, kind, **rest)))

    async def placed(self, side: Side, qty: Decimal, kind: OrderType = OrderType.MARKET, **rest: Any) -> OrderRef:
        """Send an order that the venue must accept, and return its names."""
        intent = self.intent(side, qty, kind, **rest)
        outcome = await self.venue.submit(self.approved(intent))
        assert isinstance(outcome, Accepted), outcome
        return OrderRef(
            symbol=self.symbol, client_order_id=intent.client_order_id, venue_order_id=outcome.venue_order_id
        )

    async def until(self, holds: Callable[[], Awaitable[Any]], what: str) -> Any:
        """Ask until the answer is true, and return it; fail with ``what`` after ``PATIENCE_S``."""
        deadline = time.monotonic() + PATIENCE_S
        while not (answer := await holds()):
            assert time.monotonic() < deadline, f"never came to be: {what}"
            await self.settle()
        return answer

    async def order(self, ref: OrderRef, venue: ExecutionVenue | None = None) -> Order:
        """Ask for an order that must be there."""
        found = await (venue or self.venue).order(ref)
        assert found is not None, f"the venue has no {ref}"
        return found

    async def becomes(self, ref: OrderRef, holds: Callable[[Order], bool], what: str) -> Order:
        """Ask for an order until it is as it should be."""

        async def ask() -> Order | None:
            found = await self.venue.order(ref)
            return found if found is not None and holds(found) else None

        return await self.until(ask, f"{ref.client_order_id} {what}")

    async def fills_of(self, ref: OrderRef) -> list[Fill]:
        """The fills of one order, as the venue lists them."""
        listed = await self.venue.fills(self.began_ns, self.symbol)
        return [fill for fill in listed if ref.venue_order_id == fill.venue_order_id or _same(ref, fill)]

    async def held(self) -> Decimal:
        """How much is held, signed: of the base currency on spot, else in positions."""
        if self.venue.capabilities.position_mode is PositionMode.NONE:
            account = await self.venue.account_info()
            return account.balance(str(self.instrument.base)).total
        return sum((p.qty for p in await self.venue.positions(self.symbol)), Decimal(0))

    async def cash(self) -> Decimal:
        """All the money there is, promised or not."""
        return (await self.venue.account_info()).balance(self.money).total


def _same(ref: OrderRef, fill: Fill) -> bool:
    return ref.client_order_id is not None and ref.client_order_id == fill.client_order_id
