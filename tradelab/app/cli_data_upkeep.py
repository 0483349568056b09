"""Offer the upkeep of stored bars on the command line: what they take, and which of them may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tradelab.model.errors import ParameterError

if TYPE_CHECKING:
    from tradelab.catalog.bars import Catalog

_GLOBS_HELP = (
    "SOURCE, SYMBOL and TIMEFRAME are names or globs, in quotes, so that the shell leaves them alone: "
    "binance 'BTC/*' 1m, or '*' for any."
)


@click.command()
def stats() -> None:
    """Show what is stored: bars, range, size on disk, last use and revised bars of each series, and in all.

    The last use is the last time that bars were read from a series or written to it, to the hour. Replaced files stay
    for ten minutes, for those who are reading them, and go with the next download, retain or compaction.
    """
    with open_catalog() as catalog:
        click.echo(str(catalog.statistics()))
    click.echo("Let old ones go:  tradelab data retain --help")


@click.group(invoke_without_command=True)
@click.option("--apply", is_flag=True, help="Remove what the policies let go. Without it nothing is ever removed.")
@click.pass_context
def retain(context: click.Context, apply: bool) -> None:
    """Show the retention policies and what they would remove; remove it with --apply.

    A policy names series and says for how many days bars are kept, or after how many days without use a series goes
    altogether. Where several cover a series, the one whose names say the most stands, so a policy without days exempts
    some series from a wider one. A forming bar is never removed. What was removed can only be downloaded again.

    \b
    Try:  tradelab data retain add '*' '*' 1m --keep-days 365
          tradelab data retain add binance '*' '*' --unused-days 90
          tradelab data retain add binance 'BTC/*' '*'      (keep these for good)
          tradelab data retain                              (what would go)
          tradelab data retain --apply
    """
    if context.invoked_subcommand is not None:
        if apply:
            raise ParameterError(
                "--apply stands alone.", fix="First add or remove, then: tradelab data retain --apply."
            )
        return
    with open_catalog() as catalog:
        plan = catalog.retain() if apply else catalog.plan_retention()
    if not plan.policies:
        click.echo("no policy; everything is kept.")
        click.echo("Add one:  tradelab data retain add '*' '*' 1m --keep-days 365")
        return
    click.echo("policies, of which the first that covers a series stands:")
    for policy in plan.policies:
        click.echo(f"  {policy}")
    click.echo(str(plan))
    if plan.removals and not apply:
        click.echo("nothing was removed. Remove it:  tradelab data retain --apply")


@retain.command(epilog=_GLOBS_HELP, short_help="Add a policy, or change its days.")
@click.argument("source")
@click.argument("symbol")
@click.argument("timeframe")
@click.option("--keep-days", type=float, help="Bars that opened longer ago than this may go.")
@click.option("--unused-days", type=float, help="The whole series may go after this long without use.")
def add(source: str, symbol: str, timeframe: str, keep_days: float | None, unused_days: float | None) -> None:
    """Add a policy, or change the one of the same names; without days it keeps those series for good."""
    from tradelab.catalog.retention import RetentionPolicy

    policy = RetentionPolicy(
        source=source, symbol=symbol, timeframe=timeframe, keep_days=keep_days, unused_days=unused_days
    )
    with open_catalog() as catalog:
        catalog.add_retention_policy(policy)
    click.echo(str(policy))
    click.echo("See what would go:  tradelab data retain")


@retain.command(epilog=_GLOBS_HELP, short_help="Forget a policy.")
@click.argument("source")
@click.argument("symbol")
@click.argument("timeframe")
def remove(source: str, symbol: str, timeframe: str) -> None:
    """Forget a policy; no bar is removed by it any more."""
    with open_catalog() as catalog:
        catalog.remove_retention_policy(source, symbol, timeframe)
    click.echo("forgotten.")


def open_catalog() -> Catalog:
    """Open the user's catalog; what it needs loads here and not at ``--help``."""
    from tradelab.catalog.bars import Catalog

    return Catalog()
