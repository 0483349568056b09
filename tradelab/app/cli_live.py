"""Offer the daemon on the command line: start it, look at it, read its log, end it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradelab.model.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from tradelab.app.daemon_table import LiveConfig
    from tradelab.app.run_folder import Address
    from tradelab.store.keys import Ask

NODE_HELP = "NODE is the name in the node's file; it may be left out where only one runs."


@click.command(short_help="Start an engine: bots, orders, risk, and a local API.")
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--detach", is_flag=True, help="Let it run on without this terminal; returns when it works.")
@click.option("--wait", "wait_s", type=click.FloatRange(1, 3600), default=120.0, show_default=True,
              help="With --detach: how many seconds to wait until it works.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Write the log to its file alone, not to the terminal.")
@click.option("--passphrase-stdin", "from_stdin", is_flag=True,
              help="Read the passphrase of sealed credentials from standard input: its first line.")  # fmt: skip
def up(config: Path, detach: bool, wait_s: float, quiet: bool, from_stdin: bool) -> None:
    """Start the engine that CONFIG describes, a TOML file such as configs/paper.toml, and serve its local API.

    It begins with what its journal says, compares every account with its venue, and goes on from there: after a crash,
    a kill or a restart of the machine, the same command is all that is needed. In the foreground Ctrl-C ends it in
    good order; a second Ctrl-C ends it at once, and nothing is lost by that either.

    The passphrase of sealed credentials is asked for on the terminal, with --detach before that is let go. Where there
    is none, such as under systemd: --passphrase-stdin, TRADELAB_PASSPHRASE, or a key in the keyring.

    \b
    Try:  tradelab up configs/paper.toml
          tradelab up configs/paper.toml --detach
          tradelab status

    Exit codes: 0 it was asked to end, 1 it could not go on (start it again), 2 refused, with what to do.
    """
    for package, extra in (("pydantic", "store"), ("sqlalchemy", "store"), ("aiohttp", "venues")):
        MissingExtraError.unless(package, extra, "the daemon")
    from tradelab.app.cli_secrets import ask_passphrase, first_line
    from tradelab.app.daemon_table import read_live

    live = read_live(config)
    ask = first_line() if from_stdin else ask_passphrase
    if detach:
        _detach(live, wait_s, ask)
        return
    from tradelab.app.daemon_main import serve

    code = serve(live, console=not quiet, ask=ask, on_running=lambda address: _say_up(live, address))
    raise SystemExit(code)


def _detach(live: LiveConfig, wait_s: float, ask: Ask) -> None:
    from tradelab.app.daemon_process import begin_detached, require_free
    from tradelab.app.daemon_secrets import typed_passphrase
    from tradelab.app.run_folder import RunFolder

    folder = RunFolder(live.node.name)
    require_free(folder)  # before anybody is asked for anything
    passphrase = typed_passphrase(live, ask)
    _say_up(live, begin_detached(live.path, folder, wait_s=wait_s, passphrase=passphrase))


@click.command(short_help="End an engine in good order.", epilog=NODE_HELP)
@click.argument("node", required=False)
@click.option("--policy", type=click.Choice(["keep", "cancel_entries", "flatten"]),
              help="keep: leave everything that is protected; cancel_entries: cancel what would open positions; "
                   "flatten: close every position. Default: what each account's table says.")  # fmt: skip
@click.option("--kill", is_flag=True, help="Kill the process where it does not end by itself.")
def down(node: str | None, policy: str | None, kill: bool) -> None:
    """End the engine NODE: it does what its accounts' stop policy says, and is gone within ten seconds."""
    from tradelab.app.daemon_process import end
    from tradelab.app.handle import running_node
    from tradelab.app.run_folder import RunFolder

    name = running_node(node)
    click.echo(f"{name} is {end(RunFolder(name), policy, kill=kill)}.")


@click.command(short_help="Say how engines are; exit code 1 where somebody should look.", epilog=NODE_HELP)
@click.argument("node", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def status(node: str | None, as_json: bool) -> None:
    """Say how the engine NODE is, or every one that runs here, and what it holds.

    Exit codes: 0 all is well, 1 something should be looked at, 2 refused, with what to do.
    """
    import json

    from tradelab.app.handle import Handle, running_node
    from tradelab.app.run_folder import nodes

    names = [running_node(node)] if node else [folder.node for folder in nodes() if folder.is_held]
    if not names:
        raise ConfigError("no daemon runs here.", fix="Start one: tradelab up configs/paper.toml")
    is_well = True
    for name in names:
        handle = Handle(name)
        health = handle.health()
        is_well = is_well and bool(health["ok"])
        if as_json:
            click.echo(json.dumps(dict(health)))
            continue
        click.echo(repr(health))
        if health["phase"] == "running":
            click.echo(repr(handle.snapshot()))
    if not is_well:
        raise SystemExit(1)


@click.command(short_help="Show what an engine has to say.")
@click.argument("node", required=False)
@click.option("-n", "--lines", type=click.IntRange(0, 100_000), default=50, show_default=True, help="How many.")
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come; Ctrl-C ends it.")
@click.option("--json", "as_json", is_flag=True, help="As they stand in the file: one JSON object a line.")
def logs(node: str | None, lines: int, follow: bool, as_json: bool) -> None:
    """Show the newest lines of the log of NODE, running or not; the file itself is JSON by the line.

    What the engine did, message by message, is in its journal, and not here: see `tradelab audit show`.
    """
    from tradelab.app.logs import for_people, last_lines
    from tradelab.app.run_folder import RunFolder

    folder = RunFolder(_named(node))
    if not folder.log.exists():
        raise ConfigError(f"node {folder.node!r} has no log yet.", fix="Start it: tradelab up configs/paper.toml")
    end = folder.log.stat().st_size  # what comes from here on is followed: seen twice, if at all, and never missed
    shown = last_lines(folder.log, lines)
    if not shown and not follow:
        click.echo(f"{folder.node} has said nothing yet: {folder.log}", err=True)
    for line in shown if as_json else for_people(shown):
        click.echo(line)
    if follow:
        try:
            _follow(folder.log, end, as_json)
        except KeyboardInterrupt:
            raise SystemExit(0) from None


def _follow(path: Path, after: int, as_json: bool) -> None:
    from tradelab.app.logs import for_people

    file = path.open(encoding="utf-8", errors="replace")
    file.seek(after)
    while True:
        line = file.readline()
        if line:
            for shown in [line.rstrip("\n")] if as_json else for_people([line.rstrip("\n")]):
                click.echo(shown)
            continue
        if path.exists() and path.stat().st_ino != _inode(file.fileno()):  # put aside: go on in the new one
            file.close()
            file = path.open(encoding="utf-8", errors="replace")
            continue
        time.sleep(0.2)


def _inode(file: int) -> int:
    import os

    return os.fstat(file).st_ino


def _named(node: str | None) -> str:
    """Return the node that is meant: the one named, the one that runs, or the one that ever ran."""
    from tradelab.app.handle import running_node
    from tradelab.app.run_folder import nodes

    if node is not None:
        return node
    try:
        return running_node()
    except ConfigError:
        known = [folder.node for folder in nodes()]
        if len(known) == 1:
            return known[0]
        raise


def _say_up(live: LiveConfig, address: Address) -> None:
    money = "REAL MONEY" if live.node.is_live else "paper money"
    click.echo(f"{live.node.name} runs ({money}), process {address.pid}, API at {address.socket or address.url}")
    if address.webhook:
        click.echo(f"signed signals at {address.webhook}")
    click.echo(f"Next:  tradelab status {live.node.name}    in Python: tl.connect({live.node.name!r})")
