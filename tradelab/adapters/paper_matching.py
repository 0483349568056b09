"""Let orders and protection meet the market: a quote, the open of a bar, the inside of one; the engine says the prices.

The order of things inside a bar is the engine's: at the open, what was sent as a market order, then what protects
positions, then what rests; inside, stop losses before targets, then what rests, then the stop losses of what has just
been entered. What only closes is never cut to a share of the bar's volume, as the engine's exits are not.
"""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal

from tradelab.adapters import paper_checks as checks
from tradelab.adapters.paper_account import PaperAccount
from tradelab.adapters.paper_ledger import ZERO, Held
from tradelab.adapters.paper_orders import Working
from tradelab.adapters.paper_prices import Bar
from tradelab.model.market import Candle, Quote
from tradelab.model.orders import OrderStatus, OrderType, Side, TimeInForce


class Matching:
    """The market side of a paper account."""

    def __init__(self, account: PaperAccount) -> None:
        self._account = account

    # what is handed in

    def on_quote(self, quote: Quote) -> None:
        """Take a new best bid and ask."""
        account, seen = self._account, self._account.seen[quote.symbol]
        account.data_ns = max(account.data_ns, quote.ts_ns)
        seen.quote, seen.bid_left, seen.ask_left = quote, quote.bid_qty, quote.ask_qty
        self.expire()
        self._protect(quote.symbol, _point(quote.bid), _point(quote.ask), on_quote=True)
        for order in account.open_orders(quote.symbol):
            if order.is_open and order.arrives_ns <= quote.ts_ns:
                self.meet_quote(order)
        self._close_ruined(quote.symbol)

    def on_candle(self, symbol: str, candle: Candle) -> None:
        """Take a bar: a forming one for its open alone, a closed one for all; a market that is quoted needs none."""
        account, seen = self._account, self._account.seen[symbol]
        if seen.quote is not None or candle.open_ns <= seen.closed_ns:
            return
        account.data_ns = max(account.data_ns, candle.open_ns)
        share = account.config.volume_share
        if not candle.closed and share is not None:
            return  # how much of it may be taken is known when it has closed
        before = math.nan if seen.range is None else float(seen.range)
        volume = candle.volume if candle.closed else math.nan
        bar = Bar(candle.open, candle.high, candle.low, candle.close, volume, before)
        self.expire()
        if candle.open_ns > seen.opened_ns:
            for order in account.open_orders(symbol):
                order.in_bar = ZERO
            self._at_open(symbol, bar.start, candle.open_ns)
            seen.opened_ns = candle.open_ns
        if candle.closed:
            self._inside(symbol, bar, candle.open_ns)
            seen.close, seen.closed_ns = Decimal(repr(float(candle.close))), candle.open_ns
            seen.range = Decimal(repr(float(candle.high - candle.low)))
        elif seen.close is None:
            seen.close = Decimal(repr(float(candle.open)))
        self._close_ruined(symbol)

    def at_close(self, symbol: str) -> None:
        """Let what was sent in the last moment of a bar, behind all that has traded in it, take its close."""
        account, seen = self._account, self._account.seen[symbol]
        if seen.quote is not None or seen.close is None:
            return
        self.expire()
        at = float(seen.close)
        bar = Bar(at, at, at, at, math.nan, math.nan if seen.range is None else float(seen.range))
        for order in account.open_orders(symbol):
            if order.takes_any_price and order.arrives_ns <= account.now_ns and self._comes(order):
                self._take(order, seen.close, bar)
        self._close_ruined(symbol)

    def expire(self) -> None:
        """End orders whose time is over."""
        now = self._account.now_ns
        for order in self._account.open_orders():
            if order.expire_ns is not None and order.expire_ns <= now:
                self._account.end(order, OrderStatus.EXPIRED)

    # quotes

    def meet_quote(self, order: Working) -> None:
        """Hold an order against the quote that stands."""
        account, seen = self._account, self._account.seen[order.symbol]
        if not self._comes(order) or seen.quote is None:
            return
        touch = seen.quote.ask if order.side is Side.BUY else seen.quote.bid
        point = _point(touch)
        if order.waits_for_trigger:
            if order.stop_price is None or account.prices.trigger(order.side, order.stop_price, point) is None:
                return
            self._trigger(order)
        if order.price is None:
            price, maker = account.prices.taken_from_quote(touch, order.side), False
        elif account.prices.limit(order.side, order.price, point) is None:
            self._rest(order)
            return
        elif order.has_rested:
            price, maker = order.price, True
        else:
            price, maker = account.prices.taken_from_quote(touch, order.side, order.price), False
        done = self._trade(order, price, seen.left(order.side), maker=maker)
        seen.takes(order.side, done)
        self._rest(order)

    # bars

    def _at_open(self, symbol: str, start: Bar, open_ns: int) -> None:
        """What a bar's open meets."""
        account = self._account
        coming = [o for o in account.open_orders(symbol) if self._meets_bar(o, open_ns) and self._comes(o)]
        for order in coming:
            if order.is_open and order.takes_any_price:
                self._take(order, Decimal(repr(start.open)), start)
        self._protect(symbol, start, start, on_quote=False)
        for order in coming:
            if order.is_open and not order.takes_any_price:
                self._rests_on(order, start)
            self._rest(order, at_once_only=True)

    def _inside(self, symbol: str, bar: Bar, open_ns: int) -> None:
        """What lies between a bar's open and its close."""
        account = self._account
        self._protect(symbol, bar, bar, on_quote=False)
        entries: dict[str, Decimal] = {}
        for order in sorted(account.open_orders(symbol), key=_comes_after_stops):
            if not order.is_open or not self._meets_bar(order, open_ns):
                continue
            count = len(account.fills)
            if not order.takes_any_price:
                self._rests_on(order, bar)
            for fill in account.fills[count:]:
                entries[fill.position_id or symbol] = fill.price
            self._rest(order)
        for key, price in entries.items():
            self._guard_entry(key, price, bar)

    def _rests_on(self, order: Working, bar: Bar) -> None:
        """Hold a resting order against a bar, or against its open alone."""
        prices = self._account.prices
        if order.waits_for_trigger and order.stop_price is not None:
            level = prices.trigger(order.side, order.stop_price, bar)
            if level is None:
                return
            self._trigger(order)
            if order.price is None:
                self._take(order, level, bar)
                return
            if order.side.sign * (order.price - level) >= 0:
                self._trade(order, level, self._share(order, bar), maker=True)
                return
            bar = bar.end  # of what follows the trigger inside a bar only its close is known
        if order.price is None:
            self._take(order, Decimal(repr(bar.open)), bar)
            return
        price = prices.limit(order.side, order.price, bar)
        if price is not None:
            self._trade(order, price, self._share(order, bar), maker=True)

    def _take(self, order: Working, quoted: Decimal, bar: Bar) -> None:
        """Trade as a market order near a price of a bar."""
        account = self._account
        most = self._share(order, bar)
        qty = self._possible(order, most)
        if qty > 0:
            size = account.instruments[order.symbol].contract_size
            self._trade(order, account.prices.taken(quoted, order.side, qty * size, bar), most, maker=False)

    def _share(self, order: Working, bar: Bar) -> Decimal | None:
        """The most that an order may still take of a bar; ``None``: as much as it likes."""
        share = self._account.config.volume_share
        if share is None or order.closes or not bar.volume >= 0.0:
            return None
        market = self._account.instruments[order.symbol]
        return Decimal(repr(bar.volume)) * share / market.contract_size - order.in_bar

    @staticmethod
    def _meets_bar(order: Working, open_ns: int) -> bool:
        return order.after_bar_ns < open_ns and order.arrives_ns <= open_ns

    # positions

    def _protect(self, symbol: str, selling: Bar, buying: Bar, *, on_quote: bool) -> None:
        """Let what guards positions meet the market: longs sell at the bid, shorts buy at the ask."""
        for key in list(self._account.ledger.of(symbol)):
            held = self._account.ledger.positions.get(key)
            if held is None:
                continue
            bar = selling if held.direction > 0 else buying
            if not self._stopped(key, held, bar, on_quote=on_quote):
                self._targeted(key, held, bar, on_quote=on_quote)

    def _stopped(self, key: str, held: Held, bar: Bar, *, on_quote: bool) -> bool:
        account = self._account
        forced = account.liquidation(key)
        levels = [level for level in (held.stop_loss, forced) if level is not None]
        if not levels:
            return False
        level = max(levels) if held.direction > 0 else min(levels)
        price = account.prices.stop_loss(held.direction, level, bar)
        if price is None:
            return False
        self._exit(key, held, OrderType.STOP, level, price, bar, on_quote=on_quote)
        return True

    def _targeted(self, key: str, held: Held, bar: Bar, *, on_quote: bool) -> None:
        if held.take_profit is None:
            return
        price = self._account.prices.take_profit(held.direction, held.take_profit, bar)
        if price is not None:
            at = held.take_profit if on_quote else price
            self._exit(key, held, OrderType.LIMIT, held.take_profit, at, bar, on_quote=on_quote)

    def _guard_entry(self, key: str, entry: Decimal, bar: Bar) -> None:
        """Hold the stop of what was entered inside a bar against its worst price; its best may have come before."""
        held = self._account.ledger.positions.get(key)
        if held is None or held.stop_loss is None:
            return
        from_entry = replace(bar, open=float(entry))
        price = self._account.prices.stop_loss(held.direction, held.stop_loss, from_entry)
        if price is not None:
            self._exit(key, held, OrderType.STOP, held.stop_loss, price, bar, on_quote=False)

    def _exit(
        self, key: str, held: Held, kind: OrderType, level: Decimal, price: Decimal, bar: Bar, *, on_quote: bool
    ) -> None:
        """Close a position whole, by an order of the account's own."""
        account, side, qty = self._account, held.exit_side, abs(held.qty)
        stop = kind is OrderType.STOP
        order = Working(
            symbol=held.symbol, venue_order_id=account.next_id(), client_order_id=None, side=side, type=kind, qty=qty,
            created_ns=account.now_ns, updated_ns=account.now_ns, reduce_only=True, position_id=held.position_id,
            price=None if stop else level, stop_price=level if stop else None,
        )  # fmt: skip
        account.add(order)
        if stop and on_quote:
            price = account.prices.taken_from_quote(price, side)
        elif stop:
            price = account.prices.taken(price, side, qty * account.instruments[held.symbol].contract_size, bar)
        account.book(order, qty, price, maker=not stop)
        self._sweep(held.symbol)

    def _close_ruined(self, symbol: str) -> None:
        """Close out an account whose equity is gone, and let nothing of it wait any more."""
        account = self._account
        money = account.money_of(account.instruments[symbol])
        if account.config.mode == "spot" or not account.ledger.positions or account.equity(money) > 0:
            return
        for order in account.open_orders():
            if account.money_of(account.instruments[order.symbol]) == money:
                account.end(order, OrderStatus.CANCELLED)
        for key, held in account.positions_in(money).items():
            quote = account.quote(held.symbol)
            if quote is not None:
                price = quote.bid if held.direction > 0 else quote.ask
                self._exit(key, held, OrderType.STOP, price, price, _point(price), on_quote=True)

    # an order's steps

    def _comes(self, order: Working) -> bool:
        """Let an order reach the market; one that makes no sense there is rejected."""
        if not order.has_come:
            order.has_come = True
            if checks.senseless(self._account, order) is not None:
                self._account.end(order, OrderStatus.REJECTED)
        return order.is_open

    def _trigger(self, order: Working) -> None:
        order.status, order.updated_ns = OrderStatus.NEW, self._account.now_ns
        self._account.say(order)

    def _rest(self, order: Working, *, at_once_only: bool = False) -> None:
        """Let what is left wait, unless the order may not."""
        if not order.is_open or order.waits_for_trigger:
            return
        if order.is_at_once:
            self._account.end(order, OrderStatus.CANCELLED)
        elif not at_once_only:
            order.has_rested = True

    def _possible(self, order: Working, most: Decimal | None) -> Decimal:
        """How much an order can trade now, on the step: what it leaves, what there is, what there is to close."""
        qty = order.leaves if most is None else min(order.leaves, max(most, ZERO))
        if order.closes:
            qty = min(qty, self._account.closable(order))
        step = self._account.instruments[order.symbol].qty_step
        if qty != order.leaves:
            qty = (qty / step).to_integral_value(ROUND_FLOOR) * step
        return ZERO if order.time_in_force is TimeInForce.FOK and qty < order.leaves else qty

    def _trade(self, order: Working, price: Decimal, most: Decimal | None, *, maker: bool) -> Decimal:
        """Trade as much as can be, and return how much that was; what cannot be paid for is rejected whole."""
        account = self._account
        qty = self._possible(order, most)
        if qty <= 0:
            if order.closes and account.closable(order) == 0:
                account.end(order, OrderStatus.CANCELLED)
            return ZERO
        need = account.needed(order, qty, price)
        bound = order.closes and account.config.mode != "spot"
        if not bound and need.amount > account.free(need.currency, without=order):
            account.end(order, OrderStatus.REJECTED)
            return ZERO
        account.book(order, qty, price, maker=maker)
        self._sweep(order.symbol)
        return qty

    def _sweep(self, symbol: str) -> None:
        """Cancel what may only close and has nothing left to close."""
        for order in self._account.open_orders(symbol):
            if order.closes and self._account.closable(order) == 0:
                self._account.end(order, OrderStatus.CANCELLED)


def _comes_after_stops(order: Working) -> bool:
    """Sort what stops a position before everything else: inside a bar the worse is taken to have come first."""
    return not (order.closes and order.waits_for_trigger)


def _point(price: Decimal) -> Bar:
    """A price at one moment, as the engine sees a bar."""
    at = float(price)
    return Bar(at, at, at, at)
