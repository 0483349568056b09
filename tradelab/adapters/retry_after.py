"""Read how long a venue asks us to leave it alone, and believe no nonsense: not for ever, not NaN."""

from __future__ import annotations

import re

LONGEST_S = 7 * 86_400.0  # Binance bans for three days at most; who means longer will say so again then
_SECONDS = re.compile(r"\s*(\d+(?:\.\d*)?)\s*", re.ASCII)


def seconds_of(told: str | None) -> float | None:
    """Return the seconds of a ``Retry-After`` in digits (RFC 9110, 10.2.3), a week at most; ``None`` if it is not that.

    >>> seconds_of("120"), seconds_of("0.5"), seconds_of("9" * 400)
    (120.0, 0.5, 604800.0)
    >>> [seconds_of(told) for told in (None, "", "-5", "nan", "inf", "1e9", "²", "soon")]
    [None, None, None, None, None, None, None, None]
    """
    match = None if told is None else _SECONDS.fullmatch(told)
    return None if match is None else at_most_a_week(float(match[1]))


def at_most_a_week(seconds: float) -> float:
    """Return what is left of a time to wait: nothing where it is past, a week where it is longer."""
    return min(max(seconds, 0.0), LONGEST_S)
