"""Write ``runs/index.html``: every run in one table, with links that still work when the folder is moved."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tradelab.production.files import write_text
from tradelab.production.registry import OPEN, Registry, Run
from tradelab.report.page import Masthead, render_page, show

_HEADLINES = 4
_COLUMNS = (  # heading, and whether the column holds words
    ("Run", True),
    ("State", True),
    ("Parameters", True),
    ("Results", True),
    ("Took", False),
    ("Open", True),
)


def write_index(runs_dir: Path) -> Path:
    """Rewrite the index of a runs folder in one step and return its path."""
    registry = Registry(runs_dir)
    path = runs_dir / "index.html"
    found: list[Run] = []
    while not path.exists() or found != (found := registry.all()):  # another run may have ended meanwhile
        write_text(path, _page(found))
    return path


def _page(found: list[Run]) -> str:
    from tradelab.production.exporter import STATE_KINDS, duration_text

    rows = "".join(_row(run, STATE_KINDS[run.state], duration_text(run.duration_s)) for run in found)
    heads = "".join(f'<th scope="col"{" class=words" if words else ""}>{name}</th>' for name, words in _COLUMNS)
    table = (
        f'<div class="scroll" role="region" aria-label="Runs" tabindex="0"><table class="stacked">'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    nothing = "<p>No runs yet. <code>tradelab run NOTEBOOK</code> makes the first.</p>"
    counts = Counter(run.state for run in found)
    facts = tuple((state.replace("_", " ").capitalize(), str(count)) for state, count in counts.items())
    return render_page("Runs", table if rows else nothing, masthead=Masthead(facts=facts), wide=True)


def _row(run: Run, kind: str, took: str) -> str:
    folder = quote(run.folder.name)
    kept = ("report.html", "report"), ("notebook.ipynb", "notebook"), ("log.txt", "log")
    links = [f'<a href="{folder}/{file}">{word}</a>' for file, word in kept if (run.folder / file).is_file()]
    when = (run.started_at or run.queued_at)[:16].replace("T", " ")
    attempt = f", attempt {run.attempt}" if run.attempt > 1 else ""
    why = f'<span class="sub">{html.escape(_why(run))}</span>' if run.failure or run.note else ""
    badge = f'<span class="badge {kind}" style="margin-left:0">{run.state.replace("_", " ")}</span>'
    progress = f'<span class="sub">cell {run.cell} of {run.cells}</span>' if run.state in OPEN else ""
    what = f'<b>{html.escape(run.name)}</b><span class="sub">{when} UTC, {run.id}{attempt}</span>'
    return (
        f'<tr><td class="words">{what}</td>'
        f'<td class="words">{badge}{progress}{why}</td>'
        f'<td class="words">{_pairs(run.parameters)}</td><td class="words">{_pairs(run.results)}</td>'
        f'<td>{took}</td><td class="words">{" · ".join(links) or "folder is gone"}</td></tr>'
    )


def _why(run: Run) -> str:
    if run.failure is None:
        return run.note
    where = f"cell {run.failure.cell}: " if run.failure.cell else ""
    return f"{where}{run.failure.kind} {run.failure.message}".strip()[:160]


def _pairs(values: Mapping[str, Any]) -> str:
    shown = list(values.items())[:_HEADLINES]
    more = f'<span class="pairs">and {len(values) - _HEADLINES} more</span>' if len(values) > _HEADLINES else ""
    return (
        "".join(
            f'<span class="pairs">{html.escape(name)} <b>{html.escape(show(value))}</b></span> '
            for name, value in shown
        )
        + more
    )
