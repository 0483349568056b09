"""Keep instruments beside their bars, every step and limit as text: what comes back is the same to the last zero."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

from tradelab.model.instrument import Calendar, Instrument

_DECIMALS = ("tick_size", "qty_step", "contract_size", "min_qty", "max_qty", "min_notional")
_COLUMNS = ("venue", "symbol", "quote", *_DECIMALS, "calendar")


def save(connection: sqlite3.Connection, instrument: Instrument) -> None:
    """Insert or replace one instrument, by venue and symbol."""
    decimals = [None if (v := getattr(instrument, n)) is None else str(v) for n in _DECIMALS]
    row = (instrument.venue, instrument.symbol, instrument.quote, *decimals, instrument.calendar.value)
    connection.execute(f"insert or replace into instruments values ({','.join('?' * len(_COLUMNS))})", row)


def find(connection: sqlite3.Connection, venue: str, symbol: str) -> Instrument | None:
    """Return the instrument as it was saved, or ``None``."""
    row = connection.execute(
        f"select {','.join(_COLUMNS)} from instruments where venue=? and symbol=?", (venue, symbol)
    ).fetchone()
    if row is None:
        return None
    facts = dict(zip(_COLUMNS, row, strict=True))
    decimals = {n: None if facts[n] is None else Decimal(facts[n]) for n in _DECIMALS}
    return Instrument(
        venue=facts["venue"],
        symbol=facts["symbol"],
        quote=facts["quote"],
        calendar=Calendar(facts["calendar"]),
        **decimals,  # type: ignore[arg-type]
    )
