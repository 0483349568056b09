"""Offer every job of the house on the command line; a command's code loads when it is called."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from tradelab import __version__
from tradelab.model.errors import TradelabError

_COMMANDS = {
    "acknowledge": ("tradelab.app.cli_control", "say that you have seen why guards have tripped"),
    "analytics": ("tradelab.app.cli_analytics", "say how trading goes, by bot, symbol, connection or day"),
    "arm": ("tradelab.app.cli_control", "let live bots of an account send orders of real money"),
    "audit": ("tradelab.app.cli_audit", "verify and read the journal of an engine"),
    "bots": ("tradelab.app.cli_control", "list bots; start, stop, pause, resume one"),
    "cancel": ("tradelab.app.cli_orders", "cancel an open order"),
    "connections": ("tradelab.app.cli_connections", "make, test and use connections to exchanges and brokers"),
    "data": ("tradelab.app.cli_data", "download, import, list, check and export bars"),
    "demo": ("tradelab.app.cli_demo", "run the main job on bundled bars and say where the report lies"),
    "disarm": ("tradelab.app.cli_control", "let live bots of an account only reduce"),
    "doctor": ("tradelab.app.cli_doctor", "look for what would hurt in live trading, and say what to do"),
    "down": ("tradelab.app.cli_live", "end an engine in good order"),
    "flatten": ("tradelab.app.cli_control", "close every position"),
    "halt": ("tradelab.app.cli_control", "send nothing more that takes on risk; works without a daemon too"),
    "lease": ("tradelab.app.cli_audit", "see who may trade which account; take over"),
    "logs": ("tradelab.app.cli_live", "show what an engine has to say"),
    "modules": ("tradelab.app.cli_modules", "print the pipeline: which module reacts to what"),
    "notify": ("tradelab.app.cli_notify", "say where notifications go"),
    "order": ("tradelab.app.cli_orders", "give an order by hand; it passes the gates like any other"),
    "reduce": ("tradelab.app.cli_control", "send only what makes positions smaller"),
    "rehearse": ("tradelab.app.cli_rehearse", "start a local exchange on replayed bars, to rehearse a live setup"),
    "resume": ("tradelab.app.cli_control", "trade again, after a halt or a reduction"),
    "run": ("tradelab.app.cli_runs", "run a notebook with parameters and keep what it leaves"),
    "runs": ("tradelab.app.cli_runs", "list, filter, show and compare past runs"),
    "signal": ("tradelab.app.cli_orders", "raise a signal of a bot"),
    "status": ("tradelab.app.cli_live", "say how engines are"),
    "up": ("tradelab.app.cli_live", "start an engine: bots, orders, risk, and a local API"),
    "webhook": ("tradelab.app.cli_notify", "make the secret that signals from the network are signed with"),
}


class _LazyGroup(click.Group):
    """A group that knows its commands' one-line help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        return getattr(import_module(_COMMANDS[name][0]), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, says) for name, (_, says) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except TradelabError as error:
            raise _Refusal(error) from error


class _Refusal(click.ClickException):
    """One of our errors on its way to the terminal: its words, no traceback."""

    exit_code = 2

    def __init__(self, error: TradelabError) -> None:
        super().__init__(str(error))
        self.kind = type(error).__name__

    def show(self, file: object = None) -> None:
        click.echo(f"{self.kind}: {self.message}", file=sys.stderr)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tradelab")
def main() -> None:
    """tradelab: research and live trading in JupyterLab."""
