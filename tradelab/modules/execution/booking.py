"""Take in what a venue tells by itself: fills, each booked once and under its owner's name; orders; the money."""

from __future__ import annotations

import random
from collections.abc import Mapping

from tradelab.feeds.asking import Asker, Patience
from tradelab.feeds.fill_book import FillCursor
from tradelab.feeds.fills import FillFeed, FillRhythm
from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.feed_events import FeedAlarm, FeedPolling, FeedResumed, FeedStale
from tradelab.model.instrument import Instrument
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
from tradelab.spine.desk import Desk

_DAY_NS = 86_400 * NS_PER_S


class Booker:
    """Books what one account's venue tells."""

    def __init__(self, desk: Desk, account: str) -> None:
        self._desk = desk
        self._account = account
        self._venue = desk.venue(account)
        self._listed: Mapping[str, Instrument] = {}
        self._asker = Asker(desk.clock, random.Random(account), Patience(longest_pause_s=5.0))

    async def learn(self) -> None:
        """Read what is traded here, before anything is booked."""
        self._listed = {each.symbol: each for each in await self._venue.instruments()}

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
            async for fill in fills:
                await self.book(fill)

    async def book(self, fill: Fill) -> bool:
        """Book a fill under the name of whoever's order it is; ``False`` where it is booked already."""
        if self._desk.ledger.has_fill(self._account, fill.symbol, fill.trade_id):
            return False
        await self._know_owner(fill)
        if self._desk.ledger.has_fill(self._account, fill.symbol, fill.trade_id):
            return False  # while we asked
        self.list_symbols((fill.symbol,))
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
        if before == order or (known is None and before is None and not order.status.is_open):
            return False
        self._desk.bus.say(OrderReported(account=self._account, order=order))
        return True

    async def report_account(self) -> None:
        """Ask for the account's money, and say it."""
        info = await self._venue.account_info()
        self._desk.bus.say(AccountReported(account=self._account, info=info), ts_event_ns=info.ts_ns)

    async def _know_owner(self, fill: Fill) -> None:
        """Ask whose order a fill is of, where it may be one of ours that we have not heard of yet."""
        ledger = self._desk.ledger
        if ledger.order_of(self._account, fill.client_order_id, fill.venue_order_id) is not None:
            return
        if not self._desk.snapshot().open_orders(self._account, fill.symbol):
            return
        ref = OrderRef(symbol=fill.symbol, client_order_id=fill.client_order_id, venue_order_id=fill.venue_order_id)
        while True:
            try:
                told = await self._venue.order(ref)
            except ConnectivityError:
                await self._desk.clock.sleep(1.0)
                continue
            except RequestError:
                return  # the venue will not say: then it is nobody's, and the comparison will show it
            if told is not None:
                self.report(told)
            return

    def _alarm(self, alarm: FeedAlarm) -> None:
        severity = Severity.INFO if isinstance(alarm, FeedResumed) else Severity.WARNING
        says = alarm.says if isinstance(alarm, FeedStale | FeedPolling) else "it goes on"
        self._desk.bus.say(AlarmRaised(kind="fills", about=self._account, severity=severity, says=says))


def fills_since_ns(desk: Desk, account: str) -> int:
    """Return from when on fills are to be read: a day before the last that was booked, or when we first looked."""
    state = desk.snapshot().accounts.get(account)
    if state is None or state.since_ns is None:
        return desk.clock.now_ns()
    return state.since_ns if state.last_fill_ns is None else max(state.since_ns, state.last_fill_ns - _DAY_NS)
