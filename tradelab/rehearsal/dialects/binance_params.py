"""Read a request's parameters as Binance does: by pattern, by precision, and none unread."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from tradelab.rehearsal.dialects.binance_errors import BinanceError, invalid, missing

DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
WHOLE = r"^[0-9]{1,20}$"
ALWAYS = frozenset({"timestamp", "recvWindow", "signature"})


def names(text: str) -> frozenset[str]:
    """Return the words of a text: the parameters an address takes."""
    return frozenset(text.split())


class Params:
    """One request's parameters; every reader says what it expects and refuses the rest."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self.given = given

    def refuse_unknown(self, known: Iterable[str]) -> None:
        """Refuse parameters that nobody would read (spot)."""
        read = [name for name in self.given if name in {*known, *ALWAYS}]
        if len(read) < len(self.given):
            counts = f"read '{len(read)}' parameter(s) but was sent '{len(self.given)}'"
            raise BinanceError(-1104, f"Not all sent parameters were read; {counts}.")

    def text(self, name: str, pattern: str | None = None) -> str | None:
        """Return a text, ``None`` when it was not sent."""
        value = self.given.get(name)
        if value is None:
            return None
        if value == "":
            raise BinanceError(-1105, f"Parameter '{name}' was empty.")
        if pattern is not None and not re.match(pattern, value):
            raise BinanceError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")
        return value

    def required(self, name: str, pattern: str | None = None) -> str:
        """Return a text that must have been sent."""
        if not self.given.get(name):
            raise missing(name)
        value = self.text(name, pattern)
        assert value is not None
        return value

    def whole(self, name: str) -> int | None:
        """Return a whole number."""
        value = self.text(name, WHOLE)
        return None if value is None else int(value)

    def decimal(self, name: str, *, required: bool = False) -> Decimal | None:
        """Return a number as it was written; exponents and signs are no numbers to Binance."""
        value = self.required(name, DECIMAL) if required else self.text(name, DECIMAL)
        return None if value is None else Decimal(value)

    def needed(self, name: str) -> Decimal:
        """Return a number that must have been sent."""
        value = self.decimal(name, required=True)
        assert value is not None
        return value

    def flag(self, name: str) -> bool | None:
        """Return true or false."""
        value = self.text(name)
        if value is None:
            return None
        if value.lower() not in ("true", "false"):
            raise invalid(name)
        return value.lower() == "true"

    def choice(self, name: str, allowed: Iterable[str], wrong: Callable[[], BinanceError] | None = None) -> str | None:
        """Return one of the allowed words."""
        value = self.text(name)
        if value is not None and value not in allowed:
            raise invalid(name) if wrong is None else wrong()
        return value

    def limit(self, default: int, most: int) -> int:
        """Return how many rows are wanted."""
        value = self.whole("limit")
        if value is None:
            return default
        if not 1 <= value <= most:
            raise invalid("limit")
        return value


def whole_or(default: int, text: str | None) -> int:
    """Return the whole number of a text, the default where it is none or no whole number of a sensible length.

    >>> whole_or(100, "500"), whole_or(100, None), whole_or(100, "x"), whole_or(100, "9" * 5000)
    (500, 100, 100, 100)
    """
    return int(text) if text is not None and re.fullmatch(WHOLE, text) else default


def places(value: Decimal) -> int:
    """Return how many decimals a number has, trailing zeros not counted.

    >>> places(Decimal("1.2300")), places(Decimal("100"))
    (2, 0)
    """
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
