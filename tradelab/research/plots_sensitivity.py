"""Draw what is left at other costs, after a delay, and around each point of a sweep."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tradelab.research import plots_theme as theme
from tradelab.research.plots_sweep import heatmap, sweep_lines
from tradelab.research.ranking import LOW_IS_GOOD


def costs(returns: pd.Series, unit: str, break_even: float, name: str) -> go.Figure:
    """Draw total returns, indexed by costs in ``unit``, and mark the break-even (NaN: none)."""
    note = "break-even not reached" if math.isnan(break_even) else f"break-even at {break_even:.2f} {unit}"
    drawn = _line(returns, f"Total return of {name} by costs", note, unit, "Total return (%)", 100.0)
    if not math.isnan(break_even) and break_even <= float(returns.index.max()):
        ring = {"symbol": "circle-open", "size": 14, "color": theme.LOST, "line": {"width": 2.5}}
        drawn.add_trace(go.Scatter(x=[round(break_even, 4)], y=[0.0], name="Break-even", mode="markers", marker=ring))
    return drawn


def delays(ratios: pd.Series, name: str) -> go.Figure:
    """Draw Sharpe ratios, indexed by bars of delay."""
    drawn = _line(ratios, f"Sharpe ratio of {name} by delay", "", "Bars later", "Sharpe ratio", 1.0)
    drawn.update_xaxes(dtick=1)
    return drawn


def plateaus(table: pd.DataFrame, axes: tuple[str, ...], by: str) -> go.Figure:
    """Draw the mean of each point's neighbours over the first two parameters; over more, the best of them."""
    low = by in LOW_IS_GOOD
    title = "neighbourhood"
    if len(axes) == 1:
        groups = table.groupby(axes[0], dropna=False)["around_mean"]
        return _retitled(sweep_lines(groups.min() if low else groups.max(), by, title))
    pivot = table.pivot_table(
        index=axes[1], columns=axes[0], values="around_mean", aggfunc="min" if low else "max", dropna=False
    )
    return _retitled(heatmap(pivot, by, title))


def _retitled(drawn: go.Figure) -> go.Figure:
    text = drawn.layout.title.text.replace(" of neighbourhood", ", mean of each point's neighbours")
    return drawn.update_layout(title={"text": text})


def _line(values: pd.Series, title: str, note: str, x: str, y: str, scale: float) -> go.Figure:
    shown = values.to_numpy(dtype=float) * scale
    if not np.isfinite(shown).any():
        return theme.words(title, f"{y} is undefined at every point.")
    drawn = theme.figure(title, height=320, note=note)
    drawn.add_trace(
        go.Scatter(
            x=values.index.tolist(),
            y=[None if np.isnan(v) else round(v, 4) for v in shown.tolist()],
            name=y,
            mode="lines+markers",
            line={"color": theme.EQUITY},
            hovertemplate="%{x}: %{y:.2f}<extra></extra>",
        )
    )
    drawn.update_layout(
        showlegend=False,
        xaxis={"title": {"text": x}},
        yaxis={"title": {"text": y}, "zeroline": True, "zerolinewidth": 1.5},
    )
    return drawn
