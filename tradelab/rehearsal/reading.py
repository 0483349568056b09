"""Read what anybody may send: JSON of any depth, digits of any script, a signature in any letters."""

from __future__ import annotations

import hmac
import json
import re
from typing import Any

_WHOLE = re.compile(r"[0-9]{1,20}\Z")


def from_json(text: str | bytes, **how: Any) -> Any:
    """Return what a text of JSON says.

    Raises
    ------
    ValueError
        It is none, or nests deeper than Python follows.

    Examples
    --------
    >>> from_json("[" * 100_000)
    Traceback (most recent call last):
    ValueError: it nests too deep
    """
    try:
        return json.loads(text, **how)
    except RecursionError:
        raise ValueError("it nests too deep") from None


def is_whole(text: str) -> bool:
    """Whether a text is a whole number that Python reads at once: at most twenty of the digits 0 to 9.

    >>> is_whole("1704067200000"), is_whole("²"), is_whole("٣"), is_whole("9" * 5000), is_whole("")
    (True, False, False, False, False)
    """
    return _WHOLE.match(text) is not None


def is_signed(right: str, given: str) -> bool:
    """Whether a signature is the right one, told in constant time; one of other letters is wrong, not an error.

    >>> is_signed("5f", "5F"), is_signed("5f", "é")
    (True, False)
    """
    return hmac.compare_digest(right.encode(), given.lower().encode("utf-8", "surrogatepass"))
