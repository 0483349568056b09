"""Turn an executed notebook into the report page: results first, code folded, every plotly chart kept.

nbconvert's own HTML drops plotly charts without a word and asks three hosts for scripts; this exporter does neither.
Use it as ``jupyter nbconvert --to tradelab notebook.ipynb``, or through `run_report`.
"""

from __future__ import annotations

import copy
import html
import re
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from traitlets import Unicode, default
from traitlets.config import Config

from tradelab.production.files import own_cells
from tradelab.production.recording import RESULT_MIME, in_order
from tradelab.production.registry import Run
from tradelab.report.figures import PLOTLY_MIME, chart
from tradelab.report.page import Masthead, render_page, tiles
from tradelab.report.safety import known_secrets, over_strings, strip_paths

STATE_KINDS = {
    "succeeded": "good", "failed": "bad", "timed_out": "bad", "crashed": "bad", "stopped": "quiet",
    "running": "busy", "queued": "busy",
}  # fmt: skip
_LONGEST_TEXT = 200_000  # characters of one printed output
_PRIORITY = [
    PLOTLY_MIME, RESULT_MIME, "text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg",
    "text/latex", "text/plain",
]  # fmt: skip


class TradelabExporter(HTMLExporter):
    """Export a notebook to one self-contained, offline HTML page."""

    export_from_notebook = "tradelab report"
    template_name = Unicode("tradelab").tag(config=True)

    @default("extra_template_basedirs")
    def _our_templates(self) -> list[str]:
        return [str(Path(__file__).parent / "templates")]

    @property
    def default_config(self) -> Config:
        """Our settings over nbconvert's; merged last, or the display priority would be overwritten."""
        config = super().default_config
        config.merge(
            Config(
                {
                    "HTMLExporter": {"embed_images": True, "anchor_link_text": ""},
                    "NbConvertBase": {"display_data_priority": _PRIORITY},
                    "TagRemovePreprocessor": {
                        "enabled": True,
                        "remove_cell_tags": ("remove", "papermill-error-cell-tag"),
                        "remove_input_tags": ("hide-input",),
                    },
                }
            )
        )
        return config

    def default_filters(self) -> Any:
        """nbconvert's filters and our two: a chart, and recorded results."""
        yield from super().default_filters()
        yield "tradelab_chart", self._chart
        yield "tradelab_tiles", lambda said: tiles(in_order(said))

    def _chart(self, figure: Any) -> str:
        # The page is parsed once more by nbconvert; megabytes of chart are put in only afterwards.
        self._charts.append(chart(figure))
        return f'<div data-tradelab-chart="{len(self._charts) - 1}"></div>'

    def from_notebook_node(  # type: ignore[override]  # nbconvert's base declares a node where HTML is returned
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[str, dict[str, Any]]:
        """Return the page and nbconvert's resources.

        ``resources["tradelab"]`` may hold ``masthead`` (a `Masthead`), ``title`` and ``failed_cell`` (counted from 1
        over the cells a person wrote).
        """
        self._charts: list[str] = []
        ours = (resources or {}).get("tradelab", {})
        named = (resources or {}).get("metadata", {}).get("name", "")
        cleaned, title = _prepared(nb, ours.get("failed_cell"))
        body, found = super().from_notebook_node(cleaned, resources, **options)
        for number, drawn in enumerate(self._charts):
            body = body.replace(f'<div data-tradelab-chart="{number}"></div>', drawn)
        shown = title or ours.get("title") or nb.metadata.get("title") or named or "Notebook"
        return render_page(shown, body, masthead=ours.get("masthead"), secrets=known_secrets()), found


def run_report(run: Run) -> str:
    """Return the report page of a run from its executed notebook.

    Raises
    ------
    ConfigError
        The page would hold a known secret.
    """
    notebook = nbformat.reads((run.folder / "notebook.ipynb").read_text(encoding="utf-8"), as_version=4)
    ours = {
        "masthead": Masthead(
            eyebrow="tradelab · notebook run",
            state=run.state.replace("_", " "),
            state_kind=STATE_KINDS[run.state],
            facts=_facts(run),
            parameters=tuple(run.parameters.items()),
            notice=_notice(run),
        ),
        "title": run.name,
        "failed_cell": run.failure.cell if run.failure else None,
    }
    return TradelabExporter().from_notebook_node(notebook, {"tradelab": ours})[0]


def duration_text(seconds: float | None) -> str:
    """Write a duration for a reader.

    >>> duration_text(3.21), duration_text(75), duration_text(7384), duration_text(None)
    ('3.2 s', '1 min 15 s', '2 h 3 min', '')
    """
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _facts(run: Run) -> tuple[tuple[str, str], ...]:
    git = run.git or {}
    revision = f"{git['revision'][:10]}{' with changes' if git['dirty'] else ''}" if git else ""
    return (
        ("Run", f"{run.id}{f', attempt {run.attempt}' if run.attempt > 1 else ''}"),
        ("Started", (run.started_at or "")[:19].replace("T", " ") + " UTC"),
        ("Duration", duration_text(run.duration_s)),
        ("Notebook", run.notebook),
        ("Git revision", revision),
        *((f"Data: {name}", value[:19]) for name, value in run.data.items()),
        ("Versions", ", ".join(f"{name} {value}" for name, value in list(run.versions.items())[:4])),
        ("Note", run.note),
    )


def _notice(run: Run) -> str:
    if run.failure is None:
        return ""
    failure = run.failure
    where = f"Cell {failure.cell} of {run.cells}" if failure.cell else "The run"
    source = f"<p><code>{html.escape(failure.source)}</code></p>" if failure.source else ""
    link = ' <a href="#failing-cell">Go to the cell</a>' if failure.cell else ""
    what = f"<b>{where}: {html.escape(failure.kind)}</b> {html.escape(failure.message[:400])}"
    return f'<div class="notice" role="status"><p>{what}{link}</p>{source}</div>'


def _prepared(nb: NotebookNode, failed_cell: int | None) -> tuple[NotebookNode, str]:
    """Copy a notebook for export: local paths shortened, progress bars settled, the title lifted out."""
    changed: Any = nbformat.from_dict(
        over_strings(copy.deepcopy(nb), strip_paths, skip=("bdata", "image/png", "image/jpeg", "id"))
    )
    title = ""
    cells: list[Any] = own_cells(changed)
    for number, cell in enumerate(cells, 1):
        if cell.cell_type == "markdown" and not title:
            title, cell.source = _lifted(cell.source)
        if number == failed_cell:
            cell.metadata["tradelab_failed"] = True
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in output.text.split("\n"))
                output.text = _shortened(text)
            elif isinstance(output.get("data", {}).get("text/plain"), str):
                output.data["text/plain"] = _shortened(output.data["text/plain"])
    return changed, title


def _shortened(text: str) -> str:
    """Keep the beginning and the end of text nobody would read to the end and no browser opens fast."""
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2
    said = f"\n\n[… {len(text) - 2 * half:,} characters left out here; notebook.ipynb holds them all …]\n\n"
    return text[:half] + said + text[-half:]


def _lifted(source: str) -> tuple[str, str]:
    """Take a leading ``# Title`` out of a cell.

    >>> _lifted("# A title\\n\\nwords")
    ('A title', 'words')
    """
    found = re.match(r"\s*#\s+(.+?)\s*#*\s*(?:\n|$)", source)
    return (found[1], source[found.end() :].lstrip("\n")) if found else ("", source)
