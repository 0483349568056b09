"""Fetch bars from a bridge of mtapi.io, forwards, across the hours in which a market is closed."""

from __future__ import annotations

from collections.abc import Sequence

from tradelab.adapters import mtapi_wire as wire
from tradelab.adapters.mtapi_account import Account
from tradelab.adapters.mtapi_answers import records
from tradelab.adapters.mtapi_rows import BarRow
from tradelab.model.errors import ParameterError, RequestError
from tradelab.model.market import Candle
from tradelab.model.units import NS_PER_DAY, NS_PER_MIN, Timeframe

PAGE = 1000  # bars asked for at once
_WIDEST_NS = 64 * NS_PER_DAY
_MT5 = (Timeframe.M1, Timeframe.M3, Timeframe.M5, Timeframe.M15, Timeframe.M30, Timeframe.H1)
_MT4 = tuple(t for t in _MT5 if t is not Timeframe.M3)


def timeframes(platform: wire.Platform) -> tuple[Timeframe, ...]:
    """Return the bars that begin when ours begin, whatever hour it is at the broker's.

    Longer ones begin by the broker's midnight, and that is none of UTC's: they are resampled from these.
    """
    return _MT5 if platform is wire.Platform.MT5 else _MT4


class Bars:
    """Bars of one account's broker."""

    def __init__(self, account: Account) -> None:
        self._at = account

    async def page(
        self, symbol: str, timeframe: Timeframe, since_ns: int | None, limit: int | None
    ) -> Sequence[Candle]:
        """Return one page, oldest first."""
        self._require(timeframe)
        count = min(limit or PAGE, PAGE)
        now_ns = await self._at.session.now_ns()
        if since_ns is None:
            return (await self._newest(symbol, timeframe, count, now_ns))[-count:]
        return (await self._first(symbol, timeframe, since_ns, count, now_ns))[:count]

    def _require(self, timeframe: Timeframe) -> None:
        offered = timeframes(self._at.platform)
        if timeframe not in offered:
            raise ParameterError(
                f"mtapi: no bars of {timeframe.code}: longer ones begin by the broker's midnight.",
                allowed=[t.code for t in offered], fix="Fetch H1 and resample it.",
            )  # fmt: skip

    async def _first(self, symbol: str, timeframe: Timeframe, since_ns: int, count: int, now_ns: int) -> list[Candle]:
        """Return the first bars from a time on: windows grow while they are empty, and are then halved again.

        A wide window is never read itself, for a server that cuts a long answer may cut its beginning.
        """
        start, width, narrow = timeframe.floor(since_ns), count * timeframe.ns, count * timeframe.ns
        while start <= now_ns:
            found = await self._window(symbol, timeframe, start, start + width, now_ns)
            if not found:
                start, width = start + width, min(2 * width, max(_WIDEST_NS, narrow))
                continue
            if width <= narrow:
                if found[0].open_ns > start:  # silence at its beginning: a whole page from the first bar on
                    found = await self._window(symbol, timeframe, found[0].open_ns, found[0].open_ns + narrow, now_ns)
                return [bar for bar in found if bar.open_ns >= since_ns]
            while width > narrow:
                width = max(narrow, width // 2 // timeframe.ns * timeframe.ns)
                if not await self._window(symbol, timeframe, start, start + width, now_ns):
                    start += width
        return []

    async def _newest(self, symbol: str, timeframe: Timeframe, count: int, now_ns: int) -> list[Candle]:
        """Return the newest bars; a weekend is bridged, and no more than twice eight days are."""
        width, found = count * timeframe.ns, list[Candle]()
        while len(found) < count and width <= max(count * timeframe.ns, 8 * NS_PER_DAY) * 2:
            found = await self._window(symbol, timeframe, timeframe.floor(now_ns) - width, now_ns + 1, now_ns)
            width *= 2
        return found

    async def _window(
        self, symbol: str, timeframe: Timeframe, since_ns: int, until_ns: int, now_ns: int
    ) -> list[Candle]:
        zone = self._at.zone
        if not zone.knows(since_ns):
            raise RequestError(
                f"mtapi: the broker's clock is known to be {zone.name} since last Sunday; what it was before, the "
                f"server does not tell, so that older bars of {symbol} might be an hour off.",
                fix="Set server_zone: Europe/Athens, ny-close, or an offset that never changes.",
            )
        asked = {
            "minutes": timeframe.value, "code": timeframe.code, "since": zone.told(since_ns),
            "until": zone.told(until_ns), "count": -(-(until_ns - since_ns) // timeframe.ns) + 1,
        }  # fmt: skip
        answer = await self._at.session.ask(wire.BARS, f"bars of {symbol}", symbol=symbol, **asked)
        bars = [self._candle(row, timeframe, now_ns) for row in records(wire.BAR[self._at.platform], answer.body)]
        chosen = {bar.open_ns: bar for bar in bars if since_ns <= bar.open_ns < until_ns and bar.open_ns <= now_ns}
        return [chosen[at] for at in sorted(chosen)]

    def _candle(self, row: BarRow, timeframe: Timeframe, now_ns: int) -> Candle:
        at = self._at.zone.utc_ns(row.opened)
        closed = timeframe.next_open(at) <= now_ns
        prices = (float(row.open), float(row.high), float(row.low), float(row.close))
        return Candle(at, *prices, float(row.ticks), closed)


def offset_fits(offset_min: int) -> bool:
    """Whether bars of up to an hour begin when ours do: in a zone of whole hours."""
    return offset_min * NS_PER_MIN % Timeframe.H1.ns == 0
