"""Take bars, signals and terms as people write them, and turn them into what the engine runs, or refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from tradelab.catalog.frame import as_bars
from tradelab.catalog.quality import require_sound
from tradelab.engine.fills import POLICIES, Costs, FillPolicy
from tradelab.engine.simulate import Market, Wishes
from tradelab.engine.sizing import PERCENT, SIZE_TYPES, Sizing
from tradelab.engine.trading import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT, Terms
from tradelab.model.errors import AlignmentError, ParameterError
from tradelab.strategy.spec import SIGNAL_NAMES, as_flags, same_times, signal_union

_SIDES = {"both": "both", "long": "long", "short": "short", "longonly": "long", "shortonly": "short"}
_FIELDS = ("open", "high", "low", "close")


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
    """

    frames: Mapping[str, pd.DataFrame]
    index: pd.DatetimeIndex
    rows: Mapping[str, np.ndarray]
    market: Market

    @property
    def symbols(self) -> list[str]:
        """Names of the instruments, in column order."""
        return list(self.frames)

    def spread(self, by_symbol: Mapping[str, np.ndarray], fill: float, dtype: Any = np.float64) -> np.ndarray:
        """Lay one array an instrument, each on its own bars, out as (times, instruments)."""
        wide = np.full((len(self.index), len(self.frames)), fill, dtype=dtype)
        for k, symbol in enumerate(self.frames):
            wide[self.rows[symbol], k] = by_symbol[symbol]
        return wide


def read_bars(bars: pd.DataFrame | Mapping[str, pd.DataFrame], *, checked: bool = False) -> Tape:
    """Return bars as a ``Tape``; ``checked`` bars have been through here before.

    Raises
    ------
    DataError
        Wrong columns, untrustworthy time stamps, impossible prices; each names the instrument and the first place.
    """
    frames = {symbol: as_bars(frame, name=symbol) for symbol, frame in _by_symbol(bars).items()}
    if not checked:
        for symbol, frame in frames.items():
            require_sound(frame, name=symbol)
    parts = list(frames.values())
    index: Any = parts[0].index
    for frame in parts[1:]:
        index = index.union(frame.index)
    rows = {symbol: index.get_indexer(frame.index) for symbol, frame in frames.items()}
    tape = Tape(frames, index, rows, Market(*[np.empty((0, 0))] * 4))
    columns = [tape.spread({s: f[name].to_numpy() for s, f in frames.items()}, np.nan) for name in _FIELDS]
    return Tape(frames, index, rows, Market(*columns))


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


@dataclass(frozen=True)
class Settings:
    """Terms of a backtest as the user said them; what they mean is in ``docs/semantics.md``.

    Parameters
    ----------
    fill
        ``"next_open"`` (default), ``"close"``, ``"vectorbt"``, or a ``FillPolicy`` of your own.
    direction
        ``"both"``, ``"long"`` or ``"short"``: which entries are taken.
    size, size_type
        What an entry asks for: units (``"amount"``), money (``"value"``) or a fraction of free cash (``"percent"``);
        ``None``: all free cash. An array or Series gives one value a bar, read on the bar that decides.
    init_cash
        Money at the start.
    fees, fixed_fees, slippage
        Fraction of notional, money an order, fraction of the price.
    size_granularity
        Step to which units are rounded down.
    sl_stop, sl_trail, tp_stop
        Stop, trailing stop and target as fractions of the price; ``sl_trail=True`` makes ``sl_stop`` trail. An array
        or Series gives one value a bar, read on the bar that decides.
    """

    fill: str | FillPolicy = "next_open"
    direction: str = "both"
    size: Any = None
    size_type: str = "amount"
    init_cash: float = 10_000.0
    fees: float = 0.0
    fixed_fees: float = 0.0
    slippage: float = 0.0
    size_granularity: float | None = None
    sl_stop: Any = None
    sl_trail: Any = None
    tp_stop: Any = None

    def __post_init__(self) -> None:
        _number("init_cash", self.init_cash, above=0.0)
        _number("fees", self.fees, least=0.0, below=1.0)
        _number("fixed_fees", self.fixed_fees, least=0.0)
        _number("slippage", self.slippage, least=0.0, below=1.0)
        if self.size_granularity is not None:
            _number("size_granularity", self.size_granularity, above=0.0)
        require_choice("direction", self.direction, _SIDES)
        require_choice("size_type", self.size_type, SIZE_TYPES)
        if self.size is None and self.size_type != "amount":
            raise ParameterError(f"size_type={self.size_type!r} needs a size.", fix="Give size=…, or leave both out.")
        if not isinstance(self.fill, FillPolicy):
            require_choice("fill", self.fill, POLICIES)
        if self.trails and self.sl_stop is None:
            raise ParameterError("sl_trail=True needs sl_stop.", fix="Say how far: sl_stop=0.02, or sl_trail=0.02.")

    @property
    def trails(self) -> bool:
        """Whether ``sl_stop`` itself trails, which ``sl_trail=True`` says."""
        return isinstance(self.sl_trail, (bool, np.bool_)) and bool(self.sl_trail)

    @property
    def policy(self) -> FillPolicy:
        """The fill policy behind the name."""
        return self.fill if isinstance(self.fill, FillPolicy) else POLICIES[self.fill]

    @property
    def terms(self) -> Terms:
        """What the engine needs of all this."""
        kind = PERCENT if self.size is None else SIZE_TYPES.index(self.size_type)
        costs = Costs(float(self.fees), float(self.fixed_fees), float(self.slippage))
        return Terms(self.policy, Sizing(kind, float(self.size_granularity or 0.0)), costs)

    def wishes(self, tape: Tape, signals: np.ndarray) -> Wishes:
        """Join signals (bit masks) with sizes and exits, all of shape (times, instruments)."""
        stop = None if self.trails else self.sl_stop
        trail = None if isinstance(self.sl_trail, (bool, np.bool_)) else self.sl_trail
        top = 1.0 if self.size_type == "percent" and self.size is not None else np.inf
        return Wishes(
            signals & _allowed_bits(_SIDES[self.direction]),
            _per_bar("size", 1.0 if self.size is None else self.size, tape, above=0.0, most=top),
            _per_bar("sl_stop", stop, tape, above=0.0, most=1.0),
            _per_bar("sl_trail", self.sl_stop if self.trails else trail, tape, above=0.0, most=1.0),
            _per_bar("tp_stop", self.tp_stop, tape, above=0.0, most=np.inf),
        )

    def plain(self) -> dict[str, Any]:
        """The same as JSON-ready values; what was given bar by bar is only named."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        if isinstance(self.fill, FillPolicy):
            said["fill"] = self.fill._asdict()
        return {name: _plain(value) if name != "fill" else value for name, value in said.items()}


def read_signals(tape: Tape, given: Mapping[str, Any]) -> np.ndarray:
    """Turn ``entries``, ``exits``, ``short_entries``, ``short_exits`` into bit masks of shape (times, instruments)."""
    names = dict(zip(SIGNAL_NAMES, ("entries", "exits", "short_entries", "short_exits"), strict=True))
    masks = {}
    for symbol, frame in tape.frames.items():
        flags = {
            ours: as_flags(_of_symbol(given[theirs], symbol, tape, theirs), frame.index, f"{theirs} of {symbol}")
            for ours, theirs in names.items()
        }
        masks[symbol] = signal_union([flags])[:, 0]
    return tape.spread(masks, 0, np.uint8)


def _of_symbol(value: Any, symbol: str, tape: Tape, name: str) -> Any:
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


def _allowed_bits(side: str) -> np.uint8:
    long_bits, short_bits = LONG_ENTRY | LONG_EXIT, SHORT_ENTRY | SHORT_EXIT
    return np.uint8({"both": long_bits | short_bits, "long": long_bits, "short": short_bits}[side])


def _per_bar(name: str, value: Any, tape: Tape, *, above: float, most: float) -> np.ndarray:
    """One number for all, or one a bar and instrument, as float64 of shape (times, instruments); ``None`` is NaN."""
    shape = (len(tape.index), len(tape.frames))
    if value is None:
        return np.full(shape, np.nan)
    if isinstance(value, (int, float, str, np.generic)):
        _number(name, value, above=above, most=most)
        return np.full(shape, float(value))
    columns = {}
    for symbol, frame in tape.frames.items():
        part = _of_symbol(value, symbol, tape, name)
        if isinstance(part, pd.Series) and not same_times(part.index, frame.index):
            raise AlignmentError(
                f"{name} of {symbol} is not on the index of its bars.", fix="Reindex it to bars.index."
            )
        array = np.asarray(part, dtype=float)
        if array.shape != (len(frame),):
            raise AlignmentError(f"{name} of {symbol} has shape {array.shape}, its bars have {len(frame)} rows.")
        wrong = ~(np.isnan(array) | ((array > above) & (array <= most)))
        if wrong.any():
            at = int(np.argmax(wrong))
            raise ParameterError(
                f"{name} of {symbol} is {array[at]} at {frame.index[at]}.", allowed=[f"above {above:g} up to {most:g}"]
            )
        columns[symbol] = array
    return tape.spread(columns, np.nan)


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, (str, int, float, type(None))) else "per bar"


def require_choice(name: str, value: object, known: Any) -> None:
    """Refuse a value that is not one of ``known``, naming them."""
    if not isinstance(value, str) or value not in known:
        raise ParameterError(f"{name}={value!r} is not known.", allowed=list(known))


def _number(
    name: str,
    value: Any,
    *,
    above: float = -np.inf,
    least: float = -np.inf,
    below: float = np.inf,
    most: float = np.inf,
) -> None:
    """Refuse what is not a finite number inside its bounds, naming them."""
    good = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if good and np.isfinite(value) and above < value < below and least <= value <= most:
        return
    low = f"above {above:g}" if np.isfinite(above) else f"from {least:g}" if np.isfinite(least) else "any number"
    high = f" below {below:g}" if np.isfinite(below) else f" up to {most:g}" if np.isfinite(most) else ""
    raise ParameterError(f"{name}={value!r} is not allowed.", allowed=[low + high])
