"""Keep instruments beside their bars, every step and limit as text: what comes back is the same to the last zero."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import Any

from tradelab.model.instrument import Calendar, Instrument, InstrumentKind

_DECIMALS = (
    "tick_size", "qty_step", "contract_size", "min_qty", "max_qty", "min_notional", "max_notional", "min_price",
    "max_price", "min_market_qty", "max_market_qty", "market_qty_step", "price_band_up", "price_band_down",
)  # fmt: skip
_PLAIN = ("venue", "symbol", "quote", "base", "settle", "session", "max_orders", "max_trigger_orders")
_ENUMS = {"calendar": Calendar, "kind": InstrumentKind}
_COLUMNS = (*_PLAIN, *_DECIMALS, *_ENUMS)


def save(connection: sqlite3.Connection, instrument: Instrument) -> None:
    """Insert or replace one instrument, by venue and symbol."""
    row = [getattr(instrument, n) for n in _PLAIN]
    row += [None if (v := getattr(instrument, n)) is None else str(v) for n in _DECIMALS]
    row += [getattr(instrument, n).value for n in _ENUMS]
    places = ",".join("?" * len(_COLUMNS))
    connection.execute(f"insert or replace into instruments ({','.join(_COLUMNS)}) values ({places})", row)


def find(connection: sqlite3.Connection, venue: str, symbol: str) -> Instrument | None:
    """Return the instrument as it was saved, or ``None``."""
    row = connection.execute(
        f"select {','.join(_COLUMNS)} from instruments where venue=? and symbol=?", (venue, symbol)
    ).fetchone()
    if row is None:
        return None
    facts: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
    facts |= {n: None if facts[n] is None else Decimal(facts[n]) for n in _DECIMALS}
    facts |= {n: kind(facts[n]) for n, kind in _ENUMS.items()}
    return Instrument(**facts)
