"""Say how MetaApi is reached: which hosts, which symbols, how long to wait, and what an order is marked with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

DOMAIN = "agiliumtrade.agiliumtrade.ai"
_PROVISIONING = "https://mt-provisioning-api-v1"
_CLIENT = "https://mt-client-api-v1"
_MARKET = "https://mt-market-data-client-api-v1"


class MetaApiSettings(BaseModel):
    """Settings of one connection; account, tokens and region are credentials.

    Examples
    --------
    >>> MetaApiSettings(symbols=("EURUSD",)).timeout_s
    30.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("metaapi", min_length=1, description="what its data is filed under; name the broker if several")
    symbols: tuple[str, ...] = Field((), description="symbols to learn, as the broker spells them; none: all it lists")
    base_url: str | None = Field(None, description="one address for all APIs, for a rehearsal: http://127.0.0.1:<port>")
    domain: str = Field(DOMAIN, min_length=3, description="where provisioning is; the others are told by it")
    timeout_s: float = Field(30.0, gt=0, le=300, description="longest wait for one answer")
    deploy: bool = Field(False, description="start the account's terminal if it is not running; MetaApi bills for it")
    ready_s: float = Field(300.0, ge=0, description="longest wait until the terminal has reached the broker")
    lookup_days: int = Field(30, ge=1, le=3650, description="how far back an order is looked for by our id")
    streams: bool = Field(True, description="whether the socket.io stream is used; off: everything is polled")
    engine_io: Literal[3, 4] = Field(3, description="protocol of the stream; MetaApi's own clients speak 3")
    magic: int | None = Field(None, ge=0, description="expert id of our orders; none: the account's own")
    slippage_points: int | None = Field(None, ge=0, description="most a market order may slip; none: the account's own")

    @field_validator("base_url")
    @classmethod
    def _is_safe(cls, url: str | None) -> str | None:
        return None if url is None else safe_url(url)


@dataclass(frozen=True, slots=True)
class Hosts:
    """Base addresses of MetaApi's APIs, without a slash at the end."""

    provisioning: str
    client: str
    market: str
    stream: str


def hosts(settings: MetaApiSettings, region: str, domain: str, hostname: str) -> Hosts:
    """Return where each API is.

    Parameters
    ----------
    region
        The account's, such as ``"london"``.
    domain, hostname
        As ``GET /users/current/servers/mt-client-api`` tells them.

    Examples
    --------
    >>> found = hosts(MetaApiSettings(), "london", "agiliumtrade.ai", "mt-client-api-v1")
    >>> found.client, found.stream
    ('https://mt-client-api-v1.london.agiliumtrade.ai', 'https://mt-client-api-v1.london-a.agiliumtrade.ai')
    """
    if settings.base_url is not None:
        return Hosts(*[settings.base_url] * 4)
    return Hosts(
        provisioning=provisioning_host(settings),
        client=f"{_CLIENT}.{region}.{domain}",
        market=f"{_MARKET}.{region}.{domain}",
        stream=f"https://{hostname}.{region}-a.{domain}",
    )


def provisioning_host(settings: MetaApiSettings) -> str:
    """Return where accounts are managed."""
    return settings.base_url or f"{_PROVISIONING}.{settings.domain}"


def safe_url(url: str) -> str:
    """Return an address that a token may be sent to: https anywhere, plain http on this machine only.

    >>> safe_url("http://127.0.0.1:8000/")
    'http://127.0.0.1:8000'
    >>> safe_url("http://example.com")
    Traceback (most recent call last):
    ValueError: 'http://example.com' would carry the token in the clear; use https, or http on 127.0.0.1
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no address; write it as http://127.0.0.1:<port> or https://<host>")
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise ValueError(f"{url!r} would carry the token in the clear; use https, or http on 127.0.0.1")
    return url.rstrip("/")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
