"""Join signals, sizes and exits with the bars they were decided on, in the engine's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tradelab.engine.indicators import atr
from tradelab.engine.simulate import Market, Wishes
from tradelab.engine.terms import WISH
from tradelab.engine.trading import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT
from tradelab.engine.windows import rolling_std
from tradelab.metrics.annualise import annualisation
from tradelab.model.errors import AlignmentError, ConfigError, ParameterError
from tradelab.research.checks import is_single
from tradelab.research.inputs import NONE, Tape, of_symbol
from tradelab.research.settings import SIDES, Settings
from tradelab.strategy.spec import same_times

_LONG, _SHORT = LONG_ENTRY | LONG_EXIT, SHORT_ENTRY | SHORT_EXIT
_DAY_NS = 86_400_000_000_000


def make_wishes(tape: Tape, settings: Settings, signals: np.ndarray) -> Wishes:
    """Join signals (bit masks) with sizes and exits, all of shape (times, instruments) or without rows."""
    s = settings
    top = 1.0 if s.size_type in ("percent", "risk") else np.inf
    stop = s.sl_price if s.sl_price is not None else None if s.trails else s.sl_stop
    target = s.tp_price if s.tp_price is not None else s.tp_stop
    priced = np.inf
    columns = {
        "size": _per_bar("size", s.size, tape, above=0.0, most=top),
        "stop": _per_bar("sl_stop", stop, tape, above=0.0, most=priced if s.sl_price is not None else 1.0),
        "trail": _per_bar("sl_trail", s.trail, tape, above=0.0, most=1.0),
        "target": _per_bar("tp_stop", target, tape, above=0.0, most=priced),
        "unit": _units(tape, settings),
        "price": _on_all("entry_price", s.entry_price, tape, above=0.0, most=np.inf),
        "exit_size": _per_bar("exit_size", s.exit_size, tape, above=0.0, most=1.0),
    }
    given = {name: column for name, column in columns.items() if len(column)}
    rows = np.full(signals.shape if given else (0, 0), np.nan).astype(WISH)
    for name, column in given.items():
        rows[name] = column
    bits = sum(1 << i for i, name in enumerate(WISH.names or ()) if name in given)
    return Wishes(signals & allowed_bits(s.direction), rows, bits)


def make_market(tape: Tape, settings: Settings) -> Market:
    """Add to the bars what the terms need of the calendar: nights, funding, ends of sessions."""
    market = tape.market
    if settings.funding is not None:
        paid = _on_all("funding", settings.funding, tape, above=-1.0, most=1.0)
        market = market._replace(funding=np.nan_to_num(paid))
    if settings.borrow or settings.interest or settings.swap_long or settings.swap_short:
        market = market._replace(nights=_nights(tape.index, settings.session))
    if settings.exits.session_close:
        market = market._replace(session_end=_session_ends(tape, settings.session))
    return market


def allowed_bits(direction: str) -> np.uint8:
    """The signals that a direction lets through."""
    return np.uint8({"both": _LONG | _SHORT, "long": _LONG, "short": _SHORT}[SIDES[direction]])


def _days(index: pd.DatetimeIndex, zone: str) -> np.ndarray:
    """Number of the calendar day in a time zone on which each bar opens."""
    try:
        local = index.tz_convert(zone)
    except (KeyError, ValueError, OSError) as error:
        raise ParameterError(f"session={zone!r} is no time zone.", allowed=["UTC", "America/New_York", "…"]) from error
    return local.tz_localize(None).as_unit("ns").asi8 // _DAY_NS


def _nights(index: pd.DatetimeIndex, zone: str) -> np.ndarray:
    """Nights that end at each bar's open: 1 on the first bar of a day, 3 after a weekend."""
    days = _days(index, zone)
    return np.concatenate([[0.0], np.diff(days).astype(float)])


def _session_ends(tape: Tape, zone: str) -> np.ndarray:
    """1 on the last bar of a day; the last bar of all is none, for its day may go on."""
    flags = {}
    for symbol, frame in tape.frames.items():
        days = _days(pd.DatetimeIndex(frame.index), zone)
        flags[symbol] = np.concatenate([np.diff(days) > 0, [False]]).astype(np.uint8)
    return tape.spread(flags, 0, np.uint8)


def _units(tape: Tape, settings: Settings) -> np.ndarray:
    """ATR of each bar where a distance or a size is measured in it, or the price's deviation a year."""
    exits = settings.exits
    volatile = settings.size_type == "volatility" and settings.size is not None
    if volatile and exits.in_atr:
        raise ConfigError("size_type='volatility' and distances in ATR exclude each other.", fix='Size by "atr".')
    if volatile:
        return tape.spread({s: _deviation(f, exits.atr_window) for s, f in tape.frames.items()}, np.nan)
    if exits.in_atr or (settings.size_type == "atr" and settings.size is not None):
        columns = {s: [f[c].to_numpy(float) for c in ("high", "low", "close")] for s, f in tape.frames.items()}
        return tape.spread({s: atr(*hlc, exits.atr_window) for s, hlc in columns.items()}, np.nan)
    return NONE


def _deviation(frame: pd.DataFrame, window: int) -> np.ndarray:
    """Standard deviation of a year's move of one unit, in price: the close times that of its log returns."""
    close = frame["close"].to_numpy(float)
    moves = np.diff(np.log(close), prepend=np.nan)
    a_year = annualisation(pd.DatetimeIndex(frame.index).as_unit("ns").asi8).periods_per_year
    return close * rolling_std(moves, window, 1) * np.sqrt(a_year)


def _on_all(name: str, value: Any, tape: Tape, *, above: float, most: float) -> np.ndarray:
    """The same of something that has no place in the terms: one that holds for all bars is written on each."""
    if value is None or not is_single(value):
        return _per_bar(name, value, tape, above=above, most=most)
    return np.full(tape.market.open.shape, float(value))


def _per_bar(name: str, value: Any, tape: Tape, *, above: float, most: float) -> np.ndarray:
    """One number a bar and instrument, as float64 of shape (times, instruments); none for one that holds for all."""
    if is_single(value):
        return NONE
    columns = {}
    for symbol, frame in tape.frames.items():
        part = of_symbol(value, symbol, tape, name)
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
