"""Load small real bars that come with the package, usable offline; each says where it is from.

``load("EURUSD-1h")`` gives canonical bars; ``names()`` lists them, ``about(name)`` tells source and licence. An
attribute works too: ``samples.EURUSD_1h``. ``synthetic(...)`` makes bars of any size, labelled as made up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from tradelab.catalog.frame import COLUMNS, from_arrays
from tradelab.catalog.resample import resample
from tradelab.catalog.samples.synthetic import synthetic
from tradelab.model.errors import UnknownNameError
from tradelab.model.instrument import Calendar, Instrument
from tradelab.model.units import Timeframe

__all__ = ["SampleInfo", "about", "load", "names", "synthetic"]

_DATA = Path(__file__).parent / "data"
_DERIVED = {"EURUSD-4h": "EURUSD-1h", "EURUSD-1d": "EURUSD-1h"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleInfo:
    """Where a sample is from, under which licence, and what it holds."""

    name: str
    instrument: Instrument
    timeframe: Timeframe
    rows: int
    start: str
    end: str
    licence: str
    source: str
    package: str
    version: str
    note: str

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.rows} bars of {self.timeframe.alias}, {self.start[:10]} to {self.end[:10]}. "
            f"{self.note} From {self.package} {self.version} ({self.source}). Licence: {self.licence}."
        )


def names() -> list[str]:
    """Return the names of the bundled series.

    >>> "EURUSD-1h" in names()
    True
    """
    return sorted([*_manifest(), *_DERIVED])


def load(name: str) -> pd.DataFrame:
    """Return a bundled series as canonical bars (a fresh frame each time).

    ``attrs`` carry ``symbol``, ``timeframe``, ``source`` and ``synthetic=False``.

    Raises
    ------
    UnknownNameError
        When no sample is called that; the message names the nearest.
    """
    info = about(name)
    bars = resample(_read(_DERIVED[name]), info.timeframe) if name in _DERIVED else _read(name)
    symbol = info.instrument.symbol
    bars.attrs = {"symbol": symbol, "timeframe": info.timeframe.alias, "source": "sample", "synthetic": False}
    return bars


def about(name: str) -> SampleInfo:
    """Return what is known of a bundled series: instrument, range, source, licence.

    >>> about("GOOG-1d").instrument.quote
    'USD'
    """
    if name not in names():
        raise UnknownNameError.of("sample", name, names())
    facts = _manifest()[_DERIVED.get(name, name)]
    symbol, _, timeframe = name.partition("-")
    rows, start, end, note = int(facts["rows"]), facts["start"], facts["end"], facts["note"]
    if name in _DERIVED:
        bars = resample(_read(_DERIVED[name]), timeframe)
        rows, start, end = len(bars), str(bars.index[0]), str(bars.index[-1])
        note = f"{note} Resampled from {_DERIVED[name]}."
    return SampleInfo(
        name=name,
        instrument=_instrument(symbol),
        timeframe=Timeframe.of(timeframe),
        rows=rows,
        start=start,
        end=end,
        licence=facts["licence"],
        source=facts["source"],
        package=facts["package"],
        version=facts["version"],
        note=note,
    )


def _instrument(symbol: str) -> Instrument:
    fx = symbol == "EURUSD"
    return Instrument(
        symbol=symbol,
        venue="sample",
        quote="USD",
        tick_size=Decimal("0.00001") if fx else Decimal("0.01"),
        qty_step=Decimal(1),
        calendar=Calendar.WEEKDAYS if fx else Calendar.SESSIONS,
    )


@lru_cache
def _manifest() -> dict[str, dict[str, str]]:
    return json.loads((_DATA / "manifest.json").read_text(encoding="utf-8"))


def _read(name: str) -> pd.DataFrame:
    table = pq.read_table(_DATA / f"{name}.parquet")
    stamps = table["time"].to_numpy().astype("M8[ns]").view(np.int64)
    return from_arrays(stamps, {c: table[c].to_numpy().copy() for c in COLUMNS})


def __getattr__(attribute: str) -> pd.DataFrame:
    name = attribute.replace("_", "-")
    if attribute.startswith("_") or name not in names():
        raise AttributeError(f"samples has no {attribute!r}; it has {', '.join(__dir__())}")
    return load(name)


def __dir__() -> list[str]:
    return [*__all__, *(n.replace("-", "_") for n in names())]
