"""Tell what became of a request that changes something; what is in no table is unknown."""

from __future__ import annotations

from tradelab.adapters import mtapi_wire as wire
from tradelab.adapters.mtapi_answers import meaning
from tradelab.adapters.mtapi_session import Answer, Session, Silence
from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderIntent
from tradelab.model.outcome import RefusalCode, Refused, Unknown

# Said by what stands in front of the bridge, or by the bridge before it has looked at the request.
_STATUS = {
    400: RefusalCode.BAD_REQUEST,
    401: RefusalCode.AUTHENTICATION,
    403: RefusalCode.PERMISSION,
    404: RefusalCode.BAD_REQUEST,
    405: RefusalCode.BAD_REQUEST,
    414: RefusalCode.BAD_REQUEST,
    429: RefusalCode.RATE_LIMITED,
}


def judge(session: Session, heard: Answer | Silence) -> Answer | Refused | Unknown:
    """Return the answer where there is one to read, else why the request was not taken, or that nobody knows."""
    if isinstance(heard, Silence):
        says = f"{session.settings.base_url} {heard.says}"
        return Unknown(says) if heard.sent else Refused(RefusalCode.NOT_SENT, says)
    if heard.is_good:
        return heard
    says = session.words(heard)
    if heard.status in _STATUS:
        code = _STATUS[heard.status]
        if heard.status == 403 and heard.retry_after_s is not None:
            code = RefusalCode.BANNED
        if heard.status == 400 and heard.error is not None:
            return _said(heard.error.code, says, heard.retry_after_s)
        return Refused(code, says, heard.retry_after_s)
    if heard.error is None or heard.status >= 500:
        return Unknown(says)
    return _said(heard.error.code, says, heard.retry_after_s)


def _said(code: str, says: str, retry_after_s: float | None) -> Refused | Unknown:
    known = meaning(code)
    if known is None or known.code is None:
        return Unknown(says)
    return Refused(known.code, says, retry_after_s)


def sharpen(
    refused: Refused | Unknown, heard: Answer | Silence, intent: OrderIntent, instrument: Instrument | None
) -> Refused | Unknown:
    """Say which limit of a symbol was broken, where the server says only that a volume or a price is wrong."""
    if isinstance(refused, Unknown) or isinstance(heard, Silence) or heard.error is None or instrument is None:
        return refused
    said, code = heard.error.code, refused.code
    if said == wire.INVALID_VOLUME:
        if instrument.min_qty is not None and intent.qty < instrument.min_qty:
            code = RefusalCode.MIN_QTY
        elif instrument.max_qty is not None and intent.qty > instrument.max_qty:
            code = RefusalCode.MAX_QTY
    elif said == wire.INVALID_PRICE:
        told = [p for p in (intent.price, intent.stop_price) if p is not None]
        if any(p % instrument.tick_size for p in told):
            code = RefusalCode.TICK
        elif intent.type.needs_stop_price:
            code = RefusalCode.STOP_WOULD_TRIGGER
    return Refused(code, refused.says, refused.retry_after_s)
