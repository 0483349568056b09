"""Write a verdict as a section of a report, and as one HTML file that opens offline."""

from __future__ import annotations

import html
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from tradelab.report.figures import chart
from tradelab.report.page import Masthead, render_page
from tradelab.report.safety import over_strings, strip_paths
from tradelab.research import plots_theme as theme

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tradelab.research.scrutiny_evidence import Evidence
    from tradelab.research.scrutiny_findings import Finding

CSS = """
.scroll .findings{width:100%}
.scroll .findings td,.scroll .findings th{text-align:left;vertical-align:top;padding:8px 10px 8px 0;white-space:normal}
.findings td.state{white-space:nowrap;font-weight:600}
.findings .held{opacity:.7;font-size:12px;display:block;margin-top:3px}
.findings tbody th{min-width:120px}
.findings td{min-width:150px}
.lead{font-size:17px;line-height:1.6}
@media print{.scroll .findings td,.scroll .findings th{font-size:8pt;padding:4px 5px 4px 0}}
"""
_STATES = {"pass": "✓ pass", "doubt": "? doubt", "fail": "✗ fail", "unknown": "– unknown"}
_BADGES = {"holds": ("holds", "good"), "doubtful": ("doubtful", "busy"), "lie": ("a lie", "bad")}


def section(says: str, findings: tuple[Finding, ...], figures: Mapping[str, go.Figure]) -> str:
    """Words, a row a finding, and the charts; for a page made with ``tradelab.report.page.render_page``."""
    rows = "".join(
        f'<tr><th scope="row">{html.escape(f.name)}</th><td class="state">{_STATES[f.state]}</td>'
        f'<td>{html.escape(f.figure)}<span class="held">{html.escape(f.threshold)}</span></td>'
        f'<td>{html.escape(f.says)}<span class="held">{html.escape(f.source)}'
        f"{'; decisive' if f.decisive else ''}</span></td></tr>"
        for f in findings
    )
    drawn = "".join(_drawn(figure) for figure in figures.values())
    return (
        f'<style>{CSS}</style><p class="lead">{html.escape(says)}</p>'
        '<div class="scroll"><table class="findings"><caption>What the verdict rests on</caption><thead><tr>'
        '<th scope="col">Test</th><th scope="col">State</th><th scope="col">Found, and held against</th>'
        f'<th scope="col">What it means, and who says so</th></tr></thead><tbody>{rows}</tbody></table></div>'
        f"<h2>Pictures</h2>{drawn}"
    )


def page(title: str, verdict: str, body: str, evidence: Evidence, seed: int) -> str:
    """The whole document around a `section`."""
    best = evidence.best
    word, kind = _BADGES[verdict]
    facts = (
        ("Period", f"{best.index[0]:%Y-%m-%d} to {best.index[-1]:%Y-%m-%d}"),
        ("Bars", f"{len(best.index):,}"),
        ("Instruments", strip_paths(", ".join(best.symbols))),
        ("Combinations", f"{evidence.combinations:,}, of which {evidence.replayed:,} were run again"),
        ("Chosen by", evidence.by.replace("_", " ")),
        ("Annualised by", best.summary.annualisation),
        ("Seed", str(seed)),
        ("Data", " ".join(part[:16] for part in best.data_hash.split("+")[:4])),
        ("Made by", f"tradelab {version('tradelab')}"),
    )
    parameters = {name: "none" if value is None else value for name, value in best.parameters.items()}
    masthead = Masthead(
        eyebrow="Is it a lie?",
        state=word,
        state_kind=kind,
        facts=facts,
        parameters=tuple(dict(over_strings(parameters, strip_paths)).items()),
    )
    return render_page(strip_paths(title), body, masthead=masthead)


def _drawn(figure: go.Figure) -> str:
    """A chart, or, where there is nothing to draw, the sentence that says so."""
    sentence = theme.said(figure)
    return f"<p>{html.escape(sentence)}</p>" if sentence else chart(figure)
