"""Manage trading accounts at MetaApi: list, create, start and stop them, and wait until one is ready.

Source: https://metaapi.cloud/docs/provisioning/. Whatever runs is billed, so nothing here starts anything unasked.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote as quoted

from tradelab.adapters import metaapi_parse as parse
from tradelab.adapters.metaapi_wire import Wire, dumps
from tradelab.model.clock import Clock
from tradelab.model.credentials import Secret
from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.units import NS_PER_S

_EVERY_S = 2.0
_STUCK = ("DEPLOY_FAILED", "UNDEPLOY_FAILED", "REDEPLOY_FAILED", "DELETE_FAILED", "DELETING", "DRAFT")


@dataclass(frozen=True, slots=True)
class TradingAccount:
    """One account as MetaApi keeps it."""

    account_id: str
    name: str
    state: str  # CREATED, DEPLOYING, DEPLOYED, UNDEPLOYING, UNDEPLOYED, … (see models/metatraderAccount)
    connection: str  # CONNECTED, DISCONNECTED, DISCONNECTED_FROM_BROKER
    region: str

    @property
    def is_ready(self) -> bool:
        """Whether its terminal runs and has reached the broker."""
        return self.state == "DEPLOYED" and self.connection == "CONNECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """What MetaApi needs to log in to a broker for us."""

    name: str
    server: str
    login: str
    password: Secret = field(repr=False)
    platform: str = "mt5"
    region: str | None = None
    magic: int = 0
    keywords: tuple[str, ...] = ()


class Accounts:
    """The accounts of one user of MetaApi."""

    def __init__(self, wire: Wire, host: str, clock: Clock) -> None:
        self._wire, self._clock = wire, clock
        self._user = f"{host}/users/current"

    async def servers(self) -> tuple[str, str]:
        """Return domain and host name under which the client APIs are."""
        raw = await self._wire.get(f"{self._user}/servers/mt-client-api", as_user=True)
        return parse.read("servers", lambda r: (str(r["domain"]), str(r["hostname"])), raw)

    async def listed(self) -> Sequence[TradingAccount]:
        """Return all accounts."""
        rows = await self._wire.get(f"{self._user}/accounts", as_user=True)
        return parse.read("accounts", lambda raw: [_account(r) for r in raw], rows)

    async def account(self, account_id: str) -> TradingAccount:
        """Return one account."""
        return parse.read("account", _account, await self._wire.get(self._one(account_id), as_user=True))

    async def create(self, new: NewAccount, *, within_s: float = 300.0, transaction_id: str | None = None) -> str:
        """Add an account and return its id; MetaApi may take a while to find the broker's settings.

        The same transaction is asked for again until it is done, so that one wish is one account.

        Parameters
        ----------
        transaction_id
            32 characters; give the same ones again to repeat a wish whose answer was lost.

        Raises
        ------
        ConnectivityError
            It was not done in time, or no answer came: try again with the same ``transaction_id``.
        RequestError
            MetaApi refused: no such server, wrong login or password.
        """
        head = {"transaction-id": transaction_id or secrets.token_hex(16)}
        deadline = self._clock.now_ns() + int(within_s * NS_PER_S)
        while True:
            reply = await self._wire.ask(
                "POST", f"{self._user}/accounts", as_user=True, body=dumps(_wanted(new)), headers=head
            )
            if reply.status != 202:
                return parse.read("new account", lambda r: str(r["id"]), self._wire.told(reply))
            await self._pause(reply.retry_after_s or _EVERY_S, deadline, f"{new.server} was not found out about")

    async def deploy(self, account_id: str) -> None:
        """Start an account's terminal; it is billed from then on."""
        await self._do("POST", f"{self._one(account_id)}/deploy")

    async def undeploy(self, account_id: str) -> None:
        """Stop an account's terminal."""
        await self._do("POST", f"{self._one(account_id)}/undeploy")

    async def delete(self, account_id: str) -> None:
        """Remove an account from MetaApi; the broker's account stays as it is."""
        await self._do("DELETE", self._one(account_id))

    async def ready(self, account_id: str, *, within_s: float, deploy: bool) -> TradingAccount:
        """Wait until an account's terminal has reached the broker.

        Parameters
        ----------
        deploy
            Start it, if it is not running.

        Raises
        ------
        ConnectivityError
            It has not in time.
        RequestError
            It is not running, and nobody said to start it; or it cannot be.
        """
        deadline = self._clock.now_ns() + int(within_s * NS_PER_S)
        asked = False
        while True:
            now = await self.account(account_id)
            if now.is_ready:
                return now
            if now.state in _STUCK:
                raise RequestError(
                    f"account {account_id} is {now.state}.", fix="See https://app.metaapi.cloud/accounts."
                )
            if now.state in ("UNDEPLOYED", "CREATED") and not asked:
                if not deploy:
                    raise RequestError(
                        f"account {account_id} is {now.state}: its terminal is not running.",
                        fix="Start it at https://app.metaapi.cloud, or set deploy=true; MetaApi bills for it.",
                    )
                await self.deploy(account_id)
                asked = True
            await self._pause(_EVERY_S, deadline, f"account {account_id} is {now.state} and {now.connection}")

    async def _pause(self, seconds: float, deadline_ns: int, otherwise: str) -> None:
        if self._clock.now_ns() + int(seconds * NS_PER_S) > deadline_ns:
            raise ConnectivityError(f"{otherwise}, and the time to wait is over.", fix="Try again later.")
        await self._clock.sleep(seconds)

    async def _do(self, method: str, url: str) -> None:
        reply = await self._wire.ask(method, url, as_user=True)
        if reply.status != 204:
            self._wire.told(reply)

    def _one(self, account_id: str) -> str:
        return f"{self._user}/accounts/{quoted(account_id, safe='')}"


def _account(raw: Any) -> TradingAccount:
    return TradingAccount(
        account_id=str(raw["_id"]), name=str(raw["name"]), state=str(raw["state"]),
        connection=str(raw["connectionStatus"]), region=str(raw["region"]),
    )  # fmt: skip


def _wanted(new: NewAccount) -> dict[str, Any]:
    """Write the body; no variable holds the password."""
    more = {"region": new.region, "keywords": list(new.keywords) or None}
    return {
        "name": new.name, "type": "cloud-g2", "login": new.login, "password": new.password.reveal(),
        "server": new.server, "platform": new.platform, "magic": new.magic,
        **{name: value for name, value in more.items() if value is not None},
    }  # fmt: skip
