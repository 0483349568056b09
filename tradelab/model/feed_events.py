"""Say what became of a feed: a bar closed or forms, data went stale and came back, a gap was filled."""

from __future__ import annotations

from dataclasses import dataclass

from tradelab.model.market import Candle
from tradelab.model.units import Timeframe


@dataclass(frozen=True, slots=True)
class BarClosed:
    """A bar is over, is in the catalogue, and may be acted on."""

    source: str
    symbol: str
    timeframe: Timeframe
    candle: Candle


@dataclass(frozen=True, slots=True)
class BarForming:
    """The bar that still forms changed; to be looked at, never to be acted on."""

    source: str
    symbol: str
    timeframe: Timeframe
    candle: Candle


@dataclass(frozen=True, slots=True)
class BarsMissed:
    """This subscriber read too slowly: the next ``bars`` bars come from the catalogue, in order and all of them."""

    source: str
    symbol: str
    timeframe: Timeframe
    bars: int


@dataclass(frozen=True, slots=True)
class FeedStale:
    """Alarm: nothing new has come for ``age_s`` seconds, whatever the connection says of itself.

    ``timeframe`` is ``None`` for quotes.
    """

    source: str
    symbol: str
    timeframe: Timeframe | None
    age_s: float
    says: str


@dataclass(frozen=True, slots=True)
class FeedPolling:
    """The stream could not be had again: data are asked for by REST every ``every_s`` seconds until it can."""

    source: str
    symbol: str
    timeframe: Timeframe | None
    every_s: float
    says: str


@dataclass(frozen=True, slots=True)
class FeedResumed:
    """The end of a :class:`FeedStale` or a :class:`FeedPolling`: new data stream in again."""

    source: str
    symbol: str
    timeframe: Timeframe | None
    after_s: float


@dataclass(frozen=True, slots=True)
class FeedGap:
    """Bars that the stream did not show were fetched by REST: the gap is closed, before anything after it is told."""

    source: str
    symbol: str
    timeframe: Timeframe
    first_ns: int
    last_ns: int
    bars: int


FeedAlarm = FeedStale | FeedPolling | FeedResumed | FeedGap
FeedEvent = BarClosed | BarForming | BarsMissed | FeedAlarm
