"""Take signals from outside: read them strictly, and from the network only where they are signed, fresh and new.

A request is signed over its time and its body: ``X-Tradelab-Signature: sha256=HEX`` is HMAC-SHA-256 (RFC 2104) with the
shared secret over ``TIMESTAMP.BODY``, ``X-Tradelab-Timestamp`` the seconds since 1970. Who has seen one cannot change
it, cannot send it later, and cannot send it twice.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tradelab.model.clock import Clock
from tradelab.model.credentials import Secret
from tradelab.model.errors import ParameterError
from tradelab.model.units import NS_PER_S

SIGNATURE, TIMESTAMP = "X-Tradelab-Signature", "X-Tradelab-Timestamp"
LARGEST = 64 * 1024  # bytes of a signal
_REMEMBERED = 100_000
_DIGITS = 19  # of a time: more of them are none, and too many to be told as a float

Name = Annotated[str, Field(min_length=1, max_length=64)]
Above = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class OutsideSignal(BaseModel):
    """A signal as somebody outside writes it: JSON, money as numbers or texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(min_length=1, max_length=48, pattern=r"^[\w.:-]+$")]
    bot: Name
    symbol: Name
    action: Literal["enter_long", "enter_short", "exit_long", "exit_short"]
    share: Annotated[Decimal, Field(gt=0, le=1)] | None = None
    qty: Above | None = None
    price: Above | None = None
    order_type: Literal["market", "limit", "stop", "stop_limit"] | None = None
    order_price: Above | None = None
    limit_price: Above | None = None
    stop_loss: Above | None = None
    take_profit: Above | None = None
    ttl_s: Annotated[Decimal, Field(gt=0, le=86_400)] | None = None
    says: Annotated[str, Field(max_length=500)] = ""


def read_signal(raw: bytes, origin: Literal["webhook", "file"]) -> dict[str, str]:
    """Return a signal as the arguments of a command.

    Raises
    ------
    ParameterError
        It is not JSON, too large, or a field is unknown, missing or wrong: the message names the field.

    Examples
    --------
    >>> told = read_signal(b'{"id": "a-1", "bot": "eurusd", "symbol": "EURUSD", "action": "exit_long"}', "file")
    >>> told["action"], told["origin"]
    ('exit_long', 'file')
    """
    if len(raw) > LARGEST:
        raise ParameterError(f"a signal has at most {LARGEST} bytes, not {len(raw)}.")
    try:
        told = json.loads(raw, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"the signal is no JSON: {error}.", fix=_EXAMPLE) from None
    try:
        signal = OutsideSignal.model_validate(told)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise ParameterError(
            f"the signal's {where}: {first['msg']}.", allowed=list(OutsideSignal.model_fields), fix=_EXAMPLE
        ) from None
    told = signal.model_dump(exclude_none=True)
    return {name: str(value) for name, value in told.items() if value != ""} | {"origin": origin}


def sign(secret: Secret, timestamp: str, body: bytes) -> str:
    """Return what a request is signed with.

    >>> sign(Secret("key"), "1704067200", b"{}")
    'sha256=be2dedbdfbabac246e339c8a3cffb2916e738238de92e884da89adc0ca68d79c'
    """
    return "sha256=" + hmac.new(secret.reveal().encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class Door:
    """Lets a signed request through, once.

    Parameters
    ----------
    window_s
        How old, or how far ahead of our clock, a request may be.
    """

    def __init__(self, secret: Secret, window_s: float, clock: Clock) -> None:
        self._secret = secret
        self._window_ns = int(window_s * NS_PER_S)
        self._clock = clock
        self._seen: OrderedDict[str, int] = OrderedDict()

    def why_not(self, headers: Mapping[str, str], body: bytes) -> str | None:
        """Return why a request is not let through; ``None`` lets it, and the very same one never again.

        What is compared with a secret is compared in constant time, and before anything of the request is believed.
        """
        timestamp, signature = headers.get(TIMESTAMP, ""), headers.get(SIGNATURE, "")
        if not timestamp or not signature:
            return f"it is not signed: {TIMESTAMP} and {SIGNATURE} are needed"
        if not hmac.compare_digest(sign(self._secret, timestamp, body).encode(), signature.encode()):
            return "its signature is wrong"
        now_ns = self._clock.now_ns()
        try:
            age_ns = now_ns - int(timestamp) * NS_PER_S
        except ValueError:
            return f"{TIMESTAMP} is no number of seconds since 1970"
        if len(timestamp) > _DIGITS:
            return f"{TIMESTAMP} is no time that anybody lives in"
        if abs(age_ns) > self._window_ns:
            return f"it is {age_ns / NS_PER_S:.0f} s old, and {self._window_ns / NS_PER_S:.0f} s are allowed"
        self._forget(now_ns)
        if signature in self._seen:
            return "it was taken before"
        if len(self._seen) >= _REMEMBERED:
            return "too many requests in too short a time"
        self._seen[signature] = now_ns
        return None

    def _forget(self, now_ns: int) -> None:
        """Forget what is too old to be let through again anyway: twice the window, for it may have come early."""
        while self._seen and now_ns - next(iter(self._seen.values())) > 2 * self._window_ns:
            self._seen.popitem(last=False)


_EXAMPLE = 'Write {"id": "a-1", "bot": "eurusd", "symbol": "EURUSD", "action": "enter_long"}.'
