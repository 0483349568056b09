"""Tell what became of a request from what ccxt raised; what is in no table is unknown."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tradelab.adapters.budget import BudgetError
from tradelab.adapters.ccxt_codes import CODES, Said
from tradelab.model.errors import ConnectivityError, RequestError, VenueError
from tradelab.model.outcome import RefusalCode, Refused, Unknown

# Every class of ccxt.base.errors; ``None`` is unknown: the venue may have taken the request. A test holds the table
# to the classes that ccxt has. Where a venue's own code says more, :mod:`~tradelab.adapters.ccxt_codes` goes first.
OUTCOMES: dict[str, RefusalCode | None] = {
    "BaseError": None,
    "ExchangeError": None,
    "AuthenticationError": RefusalCode.AUTHENTICATION,
    "PermissionDenied": RefusalCode.PERMISSION,
    "AccountNotEnabled": RefusalCode.PERMISSION,
    "AccountSuspended": RefusalCode.ACCOUNT_SUSPENDED,
    "ArgumentsRequired": RefusalCode.BAD_REQUEST,  # ccxt itself, before anything is sent
    "BadRequest": RefusalCode.BAD_REQUEST,
    "BadSymbol": RefusalCode.UNKNOWN_SYMBOL,
    "OperationRejected": RefusalCode.OTHER,
    "NoChange": RefusalCode.NO_CHANGE,
    "MarginModeAlreadySet": RefusalCode.NO_CHANGE,
    "MarketClosed": RefusalCode.MARKET_CLOSED,
    "ManualInteractionNeeded": RefusalCode.PERMISSION,
    "RestrictedLocation": RefusalCode.PERMISSION,
    "InsufficientFunds": RefusalCode.BALANCE,
    "InvalidAddress": RefusalCode.BAD_REQUEST,
    "AddressPending": RefusalCode.BAD_REQUEST,
    "InvalidOrder": RefusalCode.OTHER,
    "OrderNotFound": RefusalCode.ORDER_NOT_FOUND,
    "OrderNotCached": RefusalCode.ORDER_NOT_FOUND,
    "OrderImmediatelyFillable": RefusalCode.WOULD_TAKE,
    "OrderNotFillable": RefusalCode.UNFILLABLE,
    "DuplicateOrderId": None,  # it is there already, or was: the venue is asked by our id
    "ContractUnavailable": RefusalCode.UNKNOWN_SYMBOL,
    "NotSupported": RefusalCode.NOT_SUPPORTED,
    "InvalidProxySettings": RefusalCode.NOT_SENT,
    "ExchangeClosedByUser": None,
    "OperationFailed": None,
    "NetworkError": None,
    "DDoSProtection": RefusalCode.RATE_LIMITED,
    "RateLimitExceeded": RefusalCode.RATE_LIMITED,
    "ExchangeNotAvailable": None,
    "OnMaintenance": RefusalCode.MAINTENANCE,
    "InvalidNonce": RefusalCode.CLOCK,
    "ChecksumError": None,
    "RequestTimeout": None,
    "BadResponse": None,
    "NullResponse": None,
    "CancelPending": None,
    "UnsubscribeError": None,
}
_NOT_CONNECTED = ("ClientConnectorError", "ClientConnectorDNSError", "ClientConnectorCertificateError")
_CODE = re.compile(r'"(?:code|retCode|sCode|error_code)"\s*:\s*"?(-?\d+)')
_WORDS = re.compile(r'"(?:msg|retMsg|sMsg|message)"\s*:\s*"([^"]*)"')
_QUERY = re.compile(r"(https?://[^\s?]+)\?\S*")


@dataclass(frozen=True, slots=True)
class Heard:
    """What a venue said when it said no: its code and words, and how long to wait, where it told."""

    code: str | None
    words: str
    retry_after_s: float | None = None
    status: int | None = None


def heard(
    error: BaseException,
    *,
    status: int | None = None,
    retry_after_s: float | None = None,
    scrub: Callable[[str], str] = str,
) -> Heard:
    """Read the venue's own code and words out of an error of ccxt; addresses lose their query, where signatures are.

    Parameters
    ----------
    scrub
        Takes secrets out of a text; called with all of it, for half a secret is not found any more.
    """
    text = _QUERY.sub(r"\1", " ".join(scrub(str(error)).split()))
    code, words = _CODE.search(text), _WORDS.search(text)
    shown = words.group(1) if words else text[:200]
    return Heard(code.group(1) if code else None, shown or type(error).__name__, retry_after_s, status)


def outcome_of(error: Exception, venue: str, told: Heard) -> Refused | Unknown:
    """Return how a request that changes something ended.

    First what never left this machine, then what the venue's own code means, then the class ccxt chose.
    """
    if isinstance(error, BudgetError):
        return Refused(error.code, error.problem, error.retry_after_s)
    words = told.words.removeprefix(f"{venue} ")  # ccxt begins with the venue's name, as we do
    if _never_left(error):
        return Refused(RefusalCode.NOT_SENT, f"{venue} could not be reached: {words}")
    said = _said(venue, told)
    if said is not None:
        code_or_none = said.code
    else:
        code_or_none = next((OUTCOMES[k.__name__] for k in type(error).__mro__ if k.__name__ in OUTCOMES), None)
    if code_or_none is RefusalCode.RATE_LIMITED and told.status in (403, 418):
        code_or_none = RefusalCode.BANNED
    says = f"{venue}: {words}" + (f" ({told.code})" if told.code else "")
    if code_or_none is None:
        return Unknown(f"{type(error).__name__}: {says}")
    return Refused(code_or_none, says, told.retry_after_s)


def is_there_already(error: Exception, venue: str, told: Heard) -> bool:
    """Whether the venue refused an order because it has one of that client id."""
    said = _said(venue, told)
    return type(error).__name__ == "DuplicateOrderId" or (said is not None and said.is_duplicate)


def read_error(error: Exception, venue: str, told: Heard) -> VenueError:
    """Return the error that a failed question raises: whether asking again can help."""
    if isinstance(error, VenueError):
        return error
    outcome = outcome_of(error, venue, told)
    words = outcome.says.removeprefix(f"{venue}: ").rstrip(".")  # who says it is said in front of it
    if isinstance(outcome, Refused) and not outcome.code.may_pass_later:
        return RequestError(f"{venue} refused the request: {words} [{outcome.code.value}].")
    if isinstance(outcome, Refused) and outcome.code is RefusalCode.NOT_SENT:
        found = ConnectivityError(f"{words}.", fix="Try again in a moment.")
    else:
        words = words.replace(f": {venue}: ", ": ", 1)
        found = ConnectivityError(f"{venue} could not answer: {words}.", fix="Try again in a moment.")
    found.retry_after_s = told.retry_after_s
    return found


def _said(venue: str, told: Heard) -> Said | None:
    """Return what a venue means by its code, where we know more than ccxt's class says."""
    rows = CODES.get(venue, {}).get(told.code or "", ())
    return next((said for said in rows if said.words.lower() in told.words.lower()), None)


def _never_left(error: BaseException) -> bool:
    """Whether the connection could not even be made, so that no byte of the request was sent."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__name__ in _NOT_CONNECTED:
            return True
        cause = cause.__cause__
    return False
