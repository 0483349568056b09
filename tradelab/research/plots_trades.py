"""Draw what single trades came to: how far each went against the account, and how their returns are spread."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tradelab.research import plots_theme as theme
from tradelab.research.plots_view import Backtested

MOST_DOTS = 4_000
_MOST_BINS = 48
NO_TRADES = "No trade was made."


def scatter(result: Backtested) -> go.Figure:
    """Draw each trade's return over the worst it went through; the larger the dot, the more money was in it.

    Trades on the dashed line left at their worst moment; the further above it, the more they recovered.
    """
    title = "Trades: return against worst excursion"
    trades = result.trades
    if trades.empty:
        return theme.words(title, NO_TRADES)
    note = ""
    if len(trades) > MOST_DOTS:
        note = f"the {MOST_DOTS:,} largest of {len(trades):,} trades"
        trades = trades.loc[trades["return"].abs().nlargest(MOST_DOTS).index].sort_index()
    notional = trades["size"] * trades["entry_price"]
    size = (5.0 + 9.0 * np.sqrt(notional / notional.max())) * theme.crowd(len(trades))
    open_, won = trades["status"] == "open", trades["pnl"] > 0
    drawn = theme.figure(title, height=440, note=note)
    groups = (
        ("Won", won & ~open_, theme.WON, "circle"),
        ("Lost", ~won & ~open_, theme.LOST, "circle-open"),
        ("Still open", open_, theme.BENCHMARK, "diamond-open"),
    )
    for name, chosen, colour, symbol in groups:
        if chosen.any():
            drawn.add_trace(_dots(trades[chosen], size[chosen], name, colour, symbol))
    low = 100.0 * min(float(trades["mae"].min()), float(trades["return"].min()), 0.0)
    drawn.update_layout(
        hovermode="closest",
        xaxis={"title": {"text": "Worst excursion (% of entry price)"}, "zeroline": True},
        yaxis={"title": {"text": "Return (%)"}, "zeroline": True},
        shapes=[
            {
                "type": "line",
                "x0": low,
                "y0": low,
                "x1": 0,
                "y1": 0,
                "line": {"color": theme.FAINT, "width": 1, "dash": "dash"},
                "layer": "below",
            }
        ],
    )
    return drawn


def _dots(trades: pd.DataFrame, size: pd.Series, name: str, colour: str, symbol: str) -> go.Scatter:
    day = trades["entry_time"].dt.strftime("%Y-%m-%d")
    said = [
        f"#{number} {instrument} {direction}, {when}, {held:,} bars, {reason}"
        for number, instrument, direction, when, held, reason in zip(
            trades.index,
            trades["symbol"],
            trades["direction"],
            day,
            trades["bars_held"],
            trades["exit_reason"],
            strict=True,
        )
    ]
    return go.Scatter(
        x=np.round(100.0 * trades["mae"].to_numpy(), 3).tolist(),
        y=np.round(100.0 * trades["return"].to_numpy(), 3).tolist(),
        name=name,
        mode="markers",
        marker={
            "color": colour,
            "symbol": symbol,
            "size": np.round(size.to_numpy(), 1).tolist(),
            "opacity": 0.75,
            "line": {"width": 1.4, "color": colour},
        },
        text=said,
        hovertemplate="%{text}<br>return %{y:.2f} %, worst %{x:.2f} %<extra></extra>",
    )


def distribution(result: Backtested) -> go.Figure:
    """Draw how many trades came to which return; no bar straddles zero."""
    title = "Distribution of trade returns"
    returns = 100.0 * result.trades["return"].to_numpy(dtype=float)
    returns = returns[np.isfinite(returns)]
    if not len(returns):
        return theme.words(title, NO_TRADES)
    edges = bin_edges(returns)
    counts = np.histogram(returns, edges)[0]
    middles = (edges[:-1] + edges[1:]) / 2
    width = float(edges[1] - edges[0])
    mean, middle = float(returns.mean()), float(np.median(returns))
    drawn = theme.figure(title, height=360, note=f"mean {mean:z.2f} %, median {middle:z.2f} %")
    for name, side, colour in (("Lost", middles < 0, theme.LOST), ("Won", middles > 0, theme.WON)):
        if counts[side].any():
            drawn.add_trace(
                go.Bar(
                    x=np.round(middles[side], 6).tolist(),
                    y=counts[side].tolist(),
                    width=width * 0.94,
                    name=name,
                    marker={"color": colour},
                    hovertemplate=f"%{{x:.2f}} ± {width / 2:.2g} %: %{{y}} trades<extra></extra>",
                )
            )
    drawn.update_layout(
        barmode="overlay",
        xaxis={"title": {"text": "Return of a trade (%)"}, "zeroline": True},
        yaxis={"title": {"text": "Trades"}, "rangemode": "tozero"},
    )
    return drawn


def bin_edges(values: np.ndarray) -> np.ndarray:
    """Equal bins by Freedman and Diaconis (1981), 2 IQR n^(-1/3) wide, widened to a round number, zero an edge.

    A value of exactly zero is counted above zero by ``numpy.histogram``; it has won nothing, but lost nothing either.

    Examples
    --------
    >>> bin_edges(np.array([-1.0, 0.5, 1.0, 2.0])).tolist()
    [-2.0, 0.0, 2.0, 4.0]
    """
    low, high = float(values.min()), float(values.max())
    quarters = np.percentile(values, [25, 75])
    wide = 2.0 * float(quarters[1] - quarters[0]) * len(values) ** (-1 / 3)
    wide = max(wide, (high - low) / _MOST_BINS, 1e-6)
    tens = 10.0 ** np.floor(np.log10(wide))
    step = next(float(nice * tens) for nice in (1, 2, 2.5, 5, 10) if nice * tens >= wide * (1 - 1e-9))
    return step * np.arange(np.floor(low / step), np.floor(high / step) + 2)
