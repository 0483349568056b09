"""Start a rehearsal on the command line: a local exchange on replayed bars, and how to connect to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tradelab.model.errors import ParameterError, StorageError

if TYPE_CHECKING:
    from tradelab.app.rehearsal_market import Market, Style, Wish
    from tradelab.rehearsal.exchange import Exchange
    from tradelab.rehearsal.settings import AccountSetup, VenueSetup
    from tradelab.rehearsal.state import StateFile, Told
    from tradelab.rehearsal.venue import Rehearsal


class Way(NamedTuple):
    """How a client connects to a dialect: provider, what else to set, and by which names it logs in."""

    provider: str
    settings: tuple[str, ...]
    login: tuple[str, str]  # what the account's key and its secret are called
    more: tuple[tuple[str, str], ...] = ()


_CCXT = ("api_key", "api_secret")
_BROKER = (("host", "127.0.0.1"), ("port", "443"))
WAYS = {
    "binance": Way("binance", (), _CCXT),
    "binanceusdm": Way("binance", ("market=linear",), _CCXT),
    "bybit": Way("bybit", ("market=linear",), _CCXT),
    "bybit-spot": Way("bybit", (), _CCXT),
    "metaapi": Way("metaapi", ("name=metaapi-rehearsal",), ("account_id", "api_token")),
    "mtapi": Way("mtapi", ("platform=mt5", "name=mtapi-rehearsal"), ("user", "password"), _BROKER),
    "mtapi-mt4": Way("mtapi", ("platform=mt4", "name=mtapi-rehearsal"), ("user", "password"), _BROKER),
}
_FRESH = (
    "data", "symbol", "tz", "balances", "history", "spread", "fee_bps", "leverage", "tick", "step", "min_notional",
    "contract_size",
)  # fmt: skip


class _Number(click.ParamType):
    """An exact number above zero, or from zero on."""

    name = "number"

    def __init__(self, *, least: int | None = None) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Read it as it is written."""
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            self.fail(f"{value!r} is not a number.", param, ctx)
        if not number.is_finite() or number < 0 or (number == 0 and self._least is None):
            self.fail(f"{value} must be {'above zero' if self._least is None else 'zero or more'}.", param, ctx)
        return number


@click.command()
@click.option("--dialect", type=click.Choice(list(WAYS)), help="Whose protocol it speaks. Default: binance.")
@click.option("--data", help="Bars: 'SOURCE SYMBOL TIMEFRAME' of the catalog, a file, sample, or sample:EURUSD-1h.")
@click.option("--symbol", help="What the bars are of, such as BTC/USDT. Default: as the series or the file is called.")
@click.option("--tz", help="Time zone of a file's stamps that name none: UTC, Europe/Athens ...")
@click.option("--speed", type=_Number(), help="Seconds of the market in one of yours. Default: 1, the market is now.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), help="Of this machine. Default: a free one, then the same again."
)
@click.option(
    "--balance", "balances", multiple=True, metavar="CUR=AMOUNT", help="Default: 10000 of what it is priced in."
)
@click.option("--history", type=click.IntRange(2), help="Bars that lie in the past at the start. Default: 500.")
@click.option("--state", type=click.Path(path_type=Path, dir_okay=False), help="Keep all in this file; go on from it.")
@click.option("--spread", type=click.IntRange(1), help="Best ask less best bid, in ticks. Default: 2.")
@click.option("--fee-bps", type=_Number(least=0), help="Fee of makers and takers, 1/10000 of the value. Default: 10.")
@click.option("--leverage", type=_Number(), help="Of perpetuals and of MetaTrader. Default: 20.")
@click.option("--tick", type=_Number(), help="Smallest change of the price. Default: the decimals of the prices.")
@click.option("--step", type=_Number(), help="Smallest change of a quantity.")
@click.option("--min-notional", type=_Number(least=0), help="Least value of an order.")
@click.option("--contract-size", type=_Number(), help="Units in one lot, for MetaTrader.")
@click.option(
    "--connect", metavar="NAME", help="Make, test and activate a connection of this name, for its data alone."
)
def rehearse(
    dialect: str | None, speed: Decimal | None, port: int | None, state: Path | None, connect: str | None, **asked: Any
) -> None:
    """Start a local exchange that replays bars and speaks a real exchange's protocol, until Ctrl-C.

    No money, no network: it listens on this machine alone, and key and secret are made up. It says how to connect,
    and how a script can move the price or let something go wrong. The real clients speak to it as to the real venue.

    With --speed 1 the market happens now. Otherwise its clock runs faster than yours, and connections made with
    `tradelab connections` follow it. With --state every order, fill and coin outlives a kill.

    \b
    Try:  tradelab rehearse
          tradelab rehearse --connect practice --speed 10     what configs/paper.toml trades on
          tradelab rehearse --dialect bybit --data "binance BTC/USDT 1m" --speed 60 --balance USDT=50000
          tradelab rehearse --dialect mtapi --data sample:EURUSD-1h --balance USD=10000
          tradelab rehearse --state evening.rehearsal        the first time, and again after a stop or a kill
    """
    from tradelab.rehearsal.state import StateFile

    with contextlib.ExitStack() as held:
        kept = held.enter_context(StateFile(state)) if state is not None else None
        if kept is not None and not kept.is_new:
            told, exchange = _gone_on(kept, dialect, speed, port, asked)
            lines: Sequence[str] = (f"bars        {told.bars}", f"goes on     from {state}: {_counted(exchange)}")
        else:
            told, exchange, lines = _begun(dialect or "binance", float(speed or 1), port or 0, asked)
        try:
            asyncio.run(_run(told, exchange, kept, lines, connect))
        except KeyboardInterrupt:  # where the loop cannot take signals
            click.echo("stopped.")


# ── what is rehearsed ────────────────────────────────────────────────────────────────────────────────────────────────


def _gone_on(
    kept: StateFile, dialect: str | None, speed: Decimal | None, port: int | None, asked: dict[str, Any]
) -> tuple[Told, Exchange]:
    """Go on with what was kept; its market and money are not to be chosen again."""
    told = kept.told()
    wrong = [f"--{name.replace('_', '-').replace('balances', 'balance')}" for name in _FRESH if asked[name]]
    wrong += ["--dialect"] if dialect not in (None, told.dialect) else []
    if wrong:
        raise ParameterError(
            f"{kept.path} holds a rehearsal of {told.dialect} already; {', '.join(wrong)} cannot be chosen again.",
            fix="Leave that out to go on with it, or name another file.",
        )
    told = replace(told, speed=told.speed if speed is None else float(speed), port=told.port if port is None else port)
    kept.tell(told)
    return told, kept.load()


def _begun(dialect: str, speed: float, port: int, asked: dict[str, Any]) -> tuple[Told, Exchange, tuple[str, ...]]:
    from tradelab.app.rehearsal_market import Wish, market_of
    from tradelab.model.clock import ScaledClock, SystemClock
    from tradelab.rehearsal.clock import VenueClock
    from tradelab.rehearsal.exchange import Exchange
    from tradelab.rehearsal.state import Told
    from tradelab.rehearsal.tape import Tape

    wish: Wish = Wish(**{name: asked[name] for name in Wish.__slots__})
    market = market_of(wish, _style(dialect), WAYS[dialect].provider)
    now_ns = SystemClock().now_ns()
    clock = SystemClock() if speed == 1.0 else ScaledClock(now_ns, speed)
    tape = Tape(market.instrument, market.bars, start_ns=now_ns, start_bar=asked["history"] or 500)
    told = Told(dialect, speed, port, market.told)
    return (
        told,
        Exchange([tape], VenueClock(clock), _setup(dialect, market, asked)),
        (f"bars        {market.told}", *market.says),
    )


def _style(dialect: str) -> Style:
    from tradelab.app.rehearsal_market import METATRADER, PERPETUAL, SPOT
    from tradelab.rehearsal.settings import Ledger
    from tradelab.rehearsal.venue import DIALECTS

    return {Ledger.SPOT: SPOT, Ledger.PERPETUAL: PERPETUAL, Ledger.HEDGING: METATRADER}[DIALECTS[dialect][1]]


def _setup(dialect: str, market: Market, asked: dict[str, Any]) -> VenueSetup:
    from tradelab.rehearsal.settings import AccountSetup, VenueSetup
    from tradelab.rehearsal.venue import DIALECTS

    ledger = DIALECTS[dialect][1]
    balances = _balances(asked["balances"]) or {market.instrument.quote: Decimal(10_000)}
    if ledger.value != "spot" and len(balances) > 1:
        raise ParameterError(f"--balance: an account of {dialect} has one currency.", fix="Give one --balance.")
    key, secret = _login(dialect)
    given: dict[str, Any] = {"spread_ticks": asked["spread"], "leverage": asked["leverage"]}
    given |= {"maker_bps": asked["fee_bps"], "taker_bps": asked["fee_bps"]}
    return VenueSetup(
        ledger=ledger, accounts=(AccountSetup(key=key, secret=secret, balances=balances),),
        **{name: value for name, value in given.items() if value is not None},
    )  # fmt: skip


def _login(dialect: str) -> tuple[str, str]:
    """Make a key and a secret up, in the form of the venue's."""
    import uuid

    if dialect == "metaapi":
        return str(uuid.uuid4()), f"rehearsal-{secrets.token_hex(16)}"
    if dialect.startswith("mtapi"):
        return str(10_000_000 + secrets.randbelow(90_000_000)), f"rehearsal-{secrets.token_hex(8)}"
    return f"rehearsal-{secrets.token_hex(8)}", f"rehearsal-{secrets.token_hex(16)}"


def _balances(pairs: Iterable[str]) -> dict[str, Decimal]:
    found = {}
    for pair in pairs:
        currency, equals, amount = pair.partition("=")
        try:
            found[currency.upper()] = Decimal(amount)
        except InvalidOperation:
            equals = ""
        if not equals or not currency or not found[currency.upper()].is_finite():
            raise ParameterError(f"--balance {pair!r} wants CURRENCY=AMOUNT.", fix="For example --balance USDT=10000.")
    return found


# ── while it runs ────────────────────────────────────────────────────────────────────────────────────────────────────


async def _run(
    told: Told, exchange: Exchange, kept: StateFile | None, lines: Sequence[str], connect: str | None
) -> None:
    from tradelab.rehearsal.venue import rehearse as running

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises instead
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if kept is not None:
        kept.tell(told)
    save = None if kept is None else kept.save
    try:
        venue = running(told.dialect, (), exchange.setup, port=told.port, save=save, exchange=exchange)
        async with venue as at:
            if kept is not None:
                kept.tell(replace(told, port=at.server.port))
            if connect is not None:
                lines = [*lines, await _connected(at, connect)]
            click.echo("\n".join([*_opening(at, told), *lines, "", *_directions(at)]))
            await _watch(at, stop)
    except OSError as error:
        if told.port == 0:
            raise
        raise StorageError(
            f"port {told.port} cannot be had: {error.strerror or error}.", fix="End what uses it, or take --port 0."
        ) from None
    where = "" if kept is None else f"; all is kept in {kept.path}: the same command goes on"
    click.echo(f"stopped: {_counted(exchange)}{where}.")


async def _connected(at: Rehearsal, name: str) -> str:
    from tradelab.app.rehearsal_connect import connect_data

    way = WAYS[at.dialect]
    if way.login != _CCXT:
        raise ParameterError(f"--connect makes a connection without a login, which {at.dialect} has not.")
    settings = dict(text.split("=", 1) for text in way.settings)
    await connect_data(name, way.provider, at.url, client_symbol(at.dialect, at.exchange), settings)
    return f"connection  {name}, for data; a paper account trades on it: tradelab up configs/paper.toml"


async def _watch(at: Rehearsal, stop: asyncio.Event) -> None:
    """Wait until somebody stops it; meanwhile say once a second how it stands, where somebody looks."""
    looks = sys.stderr.isatty()
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=1.0)
        if looks:
            click.echo(f"\r\x1b[K{status(at)}", nl=False, err=True)
    if looks:
        click.echo(err=True)


def status(at: Rehearsal) -> str:
    """Return one line: the market's time, its price, what was asked, and the orders."""
    exchange = at.exchange
    prices = "  ".join(f"{symbol} {exchange.mark(symbol)}" for symbol in exchange.tapes)
    over = all(exchange.now_ns > tape.end_ns for tape in exchange.tapes.values())
    asked = f"{len(at.server.log):,}{'+' if len(at.server.log) == at.server.log.maxlen else ''} requests"
    return f"{_when(exchange.now_ns)}  {prices}{' (the tape is over)' if over else ''}  {asked}  {_counted(exchange)}"


def _counted(exchange: Exchange) -> str:
    return f"{len(exchange.orders):,} orders ({len(exchange.open):,} open), {len(exchange.fills):,} fills"


# ── what is said ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _opening(at: Rehearsal, told: Told) -> list[str]:
    (tape,) = at.exchange.tapes.values()
    left_ns = max(0, tape.end_ns - at.exchange.now_ns)
    lasts = left_ns / 1e9 / told.speed
    pace = "as fast as yours" if told.speed == 1.0 else f"{told.speed:g} times as fast as yours"
    money = ", ".join(f"{amount} {currency}" for currency, amount in at.account.balances.items())
    return [
        f"{told.dialect} rehearsal at {at.url}",
        f"clock       {_when(at.exchange.now_ns)} UTC, {pace}; bars for {_long(lasts)} of yours",
        f"account     {money} at first",
        f"key         {at.account.key}    made up",
        f"secret      {at.account.secret}    made up",
    ]


def _directions(at: Rehearsal) -> list[str]:
    (tape,) = at.exchange.tapes.values()
    spelled, price = tape.instrument.symbol, at.exchange.mark(tape.instrument.symbol)
    symbol = client_symbol(at.dialect, at.exchange)
    moved = tape.instrument.floor_price(price * Decimal("0.99"))
    body, fault = json.dumps({"symbol": spelled, "price": str(moved)}), json.dumps({"fault": "hang", "on": "submit"})
    return [
        "Connect to it, in another terminal:",
        f"  {connect_command(at.dialect, at.account, at.url, symbol)}",
        "  tradelab connections test rehearsal && tradelab connections activate rehearsal",
        f"  tradelab data stream rehearsal {symbol} {tape.timeframe.alias}",
        "",
        "Direct it: move the price, let the next order's answer never come:",
        f"  curl -X POST {at.url}/rehearsal/move_price -d '{body}'",
        f"  curl -X POST {at.url}/rehearsal/fault -d '{fault}'",
        "",
        "Ctrl-C stops it.",
    ]


def client_symbol(dialect: str, exchange: Exchange) -> str:
    """Return the one market as the client of a dialect writes it."""
    from tradelab.app.rehearsal_market import written

    (tape,) = exchange.tapes.values()
    return written(tape.instrument.base or "", tape.instrument.quote, _style(dialect))


def connect_command(dialect: str, account: AccountSetup, url: str, symbol: str) -> str:
    """Return the whole command that makes a connection to a rehearsal."""
    way = WAYS[dialect]
    login = json.dumps({way.login[0]: account.key, way.login[1]: account.secret, **dict(way.more)})
    settings = " ".join(f"--set {text}" for text in (f"base_url={url}", *way.settings))
    return (
        f"echo '{login}' | tradelab connections add rehearsal {way.provider} --account rehearsal --for data "
        f"--for execution {settings} --symbol {symbol} --stdin"
    )


def _when(ns: int) -> str:
    import datetime as dt

    return f"{dt.datetime.fromtimestamp(ns / 1e9, dt.UTC):%Y-%m-%d %H:%M:%S}"


def _long(seconds: float) -> str:
    for length, word in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {word}"
    return f"{seconds:.0f} seconds"
