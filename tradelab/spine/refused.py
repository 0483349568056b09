"""Say what is wrong with a table: the field, the value, what is allowed, and the word that was probably meant."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tradelab.model.errors import ConfigError, UnknownNameError

_LONGEST = 60
M = TypeVar("M", bound=BaseModel)


def read_table(model: type[M], told: Mapping[str, Any], where: str) -> M:
    """Return what a table says, such as a module's own (``where`` is ``"[modules.market_data]"``).

    Raises
    ------
    ConfigError
        A word or a value in it is wrong; the message names it.
    """
    try:
        return model.model_validate(dict(told))
    except ValidationError as error:
        raise refused(error, model, where) from None


def refused(error: ValidationError, model: type[BaseModel], where: str) -> ConfigError:
    """Return the first thing that is wrong as one of our errors; ``where`` is the file or the table.

    >>> class Limits(BaseModel, extra="forbid"):
    ...     most: int
    >>> try:
    ...     Limits(most="many")
    ... except ValidationError as error:
    ...     str(refused(error, Limits, "paper.toml"))
    "paper.toml: most='many' is wrong: input should be a valid integer, unable to parse string as an integer."
    """
    found = error.errors(include_url=False)
    one = found[0]
    field = ".".join(map(str, one["loc"]))
    more = f"{len(found) - 1} more after it." if len(found) > 1 else ""
    if one["type"] == "extra_forbidden":
        *table, name = one["loc"]
        known = _fields(model, tuple(table))
        unknown = UnknownNameError.of(f"field of {'.'.join(map(str, table)) or 'the top table'}", name, known)
        return ConfigError(f"{where}: {unknown.problem}", allowed=unknown.allowed, fix=more)
    if one["type"] == "missing":
        return ConfigError(f"{where}: {field} is missing.", fix=more)
    says = one["msg"].removeprefix("Value error, ").rstrip(".")
    if one["type"] == "value_error":
        return ConfigError(f"{where}: {field + ': ' if field else ''}{says}.", fix=more)
    given = f"={_shown(one['input'])}" if _is_plain(one["input"]) else ""
    return ConfigError(f"{where}: {field or 'the file'}{given} is wrong: {says[0].lower()}{says[1:]}.", fix=more)


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _fields(model: type[BaseModel], at: tuple[Any, ...]) -> list[str]:
    """Return the fields of the table at a place; none where it is no table of ours."""
    place: Any = model
    for step in at:
        tables = list(_tables(place))
        if len(tables) != 1:
            return []
        place = tables[0].model_fields[step].annotation if step in tables[0].model_fields else place
    tables = list(_tables(place))
    return list(tables[0].model_fields) if len(tables) == 1 else []


def _tables(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the tables that an annotation speaks of: itself, or what a list or a dictionary holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _tables(inner)
