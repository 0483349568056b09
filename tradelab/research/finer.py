"""Find the finer bars that lie in each bar, or say why they cannot tell which way the price went inside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tradelab.catalog.frame import PRICES, as_bars, content_hash, infer_timeframe, time_ns
from tradelab.catalog.quality import require_sound
from tradelab.model.errors import AlignmentError, DataError, ParameterError
from tradelab.model.units import Timeframe

TOLERANCE = 1e-4  # of the price: how far a bar may lie from what its finer bars make together
_HOW = "Give bars of a shorter timeframe of the same instrument: finer=minute_bars, or a mapping of symbol to them."


@dataclass(frozen=True, eq=False)
class Finer:
    """Finer bars, and where they lie.

    Parameters
    ----------
    timeframe
        How long they are.
    prices
        Open, high, low, close, shape (finer bars, 4); those of all instruments, one after the other.
    within
        Shape (times, instruments, 2), int64: the first row of ``prices`` that lies in a bar, and the one after the
        last; the same where there are none.
    walked, without
        How many bars have finer ones in them, and how many have none: there the fill policy's own way is taken.
    sha256
        Content hash of the finer bars.
    """

    timeframe: str
    prices: np.ndarray
    within: np.ndarray
    walked: int
    without: int
    sha256: str

    def plain(self) -> dict[str, Any]:
        """What a result says of them, as JSON-ready values."""
        said = ("timeframe", "walked", "without", "sha256")
        return {name: getattr(self, name) for name in said}


def read_finer(frames: Mapping[str, pd.DataFrame], rows: Mapping[str, np.ndarray], times: int, finer: Any) -> Finer:
    """Lay finer bars out on the bars they lie in.

    Parameters
    ----------
    frames, rows
        Canonical bars by symbol, and their places among all ``times``, as ``inputs.Tape`` has them.
    finer
        A DataFrame of bars for one instrument, a mapping of symbol to DataFrame for several.

    Raises
    ------
    AlignmentError
        Of another instrument, none for one of them, none that lies in any bar, or one that lies in two.
    DataError
        They do not add up to the bars: open, high, low or close lie further apart than ``TOLERANCE``. A first and a
        last bar that they cover in part only count as bars without any.
    ParameterError
        They are not shorter than the bars.
    """
    own = finer_by_symbol(finer, list(frames))
    within = np.zeros((times, len(frames), 2), np.int64)
    prices, lengths, before, walked = [], set(), 0, 0
    for k, (symbol, frame) in enumerate(frames.items()):
        pieces = as_bars(own[symbol], name=f"the finer bars of {symbol}")
        require_sound(pieces, name=f"the finer bars of {symbol}")
        length = infer_timeframe(pieces)
        places = _places(symbol, frame, pieces, length)
        within[rows[symbol], k] = places + before
        prices.append(pieces[list(PRICES)].to_numpy(float))
        lengths.add(length.alias)
        before += len(pieces)
        walked += int((places[:, 1] > places[:, 0]).sum())
    bars = sum(len(frame) for frame in frames.values())
    digest = "+".join(content_hash(own[symbol]) for symbol in frames)
    alias = "+".join(sorted(lengths))
    return Finer(alias, np.ascontiguousarray(np.concatenate(prices)), within, walked, bars - walked, digest)


def finer_by_symbol(finer: Any, symbols: list[str]) -> dict[str, pd.DataFrame]:
    """Finer bars by the symbols of the bars, all of them and no others; errors as ``read_finer``."""
    if isinstance(finer, pd.DataFrame) and not isinstance(finer.columns, pd.MultiIndex):
        if len(symbols) > 1:
            raise AlignmentError(f"finer is one frame for {len(symbols)} instruments.", fix=_HOW)
        named = str(finer.attrs.get("symbol", symbols[0]))
        if named != symbols[0] and symbols[0] != "bars":
            raise AlignmentError(f"finer has bars of {named}, the bars are of {symbols[0]}.", fix=_HOW)
        return {symbols[0]: finer}
    if isinstance(finer, pd.DataFrame):
        finer = {str(symbol): finer[symbol].dropna(how="all") for symbol in finer.columns.unique(0)}
    if not isinstance(finer, Mapping):
        allowed = ["a DataFrame", "a mapping of symbol to DataFrame"]
        raise ParameterError(f"finer is {type(finer).__name__}.", allowed=allowed, fix=_HOW)
    named_frames = {str(symbol): frame for symbol, frame in finer.items()}
    if set(named_frames) != set(symbols):
        raise AlignmentError(f"finer has bars of {sorted(named_frames)}.", allowed=[symbols], fix=_HOW)
    return named_frames


def _places(symbol: str, frame: pd.DataFrame, pieces: pd.DataFrame, length: Timeframe) -> np.ndarray:
    """First row of the pieces in each bar and the one after the last, shape (bars, 2)."""
    bar_length = infer_timeframe(frame)
    if length.ns >= bar_length.ns:
        raise ParameterError(
            f"the finer bars of {symbol} are of {length.alias}, the bars of {bar_length.alias}.",
            allowed=[t.alias for t in Timeframe if t.ns < bar_length.ns],
            fix=_HOW,
        )
    opens, stamps = time_ns(frame), time_ns(pieces)
    closes = np.array([bar_length.next_open(t) for t in opens.tolist()]) if bar_length is Timeframe.MN else None
    closes = opens + bar_length.ns if closes is None else closes
    closes[:-1] = np.minimum(closes[:-1], opens[1:])
    places = np.stack([np.searchsorted(stamps, opens), np.searchsorted(stamps, closes)], axis=1)
    if not (places[:, 1] > places[:, 0]).any():
        raise AlignmentError(
            f"none of the finer bars of {symbol} ({pieces.index[0]} to {pieces.index[-1]}) lies in one of its bars "
            f"({frame.index[0]} to {frame.index[-1]}).",
            fix=_HOW,
        )
    covered = np.flatnonzero(places[:, 1] > places[:, 0])
    ends = stamps[places[covered, 1] - 1] + length.ns
    astride = covered[ends > closes[covered]]
    if len(astride):
        last = pieces.index[places[astride[0], 1] - 1]
        raise AlignmentError(
            f"the finer bar of {symbol} at {last} reaches beyond the bar at {frame.index[astride[0]]} it begins in.",
            fix="Give finer bars whose stamps lie on those of the bars.",
        )
    return _require_sums(symbol, frame, pieces, places)


def _require_sums(symbol: str, frame: pd.DataFrame, pieces: pd.DataFrame, places: np.ndarray) -> np.ndarray:
    """Refuse pieces that do not make the bar they lie in; a first and a last one they cover in part have none."""
    covered = np.flatnonzero(places[:, 1] > places[:, 0])
    first, last = places[covered, 0], places[covered, 1]
    bounds = np.stack([first, last], axis=1).ravel()
    made = {
        "open": pieces["open"].to_numpy()[first],
        "high": np.maximum.reduceat(np.append(pieces["high"].to_numpy(), -np.inf), bounds)[::2],
        "low": np.minimum.reduceat(np.append(pieces["low"].to_numpy(), np.inf), bounds)[::2],
        "close": pieces["close"].to_numpy()[last - 1],
    }
    off = np.stack([np.abs(made[n] / frame[n].to_numpy()[covered] - 1.0) for n in PRICES], axis=1)
    wrong: np.ndarray = np.any(off > TOLERANCE, axis=1)
    kept = places.copy()
    for edge in (0, -1):  # the finer bars may begin and end inside a bar
        if wrong[edge]:
            kept[covered[edge]] = 0
            wrong[edge] = False
    if wrong.any():
        at = int(np.argmax(wrong))
        name = PRICES[int(np.argmax(off[at]))]
        raise DataError(
            f"{int(wrong.sum())} of {len(covered)} bars of {symbol} are not what their finer bars make together: at "
            f"{frame.index[covered[at]]} the {name} is {frame[name].iloc[covered[at]]:g}, theirs {made[name][at]:g}.",
            allowed=[f"{TOLERANCE:g} of the price apart"],
            fix="Take both from one source, or make the bars of the finer ones: tradelab.catalog.resample.resample.",
        )
    if not (kept[:, 1] > kept[:, 0]).any():
        raise AlignmentError(f"the finer bars of {symbol} cover no bar whole.", fix="Load more of them.")
    return kept
