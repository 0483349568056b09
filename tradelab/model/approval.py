"""Let an order pass: the one place that makes an ``OrderApproved``, which is all that a venue takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from tradelab.model.errors import InvariantError, ParameterError
from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderIntent
from tradelab.model.outcome import Refused
from tradelab.model.plain import Plain
from tradelab.model.rounding import fit

_SEAL = object()


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
    """

    intent: OrderIntent
    approved_by: tuple[str, ...]
    approved_ns: int
    reference_price: Decimal
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise InvariantError("an OrderApproved is made by approve() and by nothing else.")


def approve(
    intent: OrderIntent, instrument: Instrument, *, reference_price: Decimal, by: tuple[str, ...], at_ns: int
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
        When, UTC nanoseconds.
    """
    if not by:
        raise ParameterError("nobody approved this order: by is empty.", fix='Name who did: by=("person",).')
    if (intent.symbol) != instrument.symbol:
        raise ParameterError(f"the order is in {intent.symbol}, the instrument is {instrument.symbol}.")
    fitted = fit(intent, instrument, reference_price)
    if isinstance(fitted, Refused):
        return fitted
    return OrderApproved(intent=fitted, approved_by=by, approved_ns=at_ns, reference_price=reference_price, seal=_SEAL)
