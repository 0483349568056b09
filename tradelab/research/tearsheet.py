"""Write a backtest as one HTML file for anyone, and as a card for a notebook.

`write` makes the file through ``tradelab.report``; it opens offline, prints, and reads on a phone. `card` is what a
``Result`` shows of itself in a notebook.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tradelab.metrics.summary import LABELS
from tradelab.report.figures import chart
from tradelab.report.page import Masthead, render_page, show, tiles
from tradelab.report.safety import over_strings, strip_paths
from tradelab.research import plots, tearsheet_tables
from tradelab.research import plots_theme as theme
from tradelab.research.pages import replace_page
from tradelab.research.plots_view import Backtested
from tradelab.research.tearsheet_card import GRADE_SAYS, KEY_FIGURES, card, cautions, shown_figures

__all__ = ["card", "write"]

_ALL_TRADES = 200
_LAST_TRADES = 50
_EXTREMES = 5
_MANY_SYMBOLS = 4


def write(result: Backtested, path: str | Path | None = None) -> str:
    """Return the whole report as HTML, and write it to ``path`` if given: whole or not at all.

    Raises
    ------
    StorageError
        The file cannot be written; what was there before is still there.
    """
    page = _page(result)
    if path is not None:
        replace_page(Path(path), page)
    return page


def _page(result: Backtested) -> str:
    figures = plots.all_figures(result)
    body = [
        f"<style>{tearsheet_tables.CSS}</style>",
        f'<p class="lead">{html.escape(_in_words(result))}</p>',
        tiles(_key_figures(result)),
        _drawn(figures["overview"]),
        "<h2>Returns</h2>",
        _months(result, theme.said(figures["monthly"])),
        _drawn(figures["yearly"]),
        _drawn(figures["rolling"]),
        "<h2>Trades</h2>",
        _drawn(figures["trades"]),
        _drawn(figures["distribution"]) if len(result.trades) else "",
        _trades(result),
        "<h2>All figures</h2>",
        tearsheet_tables.pairs(dict(result.summary.rows())),
        f"<p>{html.escape(f'The grade is {GRADE_SAYS[0].lower()}{GRADE_SAYS[1:]}')}</p>",
        "<h2>Terms</h2>",
        tearsheet_tables.pairs(_clean(result.settings)),
        f"<p>Bars: <code>{html.escape(result.data_hash)}</code></p>",
    ]
    return render_page(_heading(result), "\n".join(body), masthead=_masthead(result))


def _heading(result: Backtested) -> str:
    names = result.symbols
    what = ", ".join(names) if len(names) <= _MANY_SYMBOLS else f"{len(names)} instruments"
    return strip_paths(f"{result.strategy} on {what}")


def _masthead(result: Backtested) -> Masthead:
    first, last = result.index[0], result.index[-1]
    terms = result.settings
    facts = (
        ("Period", f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"),
        ("Bars", f"{len(result.index):,}"),
        ("Instruments", strip_paths(", ".join(result.symbols))),
        ("Annualised by", result.summary.annualisation),
        ("Fills", "as set" if isinstance(terms["fill"], dict) else str(terms["fill"]).replace("_", " ")),
        ("Direction", str(terms["direction"])),
        ("Size of an entry", _size(terms)),
        ("Costs", _costs(terms)),
        ("Stops and targets", _exits(terms)),
        ("Data", " ".join(part[:16] for part in result.data_hash.split("+")[:_MANY_SYMBOLS])),
        ("Made by", f"tradelab {version('tradelab')}"),
    )
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in cautions(result))
    return Masthead(
        eyebrow="Backtest",
        facts=facts,
        parameters=tuple(_clean(result.parameters).items()),
        notice=f'<div class="notice">{notes}</div>' if notes else "",
    )


_SIZED = {
    "amount": "units",
    "value": "of money",
    "percent": "of free cash",
    "equity": "of equity",
    "risk": "of equity at the stop",
    "atr": "of equity by an ATR",
    "volatility": "a year by its deviation",
    "kelly": "times Kelly's fraction",
}


def _size(terms: Mapping[str, Any]) -> str:
    if terms["size"] is None:
        return "all free cash"
    unit = _SIZED[terms["size_type"]]
    if isinstance(terms["size"], str):
        return f"{terms['size']}, {unit}"
    plain = terms["size_type"] in ("amount", "value", "kelly")
    return f"{show(terms['size']) if plain else _percent(terms['size'])} {unit}"


def _costs(terms: Mapping[str, Any]) -> str:
    parts = [f"{name} {_percent(terms[name])}" for name in ("fees", "slippage") if terms[name]]
    if terms["fixed_fees"]:
        parts.append(f"{show(terms['fixed_fees'])} an order")
    return ", ".join(parts) or "none"


def _exits(terms: Mapping[str, Any]) -> str:
    trails = terms["sl_trail"] is True
    named = {
        "trailing stop" if trails else "stop": terms["sl_stop"],
        "trailing stop ": None if isinstance(terms["sl_trail"], bool) else terms["sl_trail"],
        "target": terms["tp_stop"],
    }
    return (
        ", ".join(f"{name.strip()} {_percent(value)}" for name, value in named.items() if value is not None) or "none"
    )


def _percent(value: Any) -> str:
    return value if isinstance(value, str) else f"{100.0 * value:g} %"


def _clean(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters and terms as they may be shown to a stranger: no folder of this machine."""
    flat = {k: show(list(v.values())) if isinstance(v, dict) else "none" if v is None else v for k, v in values.items()}
    return dict(over_strings(flat, strip_paths))


def _key_figures(result: Backtested) -> dict[str, object]:
    shown = shown_figures(result)
    return {LABELS[name].text: shown[name] for name in KEY_FIGURES}


def _in_words(result: Backtested) -> str:
    """The backtest in a few sentences, for whoever cannot see charts and for whoever is in a hurry."""
    s, shown = result.summary, shown_figures(result)
    growth = f"{s.total_return:+.2%}" + ("" if math.isnan(s.cagr) else f", {s.cagr:+.2%} a year")
    against = "" if math.isnan(s.benchmark_return) else f"; the benchmark made {s.benchmark_return:+.2%}"
    said = [
        f"From {result.index[0]:%Y-%m-%d} to {result.index[-1]:%Y-%m-%d} the account went from {shown['init_cash']} to "
        f"{shown['final_equity']} ({growth}{against})."
    ]
    if s.max_drawdown < 0:
        stay = f"and stayed below an earlier height for up to {shown['max_drawdown_bars']} bars"
        said.append(f"At its deepest it was {-s.max_drawdown:.2%} below its highest so far, {stay}.")
    if s.trades:
        still = f"; {s.open_trades} {'is' if s.open_trades == 1 else 'are'} still open" if s.open_trades else ""
        closed = (
            f"{shown['trades']} trade{'' if s.trades == 1 else 's'} closed, {shown['win_rate']} of them with a profit"
        )
        said.append(f"{closed}{still}.")
    if not math.isnan(s.sharpe):
        said.append(f"The Sharpe ratio is {shown['sharpe']}.")
    return " ".join(said)


def _drawn(figure: Any) -> str:
    """A chart, or, where there is nothing to draw, the sentence that says so."""
    sentence = theme.said(figure)
    return f"<p>{html.escape(sentence)}</p>" if sentence else chart(figure)


def _months(result: Backtested, sentence: str | None) -> str:
    return f"<p>{html.escape(sentence)}</p>" if sentence else tearsheet_tables.months(result.monthly)


def _trades(result: Backtested) -> str:
    trades = result.trades
    if trades.empty:
        return ""
    parts = []
    if len(trades) > 2 * _EXTREMES:
        ranked = trades.sort_values("return", kind="stable")
        parts.append(tearsheet_tables.trades(ranked.iloc[::-1].head(_EXTREMES), f"The best {_EXTREMES} trades"))
        parts.append(tearsheet_tables.trades(ranked.head(_EXTREMES), f"The worst {_EXTREMES} trades"))
    if len(trades) <= _ALL_TRADES:
        caption = "The only trade" if len(trades) == 1 else f"All {len(trades)} trades"
        parts.append(tearsheet_tables.trades(trades, caption))
    else:
        parts.append(
            tearsheet_tables.trades(trades.tail(_LAST_TRADES), f"The last {_LAST_TRADES} of {len(trades):,} trades")
        )
    return "".join(parts)
