"""Put a daemon together from a node's file: records, secrets, engine, log, notifications; and let it live."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from tradelab.app import logs
from tradelab.app.build import build_node
from tradelab.app.daemon import Daemon
from tradelab.app.daemon_secrets import open_secrets
from tradelab.app.daemon_table import LiveConfig
from tradelab.app.notify import Notifier, sender
from tradelab.app.run_folder import Address, RunFolder
from tradelab.model.clock import Clock, SystemClock
from tradelab.store.database import Database
from tradelab.store.keys import Ask
from tradelab.store.lease_table import leases
from tradelab.store.vault import Vault

_log = logging.getLogger(__name__)


def serve(
    config: LiveConfig,
    *,
    console: bool = True,
    ask: Ask | None = None,
    on_running: Callable[[Address], None] = lambda _: None,
) -> int:
    """Run a node until it is asked to end; return the exit code.

    Parameters
    ----------
    ask
        Called once for the passphrase that its secrets are sealed with, where they are and no variable holds it.

    Raises
    ------
    ConfigError
        A daemon of this name lives, or something that the file names is missing.
    """
    folder = RunFolder(config.node.name)
    with folder.held(), Database() as database:  # held first: what ends just now may still write the journal
        vault = Vault(database, ask=ask)
        opened = open_secrets(config, database, vault)
        lines = logs.begin_log(
            folder.log, config.node.name, most_mb=config.daemon.log_mb, files=config.daemon.log_files, console=console
        )
        for secrets in (logs.hidden(webhook=opened.webhook, **opened.addresses), *opened.credentials):
            lines.hide(secrets)

        async def live() -> int:
            await outwait(config.node.name, database)
            engine = await build_node(config.node, database, vault)
            clock = SystemClock()
            notifier = None
            if opened.addresses:
                notifier = Notifier(config.node.name, config.daemon.notify, sender(opened.addresses), clock)
            daemon = Daemon(
                engine, config.daemon, folder, database, webhook_secret=opened.webhook, notifier=notifier, clock=clock,
                config=str(config.path), on_running=on_running,
            )  # fmt: skip
            return await daemon.run()

        return asyncio.run(live())


async def outwait(node: str, database: Database, clock: Clock | None = None) -> None:
    """Wait until the leases of this very node are over: it was killed, and a request of it may still be under way.

    Whoever calls this holds the node's folder, so no process of it lives on this machine.
    """
    clock = clock or SystemClock()
    mine = f"{node} on {socket.gethostname()}, "
    while left := [one for one in leases(database, clock) if one.is_held and (one.holder or "").startswith(mine)]:
        seconds = max(one.left_s for one in left)
        accounts = ", ".join(one.account for one in left)
        _log.info("the engine was killed; its lease of %s ends in %.0f s, and it goes on then", accounts, seconds)
        await clock.sleep(seconds)
