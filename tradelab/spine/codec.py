"""Turn messages into the journal's text and back, exactly: decimals as they are written, enums by value."""

from __future__ import annotations

import functools
import json
from typing import Any

from tradelab.model.errors import CorruptFileError, TradelabError
from tradelab.model.messages import KINDS, Message


def encode(message: Message) -> tuple[str, str]:
    """Return a message's kind and body, JSON with fields in their declared order.

    Text that is no Unicode (half a surrogate pair, as a venue may send in JSON) is escaped, and comes back as it was.
    """
    from pydantic_core import PydanticSerializationError

    kind = type(message).__name__
    adapter = _adapter(kind)
    try:
        return kind, adapter.dump_json(message).decode()
    except PydanticSerializationError:
        return kind, json.dumps(adapter.dump_python(message, mode="json"), separators=(",", ":"))


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
    adapter = _adapter(kind)
    try:
        told: Message = adapter.validate_python(json.loads(body)) if _ESCAPED in body else adapter.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise CorruptFileError(
            f"the journal holds a {kind} whose {where} is wrong: {first['msg']}.", fix=_FIX
        ) from None
    except (TradelabError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise CorruptFileError(f"the journal holds a {kind} that cannot be: {error}", fix=_FIX) from None
    return told


_ESCAPED = "\\ud"  # only half a surrogate pair is written so; whole characters are written as they are
_FIX = "Use the tradelab that wrote it, and see: tradelab audit verify"


@functools.cache
def _adapter(kind: str) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(KINDS[kind])
