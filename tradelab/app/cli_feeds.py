"""Offer live data on the command line: backfill what is missing, follow a market and keep its bars."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from tradelab.model.errors import ParameterError, RequestError, UnknownNameError

if TYPE_CHECKING:
    from tradelab.catalog.bars import Catalog
    from tradelab.feeds.backfill import Filled, Progress
    from tradelab.feeds.hub import Feeds
    from tradelab.model.clock import Clock
    from tradelab.model.feed_events import BarClosed, FeedAlarm
    from tradelab.model.ports import DataProvider
    from tradelab.model.units import Timeframe

T = TypeVar("T")
_BAR = "{l_bar}{bar}|{postfix} {elapsed}<{remaining}"
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SOURCE_HELP = (
    "SOURCE is the name of a connection of yours (tradelab connections list); or an exchange's ccxt id, such as "
    "binance, for its public data. SYMBOL is written as the source writes it: BTC/USDT, BTC/USDT:USDT, EURUSD. "
    "TIMEFRAME: 1m, 1h, 1d ... Bars are kept under the name of the exchange or broker, which is said."
)


@click.command(epilog=_SOURCE_HELP)
@click.argument("source")
@click.argument("symbol")
@click.argument("timeframe")
@click.option("--since", help="First day, such as 2022 or 2022-03-01. Default: go on from the newest stored bar.")
@click.option("--until", help="Up to, and without, this day. Default: now.")
def backfill(source: str, symbol: str, timeframe: str, since: str | None, until: str | None) -> None:
    """Fetch the bars that are missing: new ones, and with --since every hole from there on.

    Each page is kept as soon as it is in. Stop it at any time: the same command goes on from there and asks only for
    what is missing. Bars that the source itself does not have are asked for twice, then left.

    \b
    Try:  tradelab data backfill binance BTC/USDT 1h --since 2022
          tradelab data backfill binance BTC/USDT 1h
    """
    from tqdm import tqdm

    if until is not None and since is None:
        raise ParameterError("--until needs --since.", fix="Say where to begin: --since 2022-01-01.")
    kept = _Kept()
    with _catalog() as catalog, tqdm(total=100.0, desc=f"{source} {symbol} {timeframe}", bar_format=_BAR) as bar:

        def show(progress: Progress) -> None:
            kept.bars, kept.at_ns = progress.bars, progress.at_ns
            bar.set_postfix_str(f"{progress.bars:,} bars, {_minute(progress.at_ns)}")
            bar.update(progress.share * 100 - bar.n)

        job = _backfill(catalog, source, symbol, timeframe, since, until, show, kept)
        filled = _run(job, lambda: f"stopped; {kept}. The same command goes on from there.", bar.close)
        bar.update(100.0 - bar.n)
    click.echo(_report(filled))
    if filled.bars:
        click.echo(f"Read them:  tl.Catalog().read({kept.source!r}, {symbol!r}, {timeframe!r})")


@click.command(epilog=_SOURCE_HELP)
@click.argument("source")
@click.argument("symbol")
@click.argument("timeframe")
@click.option(
    "--for",
    "length",
    help="Stop after this long by the source's clock, which a fast rehearsal runs fast: 90s, 10m, 2h. Default: until "
    "Ctrl-C.",
)
@click.option("--quotes", is_flag=True, help="Show best bid and ask too, at most once a second; they are not stored.")
def stream(source: str, symbol: str, timeframe: str, length: str | None, quotes: bool) -> None:
    """Follow a market: store each bar as it closes, and print a line for it with its age.

    What is missing since the newest stored bar is fetched first. When the connection breaks or goes silent you are
    told (ALARM), it is opened again, and what closed meanwhile is fetched: every bar comes once, in order.

    \b
    Try:  tradelab data stream binance BTC/USDT 1m --for 10m
    """
    seconds = None if length is None else _seconds(length)
    kept = _Kept()
    with _catalog() as catalog:
        job = _stream(catalog, source, symbol, timeframe, seconds, quotes, kept)
        _run(job, lambda: f"stopped; {kept}.")
    click.echo(f"{kept}.")


async def _backfill(
    catalog: Catalog,
    source: str,
    symbol: str,
    timeframe: str,
    since: str | None,
    until: str | None,
    show: Callable[[Progress], None],
    kept: _Kept,
) -> Filled:
    from tradelab.catalog.frame import moment_ns

    async with _feeds(catalog, source, symbol, timeframe) as (feeds, name, _):
        kept.source = name
        if since is None:
            return await feeds.fetch_new(name, symbol, timeframe, on_page=show)
        end = None if until is None else moment_ns(until, name="until")
        start = moment_ns(since, name="since")
        return await feeds.backfill(name, symbol, timeframe, start, end, on_page=show)


async def _stream(
    catalog: Catalog,
    source: str,
    symbol: str,
    timeframe: str,
    seconds: float | None,
    quotes: bool,
    kept: _Kept,
) -> None:
    async with _feeds(catalog, source, symbol, timeframe) as (feeds, name, clock):
        jobs = [_follow_bars(feeds, name, symbol, timeframe, kept, clock)]
        if quotes:
            jobs.append(_follow_quotes(feeds, name, symbol, clock))
        if seconds is not None:
            jobs.append(clock.sleep(seconds))
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # the error of a feed that is over
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _follow_bars(feeds: Feeds, name: str, symbol: str, timeframe: str, kept: _Kept, clock: Clock) -> None:
    from tradelab.model.feed_events import BarClosed, BarsMissed

    async with feeds.bars(name, symbol, timeframe) as bars:
        click.echo(f"following {name} {symbol} {timeframe}; Ctrl-C stops.")
        async for event in bars:
            if isinstance(event, BarClosed):
                kept.bars, kept.at_ns = kept.bars + 1, event.candle.open_ns
                click.echo(_line(event, clock.now_ns()))
            elif isinstance(event, BarsMissed):
                click.echo(f"too slow: {event.bars} bar(s) follow from the catalog", err=True)


async def _follow_quotes(feeds: Feeds, name: str, symbol: str, clock: Clock) -> None:
    async with feeds.quotes(name, symbol) as quotes:
        async for quote in quotes:
            age_s = max(0.0, (clock.now_ns() - quote.ts_ns) / 1e9)
            click.echo(f"{_second(quote.ts_ns)}  bid {quote.bid}  ask {quote.ask}  age {age_s:.1f} s")
            await clock.sleep(1.0)


@asynccontextmanager
async def _feeds(catalog: Catalog, source: str, symbol: str, timeframe: str) -> AsyncIterator[tuple[Feeds, str, Clock]]:
    """Connect, check that the source has such bars, and give the feeds; everything is closed at the end."""
    from tradelab.feeds.hub import Feeds
    from tradelab.model.units import Timeframe

    length = Timeframe.of(timeframe)
    provider, clock, pace = await _provider(source)
    try:
        await provider.connect()
        await _require(provider, symbol, length)
        for instrument in await provider.instruments():
            if instrument.symbol == symbol and instrument.venue == provider.name:
                catalog.save_instrument(instrument)
        feeds = Feeds(catalog, provider, on_alarm=_tell, clock=clock, **_rhythms(pace))
        try:
            yield feeds, provider.name, clock
        finally:
            await feeds.close()
    finally:
        await provider.disconnect()


async def _require(provider: DataProvider, symbol: str, timeframe: Timeframe) -> None:
    offered = provider.data_capabilities.timeframes
    if offered and timeframe not in offered:
        raise UnknownNameError.of(f"timeframe at {provider.name}", timeframe.alias, [t.alias for t in offered])
    symbols = await provider.symbols()
    if symbol not in symbols:
        import difflib

        if not symbols:
            raise RequestError(f"{provider.name} lists no symbols.", fix="Check what the connection may see.")
        near = difflib.get_close_matches(symbol.upper(), symbols, n=8, cutoff=0.3) or sorted(symbols)[:8]
        raise UnknownNameError.of(f"symbol at {provider.name}", symbol, near)


class _Source(NamedTuple):
    """Where bars come from, not connected yet; the clock it runs by, and how much faster than ours that runs."""

    provider: DataProvider
    clock: Clock
    pace: float = 1.0


async def _provider(source: str) -> _Source:
    """Make the provider that ``source`` names: a connection of the user's, else an adapter, else an exchange."""
    from tradelab.adapters import registry
    from tradelab.app import cli_secrets, connections
    from tradelab.model.clock import SystemClock, speed_of

    if connections.are_kept():
        with connections.records(ask=cli_secrets.ask_passphrase) as kept:
            if source in {known.name for known in kept.list()}:
                opened = await connections.open_connection(kept, source, purpose="data")
                return _Source(opened.adapter, opened.clock, speed_of(opened.clock))
    name, settings = (source, {}) if source in registry.providers() else ("ccxt", {"exchange": source})
    return _Source(registry.data_provider(name, settings), SystemClock())


def _rhythms(pace: float) -> dict[str, Any]:
    """Let a feed whose clock runs fast be patient in moments of the machine, by which answers come."""
    from dataclasses import replace

    from tradelab.feeds.rhythm import Rhythm

    if pace <= 1.0:
        return {}

    def slowed(rhythm: Rhythm) -> Rhythm:
        return replace(
            rhythm, expected_interval_s=rhythm.expected_interval_s * pace, poll_s=rhythm.poll_s * pace,
            longest_pause_s=rhythm.longest_pause_s * pace,
        )  # fmt: skip

    return {"bar_rhythm": lambda length: slowed(Rhythm.of_bars(length)), "quote_rhythm": slowed(Rhythm.of_quotes())}


def _catalog() -> Catalog:
    from tradelab.catalog.bars import Catalog

    return Catalog()


def _run(job: Coroutine[Any, Any, T], says: Callable[[], str], tidy: Callable[[], object] = lambda: None) -> T:
    """Run to the end, or say what was kept when the user stops it."""
    try:
        return asyncio.run(job)
    except KeyboardInterrupt:
        tidy()
        click.echo(says(), err=True)
        raise SystemExit(130) from None


class _Kept:
    """What is safe in the catalog, for whoever stops us."""

    def __init__(self) -> None:
        self.source = ""
        self.bars = 0
        self.at_ns: int | None = None

    def __str__(self) -> str:
        upto = "" if self.at_ns is None else f", up to {_minute(self.at_ns)} UTC"
        return f"{self.bars:,} bar(s) are stored{upto}"


def _report(filled: Filled) -> str:
    if filled.first_ns is None or filled.last_ns is None:
        said = "nothing new: every closed bar that the source has of that range is stored already."
    else:
        said = f"stored {filled.bars:,} bars, {_minute(filled.first_ns)} to {_minute(filled.last_ns)} UTC."
    if filled.holes:
        said += f" The source itself has none in {len(filled.holes):,} stretch(es) of time."
    return said


def _tell(alarm: FeedAlarm) -> None:
    """Print an alarm, or its end, where it does not mix with the bars."""
    from tradelab.model.feed_events import FeedGap, FeedPolling, FeedStale

    name = f"{alarm.symbol} {'quotes' if alarm.timeframe is None else alarm.timeframe.alias}"
    if isinstance(alarm, FeedStale):
        click.echo(f"ALARM {name}: {alarm.says}", err=True)
    elif isinstance(alarm, FeedPolling):
        click.echo(f"ALARM {name}: asking by REST every {alarm.every_s:.0f} s now: {alarm.says}", err=True)
    elif isinstance(alarm, FeedGap):
        span = f"{_minute(alarm.first_ns)} to {_minute(alarm.last_ns)} UTC"
        click.echo(f"filled {alarm.bars:,} bar(s) of {name} by REST, {span}", err=True)
    else:
        click.echo(f"resumed {name} after {alarm.after_s:.0f} s", err=True)


def _line(event: BarClosed, now_ns: int) -> str:
    c = event.candle
    age_s = max(0.0, (now_ns - event.timeframe.next_open(c.open_ns)) / 1e9)
    return (
        f"{_minute(c.open_ns)}  open {c.open:g}  high {c.high:g}  low {c.low:g}  close {c.close:g}  volume {c.volume:g}"
        f"  age {age_s:.1f} s"
    )


def _seconds(text: str) -> float:
    """Read a length of time as people write it: 90s, 10m, 2h, 1d."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip().lower())
    if match is None or not float(match[1]) > 0:
        raise ParameterError(f"--for {text!r} is no length of time.", allowed=["90s", "10m", "2h", "1d"])
    return float(match[1]) * _SECONDS[match[2]]


def _minute(ns: int) -> str:
    return _second(ns)[:16]


def _second(ns: int) -> str:
    import datetime as dt

    return f"{dt.datetime.fromtimestamp(ns / 1e9, dt.UTC):%Y-%m-%d %H:%M:%S}"
