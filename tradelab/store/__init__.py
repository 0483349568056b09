"""Records that outlive a process: connections, their audit, sealed credentials; SQLite or PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradelab.model.errors import MissingExtraError

if TYPE_CHECKING:
    from tradelab.store.connections import Connections
    from tradelab.store.keys import Ask
    from tradelab.store.records import FindProvider


def open_connections(
    providers: FindProvider, *, url: str | None = None, who: str | None = None, ask: Ask | None = None
) -> Connections:
    """Open the records and return their connections; close them with ``connections.database.close()``.

    Parameters
    ----------
    providers
        Gives what a provider declares, by its id.
    url
        The database; by default ``TRADELAB_DATABASE``, else ``records.sqlite`` in tradelab's home.
    who
        Whom the audit names; by default the operating system's user.
    ask
        Asks a person for a passphrase, where one is needed.

    Raises
    ------
    MissingExtraError
        The extra ``store`` is not installed.
    StorageError
        The database cannot be opened, or was written by a newer tradelab.
    """
    for package in ("sqlalchemy", "alembic", "cryptography", "pydantic"):
        MissingExtraError.unless(package, "store", "keeping connections")
    from tradelab.store.connections import Connections
    from tradelab.store.database import Database
    from tradelab.store.vault import Vault

    database = Database(url)
    return Connections(database, providers, Vault(database, ask=ask), who=who)
