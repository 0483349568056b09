"""Open what a node's file asks for and keeps no secret of: where notifications go, what signals are signed with.

Secrets may be sealed with a passphrase that nobody keeps. Whoever starts a daemon is asked for it on the terminal
before the daemon lets go of that, and the daemon is handed it on a pipe: no argument, variable or file ever holds it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from tradelab.app.connections import provider_of
from tradelab.app.daemon_table import LiveConfig
from tradelab.model.credentials import Credentials, Secret
from tradelab.model.errors import ConfigError
from tradelab.store.connections import Connections
from tradelab.store.database import Database
from tradelab.store.keys import Ask
from tradelab.store.secrets import Secrets
from tradelab.store.vault import Vault

WEBHOOK_SECRET = "TRADELAB_WEBHOOK_SECRET"


@dataclass(frozen=True, slots=True)
class Opened:
    """All that a node needs unsealed: for its doors, its notifications, and to be starred in its log."""

    webhook: Secret | None
    addresses: dict[str, Secret]
    credentials: tuple[Credentials, ...]


def open_secrets(config: LiveConfig, database: Database, vault: Vault) -> Opened:
    """Open all that a node's file asks for.

    Raises
    ------
    ConfigError
        Something is not there, or the key that it was sealed with is not to be had.
    """
    secrets = Secrets(vault)
    return Opened(
        webhook_secret(config, secrets),
        addresses_of(config, secrets),
        tuple(credentials_of(config, database, vault)),
    )


def typed_passphrase(config: LiveConfig, ask: Ask) -> Secret | None:
    """Return the passphrase that a node's secrets open with, asked for once; ``None`` where none is needed.

    Everything is opened with it here, so that a wrong one is refused where it was typed.

    Raises
    ------
    ConfigError
        As :func:`open_secrets`.
    """
    typed: list[Secret] = []

    def once(says: str) -> str:
        typed.append(Secret(ask(says)))
        return typed[-1].reveal()

    with Database() as database:
        open_secrets(config, database, Vault(database, ask=once))
    return typed[-1] if typed else None


def webhook_secret(config: LiveConfig, secrets: Secrets) -> Secret | None:
    """Return what signals from the network are signed with; ``None`` where none are taken.

    Raises
    ------
    ConfigError
        They are to be taken, and there is no secret.
    """
    if config.daemon.webhook is None:
        return None
    given = Secret(os.environ.get(WEBHOOK_SECRET, "")) or secrets.get(f"webhook {config.node.name}")
    if not given:
        raise ConfigError(
            "daemon.webhook takes signed signals, and there is no secret to sign them with.",
            fix=f"Make one: tradelab webhook secret {config.node.name}; or set {WEBHOOK_SECRET}.",
        )
    return given


def addresses_of(config: LiveConfig, secrets: Secrets) -> dict[str, Secret]:
    """Return where notifications go, by name.

    Raises
    ------
    ConfigError
        One that the file names is not sealed here.
    """
    found: dict[str, Secret] = {}
    for name in config.daemon.notify.to:
        address = secrets.get(f"notify {name}")
        if address is None:
            known = [known.partition(" ")[2] for known in secrets.names("notify")]
            raise ConfigError(
                f"daemon.notify.to names {name!r}, and there is no such address.",
                allowed=known, fix=f"Give it: tradelab notify add {name}",
            )  # fmt: skip
        found[name] = address
    return found


def credentials_of(config: LiveConfig, database: Database, vault: Vault) -> Iterator[Credentials]:
    """Yield the credentials of every connection that a node uses, to be hidden in what it logs."""
    kept = Connections(database, provider_of, vault)
    sealed = {one.name for one in kept.list() if one.credential_fields}
    for name in sealed & saved_connections(config).keys():
        yield kept.credentials(name)


def saved_connections(config: LiveConfig) -> dict[str, set[str]]:
    """Return the saved connections that a node uses, and what for; a paper account of its own is none."""
    own = {name for name, table in config.node.accounts.items() if table.kind == "paper"}
    wanted: dict[str, set[str]] = {}
    for bot in config.node.bots:
        for name, purpose in ((bot.source, "data"), (bot.execution, "execution")):
            if name not in own:
                wanted.setdefault(name, set()).add(purpose)
    return wanted
