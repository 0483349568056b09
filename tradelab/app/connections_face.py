"""Offer connections to a notebook by plain calls: ``tl.connections.add(…)``, ``.test(…)``, ``.open(…)``.

Nothing here is awaited. A test runs on a thread and a loop of its own, so that it works inside Jupyter's; the cell
waits for it. A rehearsal in the same kernel cannot answer while the cell waits: start it with ``tradelab rehearse``, or
await :func:`tradelab.app.connections.test_connection`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tradelab.adapters.rehearsal_clock import clock_of
from tradelab.app import connections as service
from tradelab.model.credentials import Secret
from tradelab.model.ports import ConnectionTest

if TYPE_CHECKING:
    from tradelab.app.connections_table import ConnectionTable
    from tradelab.store.records import Connection

_NOTHING: Mapping[str, Any] = {}


class ConnectionsFace:
    """The connections of this user: shown as a table, made, tested, activated and opened by name.

    Examples
    --------
    >>> tl.connections                                                       # doctest: +SKIP
    >>> tl.connections.add("main", "ccxt:binance", purposes=["data"])        # doctest: +SKIP
    >>> tl.connections.test("main"); tl.connections.activate("main")         # doctest: +SKIP
    >>> venue = tl.connections.open("main"); await venue.connect()           # doctest: +SKIP
    """

    def add(
        self,
        name: str,
        provider: str,
        *,
        purposes: Iterable[str] = ("data",),
        settings: Mapping[str, Any] = _NOTHING,
        credentials: Mapping[str, str | Secret] = _NOTHING,
        account_kind: str = "paper",
    ) -> Connection:
        """Make a connection, inactive.

        Keep secrets out of the notebook: ``credentials={"api_key": getpass(), …}``, or ``tradelab connections add``.

        Parameters
        ----------
        provider
            ``"ccxt:binance"``, or just ``"binance"``; ``"metaapi"``, ``"mtapi"``, ``"files"``, ``"http"``, ``"paper"``.
        purposes
            Of ``data``, ``execution``, ``copy``.
        settings
            What the provider declares, and ``symbols`` and ``timeframes``.
        account_kind
            ``paper``, ``live`` or ``rehearsal``: whose money it is.
        """
        with _records() as kept:
            return service.add_connection(
                kept, name, provider, purposes=purposes, settings=settings, credentials=credentials,
                account_kind=account_kind,
            )  # fmt: skip

    def list(self) -> ConnectionTable:
        """Return all connections, one a line, with health and latency."""
        from tradelab.app.connections_table import table

        with _records() as kept:
            return table(kept)

    def test(self, name: str, *, timeout_s: float = service.TEST_S) -> ConnectionTest:
        """Connect, ask, disconnect; return what that showed, and keep it."""

        async def job() -> ConnectionTest:
            with _records() as kept:
                return (await service.test_connection(kept, name, timeout_s=timeout_s))[1]

        result: ConnectionTest = service.in_own_loop(job)
        return result

    def activate(self, name: str) -> Connection:
        """Let a connection be used; it must have passed a test."""
        with _records() as kept:
            return kept.activate(name)

    def deactivate(self, name: str) -> Connection:
        """Let a connection not be used."""
        with _records() as kept:
            return kept.deactivate(name)

    def remove(self, name: str) -> None:
        """Forget a connection with its credentials and tests; it must not be active."""
        with _records() as kept:
            kept.delete(name)

    def open(self, name: str, *, purpose: str | None = None) -> Any:
        """Return the adapter of an active connection, not connected yet: ``await venue.connect()`` does that."""
        with _records() as kept:
            connection = service.usable(kept, name, purpose)
            clock = service.in_own_loop(lambda: clock_of(service.base_url(connection)))
            kept.mark_used(name)
            return service.adapter_of(kept, connection, clock)

    def __repr__(self) -> str:
        return repr(self.list())

    def _repr_html_(self) -> str:
        return self.list()._repr_html_()


def _records() -> Any:
    """Open the records; where a passphrase is needed it is asked for, unseen."""
    from getpass import getpass

    return service.records(ask=getpass)


connections = ConnectionsFace()
