"""Turn messages into the journal's text and back, exactly: decimals as they are written, enums by value."""

from __future__ import annotations

import functools
from typing import Any

from tradelab.model.errors import CorruptFileError
from tradelab.model.messages import KINDS, Message


def encode(message: Message) -> tuple[str, str]:
    """Return a message's kind and body, JSON with fields in their declared order."""
    kind = type(message).__name__
    return kind, _adapter(kind).dump_json(message).decode()


def decode(kind: str, body: str) -> Message:
    """Return the message that :func:`encode` was given.

    Raises
    ------
    CorruptFileError
        The kind is not known here, or the body is not one of its kind: a newer tradelab wrote it, or it was changed.
    """
    from pydantic import ValidationError

    if kind not in KINDS:
        raise CorruptFileError(f"the journal holds a {kind!r}, which this tradelab does not know.", fix=_FIX)
    try:
        message: Message = _adapter(kind).validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise CorruptFileError(
            f"the journal holds a {kind} whose {where} is wrong: {first['msg']}.", fix=_FIX
        ) from None
    return message


_FIX = "Use the tradelab that wrote it, and see: tradelab audit verify"


@functools.cache
def _adapter(kind: str) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(KINDS[kind])
