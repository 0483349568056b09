"""Write and read the history files of MetaTrader 4 and 5: server time without a zone, whole numbers for volume.

Two text forms, as the terminals' own windows export and import them, and the binary ``.hst`` of MetaTrader 4. Its
layout, little-endian and packed:

======  =======================================================================================================
header  148 bytes: int32 version, char[64] copyright, char[12] symbol, int32 period in minutes, int32 digits,
        int32 time of making, int32 time of the last synchronisation, 52 bytes unused
401     60 bytes a bar, the structure ``MqlRates``: int64 time, float64 open, high, low, close, int64 tick volume,
        int32 spread, int64 real volume; time in seconds since 1970 of the server's clock
400     44 bytes a bar, before build 509: int32 time, float64 open, *low*, *high*, close, volume
======  =======================================================================================================

Sources: ``MqlRates`` and ``FileOpenHistory`` in the MQL4 Reference; the header as ``PeriodConverter.mq4`` writes it,
which comes with the terminal; both versions as the readers of FX31337/go-duka and of nurettin's gist
``e8c77336b91f2c00e302`` have them.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

import numpy as np
import pandas as pd

from tradelab.catalog.dates import wall_clock
from tradelab.catalog.frame import PRICES
from tradelab.catalog.segments import decimals
from tradelab.model.errors import CorruptFileError, ParameterError, QualityError
from tradelab.model.units import Timeframe

_HEADER = struct.Struct("<i64s12siiii52x")
_PRICE_FIELDS = [(name, "<f8") for name in PRICES]
_RATES = np.dtype([("time", "<i8"), *_PRICE_FIELDS, ("tick_volume", "<i8"), ("spread", "<i4"), ("real_volume", "<i8")])
_RATES_400 = np.dtype(
    [("time", "<i4"), ("open", "<f8"), ("low", "<f8"), ("high", "<f8"), ("close", "<f8"), ("volume", "<f8")]
)
_VERSIONS = {401: _RATES, 400: _RATES_400}
_MONTH_MIN = 43_200  # MetaTrader's number for a month
_SYMBOL_LENGTH = 11  # and a zero
_MOST_DIGITS = 8


class History(NamedTuple):
    """An ``.hst`` file: ``bars`` has the columns of its version, with server time that names no zone."""

    version: int
    symbol: str
    minutes: int
    digits: int
    bars: pd.DataFrame


def mt4_text(bars: pd.DataFrame, tz: str | None) -> str:
    """Return bars as MetaTrader 4's History Center takes them: ``2024.01.31,13:05,open,high,low,close,volume``.

    Parameters
    ----------
    bars
        Canonical bars without NaN prices. A volume is rounded to a whole number, one that is missing becomes 0: the
        form has no other word for it.
    tz
        The server's clock, as :func:`tradelab.catalog.dates.wall_clock` takes it.
    """
    table = _table(bars, tz, clock="%H:%M")
    return table.to_csv(index=False, header=False, lineterminator="\r\n")


def mt5_text(bars: pd.DataFrame, tz: str | None) -> str:
    """Return bars as MetaTrader 5 exports and imports them: separated by tabs, under a header of nine names.

    As :func:`mt4_text`; the volume stands as ``<TICKVOL>``, which the terminal shows, and ``<VOL>`` and ``<SPREAD>``
    are 0: the catalog does not know them.
    """
    table = _table(bars, tz, clock="%H:%M:%S").assign(real=0, spread=0)
    names = ["DATE", "TIME", "OPEN", "HIGH", "LOW", "CLOSE", "TICKVOL", "VOL", "SPREAD"]
    table.columns = pd.Index([f"<{name}>" for name in names])
    return table.to_csv(index=False, sep="\t", lineterminator="\r\n")


def hst_bytes(bars: pd.DataFrame, tz: str | None, symbol: str, timeframe: Timeframe) -> bytes:
    """Return bars as an ``.hst`` file of version 401; volume as in :func:`mt4_text`.

    Parameters
    ----------
    symbol
        The name in the header, at most 11 letters; signs that no file name may have are left out: ``BTCUSDT``.

    Raises
    ------
    ParameterError
        The symbol is longer than the header has room for.
    """
    name = re.sub(r"[^A-Za-z0-9._#+-]", "", symbol)
    if not 0 < len(name) <= _SYMBOL_LENGTH:
        raise ParameterError(
            f"symbol {symbol!r} does not fit into an .hst file: {name!r} must have 1 to {_SYMBOL_LENGTH} letters.",
            fix='Give the name the terminal knows: --mt-symbol EURUSD, or mt_symbol="EURUSD".',
        )
    digits = _digits(bars)
    rates = np.zeros(len(bars), _RATES)
    rates["time"] = wall_clock(bars.index, tz).as_unit("s").asi8
    rates["tick_volume"] = _volume(bars)
    for column in PRICES:
        rates[column] = bars[column].to_numpy()
    head = _HEADER.pack(
        401,
        b"tradelab",
        name.encode("ascii"),
        timeframe.value or _MONTH_MIN,
        _MOST_DIGITS if digits is None else digits,
        0,
        0,
    )
    return head + rates.tobytes()


def read_hst(data: bytes, name: str) -> History:
    """Return what an ``.hst`` file of version 400 or 401 holds; ``name`` is what an error calls it."""
    if len(data) < _HEADER.size:
        raise CorruptFileError(f"{name} is no .hst file: {len(data)} bytes, and its header has {_HEADER.size}.")
    version, _, symbol, minutes, digits, _, _ = _HEADER.unpack_from(data)
    rates = _VERSIONS.get(version)
    if rates is None:
        raise CorruptFileError(f"{name} says it is of version {version}.", allowed=_VERSIONS, fix="Is it an .hst file?")
    body = len(data) - _HEADER.size
    if body % rates.itemsize:
        raise CorruptFileError(
            f"{name} is cut off: {body:,} bytes after its header are no multiple of {rates.itemsize} a bar.",
            fix="Close the terminal, so that it writes the file out, and copy it again.",
        )
    found = np.frombuffer(data, rates, offset=_HEADER.size)
    table = pd.DataFrame(
        {field: found[field].astype(found[field].dtype.newbyteorder("=")) for field in rates.names or ()}
    )
    table["time"] = pd.DatetimeIndex((table["time"].to_numpy(np.int64) * 1_000_000_000).view("M8[ns]"))
    return History(version, symbol.split(b"\0")[0].decode("latin-1"), minutes, digits, table)


def _table(bars: pd.DataFrame, tz: str | None, *, clock: str) -> pd.DataFrame:
    digits = _digits(bars)
    wall = wall_clock(bars.index, tz)
    columns: dict[str, object] = {"date": wall.strftime("%Y.%m.%d"), "time": wall.strftime(clock)}
    for name in PRICES:
        values = bars[name].to_numpy()
        columns[name] = [f"{v:.{digits}f}" if digits is not None else np.format_float_positional(v) for v in values]
    return pd.DataFrame({**columns, "volume": _volume(bars)})


def _digits(bars: pd.DataFrame) -> int | None:
    """Return how many decimals the prices have, or ``None`` when they lie on no decimal grid."""
    values = np.concatenate([bars[name].to_numpy() for name in PRICES])
    if not np.isfinite(values).all():
        raise QualityError(
            "the bars have prices that are NaN or infinite, which MetaTrader cannot hold.",
            fix="Drop those bars first; `tradelab data verify` shows them.",
        )
    return decimals(values)


def _volume(bars: pd.DataFrame) -> np.ndarray:
    return np.rint(np.nan_to_num(bars["volume"].to_numpy())).astype(np.int64)
