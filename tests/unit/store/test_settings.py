"""Settings are what their provider declares, said again in the same words, and never a place for secrets."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.unit.store.world import PROVIDERS, BridgeSettings, shown_by_us
from tradelab.model.errors import ParameterError
from tradelab.model.units import Timeframe
from tradelab.store.settings import ConnectionSettings, Provider, named_settings

BINANCE = PROVIDERS["ccxt:binance"]


def test_timeframes_are_read_in_any_spelling_and_kept_in_one() -> None:
    settings = BINANCE.check_settings({"timeframes": ["1h", "D1", "1M"]})
    assert settings.timeframes == (Timeframe.H1, Timeframe.D1, Timeframe.MN)
    assert settings.model_dump(mode="json")["timeframes"] == ["H1", "D1", "MN"]
    assert BINANCE.check_settings(settings.model_dump(mode="json")) == settings
    assert BINANCE.check_settings(settings) == settings


def test_every_fault_is_named_at_once_and_no_value_is_shown() -> None:
    with pytest.raises(ParameterError) as refused:
        BINANCE.check_settings({"sandbx": 1, "leverage": "hunter2", "api_key": "hunter2", "colour": "hunter2"})
    assert str(refused.value) == (
        "settings of ccxt:binance: 'leverage': input should be a valid integer, unable to parse string as an integer; "
        "unknown 'sandbx' (did you mean 'sandbox'?); unknown 'api_key'; unknown 'colour'. "
        "Allowed: leverage, sandbox, symbols, timeframes. "
        "api_key: give it with set_credentials, where it is sealed."
    )
    assert "hunter2" not in shown_by_us(refused.value.with_traceback(None))


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        BridgeSettings().sandbox = True


def test_a_provider_without_settings_of_its_own_has_symbols_and_timeframes() -> None:
    assert Provider("files").check_settings({"symbols": ["EURUSD"]}) == ConnectionSettings(symbols=("EURUSD",))


def test_a_provider_that_declares_names_only_gets_back_what_was_given() -> None:
    bridge = Provider("bridge", settings=named_settings({"symbols": False, "base_url": True, "poll_s": False}))
    settings = bridge.check_settings({"base_url": "http://127.0.0.1:1", "symbols": ["A"], "timeframes": ["1h"]})
    assert settings.only(["symbols", "base_url", "poll_s"]) == {"base_url": "http://127.0.0.1:1", "symbols": ["A"]}
    assert bridge.check_settings(settings.stored()) == settings
    with pytest.raises(ParameterError, match="'base_url': field required"):
        bridge.check_settings({"poll_s": 1.5})
    with pytest.raises(ParameterError, match="'poll_s'"):
        bridge.check_settings({"base_url": "x", "poll_s": object()})
