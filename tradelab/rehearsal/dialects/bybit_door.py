"""Let a request in as Bybit does: the key is known, the time is near, the signature is right, the parameters read."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tradelab.rehearsal.dialect import Call
from tradelab.rehearsal.dialects import bybit_errors as no
from tradelab.rehearsal.dialects.bybit_branch import Branch
from tradelab.rehearsal.dialects.bybit_errors import Refusal
from tradelab.rehearsal.dialects.bybit_wire import Asked, Kind, Row, body_of, read
from tradelab.rehearsal.faults import CHANGES
from tradelab.rehearsal.reading import is_signed, is_whole
from tradelab.rehearsal.settings import AccountSetup

AHEAD_MS = 1000  # a time stamp may be so far in the future: server_time - recv_window <= timestamp < server_time + 1000


@dataclass(frozen=True, slots=True)
class Route:
    """One address: what it is for, which parameters it knows, who answers; ``private`` ones want a signature."""

    method: str
    path: str
    kind: str
    answer: Callable[[Asked], Row | Refusal]
    takes: Mapping[str, Kind] = field(default_factory=dict)
    private: bool = True


def let_in(branch: Branch, route: Route, call: Call) -> tuple[Asked | Refusal, list[str]]:
    """Return what is asked and by whom, or why the door stays shut, and the parameters that nobody knows."""
    account = ""
    if route.private:
        found = authenticate(branch, call)
        if isinstance(found, Refusal):
            return found, []
        if route.kind in CHANGES and "trade" not in found.may:
            return no.NO_LEAVE, []
        call.account = account = found.key
    given: dict[str, Any] | None = dict(call.params) if route.method == "GET" else body_of(call.body)
    if given is None:
        return no.wrong("body"), []
    return read(given, route.takes, account)


def authenticate(branch: Branch, call: Call) -> AccountSetup | Refusal:
    """Check key, time and signature of version 5's headers, in this order."""
    key, sign = call.headers.get("X-BAPI-API-KEY", ""), call.headers.get("X-BAPI-SIGN", "")
    stamp, window = call.headers.get("X-BAPI-TIMESTAMP", ""), call.headers.get("X-BAPI-RECV-WINDOW", "5000")
    if not (key and sign and stamp):
        return no.NO_CREDENTIALS
    account = branch.exchange.accounts.get(key)
    if account is None:
        return no.BAD_KEY
    if not (is_whole(stamp) and is_whole(window)):
        return no.wrong("timestamp")
    now = branch.now_ms
    hurry = branch.exchange.clock.hurry  # windows are moments of the machine, whatever the market's speed
    if not now - int(window) * hurry <= int(stamp) < now + AHEAD_MS * hurry:
        return no.expired(int(stamp), now, int(window))
    payload = call.body.decode("utf-8", "replace") if call.request.method == "POST" else call.query
    if not is_signed(signature(account.secret, f"{stamp}{key}{window}{payload}"), sign):
        return no.BAD_SIGN
    return account


def signature(secret: str, text: str) -> str:
    """Return the HMAC-SHA256 of a text, in hexadecimal."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
