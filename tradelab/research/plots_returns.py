"""Draw returns over months, years and a rolling window."""

from __future__ import annotations

import calendar

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tradelab.research import plots_theme as theme
from tradelab.research.plots_thin import stamps, thin
from tradelab.research.plots_view import Backtested

MONTHS = tuple(calendar.month_abbr[1:])
_MOST_LABELLED_YEARS = 40
_SHORTEST_MONTH = pd.Timedelta(days=28)


def monthly(result: Backtested) -> go.Figure:
    """Draw the return of every month as a table of tinted cells, years down, months across, the whole year beside."""
    title = "Returns by month (%)"
    if result.index[-1] - result.index[0] < _SHORTEST_MONTH:
        return theme.words(title, "Less than a month of bars: no months to compare.")
    table = 100.0 * result.monthly
    years = [str(year) for year in table.index]
    drawn = theme.figure(title, height=max(200, 120 + 34 * len(years)))
    drawn.add_trace(_tinted(table[list(range(1, 13))].to_numpy(), list(MONTHS), years, "Months", "x"))
    drawn.add_trace(_tinted(table[["year"]].to_numpy(), ["Year"], years, "Years", "x2"))
    if len(years) <= _MOST_LABELLED_YEARS:
        drawn.update_layout(annotations=_labels(table))
    side = {"type": "category", "side": "top", "showgrid": False, "ticks": "", "fixedrange": True}
    drawn.update_layout(
        xaxis={**side, "domain": [0, 0.905]},
        xaxis2={**side, "domain": [0.925, 1], "anchor": "y"},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False, "fixedrange": True},
    )
    return drawn


def _tinted(cells: np.ndarray, columns: list[str], years: list[str], name: str, xaxis: str) -> go.Heatmap:
    """Blue above zero, orange below, the same strength at the same distance, transparent enough for any page."""
    reach = round(float(np.nanmax(np.abs(cells))), 6) if np.isfinite(cells).any() else 0.0
    return go.Heatmap(
        z=[[None if np.isnan(v) else round(v, 2) for v in row] for row in cells.tolist()],
        x=columns,
        y=years,
        name=name,
        zmin=-(reach or 1.0),
        zmax=reach or 1.0,
        colorscale=[[0, "rgba(232,112,20,0.46)"], [0.5, "rgba(128,134,144,0.05)"], [1, "rgba(30,115,216,0.42)"]],
        showscale=False,
        xgap=2,
        ygap=2,
        hoverongaps=False,
        hovertemplate="%{x} %{y}: %{z:.2f} %<extra></extra>",
        xaxis=xaxis,
        yaxis="y",
    )


def _labels(table: pd.DataFrame) -> list[dict[str, object]]:
    """Numbers as annotations: unlike a heatmap's own text they take the page's ink, light or dark."""
    return [
        {
            "x": "Year" if month == "year" else MONTHS[int(str(month)) - 1],
            "y": row_number,  # by place: a category that looks like a number would be taken for one
            "xref": "x2" if month == "year" else "x",
            "yref": "y",
            "text": f"<b>{value:z.1f}</b>" if month == "year" else f"{value:z.1f}",
            "showarrow": False,
            "font": {"size": 11},
        }
        for row_number, (_, row) in enumerate(table.iterrows())
        for month, value in row.items()
        if not np.isnan(value)
    ]


def yearly(result: Backtested) -> go.Figure:
    """Draw the return of each calendar year beside the benchmark's."""
    title = "Returns by year (%)"
    own = result.monthly["year"]
    if len(own) < 2:
        return theme.words(title, f"All bars are in {own.index[0]}: no years to compare.")
    growth = pd.Series(1.0 + np.asarray(result.benchmark, dtype=float), result.index)
    other = growth.groupby(result.index.year).prod() - 1.0
    years = [str(year) for year in own.index]
    drawn = theme.figure(title, height=360)
    for name, values, colour in (("Account", own, theme.EQUITY), ("Benchmark", other, theme.BENCHMARK)):
        drawn.add_trace(
            go.Bar(
                x=years,
                y=np.round(100.0 * values.to_numpy(), 3).tolist(),
                name=name,
                marker={"color": colour},
                hovertemplate="%{y:.2f} %",
            )
        )
    drawn.update_layout(
        hovermode="x unified", bargap=0.28, xaxis={"type": "category"}, yaxis={"title": {"text": "Return (%)"}}
    )
    return drawn


def rolling(result: Backtested) -> go.Figure:
    """Draw the Sharpe ratio of the year before each bar; of three months where bars span less than two years."""
    title = "Rolling Sharpe ratio"
    per_year = result.summary.periods_per_year
    if np.isnan(per_year):
        return theme.words(title, f"No rolling ratio: {result.summary.annualisation}.")
    length, word = (1.0, "12 months") if len(result.index) >= 2 * per_year else (0.25, "3 months")
    window = max(round(length * per_year), 2)
    if len(result.index) <= window:
        return theme.words(title, f"Fewer than {word} of bars: no rolling ratio.")
    spans = result.returns.rolling(window)
    spread = spans.std()
    ratio = (spans.mean() / spread.where(spread > 1e-12) * np.sqrt(per_year)).iloc[window - 1 :]
    if ratio.isna().all():
        return theme.words(title, "The account never moved: no rolling ratio.")
    kept = thin(ratio.to_numpy())
    drawn = theme.figure(f"{title} over {word}", height=320)
    drawn.add_trace(
        go.Scatter(
            x=stamps(ratio.index[kept], result.index),
            y=[None if np.isnan(v) else round(v, 3) for v in ratio.to_numpy()[kept].tolist()],
            name="Sharpe ratio",
            mode="lines",
            line={"color": theme.EQUITY, "width": 1.5},
            hovertemplate="%{x}: %{y:.2f}<extra></extra>",
        )
    )
    drawn.update_layout(
        xaxis={"type": "date", "title": {"text": "Time (UTC)"}},
        yaxis={"title": {"text": "Sharpe ratio (annualised)"}, "zeroline": True, "zerolinewidth": 1.5},
    )
    return drawn
