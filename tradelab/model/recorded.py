"""Say what a message is, and what it is once it stands in the journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from tradelab.model.plain import Plain


class Message(Plain):
    """What may be said on the bus; written as JSON that any reader takes, NaN as a word and nothing left over."""

    __slots__ = ()
    __pydantic_config__ = {"ser_json_inf_nan": "strings", "extra": "forbid"}  # noqa: RUF012 (read by pydantic)


Said = TypeVar("Said", bound=Message, covariant=True)


@dataclass(frozen=True, slots=True)
class Recorded(Generic[Said]):
    """A message as it stands in the journal.

    ``ts_event_ns`` is when it happened in the world, ``ts_init_ns`` when we came to know; ``cause`` is the number of
    the message it followed from, ``None`` for what came from outside.
    """

    seq: int
    ts_event_ns: int
    ts_init_ns: int
    cause: int | None
    message: Said
