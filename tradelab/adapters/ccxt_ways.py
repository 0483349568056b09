"""Choose what is known of an exchange, by its ccxt id and market."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tradelab.adapters.ccxt_dialects import BinanceLinear, BinanceSpot, Bybit, Ways
from tradelab.adapters.ccxt_okx import Okx

_BINANCE = {"spot": BinanceSpot, "linear": BinanceLinear}
_KNOWN: Mapping[str, Mapping[str, type[Ways]]] = MappingProxyType(
    {
        "binance": _BINANCE,
        "binanceusdm": _BINANCE,
        "bybit": dict.fromkeys(("spot", "linear"), Bybit),
        "okx": dict.fromkeys(("spot", "linear"), Okx),
    }
)


def ways_of(raw: Any, market: str) -> Ways:
    """Return what is known of an exchange; of one that nobody has looked into, what ccxt says of itself."""
    return _KNOWN.get(raw.id, {}).get(market, Ways)(raw, market)
