"""Offer the catalog on the command line: download, import, list, check and export bars."""

from __future__ import annotations

import datetime as dt
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradelab.app.cli_data_upkeep import open_catalog, retain, stats
from tradelab.app.cli_feeds import backfill, stream
from tradelab.model.errors import ConfigError, CorruptFileError, ParameterError, QualityError, UnknownNameError

if TYPE_CHECKING:
    from tradelab.catalog.bars import Catalog
    from tradelab.model.units import Timeframe

_BAR = "{l_bar}{bar}|{postfix} {elapsed}<{remaining}"
_FORMATS = ("csv", "csv.gz", "parquet", "json", "mt4", "mt5", "hst")
_CALENDAR_HELP = (
    "When the market is open: 24/7, 24/5, sessions, fx, or an exchange's MIC such as XNYS, which knows holidays. "
    "Default: the instrument's, else told from the bars."
)
_SERIES_HELP = "SOURCE, SYMBOL and TIMEFRAME name a series, as `tradelab data list` shows them."


@click.group()
def data() -> None:
    """Download, import, list, check, export and look after bars.

    Bars live in $TRADELAB_HOME/bars, by default in your user data folder. A series is named by source, symbol and
    timeframe: binance BTC/USDT 1h. All times are UTC and are the bars' opening times.

    \b
    Try:  tradelab data samples
          tradelab data download binance BTC/USDT 1h --since 2022
          tradelab data import eurusd.csv --tz UTC
          tradelab data list
    """


data.add_command(retain)
data.add_command(stats)
data.add_command(backfill)
data.add_command(stream)


@data.command()
@click.argument("exchange")
@click.argument("symbol")
@click.argument("timeframe")
@click.option(
    "--since", help="First day to fetch, such as 2022 or 2022-03-01. Not needed to go on with a stored series."
)
@click.option("--until", help="Fetch up to, and without, this day. Default: now.")
@click.option("--base-url", help="Another host that speaks the exchange's protocol, such as a mirror.")
def download(
    exchange: str, symbol: str, timeframe: str, since: str | None, until: str | None, base_url: str | None
) -> None:
    """Download bars from an exchange through its public endpoints; no account is needed.

    EXCHANGE is a ccxt id (binance, kraken, okx ...), SYMBOL is written BTC/USDT (BTC/USDT:USDT for the perpetual),
    TIMEFRAME 1m, 5m, 1h, 1d ... Stop it at any time: what has come is kept, and the same command goes on from there.
    """
    from tqdm import tqdm

    from tradelab.adapters import ccxt_bars

    title = f"{exchange} {symbol} {timeframe}"
    with open_catalog() as catalog, tqdm(total=100.0, desc=title, bar_format=_BAR, delay=0.01) as bar:

        def show(progress: ccxt_bars.Progress) -> None:
            bar.set_postfix_str(f"{progress.bars:,} bars, {progress.at:%Y-%m-%d %H:%M}")
            bar.update(progress.fraction * 100 - bar.n)

        try:
            done = ccxt_bars.download(
                catalog, exchange, symbol, timeframe, since=since, until=until, base_url=base_url, on_page=show
            )
        except KeyboardInterrupt:
            bar.close()
            click.echo("stopped; what has come is kept. The same command goes on from there.", err=True)
            raise SystemExit(130) from None
        bar.update(100.0 - bar.n)
    if not done.bars:
        click.echo("nothing new: every closed bar of that range is stored already.")
        return
    click.echo(f"stored {done.bars:,} bars, {done.first:%Y-%m-%d %H:%M} to {done.last:%Y-%m-%d %H:%M} UTC.")
    click.echo(f"Read them:  tl.Catalog().read({exchange!r}, {symbol!r}, {timeframe!r})")


@data.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--source", default="file", show_default=True, help="Where the bars are from, in your words.")
@click.option("--symbol", help="What is traded. Default: the file's name up to the first - _ or dot.")
@click.option("--timeframe", help="1m, 1h, 1d ... Default: told from the bars.")
@click.option("--tz", help="Zone of stamps that name none: UTC, Europe/Athens, Etc/GMT-2, America/New_York+7 ...")
@click.option("--date-format", help="strptime form, when days and months could be swapped: '%d/%m/%Y %H:%M'.")
@click.option("--unsound", is_flag=True, help="Store even bars that fail the hard checks; backtests will refuse them.")
@click.option("--yes", "-y", is_flag=True, help="Store without asking.")
def import_(
    file: Path,
    source: str,
    symbol: str | None,
    timeframe: str | None,
    tz: str | None,
    date_format: str | None,
    unsound: bool,
    yes: bool,
) -> None:
    """Import bars from a CSV, Parquet, JSON or MetaTrader .hst FILE (.gz too).

    Separators, column names and date forms of MetaTrader, Dukascopy, HistData, Yahoo and exchanges are recognised.
    What was guessed is shown, and nothing is stored before you agree.
    """
    from tradelab.catalog import quality
    from tradelab.catalog.frame import infer_timeframe
    from tradelab.catalog.importing import read_file
    from tradelab.model.units import Timeframe

    bars, guess = read_file(file, tz=tz, date_format=date_format)
    click.echo(str(guess))
    length = Timeframe.of(timeframe) if timeframe else infer_timeframe(bars)
    report = quality.inspect(bars, length)
    click.echo(f"quality   {report}")
    if not (report.is_sound or unsound):
        raise QualityError(
            f"{file.name} holds impossible bars; nothing was stored.",
            fix="Mend the file, or add --unsound to keep them.",
        )
    name = symbol or _symbol_of(file)
    with open_catalog() as catalog:
        if not yes:
            _agree(catalog, source, name, length)
        wrote = catalog.write(source, name, length, bars)
    revised = f", {wrote.revised:,} of them changed a stored bar" if wrote.revised else ""
    click.echo(f"stored {wrote.bars:,} bars{revised}.")
    click.echo(f"Read them:  tl.Catalog().read({source!r}, {name!r}, {length.alias!r})")


@data.command(name="list")
def list_() -> None:
    """List what is stored: series, range, bars, size."""
    with open_catalog() as catalog:
        table = catalog.list()
        click.echo(f"{len(table)} series in {catalog.root}")
    if len(table):
        table["size"] = [f"{size / 1e6:.1f} MB" for size in table["size"]]
        for column in ("first", "last"):
            table[column] = table[column].dt.strftime("%Y-%m-%d %H:%M")
        click.echo(
            table[["source", "symbol", "timeframe", "bars", "first", "last", "size", "revised"]].to_string(index=False)
        )
    else:
        click.echo("Fill it:  tradelab data download binance BTC/USDT 1h --since 2022")


@data.command(epilog=_SERIES_HELP)
@click.argument("source")
@click.argument("symbol")
@click.argument("timeframe")
@click.option("--calendar", help=_CALENDAR_HELP)
def coverage(source: str, symbol: str, timeframe: str, calendar: str | None) -> None:
    """Show the range of a series, how many bars are missing, the largest gaps, and how far behind it is now."""
    now = _now()
    with open_catalog() as catalog:
        click.echo(str(catalog.coverage(source, symbol, timeframe, calendar=calendar, now=now)))


@data.command(epilog=f"{_SERIES_HELP} Without them every series is checked. Exit code 1 when something is not sound.")
@click.argument("source", required=False)
@click.argument("symbol", required=False)
@click.argument("timeframe", required=False)
@click.option("--calendar", help=_CALENDAR_HELP)
@click.option("--discard-damaged", is_flag=True, help="Forget damaged files, so that their range can be fetched again.")
def verify(
    source: str | None, symbol: str | None, timeframe: str | None, calendar: str | None, discard_damaged: bool
) -> None:
    """Check files against their hashes, and bars for gaps, impossible values, NaN, spikes and a stale tail.

    All that is found is told and nothing is repaired.
    """
    if source is not None and timeframe is None:
        raise ParameterError("name a whole series or none.", fix=_SERIES_HELP)
    now = _now()
    with open_catalog() as catalog:
        damaged = catalog.discard_damaged() if discard_damaged else catalog.damaged()
        for name in damaged:
            click.echo(f"DAMAGED {name}{' (forgotten; fetch that range again)' if discard_damaged else ''}")
        sound = not damaged
        for a, b, c in _named_or_all(catalog, source, symbol, timeframe):
            try:
                report = catalog.inspect(a, b, c, calendar=calendar, now=now)
            except CorruptFileError as error:
                click.echo(f"{a} {b} {c}: {error.problem}")
                continue
            click.echo(f"{a} {b} {c}: {report}")
            sound &= report.is_sound
    if not sound:
        raise SystemExit(1)


@data.command(epilog=_SERIES_HELP)
@click.argument("source")
@click.argument("symbol")
@click.argument("timeframe")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--start", help="First day.")
@click.option("--end", help="Up to, and without, this day.")
@click.option("--format", "form", type=click.Choice(_FORMATS), help="Default: told from FILE's ending.")
@click.option(
    "--tz", help="For MetaTrader: the clock of the broker's server: UTC, Europe/Athens, America/New_York+7 ..."
)
@click.option("--mt-symbol", help="For hst: the symbol as the terminal knows it. Default: SYMBOL, without / and :")
def export(
    source: str,
    symbol: str,
    timeframe: str,
    file: Path,
    start: str | None,
    end: str | None,
    form: str | None,
    tz: str | None,
    mt_symbol: str | None,
) -> None:
    """Write a series to FILE; its ending chooses the format: .csv, .csv.gz, .parquet, .json or .hst.

    MetaTrader takes bars as text (--format mt4: Tools, History Center, Import; --format mt5: Symbols, Bars, Import) or
    as the binary .hst of MetaTrader 4. Its files name no zone, so --tz says by whose clock they are written. The day of
    most brokers ends when New York closes: America/New_York+7. Volumes become whole numbers there.
    """
    with open_catalog() as catalog:
        count = catalog.export(file, source, symbol, timeframe, start, end, format=form, tz=tz, mt_symbol=mt_symbol)
    click.echo(f"wrote {count:,} bars to {file}")


@data.command()
@click.argument("name", required=False)
@click.option("--store", is_flag=True, help="Also put it into the catalog, as source 'sample'.")
def samples(name: str | None, store: bool) -> None:
    """List the bundled real bars, or tell all about one: source, licence, range."""
    from tradelab.catalog import samples as bundled

    if name is None and store:
        raise ParameterError("--store needs the name of a sample.", allowed=bundled.names())
    for each in bundled.names() if name is None else [name]:
        about = bundled.about(each)
        click.echo(
            f"{each:<10} {about.rows:>6,} bars  {about.start[:10]} to {about.end[:10]}  {about.package} {about.version}"
            if name is None
            else str(about)
        )
    if store and name is not None:
        about = bundled.about(name)
        with open_catalog() as catalog:
            catalog.write("sample", about.instrument.symbol, about.timeframe, bundled.load(name))
            catalog.save_instrument(about.instrument)
        click.echo(f"stored as sample {about.instrument.symbol} {about.timeframe.alias}")
    elif name is None:
        click.echo('Load one:  tl.samples.load("EURUSD-1h")     tell more:  tradelab data samples EURUSD-1h')


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat()


def _named_or_all(
    catalog: Catalog, source: str | None, symbol: str | None, timeframe: str | None
) -> list[tuple[str, str, str]]:
    if source is not None and symbol is not None and timeframe is not None:
        return [(source, symbol, timeframe)]
    return list(catalog.list()[["source", "symbol", "timeframe"]].itertuples(index=False, name=None))


def _agree(catalog: Catalog, source: str, symbol: str, timeframe: Timeframe) -> None:
    """Ask before anything is stored, and say when there are such bars already."""
    known = catalog.list()
    same = known[(known["source"] == source) & (known["symbol"] == symbol) & (known["timeframe"] == timeframe.alias)]
    for row in same.itertuples():
        click.echo(
            f"stored    {row.bars:,} bars {row.first:%Y-%m-%d} to {row.last:%Y-%m-%d}; the same times are replaced"
        )
    try:
        click.confirm(f"Store as {source} {symbol} {timeframe.alias}?", default=True, abort=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise ConfigError("nobody agreed; nothing was stored.", fix="Add --yes where nobody can answer.") from None


def _symbol_of(file: Path) -> str:
    """The symbol in a file's name; MetaTrader appends the minutes of a bar (EURUSD60.csv)."""
    stem = re.sub(r"(?<=^[A-Za-z]{6})(1|5|15|30|60|240|1440|10080|43200)$", "", file.name.split(".")[0])
    for mark in "-_ ":
        stem = stem.split(mark)[0]
    if not stem:
        raise UnknownNameError(f"no symbol can be told from {file.name!r}.", fix="Name it: --symbol EURUSD.")
    return stem.upper()
