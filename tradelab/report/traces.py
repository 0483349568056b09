"""Read a plotly figure's JSON: its traces, their numbers and what they say in words.

plotly.py 6 and later writes an array as ``{"dtype": "f8", "bdata": "<base64>"}``; here it becomes numpy again.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

_DTYPES = {"u1c": "u1"}  # plotly's only dtype name that numpy does not know
_LINE_TYPES = {"scatter", "scattergl", "bar", "waterfall", "histogram", "box", "violin"}


def types_of(figure: Mapping[str, Any]) -> tuple[str, ...]:
    """Trace types of a figure, sorted, each once; a trace without a type is a scatter.

    >>> types_of({"data": [{"type": "bar"}, {}, {"type": "bar"}]})
    ('bar', 'scatter')
    """
    return tuple(sorted({trace.get("type", "scatter") for trace in figure.get("data", [])}))


def title_of(figure: Mapping[str, Any]) -> str:
    """Plain text of the figure's title, empty when it has none."""
    return plain(_text(figure.get("layout", {}).get("title")))


def plain(text: str) -> str:
    """Drop the few HTML tags plotly allows in its labels.

    >>> plain("<b>Equity</b><br>BTC &amp; ETH")
    'Equity BTC & ETH'
    """
    return html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"<br\s*/?>", " ", text))).strip()


def array(field: Any) -> np.ndarray:
    """Decode one plotly array: a list, or typed bytes in base64.

    >>> array({"dtype": "f8", "bdata": "AAAAAAAA8D8AAAAAAAAAQA=="}).tolist()
    [1.0, 2.0]
    """
    if isinstance(field, Mapping) and "bdata" in field:
        dtype = np.dtype(_DTYPES.get(field["dtype"], field["dtype"])).newbyteorder("<")
        flat = np.frombuffer(base64.b64decode(field["bdata"]), dtype=dtype)
        shape = str(field.get("shape", "")).replace(" ", "")
        return flat.reshape([int(n) for n in shape.split(",")]) if shape else flat
    return np.asarray([] if field is None else field, dtype=object)


def numbers(field: Any) -> np.ndarray:
    """Decode one plotly array as floats; whatever is not a number is NaN."""
    raw = array(field)
    if raw.dtype != object:
        return raw.astype(float)
    return np.array([_number(value) for value in raw.ravel()], dtype=float).reshape(raw.shape)


def positions(field: Any, count: int) -> tuple[np.ndarray, list[str]]:
    """Place a trace's x values on a line.

    Returns
    -------
    positions : ndarray, float, shape (count,)
        Numbers as they are, dates as seconds, anything else by its place.
    labels : list of str
        The first and the last label, or nothing.
    """
    raw = array(field).ravel()[:count]
    if len(raw) == 0:
        return np.arange(count, dtype=float), []
    known = [value for value in raw if value is not None]  # None parts one stretch of a line from the next
    if not known:
        return np.arange(len(raw), dtype=float), []
    ends = [known[0], known[-1]]
    if raw.dtype != object or all(isinstance(value, int | float) for value in ends):
        return numbers(field).ravel()[:count], [figure_text(_number(value)) for value in ends]
    labels = [str(value)[:16].removesuffix("T00:00").replace("T", " ") for value in ends]
    try:
        stamps = np.array(["NaT" if value is None else str(value)[:19] for value in raw], dtype="datetime64[s]")
    except ValueError:
        return np.arange(len(raw), dtype=float), labels
    return np.where(np.isnat(stamps), np.nan, stamps.astype(float)), labels


def figure_text(value: float) -> str:
    """Write a number for a reader: thousands apart, six significant digits.

    >>> figure_text(12345.678), figure_text(0.000123456789), figure_text(float("nan"))
    ('12,345.7', '0.000123457', 'n/a')
    """
    if not np.isfinite(value):
        return "n/a"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.6g}" if 1e-4 <= abs(value) < 1e6 else f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:.6g}"


def summary(figure: Mapping[str, Any], limit: int = 8) -> str:
    """Say in words what the chart shows: per trace its first, last, lowest and highest value."""
    traces = list(figure.get("data", []))
    said = [_sentence(trace, index) for index, trace in enumerate(traces[:limit])]
    if len(traces) > limit:
        said.append(f"And {len(traces) - limit} more series.")
    return " ".join(said) or "An empty chart."


def series(trace: Mapping[str, Any]) -> np.ndarray:
    """Return the numbers a trace is read by: y, a candle's close, a heatmap's z, a histogram's x."""
    kind = trace.get("type", "scatter")
    if kind in ("candlestick", "ohlc"):
        return numbers(trace.get("close"))
    if kind in ("heatmap", "contour"):
        return grid(trace.get("z"))
    if kind in ("histogram", "box", "violin") and trace.get("y") is None:
        return numbers(trace.get("x"))
    if kind in ("bar", "waterfall") and trace.get("orientation") == "h":
        return numbers(trace.get("x"))
    return numbers(trace.get("values") if kind == "pie" else trace.get("y"))


def grid(field: Any) -> np.ndarray:
    """Decode a matrix; rows may be lists or typed bytes.

    >>> grid([[1, None], [3, 4]]).shape
    (2, 2)
    """
    if isinstance(field, Mapping):
        return np.atleast_2d(numbers(field))
    rows = [numbers(row).ravel() for row in field or []]
    width = max((len(row) for row in rows), default=0)
    return np.array([np.pad(row, (0, width - len(row)), constant_values=np.nan) for row in rows]).reshape(-1, width)


def _sentence(trace: Mapping[str, Any], index: int) -> str:
    kind = trace.get("type", "scatter")
    name = plain(str(trace.get("name") or f"Series {index + 1}"))
    if kind == "table":
        heads = [plain(_text(value)) for value in _cells(trace.get("header"))]
        rows = max((len(array(column)) for column in _cells(trace.get("cells"))), default=0)
        return f"Table of {rows} rows: {', '.join(heads)}."
    if kind == "pie":
        parts = zip(array(trace.get("labels")), series(trace), strict=False)
        return f"{name} (pie): {', '.join(f'{plain(str(label))} {figure_text(value)}' for label, value in parts)}."
    if kind in ("heatmap", "contour"):
        cells = series(trace)
        return f"{name} ({kind}): {cells.shape[0]} by {cells.shape[1]} cells; {_range(cells.ravel())}."
    if kind in _LINE_TYPES or kind in ("candlestick", "ohlc"):
        return _line_sentence(trace, name, kind)
    return f"{name} ({kind})."


def _line_sentence(trace: Mapping[str, Any], name: str, kind: str) -> str:
    shown = series(trace).ravel()
    known = shown[np.isfinite(shown)]
    if not len(known):
        return f"{name} ({kind}): no values."
    if kind in ("histogram", "box", "violin"):
        return (
            f"{name} ({kind}): {len(known):,} values; median {figure_text(float(np.median(known)))}, {_range(known)}."
        )
    what = {"scatter": "line" if "lines" in str(trace.get("mode", "lines")) else "points"}.get(kind, kind)
    _, ends = positions(trace.get("y" if trace.get("orientation") == "h" else "x"), len(shown))
    span = f" from {ends[0]} to {ends[1]}" if ends else ""
    first, last = figure_text(float(known[0])), figure_text(float(known[-1]))
    return f"{name} ({what}): {len(known):,} values{span}; first {first}, last {last}, {_range(known)}."


def _range(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return "no values"
    return f"lowest {figure_text(float(known.min()))}, highest {figure_text(float(known.max()))}"


def _cells(part: Any) -> Iterable[Any]:
    return (part or {}).get("values") or []


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("text") or "")
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value or "")


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
