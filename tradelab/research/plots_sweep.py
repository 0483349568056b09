"""Draw what a sweep found: lines over one parameter, a map over two, the best combination marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tradelab.metrics.summary import LABELS
from tradelab.research import plots_theme as theme
from tradelab.research.ranking import LOW_IS_GOOD

_MOST_LABELLED = 14


def heatmap(pivot: pd.DataFrame, by: str, name: str) -> go.Figure:
    """Draw one figure over two parameters.

    Parameters
    ----------
    pivot
        The figure, with the values of one parameter down the index and of another across the columns, each axis named
        by its parameter; NaN where a combination was not run or the figure is undefined, which stays empty.
    by
        A field of ``Summary``.
    name
        Of the strategy, for the title.
    """
    percent, text = _is_percent(by), _text(by)
    title = f"{text} of {name}"
    cells = pivot.to_numpy(dtype=float) * (100.0 if percent else 1.0)
    if not np.isfinite(cells).any():
        return theme.words(title, f"{text} is undefined for every combination.")
    x, y = [_plain(v) for v in pivot.columns], [_plain(v) for v in pivot.index]
    at = np.unravel_index(np.nanargmin(cells) if by in LOW_IS_GOOD else np.nanargmax(cells), cells.shape)
    small = max(cells.shape) <= _MOST_LABELLED
    best = f"{pivot.columns.name}={x[at[1]]}, {pivot.index.name}={y[at[0]]}: {cells[at]:,.2f}{' %' if percent else ''}"
    drawn = theme.figure(title, height=min(max(300, 150 + 30 * len(y)), 620), note=f"best {best}")
    drawn.add_trace(
        go.Heatmap(
            z=[[None if np.isnan(v) else round(v, 4) for v in row] for row in cells.tolist()],
            x=x,
            y=y,
            name=text,
            colorscale="Cividis",
            reversescale=by in LOW_IS_GOOD,
            colorbar={"title": {"text": "%" if percent else "", "side": "top"}, "thickness": 12, "outlinewidth": 0},
            texttemplate="%{z:.2f}" if small else None,
            hoverongaps=False,
            hovertemplate=f"{pivot.columns.name}=%{{x}}, {pivot.index.name}=%{{y}}: %{{z:.3f}}<extra></extra>",
            xgap=1,
            ygap=1,
        )
    )
    drawn.add_shape(
        type="rect",
        x0=at[1] - 0.5,
        x1=at[1] + 0.5,
        y0=at[0] - 0.5,
        y1=at[0] + 0.5,
        line={"color": theme.LOST, "width": 3},
    )
    drawn.update_layout(
        xaxis={"type": "category", "title": {"text": str(pivot.columns.name)}, "showgrid": False},
        yaxis={"type": "category", "title": {"text": str(pivot.index.name)}, "showgrid": False},
    )
    return drawn


def sweep_lines(values: pd.Series, by: str, name: str) -> go.Figure:
    """Draw one figure over one parameter.

    Parameters
    ----------
    values
        The figure, indexed by the parameter's values, its index named by the parameter; undefined ones stay empty.
    by, name
        As for `heatmap`.
    """
    percent, text = _is_percent(by), _text(by)
    title = f"{text} of {name}"
    shown = values.to_numpy(dtype=float) * (100.0 if percent else 1.0)
    if not np.isfinite(shown).any():
        return theme.words(title, f"{text} is undefined for every value of {values.index.name}.")
    numeric = pd.api.types.is_numeric_dtype(values.index) and values.index.dtype != bool and not values.index.hasnans
    x = values.index.tolist() if numeric else [_plain(v) for v in values.index]
    at = int(np.nanargmin(shown) if by in LOW_IS_GOOD else np.nanargmax(shown))
    unit = " (%)" if percent else ""
    best = f"{values.index.name}={_plain(values.index[at])}: {shown[at]:,.2f}{' %' if percent else ''}"
    drawn = theme.figure(title, height=360, note=f"best {best}")
    hover = f"{values.index.name}=%{{x}}: %{{y:.3f}}<extra></extra>"
    y = [None if np.isnan(v) else round(v, 4) for v in shown.tolist()]
    drawn.add_trace(
        go.Scatter(x=x, y=y, name=text, mode="lines+markers", line={"color": theme.EQUITY}, hovertemplate=hover)
    )
    ring = {"symbol": "circle-open", "size": 15, "color": theme.LOST, "line": {"width": 2.5}}
    drawn.add_trace(go.Scatter(x=[x[at]], y=[y[at]], name="Best", mode="markers", marker=ring, hoverinfo="skip"))
    drawn.update_layout(
        xaxis={"title": {"text": str(values.index.name)}, "type": "linear" if numeric else "category"},
        yaxis={"title": {"text": text + unit}},
        showlegend=False,
    )
    return drawn


def _text(by: str) -> str:
    return LABELS[by].text if by in LABELS else by.replace("_", " ")


def _is_percent(by: str) -> bool:
    return by in LABELS and LABELS[by].form.endswith("%")


def _plain(value: Any) -> str:
    if pd.isna(value):
        return "none"
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)
