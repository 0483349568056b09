"""Keep one paper account: what is owned, what is promised, what is at work; and book a fill into all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal

from tradelab.adapters.paper_config import PaperConfig
from tradelab.adapters.paper_ledger import ZERO, Held, Ledger, exactly
from tradelab.adapters.paper_orders import Seen, Working
from tradelab.adapters.paper_prices import Prices
from tradelab.model.account import Balance
from tradelab.model.clock import Clock
from tradelab.model.instrument import Instrument
from tradelab.model.market import Quote
from tradelab.model.orders import Fill, Liquidity, OrderStatus, Side

_PROMISED = Decimal("1e-8")  # what is promised is rounded up to this: a fee in floats may be a hair above its estimate


@dataclass(frozen=True, slots=True)
class Need:
    """Money that an order asks to be there, and in what."""

    currency: str
    amount: Decimal


class PaperAccount:
    """All the state of a paper account, and its arithmetic; ``say`` is told of every order and fill that changes."""

    def __init__(self, config: PaperConfig, instruments: Iterable[Instrument], clock: Clock) -> None:
        self.config = config
        self.instruments = {market.symbol: market for market in instruments}
        self.prices = Prices(config)
        self.ledger = Ledger(config.balances)
        self.orders: dict[str, Working] = {}
        self.clients: dict[str, str] = {}
        self.fills: list[Fill] = []
        self.seen: dict[str, Seen] = {symbol: Seen() for symbol in self.instruments}
        self.data_ns = 0
        self.count = 0
        self.say: Callable[[object], None] = lambda told: None
        self._clock = clock

    # time and names

    @property
    def now_ns(self) -> int:
        """The venue's time: the clock's, and never before what was seen last."""
        return max(self._clock.now_ns(), self.data_ns)

    def next_id(self) -> str:
        """A name for an order that no other has, in the order of their coming."""
        self.count += 1
        return f"{self.count}"

    # orders

    def open_orders(self, symbol: str | None = None) -> list[Working]:
        """Orders that may still trade, in the order of their coming."""
        return [o for o in self.orders.values() if o.is_open and symbol in (None, o.symbol)]

    def add(self, order: Working) -> None:
        """Take an order in."""
        self.orders[order.venue_order_id] = order
        if order.client_order_id is not None:
            self.clients[order.client_order_id] = order.venue_order_id
        self.say(order)

    def end(self, order: Working, status: OrderStatus) -> None:
        """Close an order that will not trade any more."""
        order.status, order.updated_ns = status, self.now_ns
        self.say(order)

    # money

    def money_of(self, market: Instrument) -> str:
        """The currency that pays for what is traded."""
        if self.config.mode == "spot":
            return market.quote
        return market.settle or market.quote

    def value(self, market: Instrument, qty: Decimal, price: Decimal) -> Decimal:
        """What a quantity is worth at a price."""
        with exactly():
            return qty * price * market.contract_size

    def expected(self, order: Working) -> Decimal:
        """The price at which an order is likely to trade: its limit, its trigger, else the market's."""
        own = order.stop_price if order.price is None and order.waits_for_trigger else order.price
        if own is not None:
            return own
        touch = self.seen[order.symbol].touch(order.side)
        return ZERO if touch is None else self.prices.taken_from_quote(touch, order.side)

    def need(self, order: Working) -> Need:
        """What an open order asks to be there for what it leaves."""
        return self.needed(order, order.leaves, self.expected(order))

    def needed(self, order: Working, qty: Decimal, price: Decimal) -> Need:
        """What trading ``qty`` at ``price`` takes: all of it on spot, margin for what opens a position otherwise."""
        market = self.instruments[order.symbol]
        money = self.money_of(market)
        if self.config.mode == "spot":
            if order.side is Side.SELL:
                return Need(str(market.base), qty)
            return Need(money, self._promise(market, qty, price, qty))
        opening = ZERO if order.closes else max(qty - self.closable(order), ZERO)
        return Need(money, self._promise(market, opening, price, qty))

    def _promise(self, market: Instrument, opening: Decimal, price: Decimal, qty: Decimal) -> Decimal:
        fee = max(self.prices.fee(qty * market.contract_size, price, maker=maker) for maker in (True, False))
        margin = self.value(market, opening, price) / self.config.leverage
        return (margin + max(fee, ZERO)).quantize(_PROMISED, ROUND_UP)

    def promised(self, currency: str, *, without: Working | None = None) -> Decimal:
        """What open orders ask to be there."""
        needs = (self.need(order) for order in self.open_orders() if order is not without)
        return sum((need.amount for need in needs if need.currency == currency), ZERO)

    def unrealized(self, held: Held) -> Decimal:
        """Profit of a position at the price that was last seen."""
        market = self.instruments[held.symbol]
        mark = self.seen[held.symbol].mark
        if mark is None:
            return ZERO
        with exactly():
            return held.qty * mark * market.contract_size - held.cost

    def positions_in(self, currency: str) -> dict[str, Held]:
        """Open positions that pay in a currency, by key."""
        held = self.ledger.positions.items()
        return {key: h for key, h in held if self.money_of(self.instruments[h.symbol]) == currency}

    def equity(self, currency: str) -> Decimal:
        """Money and what open positions have won or lost."""
        gained = sum((self.unrealized(held) for held in self.positions_in(currency).values()), ZERO)
        return self.ledger.money.get(currency, ZERO) + gained

    def margin(self, currency: str) -> Decimal:
        """What open positions bind."""
        gross = sum((abs(self._worth(held)) for held in self.positions_in(currency).values()), ZERO)
        return (gross / self.config.leverage).quantize(_PROMISED, ROUND_UP)

    def _worth(self, held: Held) -> Decimal:
        mark = self.seen[held.symbol].mark
        return held.cost if mark is None else self.value(self.instruments[held.symbol], held.qty, mark)

    def free(self, currency: str, *, without: Working | None = None) -> Decimal:
        """What may be promised to another order; below zero when positions have lost more."""
        promised = self.promised(currency, without=without)
        return self.equity(currency) - self.margin(currency) - promised

    def balance(self, currency: str) -> Balance:
        """Money of one currency; ``used`` is what cannot be promised again, all of it at most."""
        total = self.ledger.money.get(currency, ZERO)
        used = min(max(total - self.free(currency), ZERO), max(total, ZERO))
        return Balance(currency, total - used, used)

    def balances(self) -> tuple[Balance, ...]:
        """All the money, none that is zero."""
        return tuple(self.balance(currency) for currency, money in sorted(self.ledger.money.items()) if money)

    # positions

    def opposite(self, order: Working) -> dict[str, Held]:
        """The positions that an order closes before it opens anything, oldest first."""
        if self.config.mode == "spot":
            return {}
        held = {k: h for k, h in self.ledger.of(order.symbol).items() if h.direction == -order.side.sign}
        if order.position_id is not None:
            return {k: h for k, h in held.items() if k == order.position_id}
        if self.config.mode == "hedging" and not order.reduce_only:
            return {}
        return held

    def closable(self, order: Working) -> Decimal:
        """How much of what is held an order can close."""
        return sum((abs(held.qty) for held in self.opposite(order).values()), ZERO)

    def liquidation(self, key: str) -> Decimal | None:
        """Price at which the account is liquidated for this position, others as they stand; ``None``: never."""
        if self.config.maintenance == 0:
            return None
        held = self.ledger.positions[key]
        market = self.instruments[held.symbol]
        every = self.positions_in(self.money_of(market)).values()
        cash = self.ledger.money.get(self.money_of(market), ZERO) - sum((h.cost for h in every), ZERO)
        worth = [self._worth(h) for h in every]
        gross = sum((abs(w) for w in worth), ZERO)
        units = held.qty * market.contract_size
        return self.prices.liquidation(cash, sum(worth, ZERO), gross, units, self._worth(held))

    # fills

    def book(self, order: Working, qty: Decimal, price: Decimal, *, maker: bool) -> Fill:
        """Trade: move money, positions and the order, and say so."""
        market = self.instruments[order.symbol]
        money = self.money_of(market)
        fee = self.prices.fee(qty * market.contract_size, price, maker=maker)
        ticket = self._settle(order, market, qty, price)
        self.ledger.charge(money, fee)
        order.take(qty, price, self.now_ns)
        fill = Fill(
            trade_id=f"{len(self.fills) + 1}",
            symbol=order.symbol,
            venue_order_id=order.venue_order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            qty=qty,
            price=price,
            fee=fee,
            fee_currency=money,
            liquidity=Liquidity.MAKER if maker else Liquidity.TAKER,
            ts_ns=self.now_ns,
            position_id=ticket,
        )
        self.fills.append(fill)
        self.say(order)
        self.say(fill)
        return fill

    def _settle(self, order: Working, market: Instrument, qty: Decimal, price: Decimal) -> str | None:
        """Move what is owned; return the id of the position that was changed, where positions have one."""
        if self.config.mode == "spot":
            self.ledger.swap(str(market.base), market.quote, order.side, qty, self.value(market, qty, price))
            return None
        ticket = None
        for key, held in self.opposite(order).items():
            closing = min(qty, abs(held.qty))
            if closing:
                self.ledger.close(key, closing, self.value(market, closing, price), self.money_of(market))
                ticket, qty = held.position_id, qty - closing
        if qty:
            hedges = self.config.mode == "hedging"
            ticket = order.venue_order_id if hedges else None
            cost = self.value(market, order.side.sign * qty, price)
            self.ledger.open(
                ticket or order.symbol,
                Held(
                    symbol=order.symbol, qty=order.side.sign * qty, cost=cost, opened_ns=self.now_ns,
                    position_id=ticket, stop_loss=order.stop_loss, take_profit=order.take_profit,
                ),
            )  # fmt: skip
        return ticket

    # the market

    def quote(self, symbol: str) -> Quote | None:
        """Best bid and ask as last seen, or laid around the last close; ``None`` before anything was seen."""
        seen = self.seen[symbol]
        if seen.quote is not None or seen.close is None:
            return seen.quote
        market = self.instruments[symbol]
        bid, ask = (Decimal(repr(price)) for price in self.prices.spread_around(float(seen.close)))
        return Quote(symbol=symbol, bid=market.floor_price(bid), ask=market.ceil_price(ask), ts_ns=max(self.data_ns, 0))


def latest(fills: Iterable[Fill], since_ns: int, symbol: str | None) -> list[Fill]:
    """Fills from a time on, in the order in which they were booked, which is that of their time."""
    return [fill for fill in fills if fill.ts_ns >= since_ns and symbol in (None, fill.symbol)]
