"""Run one strategy, or signals of your own, over history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tradelab.engine.simulate import simulate
from tradelab.engine.trades import pair_trades
from tradelab.metrics.annualise import CALENDARS
from tradelab.model.errors import (
    AlignmentError,
    ConfigError,
    DataError,
    ParameterError,
    TimestampError,
    TooFewBarsError,
)
from tradelab.research.checks import require_choice
from tradelab.research.inputs import Tape, read_bars, read_signals
from tradelab.research.record import Outcome
from tradelab.research.result import Result
from tradelab.research.settings import Settings, split_settings
from tradelab.research.wishes import make_market, make_wishes
from tradelab.strategy.registry import find
from tradelab.strategy.spec import Strategy, signal_union

_SETTINGS = tuple(Settings.__dataclass_fields__)


def backtest(
    bars: pd.DataFrame | Mapping[str, pd.DataFrame],
    strategy: str | Strategy | None = None,
    *,
    entries: Any = None,
    exits: Any = None,
    short_entries: Any = None,
    short_exits: Any = None,
    benchmark: pd.Series | None = None,
    calendar: str | None = None,
    **parameters: Any,
) -> Result:
    """Simulate an account that trades ``bars`` by a strategy or by signals.

    Decisions are made on closed bars and fill on the next open; inside a bar the stop wins over the target. Every rule
    is in ``docs/semantics.md``.

    Parameters
    ----------
    bars
        One instrument: a DataFrame with open, high, low, close (any case) and UTC open times. Several that share one
        account: a mapping of symbol to DataFrame, or a DataFrame with (symbol, field) columns.
    strategy
        A strategy or the name of a registered one; its parameters follow by keyword.
    entries, exits, short_entries, short_exits
        Instead of a strategy: booleans on the index of the bars (a DataFrame by symbol for several instruments).
    benchmark
        Prices to measure alpha and beta against; buying and holding the bars themselves by default.
    calendar
        ``"24/7"``, ``"24/5"`` or ``"sessions"`` for the number of bars in a year; read off the bars by default.
    **parameters
        Parameters of the strategy, and the terms: ``fill``, ``direction``, ``size``, ``size_type``, ``init_cash``,
        ``fees``, ``fixed_fees``, ``slippage``, ``size_granularity``, ``sl_stop``, ``sl_trail``, ``tp_stop``
        (see ``tradelab.research.settings.Settings``).

    Raises
    ------
    DataError
        Bars that cannot be trusted, signals that do not fit them, fewer bars than the warm-up.
    ParameterError
        An unknown, mistyped or out-of-range parameter.

    Examples
    --------
    >>> import tradelab as tl
    >>> result = tl.backtest(tl.samples.load("GOOG-1d"), "sma_cross", fast=10, slow=30, direction="long")
    >>> result.summary.trades
    32
    """
    settings, own = split_parameters(parameters)
    if calendar is not None:
        require_choice("calendar", calendar, CALENDARS)
    tape = read_bars(bars)
    given = {"entries": entries, "exits": exits, "short_entries": short_entries, "short_exits": short_exits}
    if strategy is None:
        if own:
            raise ParameterError(f"{sorted(own)} are not terms of a backtest.", allowed=_SETTINGS)
        if entries is None and short_entries is None:
            raise ConfigError("nothing to trade on.", fix='Give strategy="sma_cross", or entries=… and exits=….')
        return _result(tape, settings, read_signals(tape, given), "signals", {}, benchmark, calendar)
    clash = [name for name, value in given.items() if value is not None]
    if clash:
        raise ConfigError(f"both a strategy and {', '.join(clash)} were given.", fix="Give one or the other.")
    return backtest_tape(tape, find(strategy), parameters, benchmark, calendar)


def backtest_tape(
    tape: Tape,
    strategy: Strategy,
    parameters: Mapping[str, Any],
    benchmark: pd.Series | None = None,
    calendar: str | None = None,
) -> Result:
    """Run a strategy over bars that were read before; ``parameters`` are its own and the terms together."""
    settings, own = split_parameters(parameters)
    full = strategy.resolve(own)
    return _result(tape, settings, decide_all(tape, strategy, full), strategy.name, full, benchmark, calendar)


split_parameters = split_settings


def require_warmup(tape: Tape, strategy: Strategy, full: Mapping[str, Any]) -> None:
    """Refuse an instrument that has no bar after the warm-up, for such a backtest would silently do nothing."""
    needed = strategy.warmup_bars(full)
    for symbol, frame in tape.frames.items():
        if len(frame) <= needed:
            raise TooFewBarsError(
                f"{symbol} has {len(frame)} bars; {strategy.name} needs {needed} to warm up and at least one more.",
                fix="Load more history, or choose shorter windows.",
            )


def decide_all(tape: Tape, strategy: Strategy, full: Mapping[str, Any]) -> np.ndarray:
    """Signals of a strategy on every instrument as bit masks of shape (times, instruments)."""
    require_warmup(tape, strategy, full)
    masks = {symbol: signal_union([strategy.decide(frame.copy(), full)])[:, 0] for symbol, frame in tape.frames.items()}
    return tape.spread(masks, 0, np.uint8)


def _result(
    tape: Tape,
    settings: Settings,
    signals: np.ndarray,
    name: str,
    full: Mapping[str, Any],
    benchmark: pd.Series | None,
    calendar: str | None,
) -> Result:
    wishes = make_wishes(tape, settings, signals)
    run = simulate(make_market(tape, settings), wishes, settings.row(), float(settings.init_cash))
    trades = pair_trades(run.orders, run.carry, tape.market.high, tape.market.low, tape.market.close)
    return Result(
        frames=dict(tape.frames),
        index=tape.index,
        outcome=Outcome(run, trades),
        settings=settings.plain(),
        strategy=name,
        parameters=dict(full),
        benchmark=_benchmark(tape, benchmark),
        calendar=calendar,
    )


def _benchmark(tape: Tape, given: pd.Series | None) -> np.ndarray:
    """Returns, shape (times,), of what the account is measured against: equal parts of every instrument by default."""
    if given is not None:
        prices = _read_benchmark(given, tape)[:, None]
    else:
        prices = pd.DataFrame(tape.market.close).ffill().to_numpy()
    moves = np.zeros(prices.shape)
    moves[1:] = prices[1:] / prices[:-1] - 1.0
    return np.nan_to_num(moves).mean(axis=1)


def _read_benchmark(given: Any, tape: Tape) -> np.ndarray:
    """Prices at the account's times, the last known one where there is none; NaN before the first."""
    fix = "Give a Series of prices with UTC times, such as other_bars.close."
    if not isinstance(given, pd.Series) or not isinstance(given.index, pd.DatetimeIndex):
        raise DataError(f"benchmark is {type(given).__name__} without times.", allowed=["a Series on times"], fix=fix)
    if given.index.tz is None:
        raise TimestampError("benchmark has time stamps without a time zone.", fix='Say it: .tz_localize("UTC").')
    if not given.index.is_unique:
        raise TimestampError("benchmark has repeated time stamps.", fix="Keep one price for each time.")
    try:
        known = given.astype(float).dropna().sort_index()
    except (TypeError, ValueError) as error:
        raise DataError(f"benchmark is not numbers: {error}.", fix=fix) from error
    if not (np.isfinite(known) & (known > 0.0)).all():
        raise DataError("benchmark has a price that is infinite, zero or below.", fix=fix)
    prices = known.tz_convert("UTC").reindex(tape.index, method="ffill").to_numpy()
    if np.isnan(prices).all():
        raise AlignmentError(f"benchmark has no price up to {tape.index[-1]}, the last bar.", fix=fix)
    return prices
