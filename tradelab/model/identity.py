"""Name an order so that the same wish has the same name after any restart."""

from __future__ import annotations

import base64
import hashlib

from tradelab.model.errors import ParameterError

PREFIX = "tl"
LENGTH = 24  # MetaTrader takes 26 characters of client id and comment together; every other venue takes more


def client_order_id(account: str, strategy: str, signal_id: str, leg: str) -> str:
    """Return the name of the order that ``leg`` of a signal asks for.

    SHA-256 of the four parts, its first 110 bits in base 32: letters and digits only, which every venue takes. There is
    no attempt number in it, on purpose: a second attempt is the same order.

    Parameters
    ----------
    account, strategy, signal_id, leg
        What the order is for, each non-empty; ``leg`` tells the entry from a stop or the second target.

    Examples
    --------
    >>> client_order_id("paper", "sma_cross", "EURUSD 2024-01-01T00:00Z", "entry")
    'tluieiwbmesrajmnhvvnahr6'
    """
    parts = {"account": account, "strategy": strategy, "signal_id": signal_id, "leg": leg}
    for name, value in parts.items():
        if not value:
            raise ParameterError(f"{name} is empty; an order's name is made from all of: {', '.join(parts)}.")
    told = b"".join(len(value.encode()).to_bytes(4, "big") + value.encode() for value in parts.values())
    digest = base64.b32encode(hashlib.sha256(told).digest()).decode().lower()
    return PREFIX + digest[: LENGTH - len(PREFIX)]
