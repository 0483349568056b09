"""Take target weights as people write them, and turn them into what the engine aims at, or refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tradelab.engine.simulate import Wishes
from tradelab.engine.terms import GIVES_SIZE, WISH
from tradelab.engine.trading import AIM
from tradelab.model.errors import AlignmentError, ConfigError, DataError, ParameterError, TimestampError
from tradelab.research.inputs import Tape
from tradelab.research.settings import SIDES, Settings
from tradelab.research.wishes import make_wishes

_HOW = "Give a DataFrame of weights with a row a rebalancing and a column an instrument, or use tl.rebalance."
_SIZED_OTHERWISE = ("size", "size_type", "entry_type", "entry_price", "expiry", "exit_size", "layers", "risk_cap")
_ROUNDING = 1e-9  # by which weights that are meant to add up to 1 may miss it


def aimed(tape: Tape, settings: Settings, weights: Any) -> tuple[Settings, Wishes]:
    """Return the terms and wishes of an account that is rebalanced to ``weights``.

    Raises
    ------
    ConfigError
        Terms that size or order entries in another way.
    DataError, ParameterError
        As ``read_weights``.
    """
    default = Settings()
    clash = [name for name in _SIZED_OTHERWISE if not _same(getattr(settings, name), getattr(default, name))]
    if clash:
        raise ConfigError(f"both weights and {', '.join(clash)} were given.", fix="Weights alone say what is held.")
    targets = read_weights(tape, weights, settings)
    plain = make_wishes(tape, replace(settings, size=1.0, size_type="equity"), np.zeros(targets.shape, np.uint8))
    rows = plain.rows if len(plain.rows) else np.full(targets.shape, np.nan).astype(WISH)
    rows["size"] = targets
    signals = np.where(np.isnan(targets), 0, AIM).astype(np.uint8)
    return replace(settings, size=targets, size_type="equity"), Wishes(signals, rows, plain.given | GIVES_SIZE)


def read_weights(tape: Tape, weights: Any, settings: Settings) -> np.ndarray:
    """Return target weights of shape (times, instruments), NaN where nothing is decided.

    A weight decided at a time at which its instrument has no bar is decided on its next one.

    Parameters
    ----------
    tape
        The bars.
    weights
        A DataFrame (times × symbols), for one instrument a Series on times, or weights by symbol, decided once, on the
        first bar. Rows may be missing or NaN: no rebalancing then.
    settings
        Whether there is a margin account, and which directions are allowed.

    Raises
    ------
    AlignmentError
        Symbols or times that the bars do not have.
    DataError
        No numbers, infinite numbers, or no weight at all.
    ParameterError
        Weights whose absolute values add up to more than 1 (on margin: than the leverage), or on a side that
        ``direction`` rules out; the first such row is named.
    """
    wide = _by_time(weights, tape)
    if np.isinf(wide).any():
        row, k = (int(n) for n in np.argwhere(np.isinf(wide))[0])
        raise DataError(f"the weight of {tape.symbols[k]} at {tape.index[row]} is infinite.", fix=_HOW)
    if np.isnan(wide).all():
        raise DataError("weights has no weight, only NaN.", fix=_HOW)
    _require_carried(wide, tape, settings)
    _require_side(wide, tape, settings.direction)
    return _on_own_bars(wide, tape)


def _by_time(weights: Any, tape: Tape) -> np.ndarray:
    """Weights as floats on the account's times, of shape (times, instruments)."""
    if isinstance(weights, pd.Series) and isinstance(weights.index, pd.DatetimeIndex):
        if len(tape.symbols) > 1:
            raise AlignmentError(f"weights is one series for {len(tape.symbols)} instruments.", fix=_HOW)
        weights = weights.to_frame(tape.symbols[0])
    elif isinstance(weights, pd.Series | Mapping):
        weights = pd.DataFrame([dict(weights)], index=tape.index[:1])
    if not isinstance(weights, pd.DataFrame) or not isinstance(weights.index, pd.DatetimeIndex):
        raise DataError(f"weights is {type(weights).__name__} without times.", fix=_HOW)
    table = weights.rename(columns=str)
    if table.columns.has_duplicates or set(table.columns) != set(tape.symbols):
        raise AlignmentError(f"weights has the columns {list(table.columns)}.", allowed=[tape.symbols])
    if pd.DatetimeIndex(table.index).tz is None:
        raise TimestampError("weights has time stamps without a time zone.", fix='Say it: .tz_localize("UTC").')
    strange = ~table.index.isin(tape.index)
    if strange.any():
        raise AlignmentError(
            f"weights has a row at {table.index[strange][0]}, when no instrument has a bar.",
            fix="Take its times from bars.index.",
        )
    if not table.index.is_unique:
        raise TimestampError("weights has repeated time stamps.", fix="Keep one row for each time.")
    try:
        numbers = table[tape.symbols].astype(float)
    except (TypeError, ValueError) as error:
        raise DataError(f"weights is not numbers: {error}.", fix=_HOW) from error
    return np.array(numbers.reindex(tape.index), dtype=float)


def _require_carried(wide: np.ndarray, tape: Tape, settings: Settings) -> None:
    """Refuse weights that no account of this kind could carry."""
    most = 1.0 if settings.leverage is None else float(settings.leverage)
    gross = np.nansum(np.abs(wide), axis=1)
    beyond = gross > most + _ROUNDING
    if beyond.any():
        row = int(np.argmax(beyond))
        raise ParameterError(
            f"weights at {tape.index[row]} add up to {gross[row]:g} without their signs.",
            allowed=[f"up to {most:g}"],
            fix="Open a margin account: leverage=2." if settings.leverage is None else "Allow a higher leverage.",
        )


def _require_side(wide: np.ndarray, tape: Tape, direction: str) -> None:
    """Refuse short weights of an account that is long only, and the other way round."""
    sides = {"both": (), "long": (-1.0,), "short": (1.0,)}[SIDES[direction]]
    for side in sides:
        wrong = wide * side > 0.0
        if wrong.any():
            row, k = (int(n) for n in np.argwhere(wrong)[0])
            raise ParameterError(
                f"{tape.symbols[k]} weighs {wide[row, k]:g} at {tape.index[row]}, with direction={direction!r}.",
                fix='Say direction="both".',
            )


def _on_own_bars(wide: np.ndarray, tape: Tape) -> np.ndarray:
    """Move each weight to the first bar its instrument has from then on; one that is decided there goes first."""
    moved = wide.copy()
    for k, symbol in enumerate(tape.symbols):
        own = tape.rows[symbol]
        for row in np.flatnonzero(~np.isnan(wide[:, k]) & np.isnan(tape.market.open[:, k])).tolist():
            moved[row, k] = np.nan
            place = int(np.searchsorted(own, row))
            if place < len(own) and np.isnan(wide[own[place], k]):
                moved[own[place], k] = wide[row, k]
    return moved


def _same(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, str | int | float) and value == default)
