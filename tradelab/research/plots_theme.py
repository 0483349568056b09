"""Give every picture one look, legible on white and on black.

Backgrounds are transparent, lines and words mid-toned. Blue is won, orange is lost: a pair that every kind of colour
blindness tells apart; shape and dash say the same again.
"""

from __future__ import annotations

from functools import cache

import plotly.graph_objects as go
import plotly.io as pio

WON, LOST = "#3a84d0", "#e0792c"
EQUITY, BENCHMARK, PRICE, FALL = "#4586cf", "#949ba6", "#7f8894", "#cf5f55"
INK, GRID, FAINT = "#6b7480", "rgba(128,134,144,0.20)", "rgba(128,134,144,0.55)"
COLORWAY = (EQUITY, "#dd8a3a", "#48a473", "#cf5f55", "#937ac8", "#a78563", "#d177a9", "#5fb0bd")

HEIGHT = 420


@cache
def template() -> go.layout.Template:
    """Return the house's template, and register it with plotly as ``"tradelab"`` on first use."""
    axis = {"gridcolor": GRID, "linecolor": FAINT, "zerolinecolor": FAINT, "automargin": True, "ticks": ""}
    layout = go.Layout(
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 12},
        title={"font": {"size": 15}, "x": 0, "xanchor": "left", "y": 1, "yanchor": "top", "pad": {"t": 14, "l": 14}},
        margin={"l": 60, "r": 18, "t": 76, "b": 48},
        colorway=COLORWAY,
        xaxis={**axis, "title": {"standoff": 8, "font": {"size": 12}}},
        yaxis={**axis, "title": {"standoff": 8, "font": {"size": 12}}},
        hoverlabel={"align": "left"},
        bargap=0.06,
    )
    made = go.layout.Template(layout=layout)
    pio.templates["tradelab"] = made
    return made


def figure(title: str, height: int = HEIGHT, note: str = "") -> go.Figure:
    """Return an empty figure in the house's look, its note in brackets under the title."""
    text = f"{title}<br><sup>({note})</sup>" if note else title
    # The legend is the figure's own, not the template's: a report moves a legend that was not placed.
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.01, "xanchor": "left", "x": 0.0}
    return go.Figure(layout={"template": template(), "title": {"text": text}, "height": height, "legend": legend})


def words(title: str, sentence: str) -> go.Figure:
    """Return a figure that says in a sentence why there is nothing to draw; `said` reads the sentence back."""
    empty = figure(title, height=160)
    empty.update_xaxes(visible=False).update_yaxes(visible=False)
    empty.add_annotation(text=sentence, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"size": 14})
    empty.update_layout(meta={"says": sentence})
    return empty


def said(shown: go.Figure) -> str | None:
    """Return the sentence of a figure made by `words`; ``None`` for one that draws something."""
    meta = shown.layout.meta
    return str(meta["says"]) if isinstance(meta, dict) and "says" in meta else None


def crowd(count: int) -> float:
    """Scale of a marker among ``count`` of them: full size up to 200, ever smaller down to two fifths.

    >>> crowd(10), crowd(800), crowd(4_000)
    (1.0, 0.5, 0.4)
    """
    return min(max((200 / max(count, 1)) ** 0.5, 0.4), 1.0)
