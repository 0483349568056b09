"""Push a USDⓈ-M account's events to whoever holds its listen key."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aiohttp import web

from tradelab.model.units import NS_PER_MIN
from tradelab.rehearsal.dialects import binance_usdm_shapes as shapes
from tradelab.rehearsal.dialects.binance_door import Ask, Route, Security
from tradelab.rehearsal.dialects.binance_errors import BinanceError
from tradelab.rehearsal.dialects.binance_params import names
from tradelab.rehearsal.dialects.binance_spot_shapes import eight
from tradelab.rehearsal.dialects.binance_usdm_account import UsdmAccount
from tradelab.rehearsal.dialects.binance_usdm_algo import UsdmAlgo
from tradelab.rehearsal.events import MoneyChanged, OrderChanged
from tradelab.rehearsal.hub import Hub, Session, converse
from tradelab.rehearsal.reading import from_json

MS = 1_000_000
PING_S = 180.0
LIFE_NS = 60 * NS_PER_MIN
EVENTS = (
    "ORDER_TRADE_UPDATE", "ALGO_UPDATE", "ACCOUNT_UPDATE", "TRADE_LITE", "ACCOUNT_CONFIG_UPDATE", "listenKeyExpired",
)  # fmt: skip
_REASONS = {"funding": "FUNDING_FEE", "insurance": "INSURANCE_CLEAR", "deposit": "DEPOSIT"}


def topic(account: str, event: str) -> str:
    """Return what a script's fault aims at: ``user/<key>/ORDER_TRADE_UPDATE``, say."""
    return f"user/{account}/{event}"


@dataclass(slots=True)
class ListenKey:
    """A key that opens an account's stream for an hour, and again with each keep-alive."""

    text: str
    account: str
    until_ns: int


class UsdmUserStream:
    """Listen keys, the private sockets, and their frames."""

    def __init__(self, hub: Hub, accounts: UsdmAccount, algo: UsdmAlgo) -> None:
        self.hub = hub
        self.accounts = accounts
        self.algo = algo
        self.exchange = accounts.exchange
        self.keys: dict[str, ListenKey] = {}

    def routes(self) -> list[Route]:
        """Return the addresses of listen keys; they need a key, no signature."""
        path, takes = "/fapi/v1/listenKey", names("listenKey")
        return [
            Route("POST", path, "login", self.open_key, 1, Security.KEY, takes),
            Route("PUT", path, "login", self.keep_key, 1, Security.KEY, takes),
            Route("DELETE", path, "login", self.close_key, 1, Security.KEY, takes),
        ]

    def _key_of(self, account: str) -> ListenKey | None:
        self.expire_keys()
        return next((k for k in self.keys.values() if k.account == account), None)

    def open_key(self, ask: Ask) -> object:
        """Make a listen key, or prolong the one there is."""
        key = self._key_of(ask.account) or ListenKey(secrets.token_hex(32), ask.account, 0)
        key.until_ns = self.exchange.now_ns + LIFE_NS
        self.keys[key.text] = key
        return {"listenKey": key.text}

    def keep_key(self, ask: Ask) -> object:
        """Prolong the listen key."""
        key = self._key_of(ask.account)
        if key is None:
            raise BinanceError(-1125, "This listenKey does not exist.")
        key.until_ns = self.exchange.now_ns + LIFE_NS
        return {"listenKey": key.text}

    def close_key(self, ask: Ask) -> object:
        """End the stream."""
        key = self._key_of(ask.account)
        if key is not None:
            self._end(key)
        return {}

    def expire_keys(self) -> None:
        """Tell and end the streams whose hour is over."""
        for key in [k for k in self.keys.values() if k.until_ns <= self.exchange.now_ns]:
            said = {"e": "listenKeyExpired", "E": self.exchange.clock.shown_ms(), "listenKey": key.text}
            self._send(key.account, said)
            self._end(key)

    def _end(self, key: ListenKey) -> None:
        del self.keys[key.text]
        for session in self.hub.sessions:
            if session.account == key.account:
                session.topics.clear()

    def serve(self, request: web.Request) -> Awaitable[web.StreamResponse]:
        """Serve ``/private/ws?listenKey=…`` and ``/ws/<listenKey>``; a key that is none opens a silent socket."""
        self.expire_keys()
        key = self.keys.get(request.query.get("listenKey") or request.match_info.get("key", ""))

        def begin(session: Session) -> None:
            if key is not None:
                session.account = key.account
                session.topics |= {topic(key.account, event): None for event in EVENTS}

        async def read(session: Session, text: str) -> None:
            asked = from_json(text)
            session.push(json.dumps({"result": None, "id": asked.get("id")}))

        return converse(request, self.hub, read, on_open=begin, heartbeat=PING_S)

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, account: str, event: dict[str, Any]) -> None:
        self.hub.publish(topic(account, event["e"]), event)

    def order(self, event: OrderChanged) -> None:
        """Push what happened to an order: what it did to the account first, as Binance does."""
        order, what = event.order, event.what
        instrument, now_ms = self.exchange.instrument(order.symbol), self.exchange.clock.shown_ms()
        if what == "triggered":
            self.algo.enter_engine(order)
        if event.fill is not None:
            self._send(order.account, shapes.trade_lite(order, instrument, event.fill, now_ms))
            self._account(order.account, "ORDER", event.ts_ns, Decimal(0), order.symbol)
        algo = shapes.is_algo(order)
        if algo and (what in ("new", "triggered", "amended") or not order.is_open):
            self._send(order.account, shapes.algo_event(order, instrument, now_ms))
        if shapes.in_engine(order):
            self._send(order.account, shapes.order_event(order, instrument, what, event.fill, now_ms))
        if event.fill is not None:
            self.algo.drop_with_position(order.account, order.symbol)

    def money(self, event: MoneyChanged) -> None:
        """Push funding and deposits; what orders do is told with them."""
        if event.why in _REASONS:
            self._account(event.account, _REASONS[event.why], event.ts_ns, event.amount, None)

    def leverage(self) -> None:
        """Push the leverages that were set."""
        for account, symbol, leverage in self.accounts.leverage_set:
            change = {"s": symbol, "l": leverage}
            now = {"E": self.exchange.clock.shown_ms(), "T": self.exchange.now_ns // MS}
            self._send(account, {"e": "ACCOUNT_CONFIG_UPDATE", **now, "ac": change})
        self.accounts.leverage_set.clear()

    def _account(self, account: str, why: str, ts_ns: int, amount: Decimal, symbol: str | None) -> None:
        ledger = self.accounts.ledger(account)
        wallet = eight(ledger.wallet)
        balance = {"a": ledger.currency, "wb": wallet, "cw": wallet, "bc": eight(amount) if amount else "0"}
        positions = [] if symbol is None else [self._position(account, symbol)]
        said = {"m": why, "B": [balance], "P": positions}
        self._send(account, {"e": "ACCOUNT_UPDATE", "T": ts_ns // MS, "E": self.exchange.clock.shown_ms(), "a": said})

    def _position(self, account: str, symbol: str) -> dict[str, Any]:
        held = self.accounts.ledger(account).position(symbol)
        instrument = self.exchange.instrument(symbol)
        rate = self.exchange.setup.taker_bps / Decimal(10_000) * (1 if held.qty > 0 else -1)
        return {
            "s": symbol, "pa": shapes.qty_text(instrument, held.qty), "ep": eight(held.avg_price),
            "bep": eight(held.avg_price * (1 + rate)) if held.qty else "0", "cr": eight(held.realized_pnl),
            "up": eight(held.unrealized(self.exchange.mark(symbol))), "mt": "cross", "iw": "0", "ps": "BOTH",
        }  # fmt: skip
