"""Draw a plotly figure as a small inline SVG: what a reader sees before, or without, JavaScript.

Lines, points, bars, candles (as their close), histograms and heatmaps are drawn; a figure with none has no sketch.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradelab.report.traces import figure_text, grid, plain, positions, series

_WIDTH = 960
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 14, 30
_POINTS = 240  # columns of a line; each keeps its lowest and highest value
_CELLS = 48  # rows and columns of a heatmap
_LARGEST = 1e300  # the span of larger values would overflow


@dataclass(frozen=True, slots=True)
class _Panel:
    """One pair of axes: where it lies, and the x and y ranges it shows."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def at_x(self, value: np.ndarray | float) -> np.ndarray | float:
        return self.left + self.width * _share(value, self.x)

    def at_y(self, value: np.ndarray | float) -> np.ndarray | float:
        return self.top + self.height * (1 - _share(value, self.y))


@dataclass(frozen=True, slots=True)
class _Curve:
    """One trace made drawable: its kind, its colour as attributes, places, values and end labels."""

    kind: str
    colour: str
    x: np.ndarray
    y: np.ndarray
    labels: tuple[str, ...]


def sketch(figure: Mapping[str, Any], height: int) -> str:
    """Return an ``<svg>`` of the figure, or an empty string when it holds nothing we can draw.

    Parameters
    ----------
    figure
        plotly figure JSON: ``{"data": [...], "layout": {...}}``.
    height
        Height of the drawing on a canvas 960 wide.
    """
    panels: dict[tuple[str, str], list[_Curve]] = {}
    heat: dict[tuple[str, str], np.ndarray] = {}
    for number, trace in enumerate(figure.get("data", [])):
        axes = (trace.get("xaxis", "x"), trace.get("yaxis", "y"))
        if trace.get("visible") in (False, "legendonly"):
            continue
        if trace.get("type") in ("heatmap", "contour") and grid(trace.get("z")).size:
            heat[axes] = _drawable(grid(trace["z"]))
        elif curve := _curve(trace, number):
            panels.setdefault(axes, []).append(curve)
    drawn = [_cells_svg(cells, _panel(axes, figure, height, (0, 1), (0, 1))) for axes, cells in heat.items()]
    drawn += [
        _panel_svg(axes, curves, figure, height, _is_lowest(axes, panels, figure)) for axes, curves in panels.items()
    ]
    if not drawn:
        return ""
    return (
        f'<svg class="chart-sketch" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-hidden="true" focusable="false">{"".join(drawn)}</svg>'
    )


def _curve(trace: Mapping[str, Any], number: int) -> _Curve | None:
    kind = trace.get("type", "scatter")
    if kind == "histogram":
        known = _drawable(series(trace).ravel())
        known = known[np.isfinite(known)]
        if not len(known):
            return None
        counts, edges = np.histogram(known, min(40, max(8, int(np.sqrt(len(known))))), _span(known))
        span = (float(edges[0]), float(edges[-1]))
        ends = tuple(figure_text(_round(edge, span)) for edge in span)
        return _Curve("bar", _colour(trace, number), (edges[:-1] + edges[1:]) / 2, counts.astype(float), ends)
    if (
        kind not in ("scatter", "scattergl", "bar", "waterfall", "candlestick", "ohlc")
        or trace.get("orientation") == "h"
    ):
        return None
    values = _drawable(series(trace).ravel())
    places, labels = positions(trace.get("x"), len(values))
    places = _drawable(places)
    size = min(len(places), len(values))
    if not np.isfinite(values[:size]).any():
        return None
    if kind in ("bar", "waterfall"):
        shape = "bar"
    else:
        shape = "line" if kind in ("candlestick", "ohlc") or "lines" in str(trace.get("mode", "lines")) else "points"
    return _Curve(shape, _colour(trace, number), places[:size], values[:size], tuple(labels))


def _colour(trace: Mapping[str, Any], number: int) -> str:
    """End of the class attribute and, where the trace names a plain colour, a style: the drawn chart's own colour."""
    for part in ("line", "marker"):
        own = (trace.get(part) or {}).get("color")
        if isinstance(own, str) and re.fullmatch(r"#[0-9a-fA-F]{3,8}|rgba?\([0-9., ]+\)", own):
            return f's{number % 8}" style="color:{own}"'
    return f's{number % 8}"'


def _panel(
    axes: tuple[str, str], figure: Mapping[str, Any], height: int, x: tuple[float, float], y: tuple[float, float]
) -> _Panel:
    layout = figure.get("layout", {})
    x_from, x_to = _domain(layout, "xaxis" + axes[0][1:])
    y_from, y_to = _domain(layout, "yaxis" + axes[1][1:])
    wide, high = _WIDTH - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    return _Panel(_LEFT + x_from * wide, _TOP + (1 - y_to) * high, (x_to - x_from) * wide, (y_to - y_from) * high, x, y)


def _domain(layout: Mapping[str, Any], axis: str) -> tuple[float, float]:
    own = layout.get(axis) or {}
    over = own.get("overlaying")
    if "domain" not in own and over:
        own = layout.get(f"{axis[:5]}{over[1:]}") or {}
    low, high = own.get("domain", (0, 1))
    return float(low), float(high)


def _is_lowest(axes: tuple[str, str], panels: Iterable[tuple[str, str]], figure: Mapping[str, Any]) -> bool:
    """Only the lowest of stacked panels has room for the labels of its x axis."""
    layout = figure.get("layout", {})
    sides = {
        other: (_domain(layout, "xaxis" + other[0][1:]), _domain(layout, "yaxis" + other[1][1:])) for other in panels
    }
    mine = sides[axes]
    return all(other[0] != mine[0] or other[1][0] >= mine[1][0] for other in sides.values())


def _panel_svg(
    axes: tuple[str, str], curves: list[_Curve], figure: Mapping[str, Any], height: int, lowest: bool
) -> str:
    bars = any(curve.kind == "bar" for curve in curves)
    x = _span(np.concatenate([curve.x for curve in curves]))
    y = _span(np.concatenate([*(curve.y for curve in curves), np.zeros(1 if bars else 0)]))
    if bars:
        half = (x[1] - x[0]) / max(2 * len(curves[0].x), 2)
        x = (x[0] - half, x[1] + half)
    panel = _panel(axes, figure, height, x, y)
    parts = [_frame(panel, curves[0].labels if lowest else ())]
    for curve in curves:
        parts.append({"bar": _bars, "line": _line, "points": _points}[curve.kind](curve, panel))
    return "".join(parts)


def _frame(panel: _Panel, labels: tuple[str, ...]) -> str:
    right, bottom = panel.left + panel.width, panel.top + panel.height
    out = [f'<path class="grid" d="M{panel.left:.1f} {y:.1f}H{right:.1f}"/>' for y in np.linspace(panel.top, bottom, 3)]
    for value, y in ((panel.y[1], panel.top + 11), (panel.y[0], bottom - 2)):
        out.append(
            f'<text x="{panel.left - 8:.1f}" y="{y:.1f}" text-anchor="end">{figure_text(_round(value, panel.y))}</text>'
        )
    if len(labels) == 2:
        first, last = (html.escape(plain(label)) for label in labels)
        out.append(f'<text x="{panel.left:.1f}" y="{bottom + 16:.1f}">{first}</text>')
        out.append(f'<text x="{right:.1f}" y="{bottom + 16:.1f}" text-anchor="end">{last}</text>')
    return "".join(out)


def _line(curve: _Curve, panel: _Panel) -> str:
    keep = _thin(curve.y)
    xs, ys = panel.at_x(curve.x[keep]), panel.at_y(curve.y[keep])
    path, pen = [], "M"
    for x, y in zip(np.atleast_1d(xs), np.atleast_1d(ys), strict=True):
        if np.isfinite(y) and np.isfinite(x):
            path.append(f"{pen}{x:.1f} {y:.1f}")
            pen = "L"
        else:
            pen = "M"
    return f'<path class="line {curve.colour} d="{"".join(path)}"/>'


def _points(curve: _Curve, panel: _Panel) -> str:
    keep = [i for i in _thin(curve.y) if np.isfinite(curve.y[i])]
    dots = "".join(f"M{panel.at_x(curve.x[i]):.1f} {panel.at_y(curve.y[i]):.1f}h0" for i in keep)
    return f'<path class="dots {curve.colour} d="{dots}"/>'


def _bars(curve: _Curve, panel: _Panel) -> str:
    keep = _thin(curve.y)
    wide = max(0.8, 0.8 * panel.width / max(len(keep), 1))
    zero = float(panel.at_y(0.0))
    out = []
    for i in keep:
        if np.isfinite(curve.y[i]):
            top = float(panel.at_y(curve.y[i]))
            low, high = min(top, zero), abs(top - zero)
            out.append(f"M{float(panel.at_x(curve.x[i])) - wide / 2:.1f} {low:.1f}h{wide:.1f}v{high:.1f}h-{wide:.1f}z")
    return f'<path class="bar {curve.colour} d="{"".join(out)}"/>'


def _cells_svg(cells: np.ndarray, panel: _Panel) -> str:
    rows = np.linspace(0, cells.shape[0] - 1, min(_CELLS, cells.shape[0])).round().astype(int)
    columns = np.linspace(0, cells.shape[1] - 1, min(_CELLS, cells.shape[1])).round().astype(int)
    shown = cells[np.ix_(rows, columns)]
    low, high = _span(shown.ravel())
    wide, tall = panel.width / len(columns), panel.height / len(rows)
    out = []
    for (r, c), value in np.ndenumerate(shown):
        if np.isfinite(value):
            share = float(np.round(0.06 + 0.94 * (value - low) / (high - low), 2))
            x, y = panel.left + c * wide, panel.top + panel.height - (r + 1) * tall
            out.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" fill-opacity="{share}"/>')
    return f'<g class="heat">{"".join(out)}</g>'


def _thin(values: np.ndarray) -> np.ndarray:
    """Indices that keep each column's lowest and highest value, in order."""
    if len(values) <= 2 * _POINTS:
        return np.arange(len(values))
    kept: list[int] = [0, len(values) - 1]
    for part in np.array_split(np.arange(len(values)), _POINTS):
        known = part[np.isfinite(values[part])]
        if len(known):
            kept += [int(known[np.argmin(values[known])]), int(known[np.argmax(values[known])])]
    return np.unique(kept)


def _drawable(values: np.ndarray) -> np.ndarray:
    """Values with NaN for those whose differences would overflow, infinity among them."""
    return np.where(np.abs(values) > _LARGEST, np.nan, values)


def _span(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    room = max(0.5, abs(low) * 1e-6)  # half a unit is nothing beside 1e17
    return (low, high) if high > low else (low - room, high + room)


def _share(value: np.ndarray | float, span: tuple[float, float]) -> np.ndarray | float:
    return (value - span[0]) / (span[1] - span[0])


def _round(value: float, span: tuple[float, float]) -> float:
    step = span[1] - span[0]
    return round(value, max(0, 2 - int(np.floor(np.log10(step))))) if step > 0 else value
