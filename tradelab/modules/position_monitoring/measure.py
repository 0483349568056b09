"""Measure what the exits of a fresh position are laid out by: the ATR of the bar that decided."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tradelab.engine.indicators import atr
from tradelab.model.messages import ExitsArmed
from tradelab.model.plan_words import read_plan, written_plan
from tradelab.model.signal import Signal
from tradelab.modules.position_monitoring.config import Config
from tradelab.modules.position_monitoring.held import Held
from tradelab.spine.desk import Market


def measured(
    held: Held, signal: Signal | None, market: Market, settings: Config, decided_on: str | None = None
) -> ExitsArmed | None:
    """Return what to arm a position's exits with; ``None`` while that is not known.

    The plan is that of the signal, ``decided_on``, else of the preset as it is now; costs and session are those of the
    settings as they are now: all is written down with it.

    The ATR is Wilder's over the closed bars that are there, at the bar that decided. Where it cannot be had, a unit
    that the signal brought along stands for it.
    """
    if held.bot is None or held.preset is None or held.entry is None or not held.entry.price > 0.0:
        return None
    account, bot, symbol = held.key
    plan = held.preset.exits if decided_on is None else read_plan(decided_on)
    costs = settings.costs.get(account)
    told = ExitsArmed(
        account=account, bot=bot or "", symbol=symbol, signal_id=held.signal_id, plan=written_plan(plan),
        costs=None if costs is None else tuple(costs.model_dump().items()), session=settings.session,
    )  # fmt: skip
    if not plan.in_atr:
        return told
    unit, newest, close = _atr(held, signal, market, plan.atr_window)
    if math.isnan(unit) and signal is not None and signal.unit is not None:
        unit = float(signal.unit)
    if math.isnan(unit):
        return None
    newest = unit if math.isnan(newest) else newest
    return replace(told, unit=unit, atr=newest, close=None if math.isnan(close) else close)


def _atr(held: Held, signal: Signal | None, market: Market, window: int) -> tuple[float, float, float]:
    """ATR of the bar that decided, ATR and close of the newest one; NaN where there are too few bars."""
    assert held.bot is not None, "asked for a bot's position only"
    bars = market.windows.get((held.bot.source, held.key.symbol, held.bot.timeframe))
    if bars is None or not len(bars):
        return math.nan, math.nan, math.nan
    stamps, values = bars.ts_ns, bars.values
    before = stamps + held.bot.timeframe.ns <= held.first_fill_ns  # bars that were closed when it filled
    stamps, values = stamps[before], values[before]
    if not len(stamps):
        return math.nan, math.nan, math.nan
    high, low, close = (np.ascontiguousarray(values[:, column]) for column in (1, 2, 3))
    reach = atr(high, low, close, window)
    at = len(stamps) - 1
    if signal is not None and signal.bar_ns is not None:
        at = int(np.searchsorted(stamps, signal.bar_ns, side="right")) - 1
    unit = float(reach[at]) if at >= 0 else math.nan
    return unit, float(reach[-1]), float(close[-1])
