"""Say when a portfolio goes back to its weights: by the calendar, every so many bars, or when it has drifted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tradelab.model.errors import AlignmentError, DataError, ParameterError, TimestampError
from tradelab.research.checks import number
from tradelab.research.inputs import Tape, read_bars

_PERIODS = {"day": "D", "week": "W-SUN", "month": "M", "quarter": "Q", "year": "Y"}


def rebalance(
    bars: pd.DataFrame | Mapping[str, pd.DataFrame],
    weights: Any,
    *,
    every: str | int = "month",
    band: float | None = None,
    session: str = "UTC",
) -> pd.DataFrame:
    """Return the rows of target weights that ``tl.backtest(bars, weights=…)`` rebalances by.

    A portfolio is looked at on the first bar of each period, whose close is the first that is known to be in it, and
    brought back to its weights at the following open; nothing here knows what comes later. Instruments that have no bar
    yet are left out until they have.

    Parameters
    ----------
    bars
        As for ``tl.backtest``.
    weights
        Target weights, as fractions of equity, by symbol (a mapping or a Series), one number for one instrument, or a
        DataFrame of them over time, of which the latest row holds.
    every
        ``"day"``, ``"week"`` (from Monday), ``"month"``, ``"quarter"``, ``"year"``, or a number of bars.
    band
        Rebalance only when a weight is further than this from its target, in fractions of equity: 0.05 lets 60 % go
        from 55 % to 65 %. The drift is that of prices since the last rebalancing; costs, and what was cut because of
        them, are left out of it. ``None``: always.
    session
        Time zone in which days, weeks and months begin.

    Returns
    -------
    DataFrame
        One row a rebalancing (the time of the bar that decides), one column a symbol.

    Raises
    ------
    AlignmentError
        Weights of other symbols than those of the bars.
    ParameterError
        An unknown period or a band that is none.

    Examples
    --------
    >>> import tradelab as tl
    >>> from tradelab.research.rebalance import rebalance
    >>> bars = {name: tl.samples.load(f"{name}-1d") for name in ("AAPL", "MSFT")}
    >>> rows = rebalance(bars, {"AAPL": 0.6, "MSFT": 0.4}, every="quarter", band=0.05)
    >>> rows.columns.tolist()
    ['AAPL', 'MSFT']
    """
    tape = read_bars(bars)
    targets = _targets(weights, tape)
    if band is not None:
        number("band", band, above=0.0, below=1.0)
    begun = np.maximum.accumulate(~np.isnan(tape.market.open), axis=0)
    looked_at = _period_starts(tape.index, every, session)
    targets = np.where(begun, targets, np.nan)
    looked_at = looked_at[~np.isnan(targets[looked_at]).all(axis=1)]
    chosen = looked_at if band is None else _outside(tape, targets, looked_at, band)
    return pd.DataFrame(targets[chosen], tape.index[chosen], tape.symbols)


def _targets(weights: Any, tape: Tape) -> np.ndarray:
    """The weights that hold at each time, of shape (times, instruments)."""
    if isinstance(weights, int | float) and len(tape.symbols) == 1:
        weights = {tape.symbols[0]: weights}
    if isinstance(weights, pd.DataFrame) and isinstance(weights.index, pd.DatetimeIndex):
        table = weights.rename(columns=str).sort_index()
    elif isinstance(weights, Mapping | pd.Series):
        table = pd.DataFrame([{str(name): value for name, value in weights.items()}], index=tape.index[:1])
    else:
        raise DataError(f"weights is {type(weights).__name__}.", allowed=["weights by symbol", "a DataFrame on times"])
    if set(table.columns) != set(tape.symbols):
        raise AlignmentError(f"weights are of {list(table.columns)}.", allowed=[tape.symbols])
    if pd.DatetimeIndex(table.index).tz is None:
        raise TimestampError("weights have times without a time zone.", fix='Say it: weights.tz_localize("UTC").')
    if not table.index.is_unique:
        at = table.index[table.index.duplicated()][0]
        raise TimestampError(f"weights have two rows at {at}.", fix="Keep one of each.")
    try:
        values = table[tape.symbols].astype(float)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"weights are no numbers: {error}.", allowed=["fractions of equity, NaN for as it is"]
        ) from error
    if np.isinf(values.to_numpy()).any():
        raise DataError("weights are infinite.", allowed=["fractions of equity, NaN for as it is"])
    return np.array(values.reindex(tape.index, method="ffill"), dtype=float)


def _period_starts(index: pd.DatetimeIndex, every: str | int, session: str) -> np.ndarray:
    """Positions of the first bar of each period, the first bar of all among them."""
    if isinstance(every, int | np.integer) and not isinstance(every, bool) and every >= 1:
        return np.arange(0, len(index), every)
    if every not in _PERIODS:
        raise ParameterError(f"every={every!r} is not known.", allowed=[*_PERIODS, "a number of bars"])
    try:
        local = index.tz_convert(session).tz_localize(None)
    except (KeyError, ValueError, OSError) as error:
        raise ParameterError(
            f"session={session!r} is no time zone.", allowed=["UTC", "America/New_York", "…"]
        ) from error
    periods = local.to_period(_PERIODS[str(every)])
    return np.flatnonzero(np.concatenate([[True], periods[1:] != periods[:-1]]))


def _outside(tape: Tape, targets: np.ndarray, looked_at: np.ndarray, band: float) -> np.ndarray:
    """Of the bars looked at, the first and those on whose close a weight has left its band since the last one."""
    close = pd.DataFrame(tape.market.close).ffill().to_numpy()
    fills, filled_on = _next_opens(tape.market.open)
    chosen: list[int] = []
    for row in looked_at.tolist():
        if chosen:
            last = chosen[-1]
            bought = np.nan_to_num(targets[last])
            growth = np.where(filled_on[last] <= row, close[row] / fills[last], 1.0)
            held = np.where(bought == 0.0, 0.0, bought * growth)
            drift = np.abs(held / (1.0 - bought.sum() + held.sum()) - targets[row])
            if not (drift > band).any():
                continue
        chosen.append(row)
    return np.array(chosen, dtype=np.intp)


def _next_opens(opens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each bar the open of each instrument's next one, and which bar that is; NaN and beyond the last: none."""
    bars = len(opens)
    places = np.where(np.isnan(opens), bars, np.arange(bars)[:, None])
    after = np.vstack([np.minimum.accumulate(places[::-1], axis=0)[::-1][1:], np.full((1, opens.shape[1]), bars)])
    known = np.take_along_axis(np.vstack([opens, np.full((1, opens.shape[1]), np.nan)]), after, axis=0)
    return known, after
