"""Write queries and read answers by the table of the wire: exact decimals, named faults, no name of theirs here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from tradelab.adapters.mtapi_wire import CODES, ERROR, Call, Field, Platform, Read, Said, Shape
from tradelab.model.credentials import Secret
from tradelab.model.errors import RequestError

_DIGITS = Decimal("1e-10")  # a sum of doubles is told as 0.30000000000000004; no price or lot has that many digits
_NEVER = ("0001-", "1970-01-01T00:00:00")  # how the server says that there is no such time


EDIT = "Compare the server's own swagger page with tradelab/adapters/mtapi_wire.py."


class AnswerError(RequestError):
    """An answer that is none: cut off, of another shape than the table's, or without what it must have."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"mtapi: {problem}.", fix=EDIT)

    def __reduce__(self) -> tuple[object, ...]:
        return AnswerError, (self.problem.removeprefix("mtapi: ").removesuffix("."),)


def query(call: Call, platform: Platform, **ours: Any) -> dict[str, str | Secret]:
    """Return the parameters of a call as the platform calls them; ``None`` is left out.

    A parameter that the platform does not have is left out too: what it lacks is declared, and refused earlier.
    """
    asked: dict[str, str | Secret] = {}
    for param in call.params:
        value = ours.get(param.ours)
        if value is not None and platform in param.platforms:
            asked[param.wire] = value if isinstance(value, Secret) else _told(value)
    return asked


def parsed(text: str) -> Any:
    """Return what JSON says, numbers as exact decimals; a bare text is returned as it is.

    Raises
    ------
    AnswerError
        It looks like JSON and is not whole.
    """
    stripped = text.strip()
    if not stripped.startswith(("{", "[", '"')):
        return stripped
    try:
        return json.loads(stripped, parse_float=Decimal, parse_int=Decimal)
    except ValueError as error:
        raise AnswerError(f"half a body: {error}") from None


def said(body: Any) -> Any:
    """Return the :class:`~.mtapi_rows.ErrorRow` of an answer that says no, else ``None``."""
    if not isinstance(body, Mapping):
        return None
    try:
        return record(ERROR, body)
    except AnswerError:
        return None


def meaning(code: str) -> Said | None:
    """Return what a code stands for, by its name or by MetaTrader's number; ``None`` for one that is in no table."""
    named = CODES.get(code)
    return named or next((s for s in CODES.values() if s.number is not None and str(s.number) == code), None)


def record(shape: Shape, body: Any) -> Any:
    """Return the record of an answer.

    Raises
    ------
    AnswerError
        A field that must be there is not, or is not what it should be.
    """
    if not isinstance(body, Mapping):
        raise AnswerError(f"{shape.record.__name__}: an object was expected, not {type(body).__name__}")
    return shape.record(**{field.ours: _value(field, body, shape) for field in shape.fields} | _defaults(shape))


def records(shape: Shape, body: Any) -> tuple[Any, ...]:
    """Return the records of a list."""
    if not isinstance(body, list):
        raise AnswerError(f"{shape.record.__name__}: a list was expected, not {type(body).__name__}")
    return tuple(record(shape, one) for one in body)


def _defaults(shape: Shape) -> dict[str, Any]:
    """Fill what a platform does not tell: no number is made up, only texts, charges and marks of absence."""
    known = {field.ours for field in shape.fields}
    return {name: value for name, value in _ABSENT.items() if name in _names(shape.record) - known}


def _names(record: type[Any]) -> set[str]:
    return set(record.__dataclass_fields__)


_ABSENT: dict[str, Any] = {
    "limit_price": None, "close_lots": None, "charge": Decimal(0), "close_comment": "", "expires": None,
    "expiry_kind": None, "profit_currency": None,
}  # fmt: skip


def _value(field: Field, body: Mapping[str, Any], shape: Shape) -> Any:
    raw: Any = body
    for step in field.wire:
        raw = raw.get(step) if isinstance(raw, Mapping) else None
    where = f"{shape.record.__name__}.{field.ours}"
    if raw is None:
        if field.needed:
            raise AnswerError(f"{where} is missing")
        return _EMPTY.get(field.read)
    try:
        return _taken(field, raw)
    except (ValueError, InvalidOperation, TypeError):
        raise AnswerError(f"{where} is {type(raw).__name__} of the wrong kind") from None


_EMPTY: dict[Read, Any] = {Read.TEXT: "", Read.NUMBER: Decimal(0), Read.ROWS: ()}


def _taken(field: Field, raw: Any) -> Any:
    read = field.read
    if read in (Read.NUMBER, Read.PRICE):
        number = _number(raw)
        return None if read is Read.PRICE and number == 0 else number
    if read is Read.TICKET:
        ticket = _whole(raw)
        if ticket <= 0 and field.needed and field.ours == "ticket":
            raise ValueError("no ticket")
        return str(ticket)
    if read is Read.WHOLE:
        return _whole(raw)
    if read is Read.FLAG:
        return bool(raw)
    if read is Read.ROW:
        return raw if field.of is None else record(field.of, raw)
    if read is Read.ROWS:
        return records(field.of, raw) if field.of is not None else tuple(raw)
    text = str(raw)
    return None if read is Read.TIME and text.startswith(_NEVER) else text


def _number(raw: Any) -> Decimal:
    number = Decimal(str(raw))
    if not number.is_finite():
        raise ValueError("not finite")
    exact = number.quantize(_DIGITS).normalize()
    return exact.quantize(Decimal(1)) if exact == exact.to_integral_value() else exact


def _whole(raw: Any) -> int:
    number = Decimal(str(raw))
    if number != number.to_integral_value():
        raise ValueError("not whole")
    return int(number)


def _told(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
