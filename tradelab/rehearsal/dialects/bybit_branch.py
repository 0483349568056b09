"""Keep what one category of Bybit remembers beside the exchange: ids used up, trades seen, sizes closed."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.instrument import Instrument
from tradelab.model.orders import Side
from tradelab.model.units import NS_PER_S
from tradelab.rehearsal.dialects import bybit_wire as wire
from tradelab.rehearsal.events import Traded
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.ledger_perp import PerpLedger
from tradelab.rehearsal.ledger_spot import SpotLedger
from tradelab.rehearsal.orders import SimFill, SimOrder
from tradelab.rehearsal.settings import Ledger

TRADES_KEPT = 1000


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """One trade of the market, with the side that took."""

    number: int
    symbol: str
    price: Decimal
    qty: Decimal
    side: Side
    rose: bool
    ts_ns: int


@dataclass(slots=True)
class _Held:
    """What a fold of an account's fills in one symbol has come to."""

    qty: Decimal
    first_ns: int
    last_ns: int


class Branch:
    """One category, ``"linear"`` or ``"spot"``, of one venue; which one, the exchange's ledgers tell."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.linear = exchange.setup.ledger is Ledger.PERPETUAL
        self.category = "linear" if self.linear else "spot"
        self.links = {(o.account, o.client_order_id): o.number for o in exchange.orders.values() if linked(o)}
        self.trades: dict[str, deque[PublicTrade]] = {s: deque(maxlen=TRADES_KEPT) for s in exchange.tapes}
        self._sequence = itertools.count(exchange.now_ns // 1_000_000)
        self._folded = 0
        self._held: dict[tuple[str, str], _Held] = {}
        self._closed: dict[int, Decimal] = {}
        self._filled: dict[int, Decimal] = {}  # by order, up to where the fold has come
        self._filled_by: dict[int, Decimal] = {}  # by fill

    @property
    def now_ms(self) -> int:
        """What the venue says the time is."""
        return self.exchange.clock.shown_ms()

    def shown_ms(self, ts_ns: int) -> int:
        """Return how the venue shows a time of the market."""
        return (ts_ns + int(self.exchange.clock.skew_s * NS_PER_S)) // 1_000_000

    def sequence(self) -> int:
        """Return a number above every one before it, as ``seq`` and ``u`` are."""
        return next(self._sequence)

    def instrument(self, symbol: str) -> Instrument:
        """Return a market's instrument."""
        return self.exchange.instrument(symbol)

    def perp(self, account: str) -> PerpLedger:
        """Return an account's ledger of perpetuals."""
        ledger = self.exchange.ledgers[account]
        assert isinstance(ledger, PerpLedger)
        return ledger

    def spot(self, account: str) -> SpotLedger:
        """Return an account's ledger of balances."""
        ledger = self.exchange.ledgers[account]
        assert isinstance(ledger, SpotLedger)
        return ledger

    # ── orders and fills ─────────────────────────────────────────────────────────────────────────────────────────

    def find(self, account: str, order_id: str, link: str) -> SimOrder | None:
        """Return the account's order of that id, else of that ``orderLinkId``; the id goes first, as documented."""
        number = wire.number_of(order_id, linear=self.linear) if order_id else self.links.get((account, link))
        return None if number is None else self.exchange.find(account, number=number)

    def order_id(self, order: SimOrder | int) -> str:
        """Return the venue's id of an order."""
        return wire.order_id(order if isinstance(order, int) else order.number, linear=self.linear)

    def link(self, order: SimOrder) -> str:
        """Return the ``orderLinkId``, empty where the order has none."""
        return order.client_order_id if linked(order) else ""

    def made_up_link(self) -> str:
        """Return the name that spot gives to an order without one."""
        return f"{self.now_ms}{self.sequence() % 1000:03d}"

    def left_after(self, order: SimOrder, fill: SimFill) -> Decimal:
        """Return what was left of an order after one of its fills."""
        self._fold()
        return order.qty - self._filled_by[fill.number]

    def closed(self, fill: SimFill) -> Decimal:
        """Return how much of a position a fill closed."""
        self._fold()
        return self._closed.get(fill.number, Decimal(0))

    def first_and_last_ns(self, account: str, symbol: str) -> tuple[int, int]:
        """Return when a position was first traded and last, zeros where it never was."""
        self._fold()
        held = self._held.get((account, symbol))
        return (held.first_ns, held.last_ns) if held is not None else (0, 0)

    def _fold(self) -> None:
        fills = self.exchange.fills
        for fill in itertools.islice(fills, self._folded, None):
            held = self._held.setdefault((fill.account, fill.symbol), _Held(Decimal(0), fill.ts_ns, fill.ts_ns))
            self._closed[fill.number] = min(fill.qty, max(Decimal(0), -held.qty * fill.side.sign))
            held.qty += fill.qty * fill.side.sign
            held.last_ns = fill.ts_ns
            self._filled_by[fill.number] = self._filled[fill.order] = (
                self._filled.get(fill.order, Decimal(0)) + fill.qty
            )
        self._folded = len(fills)

    # ── trades of the market ─────────────────────────────────────────────────────────────────────────────────────

    def remember(self, event: Traded) -> PublicTrade:
        """Keep a trade; who took is told by the way the price went."""
        seen = self.trades[event.symbol]
        before = seen[-1] if seen else None
        rose = before.rose if before is not None and before.price == event.price else True
        if before is not None and before.price != event.price:
            rose = event.price > before.price
        side = Side.BUY if rose else Side.SELL
        trade = PublicTrade(self.sequence(), event.symbol, event.price, event.qty, side, rose, event.ts_ns)
        seen.append(trade)
        return trade


def linked(order: SimOrder) -> bool:
    """Whether its client gave the order a name."""
    return bool(order.extra.get("linked"))
