"""Choose what a rehearsal trades: bars from the catalog, a file or a sample, and an instrument, each guess said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradelab.model.errors import ParameterError
from tradelab.model.instrument import Calendar, Instrument, InstrumentKind

if TYPE_CHECKING:
    import pandas as pd

_QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USD", "EUR", "GBP", "JPY", "TRY", "BTC", "ETH", "BNB")
_SAMPLE_BARS, _SAMPLE_SEED, _SAMPLE_PRICE = 20_000, 7, 40_000.0
_LOT = Decimal(100_000)
_LOOKED_AT = 2_000  # bars whose prices tell the tick
_MOST_PLACES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What a dialect decides of a market: perpetuals or not, lots or coins, and what is assumed unsaid."""

    kind: InstrumentKind
    step: Decimal
    min_notional: Decimal | None

    @property
    def is_metatrader(self) -> bool:
        """Whether quantities are lots."""
        return self.kind is InstrumentKind.FX


SPOT = Style(kind=InstrumentKind.SPOT, step=Decimal("0.00001"), min_notional=Decimal(5))
PERPETUAL = Style(kind=InstrumentKind.PERPETUAL, step=Decimal("0.001"), min_notional=Decimal(5))
METATRADER = Style(kind=InstrumentKind.FX, step=Decimal("0.01"), min_notional=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user said of the market; ``None`` where nothing."""

    data: str | None = None
    symbol: str | None = None
    tz: str | None = None
    tick: Decimal | None = None
    step: Decimal | None = None
    min_notional: Decimal | None = None
    contract_size: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Bars, what they are of, how a client writes it, and what was derived."""

    bars: pd.DataFrame
    instrument: Instrument
    symbol: str  # as ccxt, or the broker, writes it
    told: str  # where the bars are from
    says: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    bars: Any
    symbol: str | None
    instrument: Instrument | None
    told: str


def market_of(wish: Wish, style: Style, venue: str) -> Market:
    """Return the market of a rehearsal.

    Raises
    ------
    ParameterError
        The name of the market does not say what is bought with what; or a step that is none was given.
    TradelabError
        The bars are not there, or cannot be read.
    """
    found = _find(wish.data, style, wish.tz)
    name = wish.symbol or found.symbol
    if name is None:
        raise ParameterError("it is not said what the bars are of.", fix="Name the market: --symbol BTC/USDT.")
    base, quote = _pair(name)
    notes = [f"market      {base} for {quote}, from {name!r}"]
    kept = found.instrument
    if kept is not None:
        notes.append(
            f"instrument  as the catalog keeps it for {kept.venue}: tick {kept.tick_size}, step {kept.qty_step}"
        )
    instrument = kept or Instrument(
        symbol=name, venue=venue, quote=quote, tick_size=_tick(found.bars), qty_step=style.step,
        calendar=Calendar.WEEKDAYS if style.is_metatrader else Calendar.ALWAYS, min_notional=style.min_notional,
    )  # fmt: skip
    instrument = replace(
        instrument, symbol=f"{base}{quote}", venue=venue, base=base, quote=quote, kind=style.kind,
        settle=None if style is SPOT else quote,
    )  # fmt: skip
    if kept is None:
        notes.append(f"tick        {instrument.tick_size}, the decimals of the prices")
        notes.append(f"step        {style.step}, assumed; --step changes it")
        if style.min_notional is not None:
            notes.append(f"min value   {style.min_notional} {quote} an order, assumed; --min-notional changes it")
    if style.is_metatrader and kept is None:
        is_pair = len(base) == len(quote) == 3
        instrument = replace(instrument, contract_size=_LOT if is_pair else Decimal(1))
        why = "two currencies, so a lot is 100 000" if is_pair else "not two currencies, so a lot is one"
        notes.append(f"contract    {instrument.contract_size}: {why}; --contract-size changes it")
    instrument = _wished(instrument, wish)
    notes += [f"{name:<11} {value}, as said" for name, value in _said(wish)]
    return Market(
        bars=found.bars, instrument=replace(instrument, min_qty=instrument.min_qty or instrument.qty_step),
        symbol=written(base, quote, style), told=found.told, says=tuple(notes),
    )  # fmt: skip


def _find(data: str | None, style: Style, tz: str | None) -> _Found:
    words = (data or "sample").split()
    if len(words) == 3:
        return _stored(*words)
    if data is None or words[0] == "sample" or words[0].startswith("sample:"):
        return _sample(words[0].partition(":")[2] or ("EURUSD-1h" if style.is_metatrader else ""))
    from tradelab.catalog.importing import read_file

    bars, guess = read_file(Path(data), tz=tz)
    return _Found(bars, _named(Path(data)), None, f"the file {guess.path}")


def _named(file: Path) -> str | None:
    """Return the market in a file's name, its timeframe left out; ``None`` where there are more words than that.

    >>> _named(Path("BTC-USDT_M5.csv")), _named(Path("ethusdt-1h.parquet")), _named(Path("my_old_bars.csv"))
    ('BTC/USDT', 'ETHUSDT', None)
    """
    from tradelab.model.units import Timeframe

    lengths = {text.upper() for length in Timeframe for text in (length.alias, length.code)}
    words = re.split(r"[-_ ]", file.name.split(".")[0].upper())
    if len(words) > 1 and words[-1] in lengths:
        words.pop()
    return "/".join(words) if len(words) <= 2 else None


def _stored(source: str, symbol: str, timeframe: str) -> _Found:
    from tradelab.catalog.bars import Catalog

    with Catalog() as catalog:
        bars = catalog.read(source, symbol, timeframe)
        return _Found(bars, symbol, catalog.instrument(source, symbol), f"the catalog: {source} {symbol} {timeframe}")


def _sample(name: str) -> _Found:
    from tradelab.catalog import samples

    if name:
        about = samples.about(name)
        symbol = about.instrument.symbol
        quoted = symbol if len(symbol) == 6 else f"{symbol}/{about.instrument.quote}"
        return _Found(samples.load(name), quoted, None, f"the bundled real sample {name}")
    made = samples.synthetic("1m", _SAMPLE_BARS, seed=_SAMPLE_SEED, price=_SAMPLE_PRICE)
    return _Found(made, "BTC/USDT", None, f"made up, no real prices: {_SAMPLE_BARS:,} minutes from seed {_SAMPLE_SEED}")


def _pair(name: str) -> tuple[str, str]:
    """Split a market's name: at its slash, else before a currency that things are usually priced in.

    >>> _pair("BTC/USDT:USDT"), _pair("EURUSD"), _pair("SOLUSDC")
    (('BTC', 'USDT'), ('EUR', 'USD'), ('SOL', 'USDC'))
    """
    base, slash, rest = name.upper().partition("/")
    if slash and base and rest.partition(":")[0]:
        return base, rest.partition(":")[0]
    quote = next((q for q in _QUOTES if base.endswith(q) and len(base) > len(q)), None)
    if slash or quote is None:
        raise ParameterError(f"--symbol {name!r} does not say what is priced in what.", fix="Write it BTC/USDT.")
    return base.removesuffix(quote), quote


def _tick(bars: pd.DataFrame) -> Decimal:
    """Return the step of the last decimal that any price has."""
    prices = bars[["open", "high", "low", "close"]].to_numpy()[-_LOOKED_AT:]
    places = next((p for p in range(_MOST_PLACES) if (prices.round(p) == prices).all()), _MOST_PLACES)
    return Decimal(1).scaleb(-places)


def _wished(instrument: Instrument, wish: Wish) -> Instrument:
    changes: dict[str, Any] = {
        "tick_size": wish.tick, "qty_step": wish.step, "min_notional": wish.min_notional,
        "contract_size": wish.contract_size, "min_qty": wish.step,
    }  # fmt: skip
    return replace(instrument, **{name: value for name, value in changes.items() if value is not None})


def _said(wish: Wish) -> Iterator[tuple[str, Decimal]]:
    said = (
        ("tick", wish.tick),
        ("step", wish.step),
        ("min value", wish.min_notional),
        ("contract", wish.contract_size),
    )
    return ((name, value) for name, value in said if value is not None)


def written(base: str, quote: str, style: Style) -> str:
    """Return a market as the clients of such a dialect write it."""
    if style.is_metatrader:
        return f"{base}{quote}"
    return f"{base}/{quote}:{quote}" if style is PERPETUAL else f"{base}/{quote}"
