"""Set up a rehearsal venue that speaks Bybit v5, linear or spot, and the real ccxt client in front of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt.pro
import numpy as np
import pandas as pd
from yarl import URL

from tradelab.adapters.ccxt_client import point_at
from tradelab.model.clock import ManualClock
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.rehearsal.dialects.bybit_door import signature
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.settings import AccountSetup, Ledger, VenueSetup
from tradelab.rehearsal.tape import Tape
from tradelab.rehearsal.venue import Rehearsal, rehearse

D = Decimal
KEY, SECRET = "canary-bybit-key", "canary-bybit-secret"
START_NS = 1_789_095_600 * 10**9  # 2026-09-11 03:00 UTC
BEFORE = 1500  # bars that are history at the start
PRICE = D(30_000)
FUNDS = D(10_000)
LINEAR = Instrument(
    symbol="BTCUSDT", venue="bybit", quote="USDT", base="BTC", settle="USDT", kind=InstrumentKind.PERPETUAL,
    tick_size=D("0.10"), qty_step=D("0.001"), min_qty=D("0.001"), max_qty=D(1190), max_market_qty=D(500),
    min_notional=D(5), max_orders=500, max_trigger_orders=10,
)  # fmt: skip
SPOT = Instrument(
    symbol="BTCUSDT", venue="bybit", quote="USDT", base="BTC", kind=InstrumentKind.SPOT, tick_size=D("0.01"),
    qty_step=D("0.000001"), min_qty=D("0.000048"), max_qty=D(71), min_notional=D(5), max_notional=D(4_000_000),
    max_orders=500,
)  # fmt: skip


def bars(count: int = BEFORE + 1500, *, moving: bool = False) -> pd.DataFrame:
    """Make minute bars that stand at the price, or wander around it, the same every time."""
    steps = np.random.default_rng(11).normal(0, 4.0, count) if moving else np.zeros(count)
    close = float(PRICE) + np.cumsum(steps) - np.cumsum(steps)[BEFORE - 1]
    open_ = np.concatenate([[close[0]], close[:-1]])
    wick = 2.0 if moving else 0.0
    frame = {
        "open": open_, "high": np.maximum(open_, close) + wick, "low": np.minimum(open_, close) - wick,
        "close": close, "volume": np.full(count, 130.0),
    }  # fmt: skip
    return pd.DataFrame(frame, index=pd.date_range("2026-01-05", periods=count, freq="1min", tz="UTC"))


@dataclass(slots=True)
class World:
    """A venue that runs and a client of it; ``id`` is the venue's spelling of the market, ``symbol`` ccxt's."""

    at: Rehearsal
    client: Any
    clock: ManualClock
    symbol: str
    linear: bool
    id: str = "BTCUSDT"

    @property
    def category(self) -> str:
        return "linear" if self.linear else "spot"

    @property
    def exchange(self) -> Exchange:
        return self.at.exchange

    @property
    def unknown_params(self) -> list[str]:
        found: list[str] = self.at.server.dialect.unknown_params  # type: ignore[attr-defined]
        return found

    def price(self, value: object) -> None:
        """Let the market trade at a price, and stay there."""
        self.at.direct.move_price(self.id, D(str(value)))

    async def raw(
        self, method: str, path: str, params: dict[str, Any] | None = None, *, signed: bool = True, **headers: str
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Ask without ccxt: return status, the JSON body and the headers."""
        query = "&".join(f"{k}={v}" for k, v in (params or {}).items()) if method == "GET" else ""
        body = json.dumps(params or {}) if method == "POST" else ""
        stamp = str(self.clock.now_ns() // 1_000_000)
        given = {
            "X-BAPI-API-KEY": KEY, "X-BAPI-TIMESTAMP": stamp, "X-BAPI-RECV-WINDOW": "5000",
            "X-BAPI-SIGN": signature(SECRET, f"{stamp}{KEY}5000{query or body}"), "Content-Type": "application/json",
        }  # fmt: skip
        sent = (given if signed else {}) | {name.replace("_", "-"): value for name, value in headers.items()}
        async with aiohttp.ClientSession() as http:
            url = URL(f"{self.at.url}{path}" + (f"?{query}" if query else ""), encoded=True)
            async with http.request(method, url, data=body or None, headers=sent) as answer:
                text = await answer.text()
                told = json.loads(text) if answer.content_type == "application/json" else {"text": text}
                return answer.status, told, dict(answer.headers)


@asynccontextmanager
async def bybit(
    linear: bool, *, moving: bool = False, funds: dict[str, Decimal] | None = None, **changed: Any
) -> AsyncIterator[World]:
    """Run a venue and a client until the block ends."""
    clock = ManualClock(START_NS)
    instrument = LINEAR if linear else SPOT
    given: dict[str, Any] = {"maker_bps": D(2), "taker_bps": D("5.5"), "leverage": D(10)} | changed
    account = AccountSetup(key=KEY, secret=SECRET, balances=funds or {"USDT": FUNDS})
    setup = VenueSetup(ledger=Ledger.PERPETUAL if linear else Ledger.SPOT, accounts=(account,), **given)
    tape = Tape(instrument, bars(moving=moving), start_ns=START_NS, start_bar=BEFORE)
    async with rehearse("bybit" if linear else "bybit-spot", [tape], setup, clock=clock) as at:
        client = new_client(at, clock, linear=linear)
        try:
            await client.load_markets()
            yield World(at, client, clock, "BTC/USDT:USDT" if linear else "BTC/USDT", linear)
        finally:
            await client.close()


def new_client(at: Rehearsal, clock: ManualClock, *, linear: bool, secret: str = SECRET) -> Any:
    """Make the real client, on the venue's address and time."""
    options = {"defaultType": "swap" if linear else "spot"}
    client = ccxt.pro.bybit({"apiKey": KEY, "secret": secret, "enableRateLimit": False, "options": options})
    client.timeout = 10_000
    client.milliseconds = lambda: clock.now_ns() // 1_000_000
    point_at(client, at.url)
    return client
