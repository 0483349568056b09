"""Draw a walk-forward: the account over its test windows, and the parameters that were chosen on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tradelab.research import plots_theme as theme
from tradelab.research.plots_thin import rounded, stamps, thin

if TYPE_CHECKING:
    from tradelab.research.plots_view import Walked


def stitched(walk: Walked) -> go.Figure:
    """Draw the equity of all test windows as one line beside the benchmark's; every second window is shaded."""
    equity = walk.equity.to_numpy()
    index = walk.result.index
    bench = walk.result.init_cash * np.cumprod(1.0 + np.asarray(walk.result.benchmark, dtype=float))
    kept = thin(equity, bench)
    note = f"{len(walk.windows)} windows, {walk.winning_windows:.0%} of them gained; efficiency {walk.efficiency:.2f}"
    drawn = theme.figure("Out of sample, window after window", note=note)
    for name, values, colour in (("Account", equity, theme.EQUITY), ("Benchmark", bench, theme.BENCHMARK)):
        drawn.add_trace(
            go.Scatter(
                x=stamps(pd.DatetimeIndex(index[kept]), index),
                y=rounded(values[kept]),
                name=name,
                mode="lines",
                line={"color": colour, "width": 1.5},
                hovertemplate="%{y:,.2f}",
            )
        )
    for row in walk.windows.iloc[1::2].itertuples():
        ends = stamps(pd.DatetimeIndex([row.test_start, row.test_end]), index)
        drawn.add_vrect(x0=ends[0], x1=ends[1], fillcolor="rgba(128,134,144,0.10)", line_width=0, layer="below")
    drawn.update_layout(
        hovermode="x unified",
        xaxis={"type": "date", "title": {"text": "Time (UTC)"}},
        yaxis={"title": {"text": "Equity"}},
    )
    return drawn


def parameters(walk: Walked) -> go.Figure:
    """Draw the chosen value of each parameter over time, each between the least and the greatest that was chosen."""
    title = "Parameters chosen, window after window"
    numeric = [axis for axis in walk.axes if pd.api.types.is_numeric_dtype(walk.windows[axis])]
    if not numeric:
        return theme.words(title, "No parameter is a number.")
    drawn = theme.figure(title, height=340, note="each on a scale of its own, lowest to highest that was chosen")
    for axis in numeric:
        values = walk.windows[axis].to_numpy(dtype=float)
        low, span = np.nanmin(values), np.nanmax(values) - np.nanmin(values)
        share = (values - low) / span if span > 0 else np.where(np.isnan(values), np.nan, 0.5)
        drawn.add_trace(
            go.Scatter(
                x=stamps(pd.DatetimeIndex(walk.windows["test_start"]), walk.result.index),
                y=rounded(share),
                customdata=[None if np.isnan(v) else v for v in values.tolist()],
                name=f"{axis}: {low:g} … {low + span:g}" if span > 0 else f"{axis}: {low:g}",
                mode="lines+markers",
                line={"shape": "hv", "width": 1.5},
                hovertemplate=f"{axis}=%{{customdata}}<extra></extra>",
            )
        )
    drawn.update_layout(
        xaxis={"type": "date", "title": {"text": "First bar of the test (UTC)"}},
        yaxis={"title": {"text": "Of what was chosen"}, "tickvals": [0, 1], "ticktext": ["lowest", "highest"]},
    )
    return drawn
