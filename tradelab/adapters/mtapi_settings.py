"""Check the settings of a connection to mtapi.io before anything is sent: where, which MetaTrader, whose clock."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from tradelab.adapters.mtapi_wire import API_KEY_HEADER, Platform
from tradelab.adapters.mtapi_zone import ASK, declared
from tradelab.model.credentials import CredentialField

CREDENTIALS = (
    CredentialField("user", secret=False, says="the number of the MetaTrader account"),
    CredentialField("password", says="its password; it travels in the URL, which is the scheme's doing"),
    CredentialField("host", required=False, secret=False, says="address of the broker's access point"),
    CredentialField("port", required=False, secret=False, says="its port, 443 as a rule"),
    CredentialField("api_key", required=False, says="key of a hosted service, where it wants one"),
)


def _listed(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class MtapiSettings(BaseModel):
    """What is no secret about a connection."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field("mtapi", min_length=1, description="what its data is filed under; name the broker if several")
    base_url: str = Field(description="where the bridge is: https://mt5.mtapi.io, or your own")
    platform: Platform = Field(default=Platform.MT5, description="mt4 or mt5: which MetaTrader the bridge speaks to")
    server: str = Field(default="", description="name of the broker's server, in place of host and port")
    server_zone: str = Field(
        default=ASK,
        description="zone of the broker's clock: ask, UTC+2, Europe/Athens or ny-close; bars older than a week need it",
    )
    symbols: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(), description="the symbols to load; all of them otherwise, one request each"
    )
    magic: int = Field(default=0, ge=0, description="magic number (expertID) of every order")
    slippage_points: int = Field(default=20, ge=0, description="how far a market order may miss its price, in points")
    lookback_days: float = Field(default=2.0, gt=0, le=365, description="how far back an order is looked for by name")
    timeout_s: float = Field(default=30.0, gt=0, description="how long an answer is waited for")
    trade_timeout_s: float = Field(
        default=75.0, gt=0, description="the same for orders; longer than the bridge's own, which is about 60 s"
    )
    poll_s: float = Field(default=1.0, gt=0, description="how often a quote is asked for where it is not pushed")
    api_key_header: str = Field(default=API_KEY_HEADER, description="header that carries the api_key")
    log_out: bool = Field(
        default=False, description="end the session at the bridge too; it is shared by all who use the account"
    )
    allow_insecure: bool = Field(
        default=False, description="speak plain http to another machine: the password can be read on the way"
    )

    @field_validator("base_url")
    @classmethod
    def _plain(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must begin with https:// and name a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must hold neither a login nor a query: they belong to the credentials")
        return url.rstrip("/")

    @field_validator("server_zone")
    @classmethod
    def _zone(cls, text: str) -> str:
        declared(text)
        return text

    @model_validator(mode="after")
    def _safe(self) -> MtapiSettings:
        if urlsplit(self.base_url).scheme == "http" and not self.is_loopback and not self.allow_insecure:
            raise ValueError(
                "base_url is plain http to another machine, and the password travels in it; use https, or set "
                "allow_insecure=true if the way there is yours alone"
            )
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether the bridge is on this machine."""
        host = urlsplit(self.base_url).hostname or ""
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False
