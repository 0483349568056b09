"""Tell what the MetaApi adapter asks for, and make one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradelab.adapters.header_values import require_header_values
from tradelab.adapters.metaapi_settings import MetaApiSettings
from tradelab.adapters.registry import AdapterSpec, Purpose, checked, fields_of
from tradelab.model.capabilities import Evidence
from tradelab.model.clock import Clock
from tradelab.model.credentials import CredentialField, Credentials


def open_venue(settings: Mapping[str, Any], credentials: Credentials, clock: Clock) -> Any:
    """Make the adapter; nothing is connected."""
    from tradelab.adapters.metaapi_venue import MetaApiVenue  # brings httpx and aiohttp

    require_header_values(credentials, "api_token", "account_token")
    return MetaApiVenue(checked(MetaApiSettings, settings, "metaapi"), credentials, clock)


SPEC = AdapterSpec(
    provider="metaapi",
    title="MetaTrader 4 and 5 through MetaApi.cloud",
    evidence=Evidence.SIMULATOR_ONLY,  # held to MetaApi's documented examples; no recorded payload could be had
    purposes=frozenset(Purpose),
    open=open_venue,
    credentials=(
        CredentialField("api_token", says="of the user, from https://app.metaapi.cloud/token"),
        CredentialField("account_id", secret=False, says="the account's id at MetaApi, not the broker's login"),
        CredentialField("account_token", required=False, says="reaches this account only; used where it suffices"),
        CredentialField("region", required=False, secret=False, says="such as london; else it is asked for"),
    ),
    settings=fields_of(MetaApiSettings),
)
