"""Write the tables of a tearsheet: months in tints, trades in rows, figures and terms in pairs."""

from __future__ import annotations

import calendar
import html
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from tradelab.report.page import show
from tradelab.report.safety import strip_paths

# Tints follow the page's colours, light or dark; where a browser cannot mix colours, the numbers stand alone.
CSS = """
.scroll .months{width:100%}
.months td{text-align:right;min-width:50px}
.months tbody th{position:sticky;left:0;background:var(--paper)}
.months td.won{background:color-mix(in srgb,var(--c0) calc(var(--w)*50%),transparent)}
.months td.lost{background:color-mix(in srgb,var(--c1) calc(var(--w)*55%),transparent)}
.scroll .months th,.scroll .months td{padding:6px 8px;border-bottom:2px solid var(--paper)}
.scroll .months td.whole,.scroll .months th.whole{font-weight:600;border-left:10px solid var(--paper)}
.trades td.side,.trades th.side,.trades td.reason,.trades th.reason{text-align:left}
.scroll .trades th,.scroll .trades td{padding:5px 8px;font-size:13px}
.scroll .trades{width:100%}
.pairs-grid{columns:2;column-gap:48px;margin:14px 0}
.pairs-grid div{display:flex;justify-content:space-between;gap:20px;padding:4px 0;border-bottom:1px solid var(--grid);
  break-inside:avoid;font-size:14px}
.pairs-grid dt{color:var(--soft)}
.pairs-grid dd{margin:0;font-weight:500;text-align:right}
.lead{font-size:17px;line-height:1.6}
@media (max-width:640px){.pairs-grid{columns:1}.lead{font-size:16px}}
@media print{
  .months td,.months th{-webkit-print-color-adjust:exact;print-color-adjust:exact}
  .scroll .months th,.scroll .months td{padding:3px 4px;min-width:0}
  .scroll .trades th,.scroll .trades td{font-size:6.8pt;padding:2px 3px}
  .trades.few{break-inside:avoid}}
"""
_FEW = 10  # rows that stay on one printed page
_PRICES = ("entry_price", "exit_price")


def months(monthly: pd.DataFrame) -> str:
    """Returns in percent, years down and months across; the tint is as strong as the month was far from zero."""
    cells = 100.0 * monthly
    reach = float(np.nanmax(np.abs(cells[list(range(1, 13))].to_numpy()))) or 1.0
    heads = "".join(f'<th scope="col">{name}</th>' for name in calendar.month_abbr[1:])
    rows = "".join(
        f'<tr><th scope="row">{year}</th>{"".join(_month(row[m], reach, "") for m in range(1, 13))}'
        f"{_month(row['year'], None, 'whole')}</tr>"
        for year, row in cells.iterrows()
    )
    return (
        '<div class="scroll"><table class="months"><caption>Returns by month, %</caption>'
        f'<thead><tr><th scope="col"></th>{heads}<th scope="col" class="whole">Year</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _month(value: float, reach: float | None, kind: str) -> str:
    if np.isnan(value):
        return f'<td class="{kind}"></td>'
    side = "" if reach is None or value == 0 else "won" if value > 0 else "lost"
    tint = f' style="--w:{min(abs(value) / reach, 1.0):.2f}"' if reach is not None and side else ""
    return f'<td class="{f"{side} {kind}".strip()}"{tint}>{value:z.1f}</td>'


def trades(rows: pd.DataFrame, caption: str) -> str:
    """One row a trade; columns that say nothing (one instrument only, no stops) are left out."""
    columns = _columns(rows)
    heads = "".join(f'<th scope="col" class="{kind}">{html.escape(text)}</th>' for text, kind, _ in columns)
    lines = zip(*(values for _, _, values in columns), strict=True)
    kinds = [kind for _, kind, _ in columns]
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{kind}">{html.escape(value)}</td>' for kind, value in zip(kinds, line, strict=True))
        + "</tr>"
        for line in lines
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(caption)}">'
        f'<table class="trades{" few" if len(rows) <= _FEW else ""}">'
        f"<caption>{html.escape(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _columns(rows: pd.DataFrame) -> list[tuple[str, str, list[str]]]:
    """Head, class and cells of each column."""
    price = f",.{_places(rows[list(_PRICES)].to_numpy(), 2)}f"
    size = f",.{_places(rows['size'].to_numpy(), 0)}f"
    times = pd.concat([rows["entry_time"], rows["exit_time"]])
    clock = "%Y-%m-%d" if (times == times.dt.normalize()).all() else "%Y-%m-%d %H:%M"
    shown = [("#", "", [str(number) for number in rows.index])]
    if len(set(rows["symbol"])) > 1:
        shown.append(("Instrument", "side", [strip_paths(name) for name in rows["symbol"]]))
    shown += [
        ("Side", "side", rows["direction"].tolist()),
        ("Entry, UTC", "", rows["entry_time"].dt.strftime(clock).tolist()),
        ("Price", "", _formed(rows["entry_price"], price)),
        ("Exit, UTC", "", rows["exit_time"].dt.strftime(clock).tolist()),
        ("Price", "", _formed(rows["exit_price"], price)),
        ("Size", "", _formed(rows["size"], size)),
        ("P&L", "", _formed(rows["pnl"], "+z,.2f")),
        ("Return", "", _formed(rows["return"], "+z.2%")),
    ]
    if rows["r"].notna().any():
        shown.append(("R", "", _formed(rows["r"], "+z.2f")))
    return [
        *shown,
        ("MFE", "", _formed(rows["mfe"], "z.2%")),
        ("MAE", "", _formed(rows["mae"], "z.2%")),
        ("Bars", "", _formed(rows["bars_held"], ",d")),
        ("Exit by", "reason", rows["exit_reason"].tolist()),
    ]


def _places(values: np.ndarray, least: int) -> int:
    """Decimals that write these values out in full, but no more than the largest has of six digits."""
    top = float(np.nanmax(np.abs(values)))
    most = max(least, 5 - int(np.floor(np.log10(top)))) if top > 0 else least
    exact = (d for d in range(least, most) if np.allclose(np.round(values, d), values, rtol=1e-9, atol=0))
    return next(exact, most)


def _formed(values: Iterable[float], form: str) -> list[str]:
    return ["–" if value != value else format(value, form) for value in values]


def pairs(values: Mapping[str, object]) -> str:
    """Names and values in two columns."""
    cells = "".join(f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(show(v))}</dd></div>" for k, v in values.items())
    return f'<dl class="pairs-grid">{cells}</dl>'
