"""Ask of a sweep's best result whether it is a lie, and answer in words, figures and pictures."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

import pandas as pd

from tradelab.model.errors import MissingExtraError, ParameterError
from tradelab.research.checks import require_sweep
from tradelab.research.pages import replace_page
from tradelab.research.scrutiny_evidence import Evidence, gather
from tradelab.research.scrutiny_findings import DOUBT, FAIL, PASS, UNKNOWN, Finding, judge

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tradelab.research.sweep_view import Swept

HOLDS, DOUBTFUL, LIE = "holds", "doubtful", "lie"

_SAYS = {
    HOLDS: "It holds: nothing that was tried could explain this result by luck, by the search, or by its assumptions.",
    DOUBTFUL: "It is doubtful: no decisive test failed, and not every test was passed.",
    LIE: "Take it for a lie: a decisive test failed, and no other figure makes up for it.",
}
_MARKS = {PASS: "✓", DOUBT: "?", FAIL: "✗", UNKNOWN: "–"}


@dataclass(frozen=True, eq=False)
class Scrutiny:
    """The verdict on a sweep's best combination.

    Parameters
    ----------
    verdict
        ``"holds"`` (every finding passed), ``"lie"`` (a decisive one failed) or ``"doubtful"`` (anything else).
    findings
        What the verdict rests on.
    evidence
        The statistics themselves.
    seed
        Where chance began.
    """

    verdict: str
    findings: tuple[Finding, ...]
    evidence: Evidence
    seed: int

    @property
    def title(self) -> str:
        """What was judged, in one line."""
        e = self.evidence
        return f"{e.best.title}, the best {e.by} of {e.combinations:,} combinations"

    @property
    def says(self) -> str:
        """The verdict in a few sentences: what it is, and what it rests on."""
        failed = [f for f in self.findings if f.state == FAIL]
        decisive = [f for f in failed if f.decisive]
        doubts = [f.name for f in self.findings if f.state in (DOUBT, UNKNOWN)]
        said = [_SAYS[self.verdict], *(f"{f.name}: {f.says}" for f in decisive)]
        other = [f.name for f in failed if not f.decisive]
        if other:
            said.append(f"Failed too: {_listed(other)}." if decisive else f"Failed: {_listed(other)}.")
        if doubts:
            said.append(f"In doubt: {_listed(doubts)}.")
        return " ".join(said)

    @property
    def table(self) -> pd.DataFrame:
        """One row a finding: state, what was found, threshold, source, meaning."""
        columns = ("name", "state", "figure", "value", "threshold", "source", "says", "decisive")
        return pd.DataFrame([{c: getattr(f, c) for c in columns} for f in self.findings]).set_index("name")

    def __getitem__(self, name: str) -> Finding:
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(name)

    def figures(self) -> dict[str, go.Figure]:
        """Every picture by name, in the order in which a report shows them."""
        MissingExtraError.unless("plotly", "report", "drawing")
        from tradelab.research import plots_scrutiny

        return plots_scrutiny.all_figures(self.evidence)

    def section(self) -> str:
        """The verdict as a piece of HTML for a page of ``tradelab.report``: words, table, charts."""
        MissingExtraError.unless("plotly", "report", "a report")
        from tradelab.research import scrutiny_page

        return scrutiny_page.section(self.says, self.findings, self.figures())

    @overload
    def to_html(self) -> str: ...
    @overload
    def to_html(self, path: str | Path) -> Path: ...
    def to_html(self, path: str | Path | None = None) -> str | Path:
        """Write one HTML file that opens offline; without a path, return its text.

        Raises
        ------
        StorageError
            The file cannot be written; what was there before is still there.
        """
        MissingExtraError.unless("plotly", "report", "a report")
        from tradelab.research import scrutiny_page

        page = scrutiny_page.page(self.title, self.verdict, self.section(), self.evidence, self.seed)
        return page if path is None else replace_page(Path(path), page)

    def __str__(self) -> str:
        rows = [f"  {_MARKS[f.state]} {f.name}: {f.figure}" for f in self.findings]
        return "\n".join([self.title, self.says, *rows])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cell = '<td style="text-align:left;vertical-align:top">'
        rows = "".join(
            f'<tr style="background:none">{cell}{_MARKS[f.state]}</td>{cell}<b>{html.escape(f.name)}</b></td>'
            f"{cell}{html.escape(f.figure)}</td>{cell}{html.escape(f.says)}</td></tr>"
            for f in self.findings
        )
        return (
            f"<p><b>{html.escape(self.title)}</b></p><p>{html.escape(self.says)}</p>"
            f'<table class="tradelab-scrutiny"><tbody>{rows}</tbody></table>'
        )


def scrutinise(
    sweep: Swept,
    *,
    by: str = "sharpe",
    min_trades: int = 1,
    replays: int | None = None,
    draws: int = 1_000,
    seed: int = 0,
) -> Scrutiny:
    """Hold the best combination of a sweep against everything that makes bad results look good.

    Look-ahead, luck (reality check and SPA), the search (deflated Sharpe ratio, probability of overfitting), what came
    after (walk-forward over blocks), the neighbourhood, the order of trades, other histories, random entries, costs and
    delay. What each figure means and where its threshold is from is in ``docs/scrutiny.md``.

    Parameters
    ----------
    sweep
        What ``tl.sweep`` returned.
    by, min_trades
        What the best is chosen by, as for ``Sweep.best``.
    replays
        Combinations run again for the reality check: the best, and others evenly spread where there are more. Fewer
        than all make that test kinder than it should be; the finding says how many. ``None``: 300, and fewer, 50 at
        least, of histories longer than 60 000 bars.
    draws
        Of every bootstrap and every random null.
    seed
        Where chance begins; the same seed gives the same verdict.

    Raises
    ------
    ConfigError
        No combination has a defined figure.

    Examples
    --------
    >>> import tradelab as tl
    >>> found = tl.sweep(tl.samples.load("EURUSD-1d"), "sma_cross", fast=[5, 10], slow=[20, 40], progress=False)
    >>> scrutinise(found, draws=200).verdict
    'lie'
    """
    for name, value, least in (
        ("replays", 1 if replays is None else replays, 1),
        ("draws", draws, 20),
        ("min_trades", min_trades, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ParameterError(f"{name}={value!r} is not allowed.", allowed=[f"{least} or more"])
    require_sweep(sweep)
    evidence = gather(sweep, by, min_trades=min_trades, replays=replays, draws=draws, seed=seed)
    findings = judge(evidence)
    return Scrutiny(_verdict(findings), findings, evidence, seed)


def _verdict(findings: tuple[Finding, ...]) -> str:
    if any(f.state == FAIL and f.decisive for f in findings):
        return LIE
    return HOLDS if all(f.state == PASS for f in findings) else DOUBTFUL


def _listed(names: list[str]) -> str:
    lower = [names[0], *(name[0].lower() + name[1:] for name in names[1:])]
    return lower[0] if len(lower) == 1 else f"{', '.join(lower[:-1])} and {lower[-1]}"
