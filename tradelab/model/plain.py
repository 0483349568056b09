"""Show a record as a person reads it: what is set, numbers plain, times as dates."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import fields
from decimal import Decimal

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Plain:
    """Gives a dataclass made with ``repr=False`` a short ``repr``: fields that are ``None`` are left out.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, repr=False)
    ... class Deal(Plain):
    ...     qty: Decimal
    ...     price: Decimal | None
    ...     ts_ns: int
    >>> Deal(Decimal("0.50"), None, 1_704_067_200_000_000_000)
    Deal(qty=0.50, ts_ns=2024-01-01T00:00:00Z)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        told = ((f.name, getattr(self, f.name)) for f in fields(self) if f.repr)  # type: ignore[arg-type]
        shown = ", ".join(f"{name}={_text(name, value)}" for name, value in told if value is not None)
        return f"{type(self).__name__}({shown})"


def _text(name: str, value: object) -> str:
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if name.endswith("_ns") and isinstance(value, int):
        return _time(value)
    return repr(value)


def _time(ns: int) -> str:
    try:
        moment = _EPOCH + dt.timedelta(microseconds=ns // 1000)
    except OverflowError:
        return str(ns)
    text = moment.isoformat(timespec="milliseconds" if ns % 1_000_000_000 else "seconds")
    return text.replace("+00:00", "Z")
