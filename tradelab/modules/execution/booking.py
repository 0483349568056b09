"""Take in what a venue tells by itself: fills, each booked once and under its owner's name; orders; the money."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from tradelab.feeds.asking import Asker, Patience
from tradelab.feeds.fill_book import FillCursor
from tradelab.feeds.fills import FillFeed, FillRhythm
from tradelab.model.account import AccountInfo, PositionMode
from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.feed_events import FeedAlarm, FeedPolling, FeedResumed, FeedStale
from tradelab.model.instrument import Instrument
from tradelab.model.line import Line
from tradelab.model.market import Quote
from tradelab.model.messages import (
    AccountReported,
    AlarmRaised,
    InstrumentListed,
    OrderReported,
    TradeExecuted,
)
from tradelab.model.orders import Fill, Order, OrderRef
from tradelab.model.states import Severity
from tradelab.model.units import NS_PER_S
from tradelab.modules.execution.config import Config
from tradelab.modules.execution.worth import markets_of, quote_currency, worth
from tradelab.spine.desk import Desk
from tradelab.spine.order_life import Phase

_DAY_NS = 86_400 * NS_PER_S
_MARGIN_NS = 60 * NS_PER_S  # our clock and the venue's may differ by so much


class Booker:
    """Books what one account's venue tells."""

    def __init__(self, desk: Desk, config: Config, account: str) -> None:
        self._desk = desk
        self._config = config
        self._account = account
        self._unvalued = ""
        self._venue = desk.venue(account)
        self._listed: Mapping[str, Instrument] = {}
        self._unlisted: set[str] = set()
        self._fills: FillFeed | None = None
        self._asker = Asker(desk.clock, random.Random(account), Patience(longest_pause_s=5.0))

    async def learn(self) -> None:
        """Read what is traded here, before anything is booked."""
        self._listed = {each.symbol: each for each in await self._venue.instruments()}

    async def learn_missing(self, symbols: set[str]) -> None:
        """Read it again where something is held that had not been listed; raise an alarm where it still is not."""
        missing = symbols - set(self._listed) - {s for a, s in self._desk.snapshot().instruments if a == self._account}
        if not missing - self._unlisted:
            return
        await self.learn()
        for symbol in sorted(missing - set(self._listed)):
            self._tell_unlisted(symbol, "is held")

    def _tell_unlisted(self, symbol: str, what: str) -> None:
        if symbol not in self._unlisted:
            self._unlisted.add(symbol)
            says = f"{symbol} {what}, which the venue does not list: it is not counted anywhere"
            self._alarm_of("listing", symbol, says, Severity.CRITICAL)

    def lists(self, symbol: str) -> bool:
        """Whether the venue lists a symbol; of what it lists no more it may tell under another name, or not at all."""
        return symbol in self._listed

    def list_symbols(self, symbols: tuple[str, ...]) -> None:
        """Say what is traded is like, where it is not known or has changed."""
        known = self._desk.snapshot().instruments
        for symbol in symbols:
            instrument = self._listed.get(symbol)
            if instrument is not None and known.get((self._account, symbol)) != instrument:
                self._desk.bus.say(InstrumentListed(account=self._account, instrument=instrument))

    async def follow_fills(self, since_ns: int, rhythm: FillRhythm | None = None) -> None:
        """Book fills as they come, for ever."""
        if self._venue.capabilities.in_process:
            stream = self._venue.watch_fills()
            for fill in await self._venue.fills(since_ns):
                await self.book(fill)
            async for fill in stream:
                await self.book(fill)
            return
        cursor = FillCursor(since_ns)
        async with FillFeed(
            self._venue, cursor, rhythm=rhythm, on_alarm=self._alarm, clock=self._desk.clock, asker=self._asker
        ) as fills:
            self._fills = fills
            async for fill in fills:
                await self.book(fill)

    def line(self) -> Line | None:
        """Return how the stream of fills stands; ``None`` where the account lives here, or it was never opened."""
        return None if self._fills is None else self._fills.line(self._account)

    async def book(self, fill: Fill) -> bool:
        """Book a fill under the name of whoever's order it is; ``False`` where it is booked already."""
        if self._desk.ledger.has_fill(self._account, fill.symbol, fill.trade_id):
            return False
        await self._know_owner(fill)
        if self._desk.ledger.has_fill(self._account, fill.symbol, fill.trade_id):
            return False  # while we asked
        self.list_symbols((fill.symbol,))
        if (self._account, fill.symbol) not in self._desk.snapshot().instruments:
            self._tell_unlisted(fill.symbol, "was traded")
            return False  # nobody can say what it means; perhaps it is the old name of a market that is gone
        order = self._desk.ledger.order_of(self._account, fill.client_order_id, fill.venue_order_id)
        meant = None if order is None else order.intended
        executed = TradeExecuted(
            account=self._account,
            bot=None if meant is None else meant.bot,
            signal_id=None if meant is None else meant.signal_id,
            leg=None if meant is None else meant.leg,
            fill=fill,
        )
        self._desk.bus.say(executed, ts_event_ns=fill.ts_ns)
        return True

    def report(self, order: Order) -> bool:
        """Say what an order is now, unless that is known; ``False`` where it is."""
        ledger = self._desk.ledger
        known = ledger.order_of(self._account, order.client_order_id, order.venue_order_id)
        key = (self._account, order.venue_order_id)
        before = self._desk.snapshot().foreign_orders.get(key) if known is None else known.told
        if known is None and before is None and not order.status.is_open:
            return False
        is_back = known is not None and known.phase is Phase.CLOSED and order.status.is_open  # it had vanished
        if before == order and not is_back:
            return False
        self._desk.bus.say(OrderReported(account=self._account, order=order))
        return True

    async def report_account(self) -> None:
        """Ask for the account's money, and say it."""
        info = await self._venue.account_info()
        if info.equity is None and self._venue.capabilities.position_mode is PositionMode.NONE:
            info = await self._valued(info)
        self._desk.bus.say(AccountReported(account=self._account, info=info), ts_event_ns=info.ts_ns)

    async def _valued(self, info: AccountInfo) -> AccountInfo:
        """Tell what a spot account is worth in the currency in which its bots' symbols are priced, if that is known."""
        traded = [self._listed[s] for s in self._desk.symbols(self._account) if s in self._listed]
        currency = quote_currency(traded)
        if currency is None:
            self._tell_worth("its symbols are not priced in one currency" if traded else "")
            return info
        markets = markets_of(info.balances, self._listed, currency)
        prices = {coin: quote for coin, symbol in markets.items() if (quote := await self._quote(symbol)) is not None}
        found = worth(info.balances, prices, currency)
        self._tell_worth(f"no fresh price in {currency} of {', '.join(found.unknown)}" if found.unknown else "")
        return info if found.equity is None else replace(info, equity=found.equity, currency=currency)

    async def _quote(self, symbol: str) -> Quote | None:
        """Return a fresh quote, asked for where none came by itself; ``None`` where there is none to be had."""
        seen = self._desk.market.quotes.get((self._account, symbol))
        if seen is not None and self._desk.clock.now_ns() - seen.seen_ns <= self._config.quote_age_s * NS_PER_S:
            return seen.quote
        try:
            return await self._venue.quote(symbol)
        except (ConnectivityError, RequestError):
            return None

    def _tell_worth(self, unknown: str) -> None:
        """Raise an alarm when the equity becomes unknown, and another when it is known again."""
        if unknown == self._unvalued:
            return
        self._unvalued = unknown
        says = f"its equity is unknown: {unknown}; sizes and guards that need it let nothing in" if unknown else ""
        severity = Severity.WARNING if unknown else Severity.INFO
        self._alarm_of("equity", self._account, says or "its equity is known", severity)

    async def _know_owner(self, fill: Fill) -> None:
        """Ask whose order a fill is of, where it may be one of ours that we have not heard of yet."""
        ref = OrderRef(symbol=fill.symbol, client_order_id=fill.client_order_id, venue_order_id=fill.venue_order_id)
        while self._may_be_ours(fill):
            try:
                told = await self._venue.order(ref)
            except ConnectivityError as error:
                await self._desk.clock.sleep(max(self._config.look_s, error.retry_after_s or 0.0))
                continue
            except RequestError:
                return  # the venue will not say: then it is nobody's, and the comparison will show it
            if told is not None:
                self.report(told)
                return
            if not self._is_awaited(fill):
                return
            await self._desk.clock.sleep(self._config.look_s)  # the venue knows its fill, and the order not yet

    def _may_be_ours(self, fill: Fill) -> bool:
        """Whether nobody knows whose order it is of, and it may be one of ours."""
        if self._desk.ledger.order_of(self._account, fill.client_order_id, fill.venue_order_id) is not None:
            return False
        return bool(self._desk.snapshot().open_orders(self._account, fill.symbol))

    def _is_awaited(self, fill: Fill) -> bool:
        """Whether one of our orders that it may be of has no venue's name yet."""
        return any(
            order.venue_order_id is None and order.intended.intent.side is fill.side
            for order in self._desk.snapshot().open_orders(self._account, fill.symbol)
        )

    def _alarm(self, alarm: FeedAlarm) -> None:
        severity = Severity.INFO if isinstance(alarm, FeedResumed) else Severity.WARNING
        says = alarm.says if isinstance(alarm, FeedStale | FeedPolling) else "it goes on"
        self._alarm_of("fills", self._account, says, severity)

    def _alarm_of(self, kind: str, about: str, says: str, severity: Severity) -> None:
        self._desk.bus.say(AlarmRaised(kind=kind, about=about, severity=severity, says=says))


def fills_since_ns(desk: Desk, account: str) -> int:
    """Return from when on fills are to be read: a day before the last that was booked, or when we first looked."""
    state = desk.snapshot().accounts.get(account)
    if state is None or state.since_ns is None:
        return desk.clock.now_ns() - _MARGIN_NS
    first_ns = state.since_ns - _MARGIN_NS
    return first_ns if state.last_fill_ns is None else max(first_ns, state.last_fill_ns - _DAY_NS)
