"""Script what goes wrong: which request or frame, how, how often, and by what way."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field, replace

from tradelab.model.errors import ParameterError, UnknownNameError


class Fault(enum.Enum):
    """What can go wrong with a request or a stream; the dialect says it in the venue's own words."""

    # the venue says no, and has not taken the request
    RATE_LIMITED = "rate_limited"
    BANNED = "banned"
    OVERLOADED = "overloaded"
    MAINTENANCE = "maintenance"
    CLOCK = "clock"
    FILTER = "filter"
    BALANCE = "balance"
    CANCEL_REJECTED = "cancel_rejected"
    LOST = "lost"  # the connection breaks before the venue has read the request
    # nobody can tell from the answer; ``executed`` says what the venue did
    UNKNOWN_ERROR = "unknown_error"
    STATUS_UNKNOWN = "status_unknown"
    GATEWAY = "gateway"  # a page of HTML with status 502
    # the venue has taken the request, and the answer does not come whole
    HANG = "hang"
    RESET = "reset"
    TRUNCATED = "truncated"
    # timing
    DELAY = "delay"  # the request waits ``seconds`` before the venue sees it
    LATE_ANSWER = "late_answer"  # the answer waits ``seconds``
    DUPLICATE = "duplicate"  # the venue gets the request twice
    REORDER = "reorder"  # the request waits until the next of its kind has been handled
    # streams
    STALL = "stall"  # frames stop, pings go on
    DISCONNECT = "disconnect"
    STREAM_DELAY = "stream_delay"
    STREAM_DROP = "stream_drop"
    STREAM_DUPLICATE = "stream_duplicate"
    STREAM_REORDER = "stream_reorder"  # the next two frames change places

    @property
    def is_of_streams(self) -> bool:
        """Whether it befalls frames rather than requests."""
        return self in _OF_STREAMS

    @property
    def comes_after(self) -> bool:
        """Whether the venue has taken the request when it happens."""
        return self in (Fault.HANG, Fault.RESET, Fault.TRUNCATED, Fault.LATE_ANSWER)


_OF_STREAMS = frozenset(f for f in Fault if f.name.startswith("STREAM_")) | {Fault.STALL, Fault.DISCONNECT}
REQUESTS = (
    "submit", "cancel", "cancel_all", "modify", "protect", "order", "open_orders", "fills", "positions", "balances",
    "account", "quote", "candles", "ticks", "instruments", "time", "login", "stream", "other",
)  # fmt: skip
CHANGES = frozenset({"submit", "cancel", "cancel_all", "modify", "protect"})  # what a key needs leave to trade for


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One fault to come.

    Parameters
    ----------
    fault
        What happens.
    on
        The kind of request (:data:`REQUESTS`), or for a stream a part of its topic; ``"*"`` is any.
    skip
        How many requests of that kind pass unharmed first.
    times
        How many are harmed; ``None`` for all, until the script is taken away.
    seconds
        Of delay, of a ban or a pause to ask for, of a stall; the market's time.
    executed
        For answers from which nobody can tell: whether the venue has taken the request.
    """

    fault: Fault
    on: str = "*"
    skip: int = 0
    times: int | None = 1
    seconds: float = 1.0
    executed: bool = False
    name: str = field(default="")

    def __post_init__(self) -> None:
        if not self.fault.is_of_streams and self.on != "*" and self.on not in REQUESTS:
            raise UnknownNameError.of("kind of request", self.on, [*REQUESTS, "*"])
        counts = isinstance(self.skip, int) and self.skip >= 0
        counts = counts and (self.times is None or (isinstance(self.times, int) and self.times >= 1))
        if not counts or not 0 <= self.seconds < math.inf:
            raise ParameterError(f"a script needs seconds >= 0, whole skip >= 0 and whole times >= 1, not {self}.")


class Faults:
    """The scripts that wait, in the order they were given; the first that fits is used."""

    def __init__(self) -> None:
        self._waiting: list[Script] = []

    def add(self, script: Script) -> None:
        """Let something go wrong."""
        self._waiting.append(script)

    def clear(self) -> None:
        """Let everything go well again."""
        self._waiting.clear()

    def waiting(self) -> tuple[Script, ...]:
        """Return what is still to come."""
        return tuple(self._waiting)

    def take(self, kind: str, *, streams: bool = False) -> Script | None:
        """Return the fault that befalls this request or topic, and count it; ``None`` when all is well."""
        for place, script in enumerate(self._waiting):
            fits = script.on == "*" or (script.on in kind if streams else script.on == kind)
            if script.fault.is_of_streams is not streams or not fits:
                continue
            if script.skip:
                self._waiting[place] = replace(script, skip=script.skip - 1)
                continue
            if script.times is not None:
                if script.times == 1:
                    del self._waiting[place]
                else:
                    self._waiting[place] = replace(script, times=script.times - 1)
            return script
        return None
