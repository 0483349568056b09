"""Run one strategy, or signals of your own, over history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tradelab.catalog.frame import held
from tradelab.engine.simulate import Wishes, simulate
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
from tradelab.research.settings import Settings, require_known, split_settings, with_terms
from tradelab.research.weights import aimed
from tradelab.research.wishes import make_market, make_wishes
from tradelab.strategy.registry import find
from tradelab.strategy.spec import Strategy, signal_union

_SETTINGS = tuple(Settings.__dataclass_fields__)


@with_terms
def backtest(
    bars: pd.DataFrame | Mapping[str, pd.DataFrame],
    strategy: str | Strategy | None = None,
    *,
    entries: Any = None,
    exits: Any = None,
    short_entries: Any = None,
    short_exits: Any = None,
    weights: Any = None,
    finer: Any = None,
    benchmark: pd.Series | None = None,
    calendar: str | None = None,
    **parameters: Any,
) -> Result:
    """Simulate an account that trades ``bars`` by a strategy, by signals or by target weights.

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
    weights
        Instead of either: fractions of equity to bring each instrument to (negative: short, 0: nothing), a DataFrame
        with a row a rebalancing and a column an instrument, such as ``tl.rebalance`` returns. Rows that are missing or
        NaN leave everything alone. Decided on the row's close; at the fill, what is sold is sold first, and what is
        bought is cut to the free cash.
    finer
        Shorter bars of the same instruments (a DataFrame, or a mapping of symbol to DataFrame). Inside each bar, those
        that lie in it are walked in order, so that they say whether the stop or the target came first; the strategy
        still decides on ``bars`` alone. A bar without any is filled as ``fill`` says; ``Result.finer`` counts them.
    benchmark
        Prices to measure alpha and beta against; buying and holding the bars themselves by default.
    calendar
        ``"24/7"``, ``"24/5"`` or ``"sessions"`` for the number of bars in a year; read off the bars by default.
    **parameters
        Parameters of the strategy, and the terms: how orders fill (``fill``, ``entry_type``, ``latency`` …), which way
        and how much (``direction``, ``size``, ``size_type``, ``leverage`` …), what it costs (``fees``, ``slippage``,
        ``spread``, ``borrow`` …), when to leave (``sl_stop``, ``sl_trail``, ``tp_stop``, or a whole ``plan``). Tab
        completes them all; ``tradelab.research.settings.Settings`` says what each means.

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
    given = {"entries": entries, "exits": exits, "short_entries": short_entries, "short_exits": short_exits}
    tape = read_bars(bars, finer=finer)
    return make_case(tape, strategy, {**given, "weights": weights}, parameters, benchmark, calendar).run()


@dataclass(frozen=True, eq=False)
class Case:
    """A backtest that has been decided and not been traded yet.

    Parameters
    ----------
    tape
        The bars.
    settings
        The terms it trades on; another ``fill`` changes nothing else here.
    wishes
        What was decided, bar by bar.
    strategy, parameters
        Name and parameters of what decided it.
    benchmark, calendar
        What the result is measured against, and with how many bars a year.
    """

    tape: Tape
    settings: Settings
    wishes: Wishes
    strategy: str
    parameters: Mapping[str, Any]
    benchmark: np.ndarray
    calendar: str | None

    def run(self) -> Result:
        """Trade it."""
        tape, market = self.tape, make_market(self.tape, self.settings)
        if tape.finer is not None and self.settings.policy.path == "freqtrade":
            raise ConfigError(
                "fill='freqtrade' has rules of its own for a whole candle, and finer bars were given.",
                fix='Leave finer out, or take another fill, such as "tradelab".',
            )
        run = simulate(market, self.wishes, self.settings.row(), float(self.settings.init_cash))
        trades = pair_trades(run.orders, run.carry, tape.market.high, tape.market.low, tape.market.close)
        return Result(
            frames={symbol: held(frame) for symbol, frame in tape.frames.items()},
            index=tape.index,
            outcome=Outcome(run, trades),
            settings=self.settings.plain() | ({} if tape.finer is None else {"finer": tape.finer.plain()}),
            strategy=self.strategy,
            parameters=dict(self.parameters),
            benchmark=self.benchmark,
            calendar=self.calendar,
        )


def make_case(
    tape: Tape,
    strategy: str | Strategy | None,
    given: Mapping[str, Any],
    parameters: Mapping[str, Any],
    benchmark: pd.Series | None,
    calendar: str | None,
) -> Case:
    """Decide a backtest by a strategy, or by what is ``given`` instead: signals or weights."""
    if calendar is not None:
        require_choice("calendar", calendar, CALENDARS)
    settings, own = split_parameters(parameters)
    clash = [name for name, value in given.items() if value is not None]
    if strategy is not None:
        if clash:
            raise ConfigError(f"both a strategy and {', '.join(clash)} were given.", fix="Give one or the other.")
        return _case_of(tape, find(strategy), parameters, benchmark, calendar)
    if own:
        raise ParameterError(f"{sorted(own)} are not terms of a backtest.", allowed=_SETTINGS)
    against = _benchmark(tape, benchmark)
    if "weights" in clash:
        if len(clash) > 1:
            raise ConfigError(f"both weights and {', '.join(clash[:-1])} were given.", fix="Give one or the other.")
        settings, wishes = aimed(tape, settings, given["weights"])
        return Case(tape, settings, wishes, "weights", {}, against, calendar)
    if given["entries"] is None and given["short_entries"] is None:
        raise ConfigError(
            "nothing to trade on.", fix='Give strategy="sma_cross", or entries=… and exits=…, or weights=….'
        )
    wishes = make_wishes(tape, settings, read_signals(tape, given))
    return Case(tape, settings, wishes, "signals", {}, against, calendar)


def backtest_tape(
    tape: Tape,
    strategy: Strategy,
    parameters: Mapping[str, Any],
    benchmark: pd.Series | None = None,
    calendar: str | None = None,
) -> Result:
    """Run a strategy over bars that were read before; ``parameters`` are its own and the terms together."""
    return _case_of(tape, strategy, parameters, benchmark, calendar).run()


def _case_of(
    tape: Tape,
    strategy: Strategy,
    parameters: Mapping[str, Any],
    benchmark: pd.Series | None,
    calendar: str | None,
) -> Case:
    settings, own = split_parameters(parameters)
    require_known(strategy, own)
    full = strategy.resolve(own)
    wishes = make_wishes(tape, settings, decide_all(tape, strategy, full))
    return Case(tape, settings, wishes, strategy.name, full, _benchmark(tape, benchmark), calendar)


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
