"""Show the main job of the house on bundled bars: check, backtest, sweep, report."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from tradelab.model.errors import ConfigError

_NOTEBOOK = Path("notebooks") / "production" / "backtest_report.ipynb"
_NEXT = """
What to do next
  open the report          it is one file: send it to anyone, it needs no network
  another strategy         tradelab run {notebook} -p strategy rsi_reversion
  your own bars            tradelab data import FILE.csv --tz UTC     (it says under which names)
                           tradelab run {notebook} -p source file -p symbol SYMBOL -p timeframe 1h
  past runs                tradelab runs
  explore in JupyterLab    make lab, then notebooks/00_start_here.ipynb"""


@click.command()
@click.option("--symbol", default="EURUSD", show_default=True, help="A bundled series: tradelab data samples.")
@click.option("--timeframe", default="1h", show_default=True)
@click.option("--strategy", default="donchian_breakout", show_default=True)
@click.pass_context
def demo(ctx: click.Context, symbol: str, timeframe: str, strategy: str) -> None:
    """Run the production notebook on bundled real bars and say where its report lies."""
    from tradelab.app.cli_runs import run

    notebook = _notebook()
    click.echo(f"{symbol} {timeframe}: check, backtest and sweep {strategy}, then write the report.")
    chosen = (("symbol", symbol), ("timeframe", timeframe), ("strategy", strategy))
    options = {"key": None, "timeout": "15m", "retries": 0, "backoff": "30s", "name": "demo"}
    try:
        ctx.invoke(run, notebook=notebook, params=chosen, no_report=False, quiet=False, **options)
    except click.exceptions.Exit as end:
        if end.exit_code == 0:
            click.echo(_NEXT.format(notebook=notebook.as_posix()))
            if shutil.which("tradelab") is None:
                click.echo("\nFirst, so that this shell knows tradelab:  source .venv/bin/activate")
        raise


def _notebook() -> Path:
    """The production notebook: below the working folder, in the clone tradelab runs from, or inside the package."""
    package = Path(__file__).parents[1]
    for folder in (Path(), package.parent, package / "app"):
        if (folder / _NOTEBOOK).is_file():
            return folder / _NOTEBOOK
    raise ConfigError(f"{_NOTEBOOK.as_posix()} was not found.", fix="Run this inside a clone of tradelab.")
