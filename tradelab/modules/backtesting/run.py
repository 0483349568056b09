"""Run a bot over history: its strategy, its parameters, its preset's exits and size, on bars of the catalogue.

Its filter, its AI profile, its limits and its schedule are not in it: what they would have dropped is traded here.
Leading the whole pipeline through history is :mod:`tradelab.spine.replay`.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from tradelab.catalog.bars import Catalog
from tradelab.model.errors import ConfigError, ParameterError
from tradelab.modules.backtesting.rules import terms_of
from tradelab.spine.config import NodeConfig

if TYPE_CHECKING:
    from tradelab.research.result import Result

Moment = str | dt.datetime | None


def backtest_bot(
    config: NodeConfig,
    name: str,
    catalog: Catalog,
    start: Moment = None,
    end: Moment = None,
    *,
    catalog_source: str | None = None,
    **terms: Any,
) -> Result:
    """Return what a bot's strategy would have done on stored bars, all of its symbols on one account.

    Parameters
    ----------
    start, end
        As :meth:`~tradelab.catalog.bars.Catalog.read` takes them; by default all that is stored.
    catalog_source
        What the bars are filed under, where that is not the name of the bot's connection.
    **terms
        What trading costs and how much money there is, as :func:`tradelab.backtest` takes it. What the preset says
        (``plan``, ``size``, ``size_type``) is not to be given.

    Raises
    ------
    ConfigError
        The bot has no strategy.
    UnknownNameError
        No such bot, or no such bars.
    """
    from tradelab.research.backtest import backtest

    bot = config.bot(name)
    if bot.strategy is None:
        raise ConfigError(f"bot {name!r} has no strategy: there is nothing to run over history.")
    own = terms_of(config.presets[bot.preset])
    if both := sorted(set(own) & set(terms)):
        raise ParameterError(f"{', '.join(both)} is what preset {bot.preset!r} says.", fix="Change it there.")
    source = catalog_source or bot.source
    bars = {symbol: catalog.read(source, symbol, bot.timeframe, start, end) for symbol in bot.symbols}
    only = next(iter(bars.values())) if len(bars) == 1 else bars
    return backtest(only, bot.strategy, **bot.parameters, **own, **terms)
