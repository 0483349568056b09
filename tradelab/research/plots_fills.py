"""Draw the equity that the same decisions came to under several fill policies."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from tradelab.research import plots_theme as theme
from tradelab.research.plots_thin import rounded, stamps, thin

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_MOST_POINTS = 2_000  # of each curve


def equities(curves: Mapping[str, pd.Series], name: str) -> go.Figure:
    """Draw one curve a policy, on one time axis; the first one thicker, for the others are held against it."""
    drawn = theme.figure(f"Equity of {name} by fill policy")
    for place, (policy, equity) in enumerate(curves.items()):
        index = pd.DatetimeIndex(equity.index)
        kept = thin(equity.to_numpy(), most=_MOST_POINTS, buckets=_MOST_POINTS // 4)
        color = theme.COLORWAY[place % len(theme.COLORWAY)]
        drawn.add_trace(
            go.Scatter(
                x=stamps(index[kept], like=index),
                y=rounded(equity.to_numpy()[kept]),
                name=policy,
                mode="lines",
                line={"color": color, "width": 2.5 if place == 0 else 1.3, "dash": _DASHES[place % len(_DASHES)]},
                hovertemplate=f"{policy}, %{{x}}: %{{y:,.2f}}<extra></extra>",
            )
        )
    drawn.update_layout(yaxis={"title": {"text": "Equity"}}, xaxis={"title": {"text": "Time (UTC)"}})
    return drawn
