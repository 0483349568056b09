"""Lay down what an order may become: a table of legal moves, in which the venue's own word is always legal."""

from __future__ import annotations

import enum

from tradelab.model.orders import OrderStatus


class Phase(enum.Enum):
    """Where one of our orders is, as far as we know."""

    INTENDED = "intended"  # kept; it may be on its way, or at the venue already
    UNKNOWN = "unknown"  # sent, and nobody knows what became of it
    ABSENT = "absent"  # proved not to be there: it may be sent again, or given up
    REFUSED = "refused"  # certainly not taken
    ABANDONED = "abandoned"  # certainly not there, and not to be sent again
    OPEN = "open"
    CLOSED = "closed"  # filled, cancelled, expired or rejected by the venue, after it had it

    @property
    def may_trade(self) -> bool:
        """Whether the venue has it, or may have it: what it could still fill counts as risk."""
        return self in (Phase.INTENDED, Phase.UNKNOWN, Phase.OPEN)


class Happened(enum.Enum):
    """What moves an order on."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    ABSENT = "absent"
    ABANDONED = "abandoned"
    SENT_AGAIN = "sent_again"
    VANISHED = "vanished"
    TOLD_OPEN = "told_open"
    TOLD_CLOSED = "told_closed"


_P, _H = Phase, Happened
_BY_US: dict[tuple[Phase, Happened], Phase] = {
    (_P.INTENDED, _H.ACCEPTED): _P.OPEN,
    (_P.INTENDED, _H.REFUSED): _P.REFUSED,
    (_P.INTENDED, _H.UNKNOWN): _P.UNKNOWN,
    (_P.INTENDED, _H.ABANDONED): _P.ABANDONED,  # it was about to be sent, and must not be
    (_P.INTENDED, _H.ABSENT): _P.ABSENT,  # after a restart, nobody having seen how the request ended
    (_P.UNKNOWN, _H.ACCEPTED): _P.OPEN,
    (_P.UNKNOWN, _H.UNKNOWN): _P.UNKNOWN,
    (_P.UNKNOWN, _H.ABSENT): _P.ABSENT,
    (_P.ABSENT, _H.SENT_AGAIN): _P.INTENDED,
    (_P.ABSENT, _H.ABANDONED): _P.ABANDONED,
    (_P.REFUSED, _H.SENT_AGAIN): _P.INTENDED,
    (_P.REFUSED, _H.ABANDONED): _P.ABANDONED,
    (_P.OPEN, _H.VANISHED): _P.CLOSED,
    # the stream was faster than the answer
    (_P.OPEN, _H.ACCEPTED): _P.OPEN,
    (_P.CLOSED, _H.ACCEPTED): _P.CLOSED,
    (_P.OPEN, _H.UNKNOWN): _P.OPEN,
    (_P.CLOSED, _H.UNKNOWN): _P.CLOSED,
}
_BY_VENUE = {(phase, _H.TOLD_CLOSED): _P.CLOSED for phase in Phase} | {
    (phase, _H.TOLD_OPEN): _P.CLOSED if phase is _P.CLOSED else _P.OPEN  # an old report opens nothing again
    for phase in Phase
}
MOVES = _BY_US | _BY_VENUE


def told(status: OrderStatus) -> Happened:
    """What a venue's word about an order means for us."""
    return Happened.TOLD_OPEN if status.is_open else Happened.TOLD_CLOSED


def moved(phase: Phase, happened: Happened) -> Phase | None:
    """Return what an order becomes, or ``None``: that cannot happen to it, and changes nothing.

    >>> moved(Phase.UNKNOWN, Happened.ABSENT), moved(Phase.OPEN, Happened.ABSENT)
    (<Phase.ABSENT: 'absent'>, None)
    """
    return MOVES.get((phase, happened))
