"""Turn any usual frame of bars into the one canonical shape, or say exactly why it cannot be.

Canonical bars: columns ``open, high, low, close, volume`` (float64), a ``DatetimeIndex`` named ``time`` in UTC with
nanoseconds, stamped with each bar's open time, strictly increasing. Every room above takes and gives this shape.
"""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from tradelab.model.errors import ColumnError, TimestampError, TooFewBarsError
from tradelab.model.units import NS_PER_DAY, NS_PER_HOUR, Timeframe

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume")
TIME_NAMES = ("time", "timestamp", "date", "datetime", "open_time", "opentime", "time_utc", "timestamp_utc", "gmt time")
ALIASES: Mapping[str, tuple[str, ...]] = {
    "open": ("o", "open_price", "openprice", "<open>"),
    "high": ("h", "high_price", "highprice", "<high>"),
    "low": ("l", "low_price", "lowprice", "<low>"),
    "close": ("c", "close_price", "closeprice", "<close>"),
    "volume": ("v", "vol", "tick_volume", "tickvol", "base_volume", "volume_base", "<tickvol>", "<vol>"),
}
_SEED = b"tradelab bars 1"
_COPIES_ON_WRITE = int(pd.__version__.partition(".")[0]) >= 3  # what is done to a frame later reaches no other one


def as_bars(frame: pd.DataFrame, *, name: str = "bars") -> pd.DataFrame:
    """Return ``frame`` as canonical bars.

    Column names are matched in any case, with the usual short forms (``o h l c v``); a time column (``time``,
    ``timestamp``, ``date``, ``datetime``, ``open_time``) serves when the index is not one of times. Other columns,
    ``Adj Close`` among them, are left out. A missing volume becomes NaN. NaN prices pass here and are the business of
    :func:`tradelab.catalog.quality.require_sound`. A frame that is canonical already is returned as it is.

    Parameters
    ----------
    frame
        Any frame of bars, with time stamps that know their zone.
    name
        What to call the frame in an error.

    Raises
    ------
    ColumnError
        A column is missing, there twice, or not numbers.
    TimestampError
        Stamps are missing, naive, unsorted or repeated.
    TooFewBarsError
        The frame is empty.

    Examples
    --------
    >>> import pandas as pd
    >>> raw = pd.DataFrame({"Open": [1.0], "High": [2.0], "Low": [0.5], "Close": [1.5]},
    ...                    index=pd.DatetimeIndex(["2024-01-02"], tz="UTC"))
    >>> list(as_bars(raw).columns)
    ['open', 'high', 'low', 'close', 'volume']
    """
    if not isinstance(frame, pd.DataFrame):
        raise ColumnError(
            f"{name} must be a pandas DataFrame of bars; got {type(frame).__name__}.", fix="Wrap it in pd.DataFrame."
        )
    if len(frame) == 0:
        raise TooFewBarsError(
            f"{name} is empty: 0 rows.", fix="Check the dates you asked for, or run `tradelab data coverage`."
        )
    if _is_canonical(frame):
        _require_rising(frame.index, name)
        return frame
    frame = _flat(frame, name)
    found = _find_columns(frame, name)
    index = _time_index(frame, name)
    _require_rising(index, name)
    values = {
        column: _numbers(frame[source], column, name) if source is not None else np.full(len(frame), np.nan)
        for column, source in found.items()
    }
    bars = pd.DataFrame(values, index=frame.index, copy=False)
    bars.index = index
    return _attrs(bars, frame)


def held(bars: pd.DataFrame) -> pd.DataFrame:
    """Return the same bars in a frame that nothing done to the caller's will reach; copied where pandas needs it."""
    return bars.copy(deep=not _COPIES_ON_WRITE)


def from_arrays(time_ns: np.ndarray, values: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Build a canonical frame of arrays that are known to be right: int64 nanoseconds and float64 columns."""
    index = pd.DatetimeIndex(np.ascontiguousarray(time_ns, dtype=np.int64).view("M8[ns]"), name="time")
    return pd.DataFrame({c: values[c] for c in COLUMNS}, index=index.tz_localize("UTC"), copy=False)


def time_ns(bars: pd.DataFrame) -> np.ndarray:
    """Return the open times of canonical bars as int64 nanoseconds since 1970, UTC."""
    index = bars.index
    if not isinstance(index, pd.DatetimeIndex):
        raise TimestampError("bars have no time index.", fix="Pass them through tradelab.catalog.frame.as_bars.")
    return stamps_ns(index)


def stamps_ns(index: pd.DatetimeIndex) -> np.ndarray:
    """Return times as int64 nanoseconds since 1970, UTC; not copied where they are that already."""
    return index.asi8 if index.unit == "ns" else index.as_unit("ns").asi8


def moment_ns(value: str | dt.datetime, *, name: str) -> int:
    """Return a date (``"2022"``, ``"2024-01-31 12:00"``, a Timestamp) as nanoseconds; UTC if it names no zone.

    Raises
    ------
    TimestampError
        When it is no date; ``name`` is what the message calls it.
    """
    try:
        stamp = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise TimestampError(f"{name}={value!r} is no date.", fix='Write it as "2024-01-31".') from error
    return int((stamp if stamp.tz else stamp.tz_localize("UTC")).as_unit("ns").value)


def infer_timeframe(bars: pd.DataFrame) -> Timeframe:
    """Return the timeframe most bars are spaced by, whatever the gaps.

    A spacing of 23 to 25 hours counts as a day (daylight saving), 28 to 31 days as a month.

    Raises
    ------
    TooFewBarsError
        Fewer than two bars.
    TimestampError
        The commonest spacing is no timeframe of ours (10 minutes, say).
    """
    if len(bars) < 2:
        raise TooFewBarsError(
            f"a timeframe cannot be told from {len(bars)} bar(s).", fix="Give two bars or name the timeframe."
        )
    spacings, counts = np.unique(np.diff(time_ns(bars)), return_counts=True)
    votes: dict[Timeframe, int] = {}
    odd = (0, 0)  # the commonest spacing that is no timeframe: (bars, nanoseconds)
    for spacing, count in zip(spacings.tolist(), counts.tolist(), strict=True):
        frame = _timeframe_of(spacing)
        if frame is None:
            odd = max(odd, (count, spacing))
        else:
            votes[frame] = votes.get(frame, 0) + count
    best = max(votes, key=lambda t: (votes[t], -t.ns), default=None)
    if best is None or votes[best] < odd[0]:
        raise TimestampError(
            f"most bars are {pd.Timedelta(odd[1], unit='ns')} apart, which is no timeframe.",
            allowed=[t.alias for t in Timeframe],
            fix="Name the timeframe, or resample the bars first.",
        )
    return best


def content_hash(bars: pd.DataFrame) -> str:
    """Return the SHA-256 (hex) of the stamps and values: the same bars give the same hash on every machine.

    Over a fixed seed, the row count, the stamps (little-endian int64 nanoseconds) and each column in order
    (little-endian float64, every NaN alike, -0.0 as 0.0).
    """
    bars = as_bars(bars)
    digest = hashlib.sha256(_SEED + len(bars).to_bytes(8, "little"))
    digest.update(time_ns(bars).astype("<i8").tobytes())
    for column in COLUMNS:
        values = bars[column].to_numpy(dtype="<f8") + 0.0
        digest.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())
    return digest.hexdigest()


def _is_canonical(frame: pd.DataFrame) -> bool:
    index = frame.index
    return (
        isinstance(index, pd.DatetimeIndex)
        and index.name == "time"
        and str(index.dtype) == "datetime64[ns, UTC]"
        and tuple(frame.columns) == COLUMNS
        and bool((frame.dtypes == np.float64).all())
    )


def _flat(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Take the one instrument out of columns in two levels (as yfinance gives them), or say that there are several."""
    if frame.columns.nlevels == 1:
        return frame
    for level in range(frame.columns.nlevels):
        labels = {str(v).strip().lower() for v in frame.columns.get_level_values(level)}
        if set(PRICES) <= labels:
            flat = frame.copy(deep=False)
            flat.columns = frame.columns.get_level_values(level)
            if flat.columns.is_unique:
                return flat
            raise ColumnError(
                f"{name} holds several instruments side by side.",
                fix="Pass one at a time, or a dict of frames by symbol.",
            )
    raise ColumnError(f"{name} has columns in {frame.columns.nlevels} levels and none of them names the prices.")


def _find_columns(frame: pd.DataFrame, name: str) -> dict[str, object]:
    """Map each canonical column to the label that holds it; volume alone may be ``None``."""
    labels: dict[str, list[object]] = {}
    for label in frame.columns:
        labels.setdefault(str(label).strip().lower(), []).append(label)
    found: dict[str, object] = {}
    for column in COLUMNS:
        spelling = next((s for s in (column, *ALIASES[column]) if s in labels), None)
        if spelling is None and column != "volume":
            raise _missing(column, frame, name)
        here = labels.get(spelling, []) if spelling else [None]
        if len(here) > 1:
            raise ColumnError(
                f"{name} has {len(here)} columns for {column!r}: {', '.join(map(repr, here))}.", fix="Drop all but one."
            )
        found[column] = here[0]
    return found


def _missing(column: str, frame: pd.DataFrame, name: str) -> ColumnError:
    names = [str(c) for c in frame.columns]
    near = difflib.get_close_matches(column, [n.lower() for n in names], n=1)
    hint = f"; the nearest is {next(n for n in names if n.lower() == near[0])!r}" if near else ""
    return ColumnError(
        f"{name} has no column {column!r}{hint} (it has {', '.join(names) or 'none'}).",
        allowed=[column, *(a for a in ALIASES[column] if not a.startswith("<"))],
        fix=f'Rename it: frame.rename(columns={{"{near[0] if near else "..."}": "{column}"}}).',
    )


def _time_index(frame: pd.DataFrame, name: str) -> pd.DatetimeIndex:
    index = frame.index
    if not isinstance(index, pd.DatetimeIndex):
        index = _time_column(frame, name)
    if index.tz is None:
        raise TimestampError(
            f"{name} has time stamps without a time zone (the first is {index[0]}).",
            fix='Say the zone: .tz_localize("UTC") on the index if they are UTC, or another zone, such as '
            '.tz_localize("America/New_York").',
        )
    if index.hasnans:
        raise TimestampError(
            f"{name} has {int(np.count_nonzero(index.isna()))} row(s) without a time stamp (NaT).", fix="Drop them."
        )
    index = index.tz_convert("UTC")
    try:
        return (index if index.unit == "ns" else index.as_unit("ns")).rename("time")
    except pd.errors.OutOfBoundsDatetime as error:
        raise TimestampError(
            f"{name} has time stamps that nanoseconds cannot count ({index[0]} … {index[-1]}).",
            allowed=["1677-09-22 … 2262-04-11"],
            fix="Drop those bars, or repair their dates.",
        ) from error


def _time_column(frame: pd.DataFrame, name: str) -> pd.DatetimeIndex:
    labels = {str(label).strip().lower(): label for label in frame.columns}
    label = next((labels[t] for t in TIME_NAMES if t in labels), None)
    if label is None:
        raise TimestampError(
            f"{name} has no times: the index is {type(frame.index).__name__} and no column is called like one.",
            allowed=TIME_NAMES[:5],
            fix="Set a DatetimeIndex: frame.set_index(pd.to_datetime(..., utc=True)).",
        )
    column = frame[label]
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        raise TimestampError(
            f"{name}: column {label!r} holds {column.dtype} (the first is {column.iloc[0]!r}), not time stamps.",
            fix=f'Parse it: pd.to_datetime(frame["{label}"], utc=True), with unit="ms" if it counts milliseconds.',
        )
    return pd.DatetimeIndex(column)


def _require_rising(index: pd.Index, name: str) -> None:
    if isinstance(index, pd.DatetimeIndex) and index.hasnans:
        raise TimestampError(
            f"{name} has {int(np.count_nonzero(index.isna()))} row(s) without a time stamp (NaT).", fix="Drop them."
        )
    if index.is_monotonic_increasing and index.is_unique:
        return
    stamps = index.asi8 if isinstance(index, pd.DatetimeIndex) else np.asarray(index)
    step = np.diff(stamps)
    if (step < 0).any():
        at = int(np.argmax(step < 0)) + 1
        raise TimestampError(
            f"{name} is not sorted by time: row {at} ({index[at]}) comes after {index[at - 1]}.",
            fix="Use .sort_index().",
        )
    at = int(np.argmax(step == 0)) + 1
    raise TimestampError(
        f"{name} has {int((step == 0).sum())} repeated time stamp(s); the first is {index[at]} (row {at}).",
        fix='Keep one of each: frame[~frame.index.duplicated(keep="last")].',
    )


def _numbers(column: pd.Series, name: str, frame_name: str) -> pd.Series | np.ndarray:
    """A column as float64: as it is where pandas copies on write, else a copy."""
    dtype = column.dtype
    if dtype == np.float64 and _COPIES_ON_WRITE:
        return column
    types = pd.api.types
    if types.is_bool_dtype(dtype) or types.is_datetime64_any_dtype(dtype) or types.is_complex_dtype(dtype):
        raise ColumnError(f"{frame_name}: column {name!r} holds {dtype}, not numbers.")
    if not pd.api.types.is_numeric_dtype(dtype):
        words = [v for v in column if isinstance(v, str)]
        if words:
            raise ColumnError(
                f"{frame_name}: column {name!r} holds text (the first is {words[0]!r}), not numbers.",
                fix="Convert it: pd.to_numeric(column), or read the file with tradelab data import.",
            )
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    except (TypeError, ValueError) as error:
        raise ColumnError(f"{frame_name}: column {name!r} cannot be read as numbers: {error}.") from error


def _attrs(bars: pd.DataFrame, source: pd.DataFrame) -> pd.DataFrame:
    bars.attrs = dict(source.attrs)
    return bars


def _timeframe_of(spacing_ns: int) -> Timeframe | None:
    if 23 * NS_PER_HOUR <= spacing_ns <= 25 * NS_PER_HOUR:
        return Timeframe.D1
    if 28 * NS_PER_DAY - NS_PER_HOUR <= spacing_ns <= 31 * NS_PER_DAY + NS_PER_HOUR:
        return Timeframe.MN
    if abs(spacing_ns - Timeframe.W1.ns) <= NS_PER_HOUR:
        return Timeframe.W1
    return next((t for t in Timeframe if t.value and t.ns == spacing_ns), None)


__all__ = [
    "COLUMNS", "PRICES", "as_bars", "content_hash", "from_arrays", "held", "infer_timeframe", "moment_ns", "stamps_ns",
    "time_ns",
]  # fmt: skip
