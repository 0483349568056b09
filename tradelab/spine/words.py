"""Read the words of a command: each is a text, and one that means nothing is refused by its name."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from tradelab.model.errors import ParameterError

_DIGITS = 24  # before and behind the point: beyond, what is worked out of a number has none any more
TTL_S = 60.0  # for so long a signal may be acted on, where nobody says
Choice = TypeVar("Choice", bound=enum.Enum)


def choice(kind: type[Choice], name: str, given: str) -> Choice:
    """Return one of several words.

    >>> from tradelab.model.orders import Side
    >>> choice(Side, "side", "bye")
    Traceback (most recent call last):
    tradelab.model.errors.ParameterError: side='bye' is not known. Allowed: buy, sell.
    """
    try:
        return kind(given)
    except ValueError:
        raise ParameterError(f"{name}={given!r} is not known.", allowed=[each.value for each in kind]) from None


def number(given: Mapping[str, str], name: str) -> Decimal | None:
    """Return an exact number, as it is written; ``None`` where it was not given.

    What is not finite, or of a size that nothing has, is refused here: a NaN that is compared and a product that
    overflows raise what no command is answered with, and the engine would halt or end by a word that was mistyped.

    >>> number({"ttl_s": "nan"}, "ttl_s")
    Traceback (most recent call last):
    tradelab.model.errors.ParameterError: ttl_s='nan' is no number.
    """
    if name not in given:
        return None
    try:
        told = Decimal(given[name])
    except InvalidOperation:
        told = Decimal("nan")
    if not told.is_finite():
        raise ParameterError(f"{name}={given[name]!r} is no number.")
    if told and not -_DIGITS <= told.adjusted() <= _DIGITS:
        raise ParameterError(f"{name}={given[name][:40]!r} is no price, quantity or time.", allowed=["1e-24 to 1e24"])
    return told


def seconds(given: Mapping[str, str], name: str) -> float:
    """Return for how long a signal may be acted on, above zero up to a day."""
    told = number(given, name)
    if told is None:
        return TTL_S
    if not 0 < told <= 86_400:
        raise ParameterError(f"{name}={told} is not allowed.", allowed=["above 0 up to 86400"])
    return float(told)
