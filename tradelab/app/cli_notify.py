"""Offer notifications and the webhook's secret on the command line; what is secret is typed unseen, and sealed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from tradelab.app import cli_secrets
from tradelab.app.cli_secrets import NoSecretsCommand
from tradelab.model.credentials import CredentialField
from tradelab.model.errors import ParameterError, RunError

if TYPE_CHECKING:
    from tradelab.store.secrets import Secrets

_FIELD = CredentialField(
    "address", says="as apprise writes it, such as tgram://TOKEN/CHAT or mailto://USER:PASSWORD@HOST"
)


@click.group(short_help="Say where notifications go.")
def notify() -> None:
    """Say where notifications go: mail, Telegram, Slack, ntfy and many more, by apprise (extra `notify`).

    An address holds a token, so it is sealed like a credential and shown to nobody. What is told, and how often, stands
    in the node's file:

    \b
        [daemon.notify]
        to = ["phone"]
        about = ["fills", "stops", "guards", "errors", "disconnects", "states"]
        most_per_minute = 6
    """


@notify.command(cls=NoSecretsCommand, short_help="Seal an address under a name.")
@click.argument("name")
@cli_secrets.options
def add(name: str, from_env: tuple[str, ...], stdin: bool) -> None:
    """Seal an address under NAME; it is asked for, and not shown while you type.

    \b
    Try:  tradelab notify add phone
          tradelab notify add phone --from-env address=MY_VARIABLE
          tradelab notify test phone
    """
    given = cli_secrets.credentials((_FIELD,), from_env, stdin)
    if not given.get("address"):
        raise ParameterError(
            "there is no address.", fix='Type it, or --from-env address=VARIABLE, or --stdin {"address": …}.'
        )
    with _secrets() as secrets:
        secrets.put(f"notify {_name(name)}", given["address"])
    click.echo(f"sealed: {name}")
    click.echo(f'Next:  tradelab notify test {name}    then: [daemon.notify] to = ["{name}"] in the node\'s file')


@notify.command("list", short_help="List the names.")
def list_() -> None:
    """List the names under which addresses are sealed."""
    with _secrets() as secrets:
        names = [name.partition(" ")[2] for name in secrets.names("notify")]
    click.echo("\n".join(names) or "none; add one: tradelab notify add phone")


@notify.command(short_help="Send a message to try it.")
@click.argument("name")
def test(name: str) -> None:
    """Send a message to NAME. Exit code 1 where it was not delivered."""
    import asyncio

    from tradelab.app.notify import sender
    from tradelab.model.errors import UnknownNameError

    with _secrets() as secrets:
        address = secrets.get(f"notify {_name(name)}")
        if address is None:
            known = [each.partition(" ")[2] for each in secrets.names("notify")]
            raise UnknownNameError.of("address", name, known, fix=f"Give it: tradelab notify add {name}")
    send = sender({name: address})
    if not asyncio.run(send("tradelab", "This is a test. What you will be told looks like this.")):
        raise RunError(f"nothing was delivered to {name!r}.", fix=f"Look at the address: tradelab notify add {name}")
    click.echo(f"delivered to {name}.")


@notify.command(short_help="Forget an address.")
@click.argument("name")
def remove(name: str) -> None:
    """Forget the address under NAME."""
    with _secrets() as secrets:
        secrets.remove(f"notify {_name(name)}")
    click.echo(f"removed {name}.")


@click.group(short_help="Make the secret that signals from the network are signed with.")
def webhook() -> None:
    """Make the secret that signals from the network are signed with; see docs/live.md for how to sign."""


@webhook.command(cls=NoSecretsCommand, short_help="Make a secret, or seal one of your own.")
@click.argument("node")
@cli_secrets.options
def secret(node: str, from_env: tuple[str, ...], stdin: bool) -> None:
    """Make a secret for the engine NODE, show it this once, and seal it; or seal your own, given as a secret.

    \b
    Try:  tradelab webhook secret paper
          tradelab webhook secret paper --from-env secret=MY_VARIABLE
    """
    import secrets as random_secrets

    from tradelab.model.credentials import Secret

    given = cli_secrets.credentials((CredentialField("secret"),), from_env, stdin) if from_env or stdin else {}
    with _secrets() as kept:
        if given:
            kept.put(f"webhook {_name(node)}", given["secret"])
            click.echo(f"sealed for {node}.")
            return
        made = Secret(random_secrets.token_urlsafe(32))
        kept.put(f"webhook {_name(node)}", made)
        click.echo(f"sealed for {node}; shown this once:")
        click.echo(made.reveal())


@contextlib.contextmanager
def _secrets() -> Iterator[Secrets]:
    from tradelab.store.database import Database
    from tradelab.store.secrets import Secrets
    from tradelab.store.vault import Vault

    with Database() as database:
        yield Secrets(Vault(database, ask=cli_secrets.ask_passphrase))


def _name(given: str) -> str:
    """Return a name that is one; what is none is not repeated, for it may be the address itself."""
    if not re.fullmatch(r"[\w.-]{1,40}", given):
        raise ParameterError("that is no name.", allowed=["letters, digits, '_', '-' and '.', at most 40"])
    return given
