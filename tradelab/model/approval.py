"""Let an order pass: the one place that makes an ``OrderApproved``, which is all that a venue takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from tradelab.model.errors import InvariantError, ParameterError
from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderIntent
from tradelab.model.outcome import RefusalCode, Refused
from tradelab.model.plain import Plain
from tradelab.model.rounding import fit
from tradelab.model.units import NS_PER_S


class _Seal:
    """What :func:`approve` let pass; on anything else it breaks."""

    __slots__ = ("_of",)

    def __init__(self, *of: object) -> None:
        self._of = of

    def fits(self, *of: object) -> bool:
        """Whether this is what it was put on."""
        return self._of == of


_FROM_THE_FUTURE_S = 1.0  # clocks never agree to the millisecond


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedOn:
    """Something an order was decided on, and how old that may be when the order leaves.

    Parameters
    ----------
    what
        In words: ``"quote"``, ``"bar"``, ``"balance"``, ``"AI answer"``.
    ts_ns
        When it was true, by the venue's clock: a quote's own time, a bar's close.
    max_age_s
        How old it may be, that age included.
    """

    what: str
    ts_ns: int
    max_age_s: float

    def __post_init__(self) -> None:
        if not self.max_age_s > 0:
            raise ParameterError(f"the age limit of a {self.what}, {self.max_age_s!r} s, must be above zero.")

    def stale_at(self, now_ns: int) -> Refused | None:
        """Return why it is not to be acted on at ``now_ns`` of the venue's clock; ``None`` while it is young enough.

        What is from the future by more than a second is not: then a clock is wrong, and no age told by it can be
        believed.

        Examples
        --------
        >>> quote = DecidedOn(what="quote", ts_ns=0, max_age_s=5.0)
        >>> quote.stale_at(5_000_000_000)
        >>> quote.stale_at(9_000_000_000).says
        'the quote is 9.0 s old; the limit is 5.0 s'
        """
        age_s = (now_ns - self.ts_ns) / NS_PER_S
        if age_s < -_FROM_THE_FUTURE_S:
            says = f"the {self.what} is from the future by {-age_s:.1f} s: check the clock"
            return Refused(RefusalCode.STALE_INPUT, says)
        if age_s > self.max_age_s:
            says = f"the {self.what} is {age_s:.1f} s old; the limit is {self.max_age_s:.1f} s"
            return Refused(RefusalCode.STALE_INPUT, says)
        return None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderApproved(Plain):
    """An order that has passed; :func:`approve` makes it and nothing else can.

    Parameters
    ----------
    intent
        The order, fitted to its instrument.
    approved_by
        Who agreed, in order: gates by name, or a person.
    approved_ns
        When, UTC.
    reference_price
        The price it was weighed against.
    decided_on
        What it was decided on; a venue that has it wait looks at the ages again before it leaves.
    """

    intent: OrderIntent
    approved_by: tuple[str, ...]
    approved_ns: int
    reference_price: Decimal
    decided_on: tuple[DecidedOn, ...] = ()
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        passed = (self.intent, self.approved_by, self.approved_ns, self.reference_price, self.decided_on)
        if not (isinstance(self.seal, _Seal) and self.seal.fits(*passed)):
            raise InvariantError("an OrderApproved is made by approve() and nothing else; nothing of it is replaced.")

    @property
    def fresh_until_ns(self) -> int | None:
        """When the first of what it was decided on is too old, by the venue's clock; ``None`` where nothing ever is."""
        return min((each.ts_ns + int(each.max_age_s * NS_PER_S) for each in self.decided_on), default=None)

    def stale_at(self, now_ns: int) -> Refused | None:
        """Return why it is too late to send it at ``now_ns`` of the venue's clock; ``None`` while it is not."""
        return next((refused for each in self.decided_on if (refused := each.stale_at(now_ns)) is not None), None)


def intent_of(order: OrderApproved) -> OrderIntent:
    """Return what is to be sent; every venue's first step.

    Raises
    ------
    ParameterError
        It is anything but an approved order: an intent that nobody approved, or the refusal that ``approve`` answered.
    """
    if isinstance(order, OrderApproved):
        return order.intent
    if isinstance(order, Refused):
        raise ParameterError(f"the order was refused, so there is nothing to submit: {order.says}.")
    raise ParameterError(
        f"a venue takes an approved order only, not {type(order).__name__}.",
        fix='Let it pass first: approve(intent, instrument, reference_price=quote.mid, by=("person",), at_ns=now_ns).',
    )


def approve(
    intent: OrderIntent,
    instrument: Instrument,
    *,
    reference_price: Decimal,
    by: tuple[str, ...],
    at_ns: int,
    decided_on: tuple[DecidedOn, ...] = (),
) -> OrderApproved | Refused:
    """Fit an order to its instrument and let it pass, or say why it cannot.

    The gates of the pipeline call this last; a person's own order comes here too, ``by=("person",)``.

    Parameters
    ----------
    reference_price
        What the market trades at now.
    by
        Who agreed, at least one.
    at_ns
        When, UTC nanoseconds; where the order was decided on something, by the venue's clock.
    decided_on
        The inputs that have an age limit. One that is too old refuses the order, code ``STALE_INPUT``.
    """
    if not by:
        raise ParameterError("nobody approved this order: by is empty.", fix='Name who did: by=("person",).')
    if (intent.symbol) != instrument.symbol:
        raise ParameterError(f"the order is in {intent.symbol}, the instrument is {instrument.symbol}.")
    stale = next((refused for each in decided_on if (refused := each.stale_at(at_ns)) is not None), None)
    if stale is not None:
        return stale
    fitted = fit(intent, instrument, reference_price)
    if isinstance(fitted, Refused):
        return fitted
    return OrderApproved(
        intent=fitted, approved_by=by, approved_ns=at_ns, reference_price=reference_price, decided_on=decided_on,
        seal=_Seal(fitted, by, at_ns, reference_price, decided_on),
    )  # fmt: skip
