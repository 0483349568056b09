"""Hold the settings of a connection to mtapi.io: a password must not travel where it can be read."""

from __future__ import annotations

from typing import Any

import pytest

from tradelab.adapters.mtapi_settings import CREDENTIALS, MtapiSettings
from tradelab.adapters.mtapi_spec import SPEC
from tradelab.adapters.mtapi_venue import MtapiVenue
from tradelab.adapters.registry import checked
from tradelab.model.capabilities import Evidence
from tradelab.model.clock import ManualClock
from tradelab.model.credentials import check_credentials
from tradelab.model.errors import ParameterError, UnknownNameError
from tradelab.model.orders import OrderType


def _settings(**given: Any) -> MtapiSettings:
    return checked(MtapiSettings, {"base_url": "https://mt5.mtapi.io"} | given, "mtapi")


@pytest.mark.parametrize("url", ["http://mt5.mtapi.io", "http://192.168.1.5:5000", "http://bridge.local"])
def test_plain_http_to_another_machine_is_refused_unless_it_is_asked_for(url: str) -> None:
    with pytest.raises(ParameterError, match=r"plain http to another machine.*allow_insecure=true"):
        _settings(base_url=url)
    assert _settings(base_url=url, allow_insecure=True).base_url == url


@pytest.mark.parametrize("url", ["http://127.0.0.1:5000", "http://localhost:5000/", "http://[::1]:5000"])
def test_plain_http_to_this_machine_is_let_pass(url: str) -> None:
    assert _settings(base_url=url).is_loopback


@pytest.mark.parametrize("url", [
    "https://user:pw-1234@mt5.mtapi.io", "https://mt5.mtapi.io?id=secret-token", "ftp://mt5.mtapi.io", "mt5.mtapi.io",
])  # fmt: skip
def test_an_address_with_a_login_or_none_at_all_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ParameterError) as caught:
        _settings(base_url=url)
    assert "pw-1234" not in str(caught.value)
    assert "secret-token" not in str(caught.value)


def test_a_mistyped_setting_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'platform'"):
        _settings(plattform="mt4")


def test_a_wrong_zone_and_a_wrong_platform_are_named() -> None:
    with pytest.raises(ParameterError, match="server_zone"):
        _settings(server_zone="Atlantis")
    with pytest.raises(ParameterError, match="platform"):
        _settings(platform="mt6")


def test_symbols_may_be_written_as_one_text() -> None:
    assert _settings(symbols="EURUSD, XAUUSD").symbols == ("EURUSD", "XAUUSD")


def test_somebody_must_say_where_the_broker_is() -> None:
    login = check_credentials(CREDENTIALS, {"user": "1", "password": "p"}, provider="mtapi")
    with pytest.raises(ParameterError, match="neither the credential 'host' nor the setting 'server'"):
        MtapiVenue(_settings(), login, ManualClock())
    assert not MtapiVenue(_settings(server="Broker-Demo"), login, ManualClock()).is_connected


def test_the_spec_says_how_far_it_is_proved_and_opens_without_connecting() -> None:
    assert SPEC.evidence is Evidence.SIMULATOR_ONLY
    assert SPEC.evidence.value == "tested against our own simulator only"
    assert [c.name for c in SPEC.credentials] == ["user", "password", "host", "port", "api_key"]
    assert {c.name for c in SPEC.credentials if c.secret} == {"password", "api_key"}
    login = check_credentials(SPEC.credentials, {"user": "1", "password": "p", "host": "h"}, provider="mtapi")
    made = SPEC.open({"base_url": "https://mt5.mtapi.io"}, login, ManualClock())
    assert not made.is_connected
    assert made.capabilities.evidence is Evidence.SIMULATOR_ONLY


def test_only_metatrader_5_has_stop_limits_and_neither_takes_a_limit_beyond_the_market() -> None:
    login = check_credentials(CREDENTIALS, {"user": "1", "password": "p", "host": "h"}, provider="mtapi")
    four = MtapiVenue(_settings(platform="mt4"), login, ManualClock()).capabilities
    five = MtapiVenue(_settings(platform="mt5"), login, ManualClock()).capabilities
    assert five.order_types - four.order_types == {OrderType.STOP_LIMIT}
    assert not four.limit_may_take
    assert not five.limit_may_take
