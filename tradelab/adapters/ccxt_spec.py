"""Tell what the ccxt adapter asks for, and make one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tradelab.adapters.ccxt_dialects import PAYLOAD_TESTED
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.adapters.registry import AdapterSpec, Purpose, checked, fields_of
from tradelab.model.capabilities import Evidence
from tradelab.model.clock import Clock
from tradelab.model.credentials import CredentialField, Credentials


class CcxtSettings(BaseModel):
    """What is no secret about a ccxt connection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exchange: str = Field(description="ccxt id of the exchange: binance, bybit, kraken …")
    market: Literal["spot", "linear"] = Field("spot", description="spot, or linear for perpetuals")
    sandbox: bool = Field(False, description="the exchange's own test network")
    base_url: str | None = Field(None, description="a rehearsal venue on this machine: http://127.0.0.1:<port>")
    symbols: tuple[str, ...] = Field((), description="what the account trades, as ccxt writes it: BTC/USDT")
    timeout_s: float = Field(10.0, gt=0, le=120, description="how long one request may take, seconds")


def open_venue(settings: Mapping[str, Any], credentials: Credentials, clock: Clock) -> CcxtVenue:
    """Make the adapter; nothing is connected."""
    wanted = checked(CcxtSettings, settings, "ccxt")
    return CcxtVenue(
        wanted.exchange, market=wanted.market, clock=clock, credentials=credentials, sandbox=wanted.sandbox,
        base_url=wanted.base_url, symbols=wanted.symbols, timeout_s=wanted.timeout_s,
    )  # fmt: skip


SPEC = AdapterSpec(
    provider="ccxt",
    title="crypto exchanges through ccxt",
    evidence=Evidence.UNVERIFIED,
    variant="exchange",
    proved=dict.fromkeys(("binance", "binanceusdm", "bybit"), Evidence.REHEARSED)
    | dict.fromkeys(PAYLOAD_TESTED, Evidence.PAYLOAD_TESTED),
    purposes=frozenset(Purpose),
    open=open_venue,
    credentials=(
        CredentialField("api_key", required=False, secret=True, says="without it: public data only"),
        CredentialField("api_secret", required=False, secret=True, says="belongs to the key"),
        CredentialField("api_passphrase", required=False, secret=True, says="okx, kucoin, coinbase and a few others"),
    ),
    settings=fields_of(CcxtSettings),
)
