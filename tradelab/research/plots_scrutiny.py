"""Draw what a verdict rests on: the search, its halves, the blocks that followed, and what chance would have made."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from tradelab.research import plots_theme as theme
from tradelab.research.plots_thin import rounded

if TYPE_CHECKING:
    from tradelab.research.scrutiny_evidence import Evidence

_BINS = 40
_MOST_DOTS = 1_500


def all_figures(e: Evidence) -> dict[str, go.Figure]:
    """Every picture that the evidence allows, by name, in the order in which a report shows them."""
    drawn = {"search": search(e)}
    if e.overfitting is not None:
        drawn |= {"logits": logits(e), "degradation": degradation(e)}
    if e.walked is not None:
        drawn["walk"] = walk(e)
    if e.random is not None:
        drawn["random"] = e.random.plot("mean_trade")
    if e.around is not None:
        drawn["plateau"] = e.around.plot()
    if e.drawdowns is not None:
        drawn["drawdowns"] = e.drawdowns.plot("max_drawdown")
    if e.futures is not None:
        drawn["futures"] = e.futures.plot("total_return")
    return drawn | {"costs": e.costs.plot(), "delays": e.delays.plot()}


def search(e: Evidence) -> go.Figure:
    """Draw the Sharpe ratios of all combinations, the best, and the best that as many show without skill."""
    root = math.sqrt(e.per_year)
    title = "Sharpe ratios of all combinations"
    known = e.ratios[np.isfinite(e.ratios)] * root
    if len(known) < 2 or math.isnan(root):
        return theme.words(title, "Fewer than two combinations have a Sharpe ratio a year.")
    drawn = _bars(known, title, "Sharpe ratio (annualised)", "Combinations", f"{len(known):,} combinations")
    top = int(max(drawn.data[0].y))
    for name, ratio, colour in (
        ("Best", e.luck.moments.sharpe * root, theme.LOST),
        ("Best without skill", e.luck.expected_best * root, theme.PRICE),
    ):
        drawn.add_trace(_upright(name, ratio, top, colour))
    return drawn


def logits(e: Evidence) -> go.Figure:
    """Draw the logits of the chosen combination's rank on the other half; those up to 0 are below the median."""
    found = e.overfitting
    assert found is not None
    note = f"probability of overfitting {found.pbo:.1%}: the share up to 0"
    title = "Rank on the other half of what was best on one half"
    drawn = _bars(found.logits, title, "Logit of the relative rank", "Ways to halve the history", note)
    drawn.add_trace(_upright("Median", 0.0, int(max(drawn.data[0].y)), theme.LOST))
    return drawn


def degradation(e: Evidence) -> go.Figure:
    """Draw the chosen combination's Sharpe ratio on the other half over the one it was chosen by."""
    found = e.overfitting
    assert found is not None
    root = 1.0 if math.isnan(e.per_year) else math.sqrt(e.per_year)
    kept = np.unique(np.linspace(0, len(found.logits) - 1, min(len(found.logits), _MOST_DOTS)).astype(int))
    x, y = found.in_sample[kept] * root, found.out_of_sample[kept] * root
    note = f"slope {found.slope:+.2f}; loss out of sample in {found.probability_of_loss:.1%} of the halvings"
    drawn = theme.figure("Chosen on one half, traded on the other", height=360, note=note)
    marks = {"size": 4, "color": theme.EQUITY, "opacity": 0.5}
    drawn.add_trace(
        go.Scatter(
            x=rounded(x, 4),
            y=rounded(y, 4),
            name="Ways to halve the history",
            mode="markers",
            marker=marks,
            hovertemplate="in %{x:.2f}, out %{y:.2f}<extra></extra>",
        )
    )
    ends = np.array([x.min(), x.max()])
    if np.isfinite(found.slope):
        line = found.slope * ends + found.intercept * root
        drawn.add_trace(
            go.Scatter(x=rounded(ends, 4), y=rounded(line, 4), name="Trend", mode="lines", line={"color": theme.LOST})
        )
    drawn.update_layout(
        xaxis={"title": {"text": "Sharpe ratio where it was chosen"}},
        yaxis={"title": {"text": "Sharpe ratio on the other half"}, "zeroline": True, "zerolinewidth": 1.5},
    )
    return drawn


def walk(e: Evidence) -> go.Figure:
    """Draw, block by block, the chosen combination's Sharpe ratio on all blocks before and on the block itself."""
    found = e.walked
    assert found is not None
    root = 1.0 if math.isnan(e.per_year) else math.sqrt(e.per_year)
    first = e.blocks - len(found.test) + 1
    x = [str(first + k) for k in range(len(found.test))]
    note = f"on all of them together {found.sharpe * root:.2f}"
    drawn = theme.figure("Chosen on the blocks before, traded on the next", height=340, note=note)
    for name, values, colour in (
        ("Before", found.train, theme.BENCHMARK),
        ("Next block", found.test, theme.EQUITY),
    ):
        drawn.add_trace(
            go.Bar(x=x, y=rounded(values * root, 4), name=name, marker={"color": colour}, hovertemplate="%{y:.2f}")
        )
    drawn.update_layout(
        hovermode="x unified",
        bargap=0.28,
        xaxis={"type": "category", "title": {"text": f"Block of bars, of {e.blocks}"}},
        yaxis={"title": {"text": "Sharpe ratio"}},
    )
    return drawn


def _bars(values: np.ndarray, title: str, x: str, y: str, note: str) -> go.Figure:
    counts, edges = np.histogram(values, bins=_BINS if np.ptp(values) > 1e-9 * np.abs(values).max() else 1)
    drawn = theme.figure(title, height=320, note=note)
    drawn.add_trace(
        go.Bar(
            x=rounded((edges[:-1] + edges[1:]) / 2.0, 4),
            y=counts.tolist(),
            name=y,
            marker={"color": theme.BENCHMARK},
            hovertemplate="%{x}: %{y}<extra></extra>",
        )
    )
    drawn.update_layout(xaxis={"title": {"text": x}}, yaxis={"title": {"text": y}})
    return drawn


def _upright(name: str, at: float, top: int, colour: str) -> go.Scatter:
    x = rounded(np.array([at, at]), 5) if at else [0.0, 0.0]
    return go.Scatter(x=x, y=[0, top], name=name, mode="lines", line={"color": colour, "width": 3})
