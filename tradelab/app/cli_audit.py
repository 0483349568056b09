"""Offer the journal and the leases on the command line: verify, read, take over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tradelab.model.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from tradelab.store.chain import Flaw
    from tradelab.store.database import Database

_SHOWN = 100


@click.group(short_help="Verify and read the journal: all that an engine has said.")
def audit() -> None:
    """Verify and read the journal: everything that an engine has said and done, in order, for ever.

    Each row carries a digest over its own words and the digest before it, and where the journal ends is written down
    apart: a row that was changed, added, left out or cut off its end is found.
    """


@audit.command(short_help="Check that nothing was changed; exit code 1 where something was.")
@click.argument("node", required=False)
def verify(node: str | None) -> None:
    """Check the journal of NODE, by default all of them and what was done to connections, row by row.

    \b
    Try:  tradelab audit verify

    Exit codes: 0 as it was written, 1 something was changed or is missing, 2 refused.
    """
    from tradelab.store import audit as actions
    from tradelab.store.database import Database
    from tradelab.store.verifying import flaws_of

    with Database() as database:
        flawed = [_tell(f"{name}: {count:,} message(s)", flaws_of(database, name)) for name, count in
                  _chosen(database, node).items()]  # fmt: skip
        if node is None:
            flawed.append(_tell("what was done to connections", actions.verify(database)))
    if any(flawed):
        click.echo("Do not trust what such a journal says; put back your last copy of the records.", err=True)
        raise SystemExit(1)


@audit.command(short_help="Print messages of the journal.")
@click.argument("node", required=False)
@click.option("-n", "--last", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many.")
@click.option("--kind", "kinds", multiple=True, help="Only these: OrderIntended, TradeExecuted … Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(node: str | None, last: int, kinds: tuple[str, ...], as_json: bool) -> None:
    """Print the newest messages of NODE's journal, oldest first, with the number of the one each followed from.

    \b
    Try:  tradelab audit show --kind SignalDropped --kind OrderRefused -n 20
    """
    import json
    from collections import deque

    from tradelab.app.handle_views import moment
    from tradelab.model.messages import KINDS
    from tradelab.store.database import Database
    from tradelab.store.journal import Journal

    for kind in kinds:
        if kind not in KINDS:
            raise UnknownNameError.of("kind of message", kind, KINDS)
    with Database() as database:
        chosen = _chosen(database, node)
        if len(chosen) != 1:
            raise ConfigError("several engines have a journal here: name one.", allowed=chosen)
        (name,) = chosen
        rows = Journal(database, name).rows()
        newest = deque((row for row in rows if not kinds or row.kind in kinds), maxlen=last)
    for row in newest:
        if as_json:
            told = {"seq": row.seq, "ts_init_ns": row.ts_init_ns, "cause": row.cause, "kind": row.kind}
            click.echo(json.dumps({**told, "body": json.loads(row.body)}))
        else:
            cause = "" if row.cause is None else f" (from {row.cause})"
            click.echo(f"{row.seq:>8}  {moment(row.ts_init_ns)}  {row.kind}{cause}  {row.body}")


@click.group(short_help="See who may send orders to which account; take over from a machine that is gone.")
def lease() -> None:
    """See who may send orders to which account; take over from a machine that is gone.

    One engine at a time trades an account. It holds a lease that ends by itself, seconds after the engine does.
    """


@lease.command("list", short_help="List accounts, and which engine trades them.")
def list_() -> None:
    """List the accounts that were ever traded from these records, and which engine holds each now."""
    from tradelab.app.handle_views import text_table
    from tradelab.store.database import Database
    from tradelab.store.lease_table import leases

    with Database() as database:
        held = leases(database)
    rows = [
        {
            "account": one.account,
            "held by": one.holder if one.is_held else "nobody",
            "for": f"{one.left_s:.0f} s" if one.is_held else None,
            "number": one.fence,
            "made at": one.home,
        }
        for one in held
    ]
    lines = text_table(("account", "held by", "for", "number", "made at"), rows)
    click.echo("\n".join(lines) or "no account was ever traded from these records.")


@lease.command(short_help="Say that the engine that traded an account is gone for good.")
@click.argument("account")
@click.option("--yes", is_flag=True, help="Do not ask.")
def adopt(account: str, yes: bool) -> None:
    """Take ACCOUNT over: the records were copied or moved, and the machine that they come from is gone.

    Do this only when you know that no engine there trades any more: two that trade one account lose money.
    """
    import sys

    from tradelab.store.database import Database
    from tradelab.store.lease_table import leases
    from tradelab.store.leases import Leases

    with Database() as database:
        known = {one.account: one for one in leases(database)}
        if account not in known:
            raise UnknownNameError.of("account", account, known)
        if known[account].is_held:
            raise ConfigError(
                f"account {account!r} is traded by {known[account].holder} now.", fix="Stop that engine first."
            )
        if not yes:
            if not sys.stdin.isatty():
                raise ConfigError("nobody agreed; nothing was done.", fix="Add --yes where nobody can answer.")
            click.confirm(f"Is the engine that traded {account} ({known[account].home}) gone for good?", abort=True)
        Leases(database, "a person").adopt(account)
    click.echo(f"{account} can be traded from here.")


def _tell(what: str, flaws: list[Flaw]) -> bool:
    """Print what was looked at and what was found; return whether anything was."""
    click.echo(f"{what}, {f'{len(flaws)} FLAW(S)' if flaws else 'as it was written'}")
    for flaw in flaws[:_SHOWN]:
        click.echo(f"  row {flaw.seq}: {flaw.says}")
    return bool(flaws)


def _chosen(database: Database, node: str | None) -> dict[str, int]:
    from tradelab.store.journals import journals
    from tradelab.store.verifying import nodes_of

    known = dict.fromkeys(nodes_of(database), 0) | journals(database)  # one whose end was taken away has none there
    if node is not None:
        if node not in known:
            raise UnknownNameError.of("node", node, known)
        return {node: known[node]}
    if not known:
        raise ConfigError("no engine has a journal in these records.", fix="Start one: tradelab up configs/paper.toml")
    return known
