"""Draw how often chance gave what, beside what really happened."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from tradelab.research import plots_theme as theme
from tradelab.research.plots_thin import rounded

_BINS = 40


def histogram(draws: np.ndarray, actual: float, title: str, axis: str, note: str, percent: bool) -> go.Figure:
    """Draw a distribution of draws as bars, and the actual value as a line across them.

    Parameters
    ----------
    draws
        Shape (draws,); undefined ones are left out.
    actual
        What the backtest itself came to; NaN: no line.
    title, axis, note
        Words above the picture, below it, and in brackets.
    percent
        Show fractions as percent.
    """
    known = draws[np.isfinite(draws)] * (100.0 if percent else 1.0)
    own = actual * (100.0 if percent else 1.0)
    if len(known) == 0:
        return theme.words(title, f"{axis} is undefined in every draw.")
    counts, edges = np.histogram(known, bins=_BINS if np.ptp(known) > 1e-9 * np.abs(known).max() else 1)
    unit = " (%)" if percent else ""
    drawn = theme.figure(title, height=320, note=note)
    drawn.add_trace(
        go.Bar(
            x=rounded((edges[:-1] + edges[1:]) / 2.0, 4),
            y=counts.tolist(),
            name="Draws",
            marker={"color": theme.BENCHMARK},
            hovertemplate="%{x}: %{y} draws<extra></extra>",
        )
    )
    if np.isfinite(own):
        drawn.add_trace(
            go.Scatter(
                x=rounded(np.array([own, own]), 5),
                y=[0, int(counts.max())],
                name="Backtest",
                mode="lines",
                line={"color": theme.LOST, "width": 3},
                hovertemplate="Backtest: %{x}<extra></extra>",
            )
        )
    drawn.update_layout(xaxis={"title": {"text": axis + unit}}, yaxis={"title": {"text": "Draws"}})
    return drawn
