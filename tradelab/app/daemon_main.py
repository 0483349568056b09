"""Put a daemon together from a node's file: records, secrets, engine, log, notifications; and let it live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tradelab.app import logs
from tradelab.app.build import build_node
from tradelab.app.daemon import Daemon
from tradelab.app.daemon_secrets import addresses_of, webhook_secret
from tradelab.app.daemon_table import LiveConfig
from tradelab.app.notify import Notifier, sender
from tradelab.app.run_folder import Address, RunFolder
from tradelab.model.clock import SystemClock
from tradelab.store.database import Database
from tradelab.store.keys import Ask
from tradelab.store.secrets import Secrets
from tradelab.store.vault import Vault


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
