"""Say which bars and quotes the bots of a node need, how many, and what an alarm of a feed is in words."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from tradelab.model.feed_events import FeedAlarm, FeedGap, FeedPolling, FeedResumed, FeedStale
from tradelab.model.messages import AlarmRaised
from tradelab.model.states import Severity
from tradelab.model.units import Timeframe
from tradelab.spine.config import BotConfig, NodeConfig
from tradelab.strategy.registry import find

FEWEST_BARS = 500
WARMUPS = 4


class SeriesKey(NamedTuple):
    """A series, by the connection that it comes from."""

    source: str
    symbol: str
    timeframe: Timeframe


def bars_wanted(bot: BotConfig) -> int:
    """Return how many bars a bot's strategy is shown: as its table says, else four times its warm-up, at least 500."""
    if bot.max_bars is not None:
        return bot.max_bars
    if bot.strategy is None:
        return FEWEST_BARS
    strategy = find(bot.strategy)
    return max(FEWEST_BARS, WARMUPS * strategy.warmup_bars(strategy.resolve(bot.parameters)))


def series_of(config: NodeConfig) -> dict[SeriesKey, int]:
    """Return every series that a bot follows, and how many bars the one that wants most is shown."""
    wanted: dict[SeriesKey, int] = {}
    for bot in config.bots:
        for symbol in bot.symbols:
            key = SeriesKey(bot.source, symbol, bot.timeframe)
            wanted[key] = max(wanted.get(key, 0), bars_wanted(bot))
    return wanted


def quotes_of(config: NodeConfig, providers: Container[str]) -> tuple[tuple[str, str], ...]:
    """Return the (connection, symbol) of every quote that orders are priced by: the account's, else the source's."""
    wanted: dict[tuple[str, str], None] = {}
    for bot in config.bots:
        connection = bot.execution if bot.execution in providers else bot.source
        wanted.update(dict.fromkeys((connection, symbol) for symbol in bot.symbols))
    return tuple(wanted)


def told(alarm: FeedAlarm) -> AlarmRaised:
    """Return an alarm of a feed as everybody hears it."""
    bars = "quotes" if alarm.timeframe is None else alarm.timeframe.alias
    about = f"{alarm.source} {alarm.symbol} {bars}"
    if isinstance(alarm, FeedStale):
        says = f"nothing new for {alarm.age_s:.0f} s: {alarm.says}"
        return AlarmRaised(kind="feed_stale", about=about, severity=Severity.WARNING, says=says)
    if isinstance(alarm, FeedPolling):
        says = f"asked for every {alarm.every_s:g} s, for there is no stream: {alarm.says}"
        return AlarmRaised(kind="feed_polling", about=about, severity=Severity.WARNING, says=says)
    if isinstance(alarm, FeedResumed):
        says = f"streams again after {alarm.after_s:.0f} s"
        return AlarmRaised(kind="feed_resumed", about=about, severity=Severity.INFO, says=says)
    assert isinstance(alarm, FeedGap)
    says = f"{alarm.bars} bars that the stream did not show were fetched"
    return AlarmRaised(kind="feed_gap", about=about, severity=Severity.INFO, says=says)
