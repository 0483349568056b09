"""Put a daemon together from a node's file: records, secrets, engine, log, notifications; and let it live."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from tradelab.app import logs
from tradelab.app.build import build_node
from tradelab.app.daemon import Daemon
from tradelab.app.daemon_table import LiveConfig
from tradelab.app.notify import Notifier, sender
from tradelab.app.run_folder import Address, RunFolder
from tradelab.model.clock import SystemClock
from tradelab.model.credentials import Secret
from tradelab.model.errors import ConfigError
from tradelab.store.database import Database
from tradelab.store.keys import Ask
from tradelab.store.secrets import Secrets
from tradelab.store.vault import Vault

WEBHOOK_SECRET = "TRADELAB_WEBHOOK_SECRET"


def serve(
    config: LiveConfig,
    *,
    console: bool = True,
    ask: Ask | None = None,
    on_running: Callable[[Address], None] = lambda _: None,
) -> int:
    """Run a node until it is asked to end; return the exit code.

    Raises
    ------
    ConfigError
        A daemon of this name lives, or something that the file names is missing.
    """
    folder = RunFolder(config.node.name)
    with Database() as database:
        secrets = Secrets(Vault(database, ask=ask))
        signed_with, addresses = webhook_secret(config, secrets), addresses_of(config, secrets)
        folder.make()
        lines = logs.begin_log(
            folder.log, config.node.name, most_mb=config.daemon.log_mb, files=config.daemon.log_files, console=console
        )
        lines.hide(logs.hidden(webhook=signed_with, **addresses))

        async def live() -> int:
            engine = await build_node(config.node, database)
            clock = SystemClock()
            notifier = None
            if addresses:
                notifier = Notifier(config.node.name, config.daemon.notify, sender(addresses), clock)
            daemon = Daemon(
                engine, config.daemon, folder, database, webhook_secret=signed_with, notifier=notifier, clock=clock,
                config=str(config.path), on_running=on_running,
            )  # fmt: skip
            return await daemon.run()

        return asyncio.run(live())


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
