"""Keep a rehearsal in one file, so that it goes on after a kill with every order, fill and coin it had.

The file is a SQLite database in WAL mode, written in one transaction before an answer or a frame tells of what
happened: whatever kills the process, the file holds all that anybody was told, and nothing by halves. Only what changed
is written, so the cost does not grow with the number of orders. Against a power cut nothing is promised: a rehearsal
does not wait for the disk.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from tradelab.catalog.frame import COLUMNS, from_arrays
from tradelab.model.clock import Clock, ScaledClock, SystemClock
from tradelab.model.errors import CorruptFileError, StorageError
from tradelab.model.instrument import Instrument
from tradelab.rehearsal.clock import VenueClock
from tradelab.rehearsal.events import Event, MoneyChanged, OrderChanged
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.ledger_hedging import HedgingLedger
from tradelab.rehearsal.ledger_perp import PerpLedger
from tradelab.rehearsal.ledger_spot import SpotLedger
from tradelab.rehearsal.matching import Book
from tradelab.rehearsal.orders import SimFill, SimOrder
from tradelab.rehearsal.settings import AccountSetup, Ledger, VenueSetup
from tradelab.rehearsal.tape import Tape

_APPLICATION, _FORMAT = 0x7265_6873, 1  # "rehs", in the file's head
_SCHEMA = """
create table parts (name text primary key, text text not null);
create table tapes (instrument text not null, bars blob not null, prints_per_leg integer not null);
create table orders (place integer primary key autoincrement, number integer unique not null, text text not null);
create table fills (place integer primary key autoincrement, text text not null);
create table funding (place integer primary key autoincrement, text text not null);
"""
_PUT = "insert into parts values (?, ?) on conflict (name) do update set text = excluded.text"
_PUT_ORDER = "insert into orders (number, text) values (?, ?) on conflict (number) do update set text = excluded.text"

_ORDER, _FILL, _MONEY = TypeAdapter(SimOrder), TypeAdapter(SimFill), TypeAdapter(MoneyChanged)
_INSTRUMENT, _SETUP = TypeAdapter(Instrument), TypeAdapter(VenueSetup)
_ACCOUNTS = TypeAdapter(dict[str, AccountSetup])
_LEDGERS: dict[Ledger, TypeAdapter[Any]] = {
    Ledger.SPOT: TypeAdapter(dict[str, SpotLedger]),
    Ledger.PERPETUAL: TypeAdapter(dict[str, PerpLedger]),
    Ledger.HEDGING: TypeAdapter(dict[str, HedgingLedger]),
}


@dataclass(slots=True)
class _Shelf:
    """What of a book outlives the process; its instrument and depth are set up anew."""

    last: Decimal
    level_qty: Decimal
    taken_ask: dict[int, Decimal]
    taken_bid: dict[int, Decimal]


@dataclass(slots=True)
class _Market:
    """What a script has done to the markets, and what their books hold."""

    last_number: int
    pinned: dict[str, Decimal]
    delisted: set[str]
    books: dict[str, _Shelf]
    thin: set[str] = field(default_factory=set)


_MARKET = TypeAdapter(_Market)


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a rehearsal beside its exchange: how it is spoken to, how fast it runs, on which port."""

    dialect: str
    speed: float
    port: int = 0
    bars: str = ""  # where they came from, for people


_TOLD = TypeAdapter(Told)


class StateFile:
    """The file of one rehearsal, held by one process at a time.

    Parameters
    ----------
    path
        The file; it is made where there is none. Beside it SQLite keeps another one, ending in ``-wal``.

    Raises
    ------
    StorageError
        Another process runs a rehearsal with it, or it cannot be written.
    CorruptFileError
        It is no rehearsal's.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._exchange: Exchange | None = None
        self._touched: set[int] = set()  # orders told of since the last save
        self._open: dict[int, str] = {}  # open orders as they are in the file
        self._parts: dict[str, str] = {}
        self._orders = self._fills = self._funding = 0  # how many of each are in the file
        self._base = self._opened()

    @property
    def is_new(self) -> bool:
        """Whether no rehearsal has been kept in it yet."""
        return self._base.execute("select 1 from parts where name = 'market'").fetchone() is None

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def __enter__(self) -> StateFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def tell(self, told: Told) -> None:
        """Keep what is known beside the exchange."""
        with self._writing():
            self._base.execute(_PUT, ("told", _text(_TOLD, told)))

    def save(self, exchange: Exchange) -> None:
        """Write what changed since the last time, in one transaction; all of it the first time.

        Raises
        ------
        StorageError
            It cannot be written; the file is as it was.
        """
        if exchange is not self._exchange:
            self._begin(exchange)
        parts = {name: text for name, text in _parts(exchange).items() if self._parts.get(name) != text}
        orders = self._changed_orders(exchange)
        fills, funding = exchange.fills[self._fills :], exchange.funding[self._funding :]
        if not (parts or orders or fills or funding):
            return
        with self._writing():
            self._base.executemany(_PUT, parts.items())
            self._base.executemany(_PUT_ORDER, orders.items())
            self._base.executemany("insert into fills (text) values (?)", [(_text(_FILL, f),) for f in fills])
            self._base.executemany("insert into funding (text) values (?)", [(_text(_MONEY, f),) for f in funding])
        self._parts |= parts
        self._open = {n: orders.get(n) or self._open[n] for n in exchange.open}
        self._touched.clear()
        self._orders, self._fills, self._funding = len(exchange.orders), len(exchange.fills), len(exchange.funding)

    def _changed_orders(self, exchange: Exchange) -> dict[int, str]:
        """Return new orders, those told of, and open ones that differ: dialects change some in silence."""
        new = islice(exchange.orders, self._orders, None)
        asked = dict.fromkeys([*new, *sorted(self._touched & exchange.orders.keys()), *exchange.open])
        texts = {n: _text(_ORDER, exchange.orders[n]) for n in asked}
        return {n: text for n, text in texts.items() if self._open.get(n) != text}

    def _begin(self, exchange: Exchange) -> None:
        """Write down what does not change, and listen from now on."""
        tapes = [(_text(_INSTRUMENT, t.instrument), _packed(t), t.prints_per_leg) for t in exchange.tapes.values()]
        with self._writing():
            for table in ("tapes", "orders", "fills", "funding"):
                self._base.execute(f"delete from {table}")
            self._base.executemany("insert into tapes values (?, ?, ?)", tapes)
            self._base.execute(_PUT, ("setup", _text(_SETUP, exchange.setup)))
        self._open, self._parts, self._orders, self._fills, self._funding = {}, {}, 0, 0, 0
        self._exchange = exchange
        exchange.listeners.append(self._note)

    def _note(self, event: Event) -> None:
        if isinstance(event, OrderChanged):
            self._touched.add(event.order.number)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def told(self) -> Told:
        """Return what is known beside the exchange."""
        told: Told = self._read(_TOLD, "told")
        return told

    def load(self, clock: Clock | None = None) -> Exchange:
        """Return the exchange as it was when it was last saved.

        Parameters
        ----------
        clock
            What moves the market from now on. By default the machine's clock for one that ran at its speed: what the
            market did meanwhile is then made up for. For any other speed one that goes on from where the market stood.

        Raises
        ------
        CorruptFileError
            The file cannot be understood.
        """
        setup, now_ns = self._read(_SETUP, "setup"), int(self._text_of("now_ns"))
        told = None if clock is not None else self.told()
        if told is not None:
            keeps_up = told.speed == 1.0 and now_ns <= SystemClock().now_ns()
            clock = SystemClock() if keeps_up else ScaledClock(now_ns, told.speed)
        assert clock is not None
        exchange = Exchange(self._tapes(), VenueClock(clock), setup)
        exchange.now_ns = now_ns
        exchange.accounts = self._read(_ACCOUNTS, "accounts")
        exchange.ledgers = self._read(_LEDGERS[setup.ledger], "ledgers")
        exchange.orders = {o.number: o for o in self._rows(_ORDER, "orders")}
        exchange.open = {n: o for n, o in exchange.orders.items() if o.is_open}
        exchange.fills, exchange.funding = list(self._rows(_FILL, "fills")), list(self._rows(_MONEY, "funding"))
        market: _Market = self._read(_MARKET, "market")
        exchange.last_number, exchange.pinned, exchange.delisted = market.last_number, market.pinned, market.delisted
        exchange.thin = market.thin
        for symbol, kept in market.books.items():
            exchange.books[symbol] = Book(
                exchange.instrument(symbol), setup.spread_ticks, kept.level_qty, setup.levels, kept.last,
                kept.taken_ask, kept.taken_bid,
            )  # fmt: skip
        return exchange

    def _tapes(self) -> list[Tape]:
        rows = self._base.execute("select instrument, bars, prints_per_leg from tapes order by rowid").fetchall()
        return [Tape(self._of(_INSTRUMENT, text, "tapes"), _unpacked(bars), prints_per_leg=n) for text, bars, n in rows]

    def _rows(self, adapter: TypeAdapter[Any], table: str) -> Iterable[Any]:
        for (text,) in self._base.execute(f"select text from {table} order by place"):
            yield self._of(adapter, text, table)

    def _read(self, adapter: TypeAdapter[Any], name: str) -> Any:
        return self._of(adapter, self._text_of(name), name)

    def _text_of(self, name: str) -> str:
        found = self._base.execute("select text from parts where name = ?", (name,)).fetchone()
        if found is None:
            raise CorruptFileError(f"{self.path.name} holds no {name!r}.", fix="Begin a new rehearsal in another file.")
        return str(found[0])

    def _of(self, adapter: TypeAdapter[Any], text: str, name: str) -> Any:
        try:
            return adapter.validate_json(text)
        except ValidationError as error:
            raise CorruptFileError(
                f"{self.path.name}: {name} cannot be read: {error.errors()[0]['msg']}.",
                fix="It may be of another version of tradelab; begin a new rehearsal in another file.",
            ) from None

    # ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _opened(self) -> sqlite3.Connection:
        try:
            base = sqlite3.connect(self.path, timeout=0.2, isolation_level=None)
        except sqlite3.Error as error:
            raise self._refusal(error) from None
        try:
            base.execute("pragma locking_mode = exclusive")
            self._require_ours(base)
            base.execute("pragma journal_mode = wal")
            base.execute("pragma synchronous = normal")
            base.execute("begin exclusive")  # held until the file is closed, or the process is gone
            if not base.execute("pragma application_id").fetchone()[0]:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    base.execute(statement)
                base.execute(f"pragma application_id = {_APPLICATION}")
                base.execute(f"pragma user_version = {_FORMAT}")
            base.execute("commit")
        except sqlite3.Error as error:
            base.close()
            raise self._refusal(error) from None
        except CorruptFileError:
            base.close()
            raise
        return base

    def _require_ours(self, base: sqlite3.Connection) -> None:
        application, version, tables = (
            base.execute(f"pragma {name}").fetchone()[0]
            for name in ("application_id", "user_version", "schema_version")
        )
        if (application, version) != (_APPLICATION, _FORMAT) and (application or tables):
            what = "another version's rehearsal" if application == _APPLICATION else "something else"
            raise CorruptFileError(f"{self.path.name} holds {what}.", fix="Name another file; this one is left alone.")

    def _writing(self) -> _Transaction:
        return _Transaction(self)

    def _refusal(self, error: sqlite3.Error) -> StorageError | CorruptFileError:
        if "locked" in str(error):
            return StorageError(f"another rehearsal runs with {self.path}.", fix="End it, or name another file.")
        if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
            return CorruptFileError(f"{self.path.name} is no rehearsal's state.", fix="Name another file.")
        return StorageError(f"{self.path} cannot be written: {error}.", fix="Make room, or name another file.")


class _Transaction:
    """All that is written inside, or nothing."""

    def __init__(self, of: StateFile) -> None:
        self._of = of

    def __enter__(self) -> None:
        self._run("begin immediate")

    def __exit__(self, kind: object, error: object, _: object) -> None:
        self._run("commit" if kind is None else "rollback")
        if isinstance(error, sqlite3.Error):
            raise self._of._refusal(error) from None

    def _run(self, statement: str) -> None:
        try:
            self._of._base.execute(statement)
        except sqlite3.Error as error:
            raise self._of._refusal(error) from None


def _parts(exchange: Exchange) -> dict[str, str]:
    """Return what is small enough to be looked at each time."""
    shelves = {s: _Shelf(b.last, b.level_qty, b.taken_ask, b.taken_bid) for s, b in exchange.books.items()}
    market = _Market(exchange.last_number, exchange.pinned, exchange.delisted, shelves, exchange.thin)
    return {
        "now_ns": str(exchange.now_ns),
        "market": _text(_MARKET, market),
        "ledgers": _text(_LEDGERS[exchange.setup.ledger], exchange.ledgers),
        "accounts": _text(_ACCOUNTS, exchange.accounts),
    }


def _text(adapter: TypeAdapter[Any], value: object) -> str:
    return adapter.dump_json(value).decode()


def _packed(tape: Tape) -> bytes:
    """Return a tape's bars, to the last bit."""
    out, bars = io.BytesIO(), tape.bars
    columns: dict[str, Any] = {name: bars[name].to_numpy() for name in COLUMNS}
    np.savez_compressed(out, time=tape.open_ns, **columns)
    return out.getvalue()


def _unpacked(raw: bytes) -> Any:
    held = np.load(io.BytesIO(raw), allow_pickle=False)
    return from_arrays(held["time"], {name: held[name] for name in COLUMNS})
