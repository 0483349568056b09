"""Ask a bridge of mtapi.io about an account and its symbols; everything here only reads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tradelab.adapters import mtapi_wire as wire
from tradelab.adapters import mtapi_zone
from tradelab.adapters.mtapi_answers import AnswerError, record, records
from tradelab.adapters.mtapi_book import Book
from tradelab.adapters.mtapi_reading import Reader
from tradelab.adapters.mtapi_rows import AccountRow, HistoryRow, OrderRow, SymbolRow
from tradelab.adapters.mtapi_session import Session
from tradelab.adapters.mtapi_zone import BrokerZone
from tradelab.model.account import AccountInfo, Balance, PositionMode
from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.instrument import Calendar, Instrument, InstrumentKind
from tradelab.model.market import Quote
from tradelab.model.units import NS_PER_DAY, NS_PER_MIN

_AT_ONCE = 8  # requests for symbols under way together
_AHEAD_NS = NS_PER_DAY  # how far beyond now the history is asked for: an answer must not depend on whose clock is right


class Account:
    """What a login lets us know."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.platform = session.settings.platform
        self.instruments_by_symbol: dict[str, Instrument] = {}
        self._reader: Reader | None = None

    @property
    def reader(self) -> Reader:
        """What turns rows into words of the house; there once :meth:`learn` has been called."""
        if self._reader is None:
            raise ConnectivityError("mtapi: not connected.", fix="Call connect() first.")
        return self._reader

    @property
    def zone(self) -> BrokerZone:
        """Whose clock the times are told by."""
        return self.reader.zone

    async def learn(self) -> None:
        """Learn the account's currency and the broker's zone, and the symbols that the settings name."""
        row = await self._row()
        if row.method == wire.NETTING:
            raise RequestError(
                "mtapi: this is a netting account, and this adapter knows hedging accounts only.",
                fix="Open a hedging account; most brokers offer both.",
            )
        names = {} if self._reader is None else self._reader.names
        self._reader = Reader(await self._zone(), row.currency, names)
        if self.session.settings.symbols:
            await self.instruments()

    async def info(self) -> AccountInfo:
        """Return the account at this moment."""
        row = await self._row()
        used = min(max(row.margin, Decimal(0)), row.balance)
        balance = Balance(row.currency, row.balance - used, used)
        return AccountInfo(
            balances=(balance,) if balance.total else (), ts_ns=await self.session.now_ns(), currency=row.currency,
            equity=row.equity, used_margin=row.margin, free_margin=row.free_margin, leverage=row.leverage,
            may_trade=None if row.is_investor is None else not row.is_investor, position_mode=PositionMode.HEDGING,
        )  # fmt: skip

    async def open_rows(self) -> tuple[OrderRow, ...]:
        """Return every ticket that is open or waits."""
        answer = await self.session.ask(wire.OPEN_ORDERS, "open orders")
        return records(wire.ORDER[self.platform], answer.body)

    async def book(self, since_ns: int) -> Book:
        """Return what is open and what happened since then.

        What is open is asked for first: what closes between the two requests is then in both, and not in neither.
        """
        open_rows = await self.open_rows()
        return Book(self.reader, open_rows, await self._history(since_ns, self.session.clock.now_ns() + _AHEAD_NS))

    async def quote(self, symbol: str) -> Quote:
        """Return bid and ask now."""
        answer = await self.session.ask(wire.QUOTE_NOW, f"the quote of {symbol}", symbol=symbol)
        return self.read_quote(answer.body)

    def read_quote(self, body: Any) -> Quote:
        """Read a quote, asked for or pushed."""
        row = record(wire.QUOTE, body)
        return Quote(symbol=row.symbol, bid=row.bid, ask=row.ask, ts_ns=self.zone.utc_ns(row.at))

    async def symbols(self) -> tuple[str, ...]:
        """Return the names of all symbols."""
        body = (await self.session.ask(wire.SYMBOLS, "symbols")).body
        if isinstance(body, Mapping):
            return tuple(body)
        if isinstance(body, list) and all(isinstance(name, str) for name in body):
            return tuple(body)
        raise AnswerError("symbols: neither names nor an object of names")

    async def instruments(self) -> tuple[Instrument, ...]:
        """Return the symbols that the settings name, or all, with their steps and limits; asked for once each."""
        names = self.session.settings.symbols or await self.symbols()
        gate = asyncio.Semaphore(_AT_ONCE)

        async def load(symbol: str) -> None:
            async with gate:
                if symbol not in self.instruments_by_symbol:
                    self.instruments_by_symbol[symbol] = await self._instrument(symbol)

        await asyncio.gather(*(load(name) for name in names))
        return tuple(self.instruments_by_symbol[name] for name in names)

    async def _instrument(self, symbol: str) -> Instrument:
        answer = await self.session.ask(wire.SYMBOL, f"the symbol {symbol}", symbol=symbol)
        row: SymbolRow = record(wire.SYMBOL_SHAPE[self.platform], answer.body)
        base, quote, kind = _currencies(symbol, row)
        return Instrument(
            symbol=symbol, venue=self.session.settings.name, quote=quote, base=base, settle=self.reader.currency,
            kind=kind, tick_size=row.tick, qty_step=row.step, contract_size=row.contract_size, min_qty=row.least,
            max_qty=row.most or None, calendar=Calendar.WEEKDAYS, session="fx" if kind is InstrumentKind.FX else None,
        )  # fmt: skip

    async def _row(self) -> AccountRow:
        answer = await self.session.ask(wire.ACCOUNT, "the account")
        row: AccountRow = record(wire.ACCOUNT_SHAPE, answer.body)
        return row

    async def _zone(self) -> BrokerZone:
        declared = mtapi_zone.declared(self.session.settings.server_zone)
        if declared is not None:
            return declared
        fix = "Set server_zone: an offset (UTC+2), a name (Europe/Athens) or ny-close; the terminal shows the clock."
        try:
            told = (await self.session.ask(wire.ZONE, "the time zone")).body
        except RequestError as error:
            raise RequestError(f"mtapi: the server does not tell its time zone ({error.problem})", fix=fix) from None
        zone = mtapi_zone.asked(told, self.session.clock.now_ns())
        if zone is None:
            raise RequestError("mtapi: the server tells its time zone in a way that leaves doubt.", fix=fix)
        return zone

    async def _history(self, since_ns: int, until_ns: int) -> HistoryRow:
        """Ask for the past; where the server holds some of it back, in halves."""
        zone = self.zone
        answer = await self.session.ask(
            wire.PAST_ORDERS, "history", since=zone.told(since_ns), until=zone.told(until_ns)
        )
        if self.platform is wire.Platform.MT4:
            return HistoryRow(orders=records(wire.ORDER[self.platform], answer.body))
        found: HistoryRow = record(wire.HISTORY, answer.body)
        if not found.partial:
            return found
        if until_ns - since_ns < NS_PER_MIN:
            raise ConnectivityError("mtapi: history: the server does not tell all of one minute.")
        middle = (since_ns + until_ns) // 2
        early, late = await self._history(since_ns, middle), await self._history(middle, until_ns)
        return HistoryRow(
            orders=early.orders + late.orders, deals=early.deals + late.deals, placed=early.placed + late.placed
        )


def _currencies(symbol: str, row: SymbolRow) -> tuple[str | None, str, InstrumentKind]:
    """Return base, quote and kind; MetaTrader 4 names one currency, which for a pair is its first."""
    base = row.currency or None
    is_pair = base is not None and symbol.upper().startswith(base.upper()) and symbol[3:6].isalpha()
    if row.profit_currency:
        is_pair = is_pair and symbol[3:6].upper() == row.profit_currency.upper()
        return base, row.profit_currency, InstrumentKind.FX if is_pair else InstrumentKind.CFD
    if is_pair:
        return base, symbol[3:6].upper(), InstrumentKind.FX
    if base is None:
        raise RequestError(
            f"mtapi: {symbol}: the server does not say in which currency its price is.",
            fix="Compare its answer with the fields of a symbol in tradelab/adapters/mtapi_wire.py.",
        )
    return None, base, InstrumentKind.CFD
