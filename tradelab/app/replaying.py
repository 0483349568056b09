"""Lead a bot of a node's file over history through the live pipeline: the same gates, orders, fills and booking.

It is the live road with a clock that bars move, on a paper account in memory: what it trades can be laid beside a
backtest of the same bars, order by order, before any engine is started.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradelab.adapters.paper_config import PaperConfig
from tradelab.adapters.paper_venue import PaperVenue
from tradelab.app.build import part
from tradelab.app.connections import in_own_loop
from tradelab.app.daemon_table import read_live
from tradelab.app.paper_account import paper_terms
from tradelab.model.account import AccountInfo
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConfigError, ParameterError
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle, Quote
from tradelab.model.messages import Message, SignalDropped, SignalRaised, TradeExecuted
from tradelab.model.rounding import exact
from tradelab.modules.data_provider.rules import bars_wanted
from tradelab.modules.execution.worth import markets_of, quote_currency, worth
from tradelab.modules.index import MANIFESTS
from tradelab.spine.config import AccountConfig, BotConfig, NodeConfig
from tradelab.spine.keeping import MemoryKeeper
from tradelab.spine.node import Node
from tradelab.spine.permit import FreePermit
from tradelab.spine.replay import Replay, TapeBar

if TYPE_CHECKING:
    import pandas as pd

_STAGES = ("filter_strategy", "risk_management", "execution", "position_monitoring")  # what history can be led through
_NEVER_S = 1e9  # nothing happens between bars, so nothing is to be looked for there
_QUIET: dict[str, dict[str, Any]] = {
    "execution": {"account_s": _NEVER_S, "reconcile_s": _NEVER_S, "fills_s": _NEVER_S},
    "position_monitoring": {"look_every_s": _NEVER_S, "max_quote_age_s": 1e6},
}
_NO_STEP = Decimal("1E-12")  # a backtest rounds nothing, so by default the replay does not either


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a bot traded over history: ``orders`` in the columns of a backtest's, and the signals that were dropped.

    ``orders`` has one row for each bar, symbol, side and price (a position that is turned round is closed and opened
    by two orders here and by one in a backtest); ``dropped`` has ``time, symbol, action, by, code, says``; ``said`` is
    every message, as the journal of an engine would hold it.
    """

    orders: pd.DataFrame
    dropped: pd.DataFrame
    said: tuple[Message, ...]

    def __repr__(self) -> str:
        return f"Replayed({len(self.orders)} orders, {len(self.dropped)} signals dropped, {len(self.said)} messages)"


def replay_bot(
    config: NodeConfig | Path | str,
    name: str,
    bars: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    instruments: Mapping[str, Instrument] | None = None,
) -> Replayed:
    """Return what a bot trades over history, led bar by bar through the modules of its node.

    Its filter, limits and schedule are in it; its AI profile is not. Its account is a paper one with the terms of
    ``[accounts.NAME]``. What a spot account cannot leave with the venue (targets beside a stop that holds the coins) is
    watched by quotes, of which a bar tells one, at its close: there such exits leave later than in a backtest.

    Parameters
    ----------
    config
        A node's file, or what was read from it.
    bars
        Of the bot's timeframe, by symbol; a frame alone where it trades one.
    instruments
        With the steps and limits of a venue; by default quantities and prices have none, as in a backtest.

    Raises
    ------
    ConfigError
        The bot has no strategy, an AI profile, or an account whose money the file does not say.
    ParameterError
        Bars of a symbol are missing.
    """
    node = config if isinstance(config, NodeConfig) else read_live(Path(config)).node
    bot = node.bot(name)
    frames = dict(bars) if isinstance(bars, Mapping) else dict.fromkeys(bot.symbols[:1], bars)
    _require(node, bot, frames)
    listed = [(instruments or {}).get(symbol) or _plain(symbol) for symbol in bot.symbols]
    replayed: Replayed = in_own_loop(lambda: _replayed(node, bot, frames, listed))
    return replayed


async def _replayed(
    config: NodeConfig, bot: BotConfig, frames: Mapping[str, pd.DataFrame], listed: list[Instrument]
) -> Replayed:
    tables = {name: config.module(name) | _QUIET.get(name, {}) for name in _STAGES if name in config.modules_on}
    alone = config.model_copy(update={"bots": (bot.model_copy(update={"starts": True}),), "modules": tables})
    account = config.accounts[bot.execution]
    clock = ManualClock(min(frame.index[0].value for frame in frames.values()))
    terms = paper_terms(bot.execution, account)
    venue = _Account(terms, listed, clock=clock)
    keeper = MemoryKeeper()
    parts = [part(manifest) for manifest in MANIFESTS if manifest.name in tables]
    node = Node(
        alone, parts, keeper, clock=clock, permit=lambda _: FreePermit(), venues={bot.execution: venue}, providers={}
    )
    shown = {(bot.source, symbol): bars_wanted(bot) for symbol in bot.symbols}
    leader = Replay(node, clock, {bot.execution: venue}, shown)
    await node.start()
    await leader.settle()
    await leader.play(_tape(bot, frames))
    said = tuple(recorded.message for recorded in keeper.said)
    await node.stop("keep")
    return Replayed(_orders(bot, said), _dropped(said), said)


class _Account(PaperVenue):
    """A paper account that says what it is worth at the last prices, as an engine works out for a spot account."""

    def __init__(self, config: PaperConfig, instruments: list[Instrument], *, clock: ManualClock) -> None:
        super().__init__(config, instruments, clock=clock)
        self._listed = {each.symbol: each for each in instruments}
        self._closes: dict[str, Quote] = {}

    def on_candle(self, symbol: str, candle: Candle) -> None:
        """Take a bar."""
        super().on_candle(symbol, candle)
        close = exact(candle.close)
        self._closes[symbol] = Quote(symbol=symbol, bid=close, ask=close, ts_ns=candle.open_ns)

    async def account_info(self) -> AccountInfo:
        """Return the account at this moment."""
        info = await super().account_info()
        currency = quote_currency(list(self._listed.values()))
        if info.equity is not None or currency is None:
            return info
        markets = markets_of(info.balances, self._listed, currency)
        prices = {held: self._closes[symbol] for held, symbol in markets.items() if symbol in self._closes}
        found = worth(info.balances, prices, currency)
        return replace(info, currency=currency, equity=found.equity)


def _tape(bot: BotConfig, frames: Mapping[str, pd.DataFrame]) -> list[TapeBar]:
    """Return the bars of all symbols in the order in which they closed."""
    columns = ["open", "high", "low", "close", "volume"]
    tape = [
        TapeBar(bot.source, symbol, bot.timeframe, Candle(stamp.value, opened, high, low, close, volume, closed=True))
        for symbol, frame in frames.items()
        for stamp, opened, high, low, close, volume in frame[columns].itertuples(name=None)
    ]
    return sorted(tape, key=lambda bar: bar.candle.open_ns)


def _orders(bot: BotConfig, said: tuple[Message, ...]) -> pd.DataFrame:
    import pandas as pd

    fills = [
        {"time": bot.timeframe.floor(m.fill.ts_ns), "symbol": m.fill.symbol, "side": m.fill.side.value,
         "size": float(m.fill.qty), "price": float(m.fill.price), "fees": float(m.fill.fee or 0)}
        for m in said if isinstance(m, TradeExecuted)
    ]  # fmt: skip
    table = pd.DataFrame(fills, columns=["time", "symbol", "side", "size", "price", "fees"])
    table["time"] = pd.to_datetime(table["time"], utc=True)
    keys = ["time", "symbol", "side", "price"]
    return table.groupby(keys, sort=False, as_index=False)[["size", "fees"]].sum()[list(table.columns)]


def _dropped(said: tuple[Message, ...]) -> pd.DataFrame:
    import pandas as pd

    raised = {m.signal.id: m.signal for m in said if isinstance(m, SignalRaised)}
    rows = [
        {"time": pd.Timestamp(raised[m.signal_id].decided_ns, tz="UTC"), "symbol": raised[m.signal_id].symbol,
         "action": raised[m.signal_id].action.value, "by": m.by, "code": m.code.value, "says": m.says}
        for m in said if isinstance(m, SignalDropped)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["time", "symbol", "action", "by", "code", "says"])


def _require(config: NodeConfig, bot: BotConfig, frames: Mapping[str, pd.DataFrame]) -> None:
    if bot.strategy is None:
        raise ConfigError(f"bot {bot.name!r} has no strategy: there is nothing to lead over history.")
    if bot.ai is not None:
        raise ConfigError(f"bot {bot.name!r} asks an AI, which history cannot.", fix="Leave out `ai` for a replay.")
    if config.accounts.get(bot.execution, AccountConfig()).kind != "paper":
        raise ConfigError(
            f"account {bot.execution!r} is a connection, and the file does not say what money is on it.",
            fix=f'Replay with [accounts.{bot.execution}] kind = "paper" and balances.',
        )
    if missing := sorted(set(bot.symbols) - set(frames)):
        raise ParameterError(f"there are no bars of {', '.join(missing)}.", fix="Give them by symbol.")


def _plain(symbol: str) -> Instrument:
    base, _, quote = symbol.partition("/")
    money = quote.partition(":")[0] or "USD"
    return Instrument(
        symbol=symbol, venue="paper", quote=money, base=base, settle=money, tick_size=_NO_STEP, qty_step=_NO_STEP
    )
