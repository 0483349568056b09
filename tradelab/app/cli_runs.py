"""Run notebooks and look at past runs from the command line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tradelab.model.errors import ParameterError, UnknownNameError

if TYPE_CHECKING:
    from tradelab.production.registry import Run

_PARAMETERS_WIDTH = 100
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_PAIR_OPTIONS = ("-p", "--param")
_COLOURS = {"succeeded": "green", "failed": "red", "timed_out": "red", "crashed": "red", "running": "yellow"}


class _PairsCommand(click.Command):
    """A command whose ``-p`` takes both NAME VALUE and NAME=VALUE."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        split: list[str] = []
        for text in args:
            name, equals, value = text.partition("=")
            if equals and split and split[-1] in _PAIR_OPTIONS and name.isidentifier():
                split += [name, value]
            else:
                split.append(text)
        return super().parse_args(ctx, split)


@click.command(cls=_PairsCommand)
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option(
    "-p",
    "--param",
    "params",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="Set a parameter; repeatable; or NAME=VALUE.",
)
@click.option("--key", help="Start nothing when a run with this key is open or has succeeded.")
@click.option("--timeout", help="Longest time for the whole run: 90, 90s, 30m, 2h.")
@click.option(
    "--retries", type=click.IntRange(min=0), default=0, show_default=True, help="How often to run again what failed."
)
@click.option("--backoff", default="30s", show_default=True, help="Wait before the first retry; doubled each time.")
@click.option("--name", help="Name in the folder and the lists; default: the notebook's.")
@click.option("--no-report", is_flag=True, help="Leave report.html out.")
@click.option("--quiet", is_flag=True, help="Print the report's path only.")
@click.pass_context
def run(ctx: click.Context, notebook: Path, params: tuple[tuple[str, str], ...], **options: Any) -> None:
    """Run NOTEBOOK with parameters in a folder of its own and keep what it leaves.

    Exit codes: 0 succeeded, 1 failed, 2 refused before it started, 3 timed out, 4 crashed, 130 stopped.
    """
    from tradelab.production.run import RunStopped, run_notebook

    twice = {name for name, _ in params if sum(name == other for other, _ in params) > 1}
    if twice:
        raise ParameterError(f"parameter given twice: {', '.join(sorted(twice))}.", fix="Give each once.")
    line = _progress_line(options["quiet"])
    try:
        done = run_notebook(
            notebook,
            dict(params),
            key=options["key"],
            timeout_s=_seconds(options["timeout"], "--timeout"),
            retries=options["retries"],
            backoff_s=_seconds(options["backoff"], "--backoff") or 0.0,
            report=not options["no_report"],
            name=options["name"],
            progress=line,
        )
    except RunStopped as stop:
        done = stop.run
    except KeyboardInterrupt:
        click.echo("stopped between two tries or while the report was written; see: tradelab runs", err=True)
        ctx.exit(130)
    _say_end(done, options["quiet"])
    ctx.exit(done.exit_code or 0)


@click.group(invoke_without_command=True)
@click.pass_context
def runs(ctx: click.Context) -> None:
    """List, filter, show and compare past runs; alone it lists the last twenty."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_runs, limit=20)


@runs.command("list", cls=_PairsCommand)
@click.option("--state", help="Only runs in this state.")
@click.option("--name", help="Only runs whose name holds this.")
@click.option("--since", help="Only runs since a date (2026-01-31) or a span (24h, 7d).")
@click.option(
    "-p",
    "--param",
    "params",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="Only runs with this parameter; repeatable; or NAME=VALUE.",
)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
def list_runs(
    state: str | None = None,
    name: str | None = None,
    since: str | None = None,
    params: tuple[tuple[str, str], ...] = (),
    limit: int = 20,
) -> None:
    """List runs, the newest first."""
    from tradelab.production.query import select
    from tradelab.production.run import default_runs_dir

    found = select(state=state, name=name, since=since, parameter=dict(params), limit=limit)
    if not found:
        none = f"No runs in {_relative(default_runs_dir())}. Make one: tradelab run NOTEBOOK, or tradelab demo."
        click.echo("No run matches." if any((state, name, since, params)) else none)
        return
    rows = [
        (one.id, (one.started_at or one.queued_at)[:16].replace("T", " "), one.name, one.state, _took(one), _pairs(one))
        for one in found
    ]
    _table(("id", "started (UTC)", "name", "state", "took", "parameters"), rows, colour=3)


@runs.command()
@click.argument("reference", metavar="ID")
def show(reference: str) -> None:
    """Show everything known of one run; ID may be its beginning, or `latest`."""
    from tradelab.production.query import find

    one = find(reference)
    for label, value in (
        ("run", one.id),
        ("name", one.name),
        ("state", _coloured(one.state)),
        ("notebook", f"{one.notebook} (sha256 {one.notebook_sha256[:12]})"),
        ("started", one.started_at),
        ("took", _took(one)),
        ("cell", f"{one.cell} of {one.cells}"),
        ("attempt", one.attempt if one.attempt > 1 else None),
        ("retry of", one.retry_of),
        ("key", one.key),
        ("failure", one.failure and f"{one.failure.kind}: {one.failure.message}"),
        ("at", one.failure and one.failure.source),
        ("note", one.note),
        ("git", one.git and f"{one.git['revision'][:10]}{' with changes' if one.git['dirty'] else ''}"),
        ("folder", _relative(one.folder)),
        ("report", one.report and _relative(one.report)),
    ):
        if value not in (None, ""):
            click.echo(f"{label:<10}{value}")
    for title, values in (("parameters", one.parameters), ("results", one.results), ("data", one.data)):
        if values:
            click.echo(f"\n{title}")
            for name, value in values.items():
                click.echo(f"  {name:<24}{value}")


@runs.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--all", "everything", is_flag=True, help="Show also what is equal.")
def compare(first: str, second: str, everything: bool) -> None:
    """Lay two runs side by side: parameters, results, data, versions, duration."""
    from tradelab.production.query import compare as laid

    frame = laid(first, second)
    shown = frame if everything else frame[(frame["change"] != "") | (frame["field"] == "id")]
    rows = [tuple(_short(value) for value in row) for row in shown.itertuples(index=False)]
    _table(("", "", "a", "b", "b - a"), rows)


@runs.command()
def index() -> None:
    """Write runs/index.html anew and say where it lies."""
    from tradelab.production.index import write_index
    from tradelab.production.run import default_runs_dir

    click.echo(_relative(write_index(default_runs_dir())))


@runs.command()
@click.argument("reference", metavar="ID")
def path(reference: str) -> None:
    """Print the folder of one run."""
    from tradelab.production.query import find

    folder = find(reference).folder
    if not folder.is_dir():
        raise UnknownNameError(f"the folder of this run is gone: {_relative(folder)}.", fix="Only its record is left.")
    click.echo(_relative(folder))


def _progress_line(quiet: bool) -> Callable[[Run], None] | None:
    """Print one line a cell, or redraw one line where there is a terminal."""
    if quiet:
        return None
    terminal = sys.stderr.isatty()

    def say(one: Run) -> None:
        if one.ended_at is None:
            text = f"{one.name} {one.id}  cell {one.cell}/{one.cells}"
            click.echo(f"\r\x1b[2K{text}" if terminal else text, err=True, nl=not terminal)
        elif terminal:
            click.echo("\r\x1b[2K", err=True, nl=False)

    return say


def _say_end(one: Run, quiet: bool) -> None:
    if quiet:
        click.echo(_relative(one.report or one.folder))
        return
    if one.deduplicated:
        click.echo(f"Nothing to do: run {one.id} with key {one.key!r} is {one.state}.")
    else:
        click.echo(f"{one.name} {one.id}: {_coloured(one.state)} in {_took(one)}")
    if one.failure:
        where = f"cell {one.failure.cell} of {one.cells}, " if one.failure.cell else ""
        click.echo(f"  {where}{one.failure.kind}: {one.failure.message}")
    if one.note:
        click.echo(f"  {one.note}")
    click.echo(f"  report: {_relative(one.report)}" if one.report else f"  folder: {_relative(one.folder)}")


def _seconds(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not found:
        raise ParameterError(f"{option} {text!r} is not a time.", allowed=("90", "90s", "30m", "2h"))
    return float(found[1]) * _UNITS[found[2]]


def _pairs(one: Run) -> str:
    """The parameters that say something, cut to what a terminal's line has room for."""
    said = " ".join(f"{name}={value}" for name, value in one.parameters.items() if value not in ("", None))
    return said if len(said) <= _PARAMETERS_WIDTH else said[: _PARAMETERS_WIDTH - 1] + "…"


def _took(one: Run) -> str:
    if one.duration_s is None:
        return ""
    return f"{one.duration_s:.1f} s" if one.duration_s < 60 else f"{one.duration_s / 60:.1f} min"


def _short(value: object) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)[:40]


def _coloured(state: str) -> str:
    return click.style(state, fg=_COLOURS.get(state))


def _relative(target: Path) -> str:
    return os.path.relpath(target)


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], colour: int | None = None) -> None:
    widths = [max(len(row[at]) for row in [heads, *rows]) for at in range(len(heads))]
    for number, row in enumerate([heads, *rows]):
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        if colour is not None and number:
            cells[colour] = cells[colour].replace(row[colour], _coloured(row[colour]))
        click.echo("  ".join(cells).rstrip())
