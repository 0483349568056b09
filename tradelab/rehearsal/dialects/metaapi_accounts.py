"""Keep trading accounts as MetaApi's provisioning does: created, deployed, connected, each after a while.

Source: https://metaapi.cloud/docs/provisioning/ (createAccount, readAccount, deployAccount, undeployAccount,
models/metatraderAccount).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aiohttp import web

from tradelab.model.units import NS_PER_S
from tradelab.rehearsal.dialects import metaapi_errors as say
from tradelab.rehearsal.dialects.metaapi_times import iso
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.ledger_hedging import HedgingLedger
from tradelab.rehearsal.reading import from_json
from tradelab.rehearsal.settings import AccountSetup

SERVER = "Rehearsal-Demo"
REGION = "london"
_DEPLOY_NS = 10 * NS_PER_S
_CONNECT_NS = 5 * NS_PER_S
_DETECT_S = 3  # how long the broker's settings take to be found


@dataclass(slots=True)
class Deployment:
    """Where an account is: deployed or not, and since when it has been on its way there."""

    login: str
    name: str
    created_ns: int
    up: bool = True
    since_ns: int = -(_DEPLOY_NS + _CONNECT_NS)
    magic: int = 0


class Accounts:
    """All accounts of the one user; those of the setup are deployed and connected at first."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._kept: dict[str, Deployment] = {}
        self._pending: dict[str, int] = {}  # transaction id → when its answer is ready
        for key in exchange.accounts:
            self._kept[key] = Deployment("1000001", "Rehearsal", exchange.now_ns)

    def state(self, key: str) -> str:
        """Return where an account is on its way."""
        there = self._exchange.now_ns - self._kept[key].since_ns >= _DEPLOY_NS
        if self._kept[key].up:
            return "DEPLOYED" if there else "DEPLOYING"
        return "UNDEPLOYED" if there else "UNDEPLOYING"

    def is_connected(self, key: str) -> bool:
        """Whether its terminal has reached the broker."""
        kept = self._kept[key]
        return kept.up and self._exchange.now_ns - kept.since_ns >= _DEPLOY_NS + _CONNECT_NS

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    def listed(self) -> web.Response:
        """Answer with all accounts."""
        return web.json_response([self._shape(key) for key in self._kept])

    def read(self, key: str) -> web.Response:
        """Answer with one account."""
        self._require(key)
        return web.json_response(self._shape(key))

    def create(self, raw: bytes, transaction: str, token: str) -> web.Response:
        """Add an account: 202 while the broker's settings are found, then 201 for the same transaction."""
        if len(transaction) != 32:
            raise say.Told(say.invalid("transaction-id", "Header of 32 characters expected."))
        asked = _object(raw)
        for name in ("name", "server", "magic", "login", "password"):
            if asked.get(name) in (None, ""):
                raise say.Told(say.invalid(name))
        if asked["server"] != SERVER:
            details = {"code": "E_SRV_NOT_FOUND"}
            text = f"We were unable to retrieve the server file for {asked['server']}"
            return web.json_response(say.body("ValidationError", text, details=details), status=400)
        ready = self._pending.setdefault(transaction, self._exchange.now_ns + _DETECT_S * NS_PER_S)
        if self._exchange.now_ns < ready:
            waiting = {"message": "Automatic broker settings detection is in progress, please retry in 3 seconds"}
            return web.json_response(waiting, status=202, headers={"Retry-After": str(_DETECT_S)})
        key = str(uuid.uuid5(uuid.NAMESPACE_OID, transaction))
        if key not in self._kept:
            self._open(key, asked, token)
        return web.json_response({"id": key, "state": self.state(key)}, status=201)

    def move(self, key: str, *, up: bool) -> web.Response:
        """Deploy an account, or take it down; does nothing where it is so already."""
        self._require(key)
        kept = self._kept[key]
        if kept.up is not up:
            kept.up, kept.since_ns = up, self._exchange.now_ns
        return web.Response(status=204)

    def delete(self, key: str) -> web.Response:
        """Remove an account."""
        self._require(key)
        del self._kept[key]
        return web.Response(status=204)

    def _open(self, key: str, asked: dict[str, Any], token: str) -> None:
        (first, *_) = self._exchange.ledgers.values()
        assert isinstance(first, HedgingLedger)
        setup = AccountSetup(key=key, secret=token, balances={first.currency: Decimal(0)})
        self._exchange.accounts[key] = setup
        self._exchange.ledgers[key] = HedgingLedger(first.currency, Decimal(0), leverage=first.leverage)
        now = self._exchange.now_ns
        self._kept[key] = Deployment(str(asked["login"]), str(asked["name"]), now, True, now, int(asked["magic"]))

    def _require(self, key: str) -> None:
        if key not in self._kept:
            raise say.Told(say.not_found(f"Trading account with id {key} not found"))

    def _shape(self, key: str) -> dict[str, Any]:
        kept = self._kept[key]
        return {
            "_id": key, "login": kept.login, "name": kept.name, "server": SERVER, "magic": kept.magic,
            "connectionStatus": "CONNECTED" if self.is_connected(key) else "DISCONNECTED", "state": self.state(key),
            "type": "cloud-g2", "region": REGION, "manualTrades": False, "quoteStreamingIntervalInSeconds": 0,
            "tags": [], "reliability": "regular", "baseCurrency": "USD", "copyFactoryRoles": [], "resourceSlots": 1,
            "copyFactoryResourceSlots": 1, "version": 5, "hash": 1, "primaryReplica": True, "userId": "rehearsal",
            "accountReplicas": [], "metastatsApiEnabled": False, "riskManagementApiEnabled": False,
            "createdAt": iso(kept.created_ns),
        }  # fmt: skip


def _object(raw: bytes) -> dict[str, Any]:
    try:
        asked = from_json(raw)
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise say.Told(say.invalid("account", "Body is not a JSON object."))
    return asked
