"""Take bars and signals as people write them, and turn them into what the engine runs, or refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from tradelab.catalog.frame import as_bars, held
from tradelab.catalog.quality import require_sound
from tradelab.engine.simulate import Market
from tradelab.metrics.annualise import Annualisation, annualisation
from tradelab.model.errors import AlignmentError, ParameterError
from tradelab.research.finer import Finer, read_finer
from tradelab.strategy.spec import SIGNAL_NAMES, as_flags, signal_union

_FIELDS = ("open", "high", "low", "close")
NONE = np.empty((0, 0))  # an array that the engine takes for absent
# Of a market: no funding, no nights, no ends of sessions, no finer bars, none of them anywhere.
NOTHING = (NONE, np.empty(0), np.empty((0, 0), np.uint8), np.empty((0, 4)), np.empty((0, 0, 2), np.int64))


@dataclass(frozen=True, eq=False)
class Tape:
    """Bars of one or more instruments on one time axis.

    Parameters
    ----------
    frames
        Canonical bars by symbol, each on its own index.
    index
        All times at which any of them has a bar, ascending.
    rows
        By symbol, the positions of its bars in ``index``.
    market
        The same as float64 arrays of shape (times, instruments), NaN where there is no bar.
    finer
        Shorter bars that tell which way the price went inside these; ``None``: the fill policy says it.
    kept
        What was worked out from the bars and is asked for again and again, by what it is; see ``once``.
    """

    frames: Mapping[str, pd.DataFrame]
    index: pd.DatetimeIndex
    rows: Mapping[str, np.ndarray]
    market: Market
    finer: Finer | None = None
    kept: dict[Any, Any] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """What travels to another process: not what was worked out here."""
        return self.__dict__ | {"kept": {}}

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What ``make`` makes of these bars, made once; two threads that come at once may both make it."""
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    @property
    def ts_ns(self) -> np.ndarray:
        """The times as int64 nanoseconds, UTC: canonical bars keep no other unit."""
        stamps: np.ndarray = self.index.asi8
        return stamps

    @property
    def year(self) -> Annualisation:
        """How many of these bars make a year."""
        found: Annualisation = self.once("year", lambda: annualisation(self.ts_ns))
        return found

    @property
    def symbols(self) -> list[str]:
        """Names of the instruments, in column order."""
        return list(self.frames)

    def spread(self, by_symbol: Mapping[str, np.ndarray], fill: float, dtype: Any = np.float64) -> np.ndarray:
        """Lay one array an instrument, each on its own bars, out as (times, instruments)."""
        if len(self.frames) == 1 and len(next(iter(self.rows.values()))) == len(self.index):  # nothing to lay out
            return np.ascontiguousarray(next(iter(by_symbol.values())), dtype).reshape(-1, 1)
        wide = np.full((len(self.index), len(self.frames)), fill, dtype=dtype)
        for k, symbol in enumerate(self.frames):
            wide[self.rows[symbol], k] = by_symbol[symbol]
        return wide


def read_bars(bars: pd.DataFrame | Mapping[str, pd.DataFrame], *, checked: bool = False, finer: Any = None) -> Tape:
    """Return bars as a ``Tape``; ``checked`` bars have been through here before, ``finer`` ones lie in them.

    Raises
    ------
    DataError
        Wrong columns, untrustworthy time stamps, impossible prices; each names the instrument and the first place.
    """
    frames = {symbol: held(as_bars(frame, name=symbol)) for symbol, frame in _by_symbol(bars).items()}
    if not checked:
        for symbol, frame in frames.items():
            require_sound(frame, name=symbol)
    parts = list(frames.values())
    index: Any = parts[0].index
    for frame in parts[1:]:
        index = index.union(frame.index)
    rows = {symbol: index.get_indexer(frame.index) for symbol, frame in frames.items()}
    tape = Tape(frames, index, rows, Market(NONE, NONE, NONE, NONE, NONE, *NOTHING))
    open_, high, low, close = (
        tape.spread({s: f[name].to_numpy() for s, f in frames.items()}, np.nan) for name in _FIELDS
    )
    volume = NONE
    if all("volume" in frame for frame in frames.values()):
        volume = tape.spread({s: f["volume"].to_numpy(float) for s, f in frames.items()}, np.nan)
    tape = Tape(frames, index, rows, Market(open_, high, low, close, volume, *NOTHING))
    return tape if finer is None else with_finer(tape, finer)


def with_finer(tape: Tape, finer: Any) -> Tape:
    """The same bars, inside which ``finer`` ones tell the way; errors as ``read_finer``."""
    found = read_finer(tape.frames, tape.rows, len(tape.index), finer)
    return replace(tape, market=tape.market._replace(finer=found.prices, within=found.within), finer=found, kept={})


def _by_symbol(bars: Any) -> dict[str, pd.DataFrame]:
    if isinstance(bars, pd.DataFrame):
        if isinstance(bars.columns, pd.MultiIndex):
            if set(_FIELDS) <= {str(label).lower() for label in bars.columns.unique(0)}:  # (field, symbol), as yfinance
                bars = bars.swaplevel(axis=1)
            return {str(symbol): bars[symbol].dropna(how="all") for symbol in bars.columns.unique(0)}
        return {str(bars.attrs.get("symbol", "bars")): bars}
    if isinstance(bars, Mapping):
        if not bars:
            raise ParameterError("bars is an empty mapping.", fix="Give at least one DataFrame by symbol.")
        named = {str(symbol): frame for symbol, frame in bars.items()}
        if len(named) < len(bars):
            raise ParameterError(f"two symbols of {list(bars)} are written alike.", fix="Give each its own name.")
        return named
    raise ParameterError(f"bars is {type(bars).__name__}.", allowed=["a DataFrame", "a mapping of symbol to DataFrame"])


def read_signals(tape: Tape, given: Mapping[str, Any]) -> np.ndarray:
    """Turn ``entries``, ``exits``, ``short_entries``, ``short_exits`` into bit masks of shape (times, instruments)."""
    names = dict(zip(SIGNAL_NAMES, ("entries", "exits", "short_entries", "short_exits"), strict=True))
    masks = {}
    for symbol, frame in tape.frames.items():
        flags = {
            ours: as_flags(of_symbol(given[theirs], symbol, tape, theirs), frame.index, f"{theirs} of {symbol}")
            for ours, theirs in names.items()
        }
        masks[symbol] = signal_union([flags])[:, 0]
    return tape.spread(masks, 0, np.uint8)


def of_symbol(value: Any, symbol: str, tape: Tape, name: str) -> Any:
    """The part of a per-instrument argument that is about ``symbol``."""
    if isinstance(value, (pd.DataFrame, Mapping)):
        value = {str(label): part for label, part in value.items()}
        if symbol not in value:
            raise AlignmentError(f"{name} has no column {symbol!r}.", allowed=tape.symbols)
        return value[symbol]
    if value is not None and len(tape.frames) > 1:
        raise AlignmentError(
            f"{name} is one series for {len(tape.frames)} instruments.", fix=f"Give a DataFrame with {tape.symbols}."
        )
    return value
