"""Read tables of a TOML file strictly: a word that a table does not know is an error, and nothing in it changes."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Fraction = Annotated[Decimal, Field(gt=0, le=1)]
Above = Annotated[Decimal, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class Table(BaseModel):
    """A table of the file; no number in it is endless: a time without an end is no time that can be reckoned with.

    Where a number belongs, ``true`` is none: read as 1 it would be a limit that nobody meant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_as_a_number(cls, given: Any, info: ValidationInfo) -> Any:
        kinds = set(_kinds(cls.model_fields[info.field_name or ""].annotation))
        if kinds & {int, float} and bool not in kinds and Any not in kinds and holds_truth(given):
            raise ValueError("true and false are no numbers, and a number belongs here")
        return given


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield what an annotation is made of in the end: ``int`` of ``tuple[int, ...] | None``."""
    inner = typing.get_args(annotation)
    if not inner:
        yield annotation
    for each in inner:
        yield from _kinds(each) if not isinstance(each, str) else ()


def holds_truth(given: Any) -> bool:
    """Whether ``true`` or ``false`` is what is given, or in a list or table of it.

    >>> holds_truth([1, [2, True]]), holds_truth({"a": 1})
    (True, False)
    """
    if isinstance(given, dict):
        return any(map(holds_truth, given.values()))
    return isinstance(given, bool) or (isinstance(given, list | tuple) and any(map(holds_truth, given)))
