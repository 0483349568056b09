"""Make the connection by which a paper account trades on a rehearsal: data alone, so no key is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradelab.app import connections as service
from tradelab.model.errors import ConfigError, ConnectivityError, ParameterError
from tradelab.store.records import Status

if TYPE_CHECKING:
    from tradelab.store.connections import Connections

_LOOPBACK = "http://127.0.0.1:"


async def connect_data(name: str, provider: str, url: str, symbol: str, settings: dict[str, Any]) -> None:
    """Make, test and activate the connection ``name`` for data of the rehearsal at ``url``.

    One of this name that leads to an older rehearsal, and to nothing but data, is made anew.

    Raises
    ------
    ParameterError
        The name is taken by a connection that leads elsewhere.
    ConnectivityError
        The rehearsal did not pass its test.
    """
    with service.records() as kept:
        _let_go(kept, name)
        whole = {**settings, "base_url": url, "symbols": [symbol]}
        service.add_connection(kept, name, provider, purposes=["data"], settings=whole, account_kind="rehearsal")
        _, shown = await service.test_connection(kept, name)
        if not shown.passed:
            raise ConnectivityError(f"the rehearsal did not pass its test: {shown.says}")
        kept.activate(name)


def _let_go(kept: Connections, name: str) -> None:
    try:
        old = kept.get(name)
    except ConfigError:
        return
    leads = str(getattr(old.settings, "base_url", None) or "")
    if not leads.startswith(_LOOPBACK) or [str(purpose) for purpose in old.purposes] != ["data"]:
        raise ParameterError(
            f"--connect {name}: there is a connection of this name, and it is none to a rehearsal's data.",
            fix=f"Take another name, or remove it: tradelab connections remove {name}",
        )
    if old.status is Status.ACTIVE:
        kept.deactivate(name)
    kept.delete(name)
