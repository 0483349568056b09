"""Set up a rehearsal venue that speaks as mtapi.io, and an adapter connected to it, for the tests of both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import pandas as pd

from tradelab.adapters.mtapi_settings import CREDENTIALS, MtapiSettings
from tradelab.adapters.mtapi_venue import MtapiVenue
from tradelab.model.approval import OrderApproved, approve
from tradelab.model.clock import ManualClock
from tradelab.model.credentials import check_credentials
from tradelab.model.instrument import Calendar, Instrument, InstrumentKind
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.rehearsal.settings import AccountSetup, Ledger, VenueSetup
from tradelab.rehearsal.tape import Tape
from tradelab.rehearsal.venue import Rehearsal, rehearse

USER, PASSWORD = "62333850", "canary-mtapi-pa55word"
START_NS = 1_789_099_200 * 10**9  # Friday 2026-09-11 04:00 UTC, on the hour
PRICE = Decimal("1.16000")
FUNDS = Decimal(50_000)
EURUSD = Instrument(
    symbol="EURUSD", venue="mtapi", quote="USD", base="EUR", settle="USD", kind=InstrumentKind.FX,
    tick_size=Decimal("0.00001"), qty_step=Decimal("0.01"), contract_size=Decimal(100_000), min_qty=Decimal("0.01"),
    max_qty=Decimal(200), calendar=Calendar.WEEKDAYS, session="fx",
)  # fmt: skip
BARS_BEFORE = 3000


def bars(count: int = BARS_BEFORE + 600, seed: int = 7) -> pd.DataFrame:
    """Make minute bars of a quiet pair, the same every time."""
    steps = np.random.default_rng(seed).normal(0, 0.00004, count)
    close = float(PRICE) + np.cumsum(steps) - np.cumsum(steps)[BARS_BEFORE - 1]
    open_ = np.concatenate([[close[0]], close[:-1]])
    high, low = np.maximum(open_, close) + 0.00003, np.minimum(open_, close) - 0.00003
    index = pd.date_range("2026-01-05", periods=count, freq="1min", tz="UTC")
    volume = np.full(count, 50.0)
    return pd.DataFrame({"open": open_, "high": high, "low": low, "close": close, "volume": volume}, index=index)


def tape(instrument: Instrument = EURUSD) -> Tape:
    """Make a market whose last hours are history at the start."""
    return Tape(instrument, bars(), start_ns=START_NS, start_bar=BARS_BEFORE)


def setup(**changed: Any) -> VenueSetup:
    """Describe the venue: one account in dollars, seven dollars of commission a lot."""
    account = AccountSetup(key=USER, secret=PASSWORD, balances={"USD": FUNDS})
    given: dict[str, Any] = {
        "ledger": Ledger.HEDGING, "accounts": (account,), "commission_per_lot": Decimal(7), "leverage": Decimal(100),
        "level_qty": Decimal(500),
    }  # fmt: skip
    return VenueSetup(**(given | changed))


@dataclass(slots=True)
class World:
    """A venue, its clock, and an adapter where one was asked for."""

    venue: Rehearsal
    clock: ManualClock
    adapter: Any = None
    _names: int = 0

    @property
    def dialect(self) -> Any:
        """The dialect itself."""
        return self.venue.server.dialect

    def made(self, **settings: Any) -> MtapiVenue:
        """Make one more adapter of the same account."""
        platform = "mt4" if self.venue.dialect.endswith("mt4") else "mt5"
        given = {"base_url": self.venue.url, "platform": platform, "symbols": ("EURUSD",)}
        given |= {"timeout_s": 5.0, "trade_timeout_s": 5.0}
        login = {"user": USER, "password": PASSWORD, "host": "203.0.113.9", "port": "443"}
        return MtapiVenue(
            MtapiSettings(**(given | settings)), check_credentials(CREDENTIALS, login, provider="mtapi"), self.clock
        )

    def intent(self, side: Side, qty: str, kind: OrderType = OrderType.MARKET, **rest: Any) -> OrderIntent:
        """Write an order down, with a name of the length ours have."""
        self._names += 1
        rest.setdefault("client_order_id", f"tl{self._names:022}")
        return OrderIntent(symbol="EURUSD", side=side, type=kind, qty=Decimal(qty), **rest)

    def approved(self, intent: OrderIntent) -> OrderApproved:
        """Let an order pass."""
        passed = approve(intent, EURUSD, reference_price=PRICE, by=("person",), at_ns=self.clock.now_ns())
        assert isinstance(passed, OrderApproved), passed
        return passed

    async def submit(self, side: Side, qty: str, kind: OrderType = OrderType.MARKET, **rest: Any) -> Any:
        """Send an order through the adapter."""
        return await self.adapter.submit(self.approved(self.intent(side, qty, kind, **rest)))

    async def move(self, price: str) -> None:
        """Move the market there."""
        self.venue.direct.move_price("EURUSD", Decimal(price))


@asynccontextmanager
async def world(
    *, adapter: bool = True, settings: dict[str, Any] | None = None, dialect: str = "mtapi", **changed: Any
) -> AsyncIterator[World]:
    """Run a venue with the market standing at ``PRICE``."""
    clock = ManualClock(START_NS)
    async with rehearse(dialect, [tape()], setup(**changed), clock=clock) as venue:
        venue.direct.move_price("EURUSD", PRICE)
        on = World(venue, clock)
        if adapter:
            on.adapter = on.made(**(settings or {}))
            await on.adapter.connect()
        try:
            yield on
        finally:
            if adapter:
                await on.adapter.disconnect()


@dataclass(slots=True)
class Plain:
    """A client that knows nothing but HTTP."""

    http: httpx.AsyncClient
    token: str = ""

    async def get(self, path: str, **params: Any) -> httpx.Response:
        """Ask, with the token where there is one."""
        asked = {k.rstrip("_"): v for k, v in params.items()}
        return await self.http.get(path, params={"id": self.token} | asked if self.token else asked)


@asynccontextmanager
async def plain(on: World, *, login: bool = True) -> AsyncIterator[Plain]:
    """Speak HTTP to a venue, logged in."""
    async with httpx.AsyncClient(base_url=on.venue.url, trust_env=False, timeout=5.0) as http:
        client = Plain(http)
        if login:
            told = await client.get("/Connect", user=USER, password=PASSWORD, host="203.0.113.9", port=443)
            client.token = told.text
        yield client
