"""Ask a venue what our key may do, in the words that each venue has for it.

A venue that is not in the table is not asked: either it has no such question, or nobody here has read its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tradelab.adapters.ccxt_words import Told
from tradelab.model.key_rights import KeyRights


class Question(NamedTuple):
    """ccxt's name of the request, and who reads its answer for a market (``"spot"``, ``"linear"``)."""

    request: str
    read: Callable[[Told, str], KeyRights]


def _binance(told: Told, market: str) -> KeyRights:
    """Read ``GET /sapi/v1/account/apiRestrictions`` (developers.binance.com, wallet, "Get API Key Permission")."""
    trades = {"spot": "enableSpotAndMarginTrading", "linear": "enableFutures"}[market]
    return KeyRights(
        trades=_flag(told.get(trades)),
        withdraws=_flag(told.get("enableWithdrawals")),
        is_bound=_flag(told.get("ipRestrict")),
    )


def _bybit(told: Told, market: str) -> KeyRights:
    """Read ``GET /v5/user/query-api`` (bybit-exchange.github.io, v5, "Get API Key Information").

    A key that is bound to no address ends after some months; its ``ips`` is then ``["*"]``.
    """
    it = told.get("result") or {}
    may = it.get("permissions")
    if not isinstance(may, Mapping):
        return KeyRights(trades=None, withdraws=None)
    listed = {
        "spot": {("Spot", "SpotTrade")},
        "linear": {("ContractTrade", "Order"), ("Derivatives", "DerivativesTrade")},
    }
    trades = any(word in (may.get(group) or ()) for group, word in listed[market])
    addresses, days = it.get("ips"), it.get("deadlineDay")
    return KeyRights(
        trades=None if it.get("readOnly") is None else trades and int(it["readOnly"]) == 0,
        withdraws="Withdraw" in (may.get("Wallet") or ()),
        is_bound=None if addresses is None else bool(addresses) and "*" not in addresses,
        days_left=days if isinstance(days, int) and days > 0 else None,
    )


def _okx(told: Told, market: str) -> KeyRights:
    """Read ``GET /api/v5/account/config`` (www.okx.com/docs-v5, "Get account configuration": ``perm``, ``ip``)."""
    row: Told = next(iter(told.get("data") or ()), {})
    perm, ip = row.get("perm"), row.get("ip")
    may = None if not isinstance(perm, str) or not perm else {word.strip() for word in perm.split(",")}
    return KeyRights(
        trades=None if may is None else "trade" in may,
        withdraws=None if may is None else "withdraw" in may,
        is_bound=None if ip is None else bool(ip),
    )


def _flag(value: Any) -> bool | None:
    """Return a flag as it was told; whatever is no flag tells nothing."""
    return value if isinstance(value, bool) else None


_OF_BINANCE = Question("sapi_get_account_apirestrictions", _binance)
QUESTIONS: Mapping[str, Question] = MappingProxyType(
    {
        "binance": _OF_BINANCE,
        "binanceusdm": _OF_BINANCE,
        "bybit": Question("private_get_v5_user_query_api", _bybit),
        "okx": Question("private_get_account_config", _okx),
    }
)
