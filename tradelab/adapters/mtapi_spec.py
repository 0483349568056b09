"""Tell what the mtapi.io adapter asks for, and make one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tradelab.adapters.mtapi_settings import CREDENTIALS, MtapiSettings
from tradelab.adapters.registry import AdapterSpec, Purpose, checked, fields_of
from tradelab.model.capabilities import Evidence
from tradelab.model.clock import Clock
from tradelab.model.credentials import Credentials

if TYPE_CHECKING:
    from tradelab.adapters.mtapi_venue import MtapiVenue


def open_venue(settings: Mapping[str, Any], credentials: Credentials, clock: Clock) -> MtapiVenue:
    """Make the adapter; nothing is connected."""
    from tradelab.adapters.mtapi_venue import MtapiVenue

    return MtapiVenue(checked(MtapiSettings, settings, "mtapi"), credentials, clock)


SPEC = AdapterSpec(
    provider="mtapi",
    title="MetaTrader 4 and 5 through mtapi.io or a bridge of your own",
    evidence=Evidence.SIMULATOR_ONLY,
    purposes=frozenset(Purpose),
    open=open_venue,
    credentials=CREDENTIALS,
    settings=fields_of(MtapiSettings),
)
