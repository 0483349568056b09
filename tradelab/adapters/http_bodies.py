"""Say what the generic HTTP API answers, field by field, and read stamps by the unit that was declared."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from tradelab.model.account import AccountInfo, Balance
from tradelab.model.errors import QualityError, RequestError, TimestampError
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle, Quote, Tick
from tradelab.model.units import NS_PER_DAY, NS_PER_S, Timeframe

Unit = Literal["s", "ms", "us", "ns"]
NS_PER: dict[str, int] = {"s": NS_PER_S, "ms": 1_000_000, "us": 1_000, "ns": 1}
_EARLIEST_NS = 315_532_800 * NS_PER_S  # 1980-01-01: nobody has bars of an electronic market from before
_MOST = Decimal("1e300")  # what a float can hold, with room

Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Price = Annotated[Decimal, Field(gt=0, lt=_MOST, allow_inf_nan=False)]
Amount = Annotated[Decimal, Field(ge=0, lt=_MOST, allow_inf_nan=False)]
Stamp = Annotated[int, Field(strict=True)]
Body = TypeVar("Body")


class _Told(BaseModel):
    """An answer; what else it says is its own business."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class CandleBody(_Told):
    """One bar, stamped with its open time."""

    timestamp: Stamp
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount | None = None

    def read(self, timeframe: Timeframe, unit: Unit, now_ns: int) -> Candle:
        """Turn it into a bar; one that may still form by the venue's time is marked open."""
        open_ns = moment(self.timestamp, unit, now_ns + NS_PER_DAY)
        if timeframe.floor(open_ns) != open_ns:
            raise TimestampError(
                f"timestamp={self.timestamp} is not the open time of a bar of {timeframe.alias}.",
                fix="The API must stamp bars with their open time, in UTC.",
            )
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            raise QualityError(f"the bar at timestamp={self.timestamp} is none: low and high do not span it.")
        volume = float("nan") if self.volume is None else float(self.volume)
        prices = (float(self.open), float(self.high), float(self.low), float(self.close))
        return Candle(open_ns, *prices, volume, closed=timeframe.next_open(open_ns) <= now_ns)


class TickBody(_Told):
    """One tick, or the price now."""

    timestamp: Stamp
    bid: Price
    ask: Price
    volume: Amount | None = None

    def tick(self, unit: Unit, now_ns: int) -> Tick:
        """Turn it into a tick."""
        return Tick(
            ts_ns=moment(self.timestamp, unit, now_ns + NS_PER_DAY), bid=self.bid, ask=self.ask, qty=self.volume
        )

    def quote(self, symbol: str, unit: Unit, now_ns: int) -> Quote:
        """Turn it into a quote."""
        ts_ns = moment(self.timestamp, unit, now_ns + NS_PER_DAY)
        return Quote(symbol=symbol, bid=self.bid, ask=self.ask, ts_ns=ts_ns)


class AccountBody(_Told):
    """The account; only its currency and balance must be told."""

    currency: Name
    balance: Decimal
    equity: Decimal | None = None
    margin: Amount | None = None
    free_margin: Decimal | None = None
    leverage: Amount | None = None

    def read(self, now_ns: int) -> AccountInfo:
        """Turn it into an account."""
        used = self.margin or Decimal(0)
        return AccountInfo(
            balances=(Balance(self.currency, self.balance - used, used),), ts_ns=now_ns, currency=self.currency,
            equity=self.equity, used_margin=self.margin, free_margin=self.free_margin, leverage=self.leverage,
        )  # fmt: skip


class SymbolBody(_Told):
    """What can be traded: an instrument where quote, tick and step are told, else no more than a name."""

    symbol: Name
    quote: Name | None = None
    base: Name | None = None
    tick_size: Price | None = None
    qty_step: Price | None = None
    contract_size: Price = Decimal(1)
    min_qty: Amount | None = None
    max_qty: Amount | None = None
    min_notional: Amount | None = None

    def instrument(self, venue: str) -> Instrument | None:
        """Turn it into an instrument, if it is one."""
        if self.quote is None or self.tick_size is None or self.qty_step is None:
            return None
        facts = self.model_dump(exclude={"quote", "tick_size", "qty_step"})
        return Instrument(venue=venue, quote=self.quote, tick_size=self.tick_size, qty_step=self.qty_step, **facts)


def parsed(kind: Any, body: Any, path: str) -> Any:
    """Read an answer, bare or inside ``{"data": …}``.

    Raises
    ------
    RequestError
        It is not what this API answers; the message names the field and, if it is short, its value.
    """
    if isinstance(body, dict) and "data" in body:
        body = body["data"]
    try:
        return TypeAdapter(kind).validate_python(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        shown = repr(first["input"])
        given = f" ({shown})" if len(shown) <= 60 else ""
        raise RequestError(f"{path} answers what it should not: {where}{given}: {first['msg']}.") from None


def moment(stamp: int, unit: Unit, latest_ns: int) -> int:
    """Read a stamp in the declared unit, in UTC nanoseconds.

    Raises
    ------
    TimestampError
        It lies before 1980 or after ``latest_ns``; the message says which unit would make sense of it.
    """
    ns = stamp * NS_PER[unit]
    if _EARLIEST_NS <= ns <= latest_ns:
        return ns
    likely = [other for other, scale in NS_PER.items() if _EARLIEST_NS <= stamp * scale <= latest_ns]
    fix = f'Declare timestamp_unit="{likely[0]}".' if likely else "The API must tell UNIX times."
    raise TimestampError(f"timestamp={stamp} read in {unit} is {_year(ns)}.", fix=fix)


def _year(ns: int) -> str:
    years = 1970 + ns / (365.2425 * NS_PER_DAY)
    if not dt.MINYEAR <= years < dt.MAXYEAR:
        return f"the year {years:,.0f}"
    return f"{dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=ns // NS_PER_S):%Y-%m-%d}"
