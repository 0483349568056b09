"""Choose parameters on the past, trade them on what came next, window after window, and join what was traded.

The only figure of a search that its search has not seen. In each window the best combination of the training bars is
taken (``tl.sweep``); its decisions on the test bars that follow become one stream of signals with those of all other
windows, and one account trades that stream from end to end (``tl.backtest``): positions, costs and cash go on over the
seams as they would have in life. A strategy warms up on bars from before its test window; no decision sees a later bar.

References
----------
.. [1] R. Pardo, "The Evaluation and Optimization of Trading Strategies", 2nd ed., Wiley 2008: chapter 11 (walk-forward
   analysis, walk-forward efficiency).
"""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tradelab.metrics.returns import sharpe
from tradelab.model.errors import ConfigError, MissingExtraError, ParameterError, TooFewBarsError, UnknownNameError
from tradelab.research.backtest import backtest
from tradelab.research.inputs import Tape, read_bars
from tradelab.research.result import Result
from tradelab.research.settings import Settings
from tradelab.research.sweep import Sweep, sweep
from tradelab.strategy.registry import find
from tradelab.strategy.spec import SIGNAL_NAMES, Strategy

if TYPE_CHECKING:
    import plotly.graph_objects as go

_SETTINGS = tuple(Settings.__dataclass_fields__)
_PER_WINDOW = ("size", "sl_stop", "sl_trail", "tp_stop", "direction")  # the terms that may change on the way
_ARGUMENTS = dict(zip(SIGNAL_NAMES, ("entries", "exits", "short_entries", "short_exits"), strict=True))
_SIDES = {"long": ("long_entry", "long_exit"), "short": ("short_entry", "short_exit")}


@dataclass(frozen=True, eq=False)
class WalkForward:
    """What a search was worth on bars it had not seen.

    Parameters
    ----------
    windows
        One row a window: first and last bar of training and test, the parameters chosen (missing where no combination
        traded: nothing is traded then), the figure chosen by, Sharpe ratio and return in training and in the test.
    result
        The backtest of all test windows as one account.
    axes
        The columns of the chosen parameters.
    by, anchored
        As they were given.
    """

    windows: pd.DataFrame
    result: Result
    axes: tuple[str, ...]
    by: str
    anchored: bool

    @property
    def equity(self) -> pd.Series:
        """Account value over all test windows, at each bar's close."""
        return self.result.equity

    @property
    def efficiency(self) -> float:
        """Walk-forward efficiency ([1]): growth a bar in the tests over growth a bar in training.

        1: as good as in training; 0: nothing left. NaN where training did not gain.
        """
        trained, tested = (self._growth_a_bar(part) for part in ("train", "test"))
        return tested / trained if trained > 0.0 else math.nan

    @property
    def winning_windows(self) -> float:
        """Share of test windows that gained, 0 to 1."""
        return float((self.windows["test_return"] > 0.0).mean())

    @cached_property
    def drift(self) -> pd.Series:
        """How far each parameter moves from window to window: the mean step over the span of what was chosen, 0 to 1.

        0: always the same. For words and switches, the share of windows that changed them. NaN with one window.
        """
        return pd.Series({axis: _drift(self.windows[axis].dropna()) for axis in self.axes}, dtype=float, name="drift")

    def plot(self, picture: str = "equity") -> go.Figure:
        """Draw the stitched account (``"equity"``) or the chosen parameters (``"parameters"``) over time."""
        MissingExtraError.unless("plotly", "report", "drawing")
        from tradelab.research import plots_walk

        pictures = {"equity": plots_walk.stitched, "parameters": plots_walk.parameters}
        if picture not in pictures:
            raise UnknownNameError.of("picture", picture, pictures)
        return pictures[picture](self)

    def _growth_a_bar(self, part: str) -> float:
        """Mean growth of log wealth a bar over the windows that traded anything; −∞ where all was lost."""
        known = self.windows[self.windows["train_return"].notna()]
        wealth = 1.0 + known[f"{part}_return"].to_numpy()
        bars = known[f"{part}_bars"].sum()
        if bars == 0 or (wealth <= 0.0).any():
            return math.nan if bars == 0 else -math.inf
        return float(np.log(wealth).sum() / bars)

    def __str__(self) -> str:
        kind = "anchored" if self.anchored else "rolling"
        s = self.result.summary
        return (
            f"{self.result.strategy} over {len(self.windows)} {kind} windows, chosen by {self.by}: "
            f"Sharpe ratio {s.sharpe:.2f}, return {s.total_return:+.1%}, deepest drawdown {s.max_drawdown:.1%}, "
            f"efficiency {self.efficiency:.2f}, {self.winning_windows:.0%} of the windows gained"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        shown = self.windows[["test_start", "test_end", *self.axes, f"train_{self.by}", "train_return", "test_return"]]
        percent = dict.fromkeys(("train_return", "test_return"), "{:.1%}".format)
        table = shown.to_html(formatters=percent, float_format="{:.3g}".format, na_rep="–", border=0)
        return f"<p><b>{html.escape(str(self))}</b></p>{table}"


def walk_forward(
    bars: pd.DataFrame | Mapping[str, pd.DataFrame],
    strategy: str | Strategy,
    *,
    train: int | str | pd.Timedelta,
    test: int | str | pd.Timedelta,
    anchored: bool = False,
    by: str = "sharpe",
    min_trades: int = 1,
    progress: bool = False,
    **grid: Any,
) -> WalkForward:
    """Choose parameters on each training window, and trade them on the test window that follows it.

    Parameters
    ----------
    bars, strategy
        As for ``tl.sweep``.
    train, test
        Length of a training and of a test window: a number of bars, or a span of time (``"365D"``). Tests follow each
        other without a gap; the last may be shorter.
    anchored
        True: every training window begins at the first bar and grows; False: it rolls on.
    by, min_trades
        What the best combination of a training window is chosen by, as for ``Sweep.best``.
    progress
        Show a progress bar over the windows.
    **grid
        Parameters and terms as for ``tl.sweep``. Of the terms only ``size``, ``sl_stop``, ``sl_trail``, ``tp_stop`` and
        ``direction`` may be swept: one account cannot change its fees.

    Raises
    ------
    TooFewBarsError
        No test window fits behind the first training window, or a training window is shorter than a warm-up.
    ParameterError, ConfigError
        As for ``tl.sweep``; a term was swept that an account cannot change.

    Examples
    --------
    >>> import tradelab as tl
    >>> walk = walk_forward(tl.samples.load("GOOG-1d"), "sma_cross", train=750, test=250, fast=[5, 10], slow=[30, 60])
    >>> len(walk.windows), len(walk.equity)
    (6, 1398)
    """
    chosen, tape = find(strategy), read_bars(bars)
    spans = windows(tape.index, train, test, anchored=anchored)
    account = Account(tape, chosen, spans[0].seam)
    rows: list[dict[str, Any]] = []
    axes: tuple[str, ...] = ()
    fixed: dict[str, Any] = {}
    for span in _counted(spans, chosen.name, progress):
        terms = _cut_terms(tape, grid, span.start, span.seam)
        found = sweep(_cut(tape, span.start, span.seam), chosen, progress=False, **terms)
        for point in found.points:
            _require_steady(point)
        axes, fixed = tuple(found.axes), {name: grid[name] for name in found.fixed}
        row = _best(found, by, min_trades)
        rows.append(_dates(tape.index, span) | _trained(found, row, by))
        account.follow(fixed, None if row is None else found.points[row], span)
    result = account.trade(_cut_terms(tape, fixed, spans[0].seam, len(tape.index)))
    tested = [_tested(result, span.seam - spans[0].seam, span.end - spans[0].seam) for span in spans]
    table = pd.DataFrame([row | after for row, after in zip(rows, tested, strict=True)]).rename_axis("window")
    return WalkForward(table, result, axes, by, anchored)


class Span(NamedTuple):
    """One window as positions of bars: training from ``start`` up to ``seam``, the test from there up to ``end``."""

    start: int
    seam: int
    end: int


def windows(
    index: pd.DatetimeIndex, train: int | str | pd.Timedelta, test: int | str | pd.Timedelta, *, anchored: bool = False
) -> tuple[Span, ...]:
    """Part a time axis into training windows and the test windows that follow them; lengths as for `walk_forward`.

    Examples
    --------
    >>> index = pd.date_range("2024-01-01", periods=10, tz="UTC")
    >>> [tuple(span) for span in windows(index, 4, "3D")]
    [(0, 4, 7), (3, 7, 10)]
    """
    back, on = _length(train, "train"), _length(test, "test")
    seams = [_after(index, 0, back)]
    while seams[-1] < len(index):
        seams.append(max(_after(index, seams[-1], on), seams[-1] + 1))
    if len(seams) < 2:
        raise TooFewBarsError(
            f"{len(index)} bars leave nothing to test on behind a training window of {train}.",
            fix="Choose a shorter training window, or load more history.",
        )
    starts = [0 if anchored else _before(index, seam, back) for seam in seams[:-1]]
    ends = [*seams[1:-1], len(index)]
    return tuple(Span(*three) for three in zip(starts, seams[:-1], ends, strict=True))


class Account:
    """Joins the decisions of one window after the other into one stream, and trades it."""

    def __init__(self, tape: Tape, strategy: Strategy, first: int) -> None:
        self._tape, self._strategy, self._first = tape, strategy, first
        self._frames = {symbol: frame[frame.index >= tape.index[first]] for symbol, frame in tape.frames.items()}
        self._flags = {s: pd.DataFrame(False, f.index, list(SIGNAL_NAMES)) for s, f in self._frames.items()}
        self._bar_by_bar: dict[str, dict[str, pd.Series]] = {}

    def follow(self, fixed: Mapping[str, Any], point: Mapping[str, Any] | None, span: Span) -> None:
        """Decide on the test bars of one window with the parameters chosen for it; ``None``: nothing is decided."""
        if point is None:
            return
        own = {name: value for name, value in {**fixed, **point}.items() if name not in _SETTINGS}
        swept = {name: value for name, value in point.items() if name in _SETTINGS}
        first, last = self._tape.index[span.seam], self._tape.index[span.end - 1]
        sides = _SIDES.get(str(swept.pop("direction", "both")).removesuffix("only"), SIGNAL_NAMES)
        back = max(self._strategy.warmup_bars(own), 1) - 1
        for symbol, frame in self._tape.frames.items():
            begin, end = frame.index.searchsorted(first), frame.index.searchsorted(last, side="right")
            known = frame.iloc[max(begin - back, 0) : end]
            decided = self._strategy.decide(known.copy(), own)
            tested = slice(len(known) - (end - begin), None)
            for side in sides:
                self._flags[symbol].loc[known.index[tested], side] = decided[side][tested]
            for name, value in swept.items():
                columns = self._bar_by_bar.setdefault(name, {})
                column = columns.setdefault(symbol, pd.Series(np.nan, self._frames[symbol].index))
                column.loc[first:last] = np.nan if value is None else float(value)

    def trade(self, fixed: Mapping[str, Any]) -> Result:
        """Backtest the whole stream as one account, on terms that stay the same."""
        terms = {name: value for name, value in fixed.items() if name in _SETTINGS}
        given: dict[str, Any] = {**terms, **self._bar_by_bar}
        for name, ours in _ARGUMENTS.items():
            given[ours] = {symbol: flags[name] for symbol, flags in self._flags.items()}
        result = backtest(self._frames, **given)
        return dataclasses.replace(result, strategy=f"{self._strategy.name} walk-forward")


def _require_steady(point: Mapping[str, Any]) -> None:
    """Refuse a swept term that one account cannot change from window to window."""
    wrong = [name for name in point if name in _SETTINGS and name not in _PER_WINDOW]
    if wrong:
        raise ConfigError(
            f"{', '.join(wrong)} cannot be chosen anew in each window: one account trades them all.",
            allowed=_PER_WINDOW,
            fix="Fix it, or sweep it outside: one walk_forward for each value.",
        )
    for name in set(point) & {*_PER_WINDOW} - {"direction"}:
        value = point[name]
        if isinstance(value, (str, bool)) or (value is None and name == "size"):
            raise ConfigError(
                f"{name}={value!r} cannot be chosen anew in each window: the values are given bar by bar, as numbers.",
                fix="All the cash is size_type='percent' with size=1.0; fractions are numbers; ATR distances go into a "
                "plan that all windows share."
                if name == "size"
                else "Give fractions: 0.02 for 2 %.",
            )


def _counted(spans: tuple[Span, ...], name: str, progress: bool) -> Iterable[Span]:
    from tqdm.auto import tqdm

    return tqdm(spans, desc=f"{name}, walking forward", unit="window", disable=not progress)


def _cut(tape: Tape, start: int, end: int) -> pd.DataFrame | dict[str, pd.DataFrame]:
    """Bars of every instrument between two places of the time axis."""
    first, last = tape.index[start], tape.index[end - 1]
    return {symbol: frame.loc[first:last] for symbol, frame in tape.frames.items()}


def _cut_terms(tape: Tape, terms: Mapping[str, Any], start: int, end: int) -> dict[str, Any]:
    """Terms given bar by bar, as a Series, between two places of the time axis; the others as they are."""
    first, last = tape.index[start], tape.index[end - 1]
    return {name: value.loc[first:last] if isinstance(value, pd.Series) else value for name, value in terms.items()}


def _best(found: Sweep, by: str, min_trades: int) -> int | None:
    """Row of the best combination; ``None`` where none has traded enough for the figure to be defined."""
    try:
        return int(found.ranked(by, min_trades=min_trades).index[0])
    except UnknownNameError:
        raise
    except ConfigError:
        return None


def _dates(index: pd.DatetimeIndex, span: Span) -> dict[str, Any]:
    return {
        "train_start": index[span.start],
        "train_end": index[span.seam - 1],
        "test_start": index[span.seam],
        "test_end": index[span.end - 1],
        "train_bars": span.seam - span.start,
        "test_bars": span.end - span.seam,
    }


def _trained(found: Sweep, row: int | None, by: str) -> dict[str, Any]:
    """What was chosen, and how good it looked."""
    told = list(dict.fromkeys((by, "sharpe", "total_return")))
    names = {figure: f"train_{'return' if figure == 'total_return' else figure}" for figure in told}
    if row is None:
        return {**dict.fromkeys(found.axes), **dict.fromkeys(names.values(), math.nan)}
    line = found.table.loc[row].to_dict()
    return {**{axis: line[axis] for axis in found.axes}, **{name: line[figure] for figure, name in names.items()}}


def _tested(result: Result, first: int, end: int) -> dict[str, Any]:
    """What the account made of one test window."""
    returns = result.returns.to_numpy()[first:end]
    known = returns[np.isfinite(returns)]
    return {
        "test_sharpe": sharpe(known, periods_per_year=result.annualisation.periods_per_year),
        "test_return": float(np.prod(1.0 + known) - 1.0),
    }


def _drift(chosen: pd.Series) -> float:
    if len(chosen) < 2:
        return math.nan
    if not pd.api.types.is_numeric_dtype(chosen) or chosen.dtype == bool:
        return float((chosen != chosen.shift()).iloc[1:].mean())
    values = chosen.to_numpy(dtype=float)
    span = np.ptp(values)
    return float(np.abs(np.diff(values)).mean() / span) if span > 0.0 else 0.0


def _length(given: Any, name: str) -> int | pd.Timedelta:
    """A number of bars, or a span of time, above 0."""
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        length: Any = int(given)
    else:
        try:
            length = pd.Timedelta(given)
        except (ValueError, TypeError):
            length = None
    if length is None or length is pd.NaT or not length > (0 if isinstance(length, int) else pd.Timedelta(0)):
        raise ParameterError(
            f"{name}={given!r} is no length of a window.", allowed=["a number of bars above 0", 'a span: "365D"']
        )
    return length


def _after(index: pd.DatetimeIndex, place: int, length: int | pd.Timedelta) -> int:
    return place + length if isinstance(length, int) else int(index.searchsorted(index[place] + length))


def _before(index: pd.DatetimeIndex, place: int, length: int | pd.Timedelta) -> int:
    return max(place - length, 0) if isinstance(length, int) else int(index.searchsorted(index[place] - length))
