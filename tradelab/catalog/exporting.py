"""Write bars to a file for other tools, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from tradelab.catalog import metatrader
from tradelab.catalog.database import failures
from tradelab.model.errors import ParameterError, UnknownNameError
from tradelab.model.units import Timeframe

_STAMP = "%Y-%m-%dT%H:%M:%SZ"


class Order(NamedTuple):
    """What is to be written besides the bars: the series, and the clock of MetaTrader's server."""

    symbol: str
    timeframe: Timeframe
    tz: str | None = None


_Writer = Callable[[pd.DataFrame, Path, Order], object]
_WRITERS: dict[str, _Writer] = {
    "csv": lambda bars, path, _: bars.to_csv(path, date_format=_STAMP),
    "csv.gz": lambda bars, path, _: bars.to_csv(path, date_format=_STAMP, compression="gzip"),
    "parquet": lambda bars, path, _: bars.reset_index().to_parquet(path, index=False),
    "json": lambda bars, path, _: bars.reset_index().to_json(path, orient="records", date_format="iso"),
    "mt4": lambda bars, path, order: path.write_bytes(metatrader.mt4_text(bars, order.tz).encode("ascii")),
    "mt5": lambda bars, path, order: path.write_bytes(metatrader.mt5_text(bars, order.tz).encode("ascii")),
    "hst": lambda bars, path, order: path.write_bytes(
        metatrader.hst_bytes(bars, order.tz, order.symbol, order.timeframe)
    ),
}
FORMATS = tuple(_WRITERS)
_METATRADER = ("mt4", "mt5", "hst")
_BY_ENDING = {f".{name}": name for name in _WRITERS if name not in ("mt4", "mt5")}


def write_file(bars: pd.DataFrame, path: Path, order: Order, *, format: str | None = None) -> None:
    """Write canonical bars to a file, over the one that is there.

    Parameters
    ----------
    format
        ``csv``, ``csv.gz``, ``parquet``, ``json``, or MetaTrader's ``mt4``, ``mt5`` (text) and ``hst``; when not given,
        the ending says it: ``.csv``, ``.csv.gz``, ``.parquet``, ``.json`` or ``.hst``.

    Raises
    ------
    UnknownNameError
        Another format or ending.
    ParameterError
        A MetaTrader form without the zone of its server's clock, or a zone for a form that states its own.
    StorageError
        No room, or not writable; a file that was there before is unchanged.
    """
    chosen = _format(path) if format is None else format.lower()
    if chosen == "csv" and path.name.lower().endswith(".gz"):
        chosen = "csv.gz"
    if chosen not in _WRITERS:
        raise UnknownNameError.of("file format", chosen, FORMATS)
    if order.tz is not None and chosen not in _METATRADER:
        raise ParameterError(
            f"tz={order.tz!r}: {chosen} files say their zone themselves, and it is UTC.",
            fix=f"Leave it out, or choose a form without zone: {', '.join(_METATRADER)}.",
        )
    if chosen in _METATRADER and path.name.lower().endswith(".gz"):
        raise ParameterError(f"MetaTrader reads no gzip: {path.name}.", fix="Take the .gz off the name.")
    part = path.with_name(f".{path.name}.part")
    plain = bars.copy(deep=False)
    plain.attrs = {}
    with failures(path.parent, f"write {path.name}"):
        try:
            _WRITERS[chosen](plain, part, order)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _format(path: Path) -> str:
    ending = next((e for e in sorted(_BY_ENDING, key=len, reverse=True) if path.name.lower().endswith(e)), None)
    if ending is None:
        raise UnknownNameError.of("file format", path.suffix, _BY_ENDING)
    return _BY_ENDING[ending]
