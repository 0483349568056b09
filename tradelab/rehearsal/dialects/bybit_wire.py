"""Write and read as Bybit's wire does: numbers as text, ids by category, one envelope, parameters with a kind."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, TypeVar
from urllib.parse import quote, unquote
from uuid import UUID

from aiohttp import web

from tradelab.rehearsal.dialects import bybit_errors as no
from tradelab.rehearsal.dialects.bybit_errors import Refusal
from tradelab.rehearsal.reading import from_json

Row = dict[str, Any]
T = TypeVar("T")

_ORDER_UUIDS = 0x5CF9859839A7459E97BF << 48  # linear ids are UUIDs, ours with the number in the last 12 digits
_EXEC_UUIDS = 0xE0CBE81D0F1858669415 << 48
_TRADE_UUIDS = 0xA905D5C31ED04F3783E4 << 48
_SPOT_ORDERS = 1_321_003_749_000_000_000  # spot ids are whole numbers of 19 digits
_SPOT_EXECS = 2_100_000_000_000_000_000
_MASK = (1 << 48) - 1
_EIGHT = Decimal("0.00000001")
_LONGEST = 40  # digits of a number, and powers of ten that it may be away from one


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def plain(value: Decimal | int) -> str:
    """Write a number without exponent and without zeros at its end.

    >>> plain(Decimal("1E+3")), plain(Decimal("0.500")), plain(Decimal("0E-8"))
    ('1000', '0.5', '0')
    """
    text = format(Decimal(value), "f")
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text


def rounded(value: Decimal) -> str:
    """Write a calculated figure with at most eight decimals."""
    return plain(value.quantize(_EIGHT, ROUND_HALF_EVEN)) if value else "0"


def at(value: Decimal | float, step: Decimal) -> str:
    """Write a price or quantity with the decimals of its step.

    >>> at(Decimal("27450.5"), Decimal("0.10")), at(2.0, Decimal("0.001"))
    ('27450.50', '2.000')
    """
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    exponent = step.as_tuple().exponent
    decimals = max(0, -exponent) if isinstance(exponent, int) else 0
    return format(exact.quantize(Decimal(1).scaleb(-decimals)), "f")


def ms(ns: int) -> str:
    """Write a time as text of milliseconds."""
    return str(ns // 1_000_000)


# ── ids ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def order_id(number: int, *, linear: bool) -> str:
    """Write an order's number as the venue's id."""
    return str(UUID(int=_ORDER_UUIDS | number)) if linear else str(_SPOT_ORDERS + number)


def exec_id(number: int, *, linear: bool) -> str:
    """Write a fill's number as the venue's id."""
    return str(UUID(int=_EXEC_UUIDS | number)) if linear else str(_SPOT_EXECS + number)


def trade_id(number: int, *, linear: bool) -> str:
    """Write the number of a trade of the market as the venue's id."""
    return str(UUID(int=_TRADE_UUIDS | number)) if linear else str(_SPOT_EXECS + number)


def number_of(text: str, *, linear: bool) -> int | None:
    """Read an order's number out of the venue's id; ``None`` where it is not one of ours."""
    try:
        if not linear:
            return int(text) - _SPOT_ORDERS
        value = UUID(text).int
    except ValueError:
        return None
    return value & _MASK if value & ~_MASK == _ORDER_UUIDS else None


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def answer(result: Row | Refusal, now_ms: int) -> web.Response:
    """Put a result, or a refusal, into the envelope of version 5."""
    if isinstance(result, Refusal):
        code, says, status, inner = result.code, result.says, result.status, {}
    else:
        code, says, status, inner = 0, "OK", 200, result
    body = {"retCode": code, "retMsg": says, "result": inner, "retExtInfo": {}, "time": now_ms}
    return web.json_response(body, status=status, dumps=_compact)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def page(rows: list[tuple[str, T]], limit: int, cursor: str) -> tuple[list[T], str]:
    """Return one page of rows that are sorted, each with a key, and the cursor of the next; ``""`` where none is left.

    The cursor names the last row that was given, so that rows which come in between are not given twice. It is written
    for a URL (``132766%3A2``), as the venue's are.
    """
    keys, after = [key for key, _ in rows], unquote(cursor)
    begin = keys.index(after) + 1 if after in keys else 0
    there = rows[begin : begin + limit]
    more = begin + limit < len(rows)
    return [row for _, row in there], quote(there[-1][0], safe="") if more and there else ""


# ── parameters ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Kind(enum.Enum):
    """What a parameter must look like."""

    TEXT = "text"
    NUMBER = "number"
    WHOLE = "whole"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of one request, read, and who asks."""

    values: Mapping[str, Any]
    account: str = ""

    def text(self, name: str, default: str = "") -> str:
        """Return a text, ``default`` where it was not given or was empty."""
        return str(self.values.get(name) or default)

    def number(self, name: str) -> Decimal | None:
        """Return a number, ``None`` where it was not given."""
        found: Decimal | None = self.values.get(name)
        return found

    def whole(self, name: str, default: int) -> int:
        """Return a whole number."""
        found: int = self.values.get(name, default)
        return found

    def flag(self, name: str) -> bool:
        """Return a truth, false where it was not given."""
        return bool(self.values.get(name))

    def limit(self, default: int, most: int) -> int:
        """Return the size of a page."""
        return min(max(1, self.whole("limit", default)), most)


def read(given: Mapping[str, Any], takes: Mapping[str, Kind], account: str) -> tuple[Asked | Refusal, list[str]]:
    """Read parameters by their kinds; return what was asked, or a refusal, and the names nobody knows."""
    unknown = [name for name in given if name not in takes]
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in takes and value is not None and value != "":
            found = _read(value, takes[name])
            if found is None:
                return no.wrong(name), unknown
            values[name] = found
    return Asked(values, account), unknown


def _read(value: Any, kind: Kind) -> Any:
    text = str(value)
    if kind is Kind.TEXT:
        return text
    if kind is Kind.FLAG:
        return {"true": True, "false": False, "1": True, "0": False}.get(text.lower())
    try:
        number = Decimal(text) if len(text) <= _LONGEST else None
    except InvalidOperation:
        return None
    if number is None or not number.is_finite() or number < 0 or abs(number.adjusted()) > _LONGEST:
        return None  # Python would take for ever to write 1e999999999 as a whole number
    if kind is Kind.WHOLE:
        return int(number) if number == number.to_integral_value() else None
    return number


def body_of(raw: bytes) -> dict[str, Any] | None:
    """Read a JSON object; ``None`` where it is none."""
    try:
        found = from_json(raw or b"{}")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


LINK = re.compile(r"[A-Za-z0-9_-]{1,36}\Z")
