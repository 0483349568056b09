"""Render one self-contained HTML page: masthead, body, styles and, if it has charts, plotly.js.

The page asks the network for nothing: a Content-Security-Policy in its head forbids it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from tradelab.report.bundle import bundle_for
from tradelab.report.figures import types_in
from tradelab.report.safety import known_secrets, refuse_secrets

_ASSETS = files("tradelab.report") / "assets"
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d):00(?:\.0+)?(?:\+00:00|Z)?")


@dataclass(frozen=True, slots=True)
class Masthead:
    """What stands at the top of a page.

    Attributes
    ----------
    eyebrow
        A few words above the title: what kind of page this is.
    state, state_kind
        A word such as ``"succeeded"`` shown as a badge, and its colour: ``good``, ``bad``, ``busy`` or ``quiet``.
    facts
        Pairs (label, value) in the order shown: run, time, notebook, git revision, data.
    parameters
        Pairs (name, value), shown as a table of their own.
    notice
        HTML of a banner under the title, for instance the failing cell with a link to it.
    """

    eyebrow: str = "tradelab"
    state: str = ""
    state_kind: str = "quiet"
    facts: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, object], ...] = ()
    notice: str = ""


def render_page(
    title: str,
    body: str,
    *,
    masthead: Masthead | None = None,
    lang: str = "en",
    wide: bool = False,
    secrets: Iterable[str] | None = None,
) -> str:
    """Return a whole HTML document.

    Parameters
    ----------
    title
        Plain text.
    body
        HTML; charts in it are made with `figures.chart`. The trace types they use decide which plotly.js is put in.
    masthead
        Header of the page; default: the title alone.
    lang
        Language of the text, as in ``<html lang>``.
    wide
        Let the page be as wide as a table of many columns needs.
    secrets
        Values the page must not hold; default: `safety.known_secrets`.

    Raises
    ------
    ConfigError
        The page would hold a secret.
    """
    types = types_in(body)
    body = _scoped(body)
    head = _masthead(title, masthead or Masthead(), '<details class="code"' in body)
    refuse_secrets(title + head + body, known_secrets() if secrets is None else secrets)
    library = bundle_for(types) if types else None
    scripts = f"<script>{_asset('report.js')}</script>"
    if library:
        packed = f'<script type="application/x-tradelab-plotly" data-bundle="{library.name}">{library.packed}</script>'
        scripts = packed + scripts
    return f"""<!DOCTYPE html>
<html lang="{html.escape(lang)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="tradelab">
<title>{html.escape(title)}</title>
<style>{_asset("report.css")}</style>
</head>
<body{' class="wide"' if wide else ""}>
<a class="skip" href="#main">Skip to the content</a>
{head}
<main id="main">
{body}
</main>
{scripts}
</body>
</html>
"""


def tiles(values: Mapping[str, object]) -> str:
    """Return headline figures as a row of tiles.

    >>> tiles({"sharpe": 1.25})
    '<dl class="tiles"><div><dt>sharpe</dt><dd>1.25</dd></div></dl>'
    """
    cells = "".join(
        f"<div><dt>{html.escape(name.replace('_', ' '))}</dt><dd>{html.escape(show(value))}</dd></div>"
        for name, value in values.items()
    )
    return f'<dl class="tiles">{cells}</dl>'


def show(value: object) -> str:
    """Write a parameter or a result for a reader.

    >>> show(True), show(None), show(1234567.891), show(0.12345678), show([1, 2]), show("2024-01-01T00:00:00+00:00")
    ('yes', '–', '1,234,568', '0.1235', '1, 2', '2024-01-01')
    """
    if value is None or value == "" or value != value:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        size = abs(value)
        return f"{value:,.0f}" if size >= 100_000 else f"{value:,.2f}" if size >= 100 else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(show, value))
    if isinstance(value, str) and (moment := _MOMENT.fullmatch(value)):
        return moment[1] if moment[2] == "00:00" else f"{moment[1]} {moment[2]}"
    return str(value)


def _masthead(title: str, masthead: Masthead, has_code: bool) -> str:
    badge = f' <span class="badge {masthead.state_kind}">{html.escape(masthead.state)}</span>' if masthead.state else ""
    facts = "".join(
        f"<div><dt>{html.escape(label)}</dt><dd>{html.escape(value)}</dd></div>"
        for label, value in masthead.facts
        if value
    )
    facts = f'<dl class="facts">{facts}</dl>' if facts else ""
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(show(value))}</td></tr>'
        for name, value in masthead.parameters
    )
    parameters = f'<table class="parameters"><caption>Parameters</caption><tbody>{rows}</tbody></table>' if rows else ""
    toggle = (
        '<p class="tools"><button type="button" id="show-code" aria-pressed="false" hidden>Show all code</button></p>'
        if has_code
        else ""
    )
    return (
        f'<header class="masthead"><p class="eyebrow">{html.escape(masthead.eyebrow)}{badge}</p>'
        f"<h1>{html.escape(title)}</h1>{masthead.notice}"
        f'<div class="particulars">{facts}{parameters}</div>{toggle}</header>'
    )


def _scoped(body: str) -> str:
    """Say of each table heading whether it heads its column or its row; unquoted, for it may stand in a script's text.

    >>> _scoped("<thead><tr><th>a</th></tr></thead><tbody><tr><th id=x>1</th><th scope=col>2</th></tr></tbody>")
    '<thead><tr><th scope=col>a</th></tr></thead><tbody><tr><th scope=row id=x>1</th><th scope=col>2</th></tr></tbody>'
    """
    parts = re.split(r"(<thead\b.*?</thead>)", body, flags=re.DOTALL)
    bare = re.compile(r"<th(?=[\s>])(?![^>]*\bscope)")
    return "".join(bare.sub(f"<th scope={'col' if number % 2 else 'row'}", part) for number, part in enumerate(parts))


@cache
def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
