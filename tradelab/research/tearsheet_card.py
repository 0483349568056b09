"""Show a backtest in a notebook: the figures that matter, its equity as a small drawing, and what to know first.

No script, no stylesheet: inline styles in the page's own ink, so that any theme of JupyterLab, light or dark, will do.
"""

from __future__ import annotations

import html

import numpy as np

from tradelab.metrics.summary import LABELS
from tradelab.research.plots_thin import thin
from tradelab.research.plots_view import Backtested

KEY_FIGURES = (
    "total_return",
    "benchmark_return",
    "cagr",
    "sharpe",
    "sortino",
    "max_drawdown",
    "volatility",
    "exposure",
    "trades",
    "win_rate",
    "profit_factor",
    "expectancy",
)
GRADE_SAYS = (
    "A school mark from a point table over win rate, profit factor, deepest drawdown and total return "
    "(A from 80 points, B from 60, C from 40, D from 20, else F). It knows neither the length of the history nor luck."
)
_WIDE, _HIGH = 600, 84


def card(result: Backtested) -> str:
    """Return a compact piece of HTML, without script, for a notebook's output."""
    figures = shown_figures(result)
    cells = "".join(
        f'<div><div style="opacity:.65;font-size:11px;line-height:1.4">{html.escape(LABELS[name].text)}</div>'
        f'<div style="font-weight:600;font-size:15px;line-height:1.35">{html.escape(figures[name])}</div></div>'
        for name in KEY_FIGURES
    )
    grade = (
        f'<span title="{html.escape(GRADE_SAYS)}" style="cursor:help;border:1px solid rgba(128,134,144,.5);'
        f'border-radius:99px;padding:1px 9px;font-size:12px;white-space:nowrap">Grade {result.summary.grade}</span>'
    )
    notes = "".join(
        f'<div style="margin-top:8px;padding:4px 10px;border-left:3px solid #e0792c">{html.escape(note)}</div>'
        for note in cautions(result)
    )
    rows = "".join(
        '<tr style="background:none"><th style="text-align:left;font-weight:400;padding:1px 24px 1px 0">'
        f"{html.escape(label)}</th>"
        f'<td style="text-align:right;padding:1px 0">{html.escape(value)}</td></tr>'
        for label, value in result.summary.rows()
    )
    return (
        '<div class="tradelab-card" style="max-width:760px;padding:14px 16px;border:1px solid rgba(128,134,144,.35);'
        'border-radius:8px;font-family:system-ui,sans-serif;font-size:13px;font-variant-numeric:tabular-nums">'
        '<div style="display:flex;gap:12px;justify-content:space-between;align-items:baseline">'
        '<div style="font-weight:600;font-size:14px;overflow-wrap:anywhere">'
        f"{html.escape(result.title)}</div>{grade}</div>"
        f'<div style="opacity:.65;font-size:12px;margin-top:2px">{html.escape(period(result))}</div>'
        f"{sparkline(result)}"
        '<div style="display:grid;grid-template-columns:repeat(auto-fill,minmax(108px,1fr));gap:10px 14px;'
        f'margin-top:10px">{cells}</div>{notes}'
        '<details style="margin-top:10px"><summary style="cursor:pointer;opacity:.65;font-size:12px">All figures'
        '</summary><table style="border-collapse:collapse;font-size:12px;margin-top:6px">'
        f"<tbody>{rows}</tbody></table></details></div>"
    )


def shown_figures(result: Backtested) -> dict[str, str]:
    """Every figure as text, by its field name."""
    return {name: value for name, (_, value) in zip(LABELS, result.summary.rows(), strict=True)}


def period(result: Backtested) -> str:
    """First and last day, number of bars, and how figures were annualised."""
    first, last = result.index[0], result.index[-1]
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d} · {len(result.index):,} bars · {result.summary.annualisation}"


def cautions(result: Backtested) -> list[str]:
    """What a reader must know before any figure: a ruined account, a strategy that never traded."""
    said = []
    if result.ruined:
        said.append("Ruined: equity fell to zero, everything was closed out and trading ended.")
    if result.summary.trades + result.summary.open_trades == 0:
        said.append("No trade was made: the figures say nothing about the strategy.")
    if np.isnan(result.summary.periods_per_year):
        said.append(f"Figures a year are missing: {result.summary.annualisation}.")
    return said


def sparkline(result: Backtested) -> str:
    """Return the equity as an inline SVG, its fall below the highest so far shaded, the initial cash dashed."""
    equity = result.equity.to_numpy()
    peak = np.maximum(np.maximum.accumulate(equity), result.init_cash)
    kept = thin(equity, most=300, buckets=70)
    known = np.concatenate([equity[kept], peak[kept], [result.init_cash]])
    low, high = float(known.min()), float(known.max())
    span = (high - low) or 1.0
    x = 2 + (_WIDE - 4) * (kept / max(len(equity) - 1, 1))

    def down(value: np.ndarray) -> np.ndarray:
        return np.round(4 + (_HIGH - 8) * (high - value) / span, 1)

    line = _points(x, down(equity[kept]))
    shade = f"{_points(x, down(peak[kept]))} {_points(x[::-1], down(equity[kept])[::-1])}"
    start = float(down(np.array(result.init_cash)))
    ends = f"Equity from {result.init_cash:,.2f} to {equity[-1]:,.2f}"
    said = f"{ends}, lowest {equity.min():,.2f}, highest {equity.max():,.2f}."
    return (
        f'<svg viewBox="0 0 {_WIDE} {_HIGH}" role="img" preserveAspectRatio="none" '
        f'style="display:block;width:100%;height:{_HIGH}px;margin-top:10px"><title>{html.escape(said)}</title>'
        f'<polygon points="{shade}" fill="#e0792c" fill-opacity=".22"/>'
        f'<line x1="0" x2="{_WIDE}" y1="{start:g}" y2="{start:g}" stroke="currentColor" '
        'stroke-opacity=".4" stroke-dasharray="4 4" vector-effect="non-scaling-stroke"/>'
        f'<polyline points="{line}" fill="none" stroke="#4586cf" stroke-width="1.6" stroke-linejoin="round" '
        'vector-effect="non-scaling-stroke"/></svg>'
    )


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{a:.1f},{b:g}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
