"""Set up a rehearsal venue that speaks as MetaApi, and an adapter connected to it, for the tests of both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import pandas as pd

from tradelab.adapters.metaapi_settings import MetaApiSettings
from tradelab.adapters.metaapi_spec import SPEC
from tradelab.adapters.metaapi_venue import MetaApiVenue
from tradelab.model.approval import OrderApproved, approve
from tradelab.model.clock import ManualClock
from tradelab.model.credentials import check_credentials
from tradelab.model.instrument import Calendar, Instrument, InstrumentKind
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.model.outcome import Outcome
from tradelab.rehearsal.settings import AccountSetup, Ledger, VenueSetup
from tradelab.rehearsal.tape import Tape
from tradelab.rehearsal.venue import Rehearsal, rehearse

ACCOUNT, TOKEN = "865d3a4d-3803-486d-bdf3-a85679d9fad2", "canary.header.payload-signature"
ACCOUNT_TOKEN = "canary0account0token0of0one0account"
START_NS = 1_789_099_200 * 10**9  # Friday 2026-09-11 04:00 UTC, on the hour
PRICE = Decimal("1.16000")
FUNDS = Decimal(50_000)
EURUSD = Instrument(
    symbol="EURUSD", venue="metaapi", quote="USD", base="EUR", settle="USD", kind=InstrumentKind.FX,
    tick_size=Decimal("0.00001"), qty_step=Decimal("0.01"), contract_size=Decimal(100_000), min_qty=Decimal("0.01"),
    max_qty=Decimal(100), calendar=Calendar.WEEKDAYS, session="fx",
)  # fmt: skip
BARS_BEFORE = 2500


def bars(count: int = BARS_BEFORE + 600, *, gap_at: int | None = None, gap: str = "2D") -> pd.DataFrame:
    """Make minute bars of a quiet pair, the same every time; where asked, with a gap as long as a weekend."""
    steps = np.random.default_rng(11).normal(0, 0.00004, count)
    close = float(PRICE) + np.cumsum(steps) - np.cumsum(steps)[min(count, BARS_BEFORE) - 1]
    open_ = np.concatenate([[close[0]], close[:-1]])
    high, low = np.maximum(open_, close) + 0.00003, np.minimum(open_, close) - 0.00003
    index = pd.date_range("2026-01-05", periods=count, freq="1min", tz="UTC")
    if gap_at is not None:
        index = index[:gap_at].append(index[gap_at:] + pd.Timedelta(gap))
    volume = np.full(count, 50.0)
    return pd.DataFrame({"open": open_, "high": high, "low": low, "close": close, "volume": volume}, index=index)


def tape(frame: pd.DataFrame | None = None, start_bar: int = BARS_BEFORE) -> Tape:
    """Make a market whose last hours are history at the start."""
    return Tape(EURUSD, bars() if frame is None else frame, start_ns=START_NS, start_bar=start_bar)


def setup(**changed: Any) -> VenueSetup:
    """Describe the venue: one account in dollars, seven dollars of commission a lot, credits without end."""
    account = AccountSetup(key=ACCOUNT, secret=TOKEN, passphrase=ACCOUNT_TOKEN, balances={"USD": FUNDS})
    given: dict[str, Any] = {
        "ledger": Ledger.HEDGING, "accounts": (account,), "commission_per_lot": Decimal(7), "leverage": Decimal(100),
        "level_qty": Decimal(500), "weight_per_min": 10**9,
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

    def made(self, credentials: dict[str, str] | None = None, **settings: Any) -> MetaApiVenue:
        """Make one more adapter of the same account."""
        login = credentials or {"api_token": TOKEN, "account_id": ACCOUNT, "account_token": ACCOUNT_TOKEN}
        given = {"base_url": self.venue.url, "timeout_s": 5.0} | settings
        return MetaApiVenue(
            MetaApiSettings(**given), check_credentials(SPEC.credentials, login, provider="metaapi"), self.clock
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

    async def submit(self, side: Side, qty: str, kind: OrderType = OrderType.MARKET, **rest: Any) -> Outcome:
        """Send an order through the adapter."""
        told: Outcome = await self.adapter.submit(self.approved(self.intent(side, qty, kind, **rest)))
        return told

    def move(self, price: str) -> None:
        """Move the market there."""
        self.venue.direct.move_price("EURUSD", Decimal(price))


@asynccontextmanager
async def world(
    *, adapter: bool = True, settings: dict[str, Any] | None = None, market: Tape | None = None, **changed: Any
) -> AsyncIterator[World]:
    """Run a venue with the market standing at ``PRICE``."""
    clock = ManualClock(START_NS)
    async with rehearse("metaapi", [market or tape()], setup(**changed), clock=clock) as venue:
        venue.direct.move_price("EURUSD", PRICE)
        on = World(venue, clock)
        if adapter:
            on.adapter = on.made(**(settings or {}))
            await on.adapter.connect()
        try:
            yield on
        finally:
            if on.adapter is not None:
                await on.adapter.disconnect()


@asynccontextmanager
async def plain(on: World, token: str = TOKEN) -> AsyncIterator[httpx.AsyncClient]:
    """Speak HTTP to the account's addresses, as a client that knows nothing else."""
    base = f"{on.venue.url}/users/current/accounts/{ACCOUNT}"
    async with httpx.AsyncClient(base_url=base, headers={"auth-token": token}, trust_env=False, timeout=5.0) as http:
        yield http
