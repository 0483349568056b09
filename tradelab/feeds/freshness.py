"""Hold every input against its age limit before an order is sent; too old is an answer, not an exception."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tradelab.model.errors import ParameterError
from tradelab.model.units import NS_PER_S

_FROM_THE_FUTURE_S = 1.0  # clocks never agree to the millisecond


class Input(enum.Enum):
    """What a decision rests on; each has an age limit."""

    QUOTE = "quote"
    BAR = "bar"  # its age counts from its close
    BALANCE = "balance"
    AI_ANSWER = "AI answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeLimits:
    """How old each input may be, in seconds; there are no defaults, for nobody else knows what a strategy can bear."""

    quote_s: float
    bar_s: float
    balance_s: float
    ai_answer_s: float

    def __post_init__(self) -> None:
        for kind in Input:
            if not self.of(kind) > 0:
                raise ParameterError(f"the age limit of a {kind.value}, {self.of(kind)!r} s, must be above zero.")

    def of(self, kind: Input) -> float:
        """Return the limit of one input, in seconds."""
        return {
            Input.QUOTE: self.quote_s,
            Input.BAR: self.bar_s,
            Input.BALANCE: self.balance_s,
            Input.AI_ANSWER: self.ai_answer_s,
        }[kind]


@dataclass(frozen=True, slots=True)
class Fresh:
    """Young enough to act on."""

    age_s: float


@dataclass(frozen=True, slots=True)
class Stale:
    """Not to be acted on; ``age_s`` is ``None`` when it never came."""

    age_s: float | None
    says: str


def require_fresh(ts_ns: int | None, now_ns: int, limit_s: float, *, what: str = "input") -> Fresh | Stale:
    """Return whether what was true at ``ts_ns`` may still be acted on at ``now_ns``; both by the venue's clock.

    Parameters
    ----------
    ts_ns
        When it was true: a quote's own time, a bar's close; ``None`` when there is none yet.
    limit_s
        How old it may be, that age included.

    Returns
    -------
    Fresh or Stale
        Stale also when it is from the future by more than a second: then one of the clocks is wrong, and no age
        that is told by it can be believed.

    Examples
    --------
    >>> require_fresh(0, 3_000_000_000, 5.0)
    Fresh(age_s=3.0)
    >>> require_fresh(0, 9_000_000_000, 5.0, what="quote").says
    'the quote is 9.0 s old; the limit is 5.0 s'
    """
    if ts_ns is None:
        return Stale(None, f"there is no {what} yet")
    age_s = (now_ns - ts_ns) / NS_PER_S
    if age_s < -_FROM_THE_FUTURE_S:
        return Stale(age_s, f"the {what} is from the future by {-age_s:.1f} s: check the clock")
    if not age_s <= limit_s:
        return Stale(age_s, f"the {what} is {age_s:.1f} s old; the limit is {limit_s:.1f} s")
    return Fresh(max(0.0, age_s))
