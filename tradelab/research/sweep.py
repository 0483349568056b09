"""Run a strategy over a grid of parameters, and keep one row of figures for each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tradelab.engine.fills import FillPolicy
from tradelab.metrics.summary import Summary
from tradelab.model.errors import ConfigError, MissingExtraError, ParameterError, UnknownNameError
from tradelab.research.backtest import backtest_tape, require_warmup, split_parameters
from tradelab.research.inputs import Tape, read_bars
from tradelab.research.ranking import LOW_IS_GOOD
from tradelab.research.result import Result
from tradelab.strategy.registry import find
from tradelab.strategy.spec import Strategy

if TYPE_CHECKING:
    import plotly.graph_objects as go

_FIGURES = tuple(Summary.__dataclass_fields__)
_WORDS = {"start_ns", "end_ns", "bars", "periods_per_year", "calendar", "annualisation", "init_cash"}


@dataclass(frozen=True, eq=False)
class Sweep:
    """Figures of every combination that ran.

    Parameters
    ----------
    table
        One row a combination: its parameters, then the fields of ``Summary``.
    axes
        The columns of the swept parameters, in the order they were given: their names, with ``_set`` behind where a
        field of ``Summary`` bears the same (``fees`` are what was paid, ``fees_set`` the rate that was swept).
    points
        The parameters of each row as they were given; the table may show them in another type.
    total, left_out
        Combinations in the grid, and how many of them break the strategy's rule (``fast < slow``) and were not run.
    complete
        False when the sweep was interrupted; what was done is in the table.
    """

    table: pd.DataFrame
    axes: tuple[str, ...]
    points: tuple[Mapping[str, Any], ...]
    total: int
    left_out: int
    complete: bool
    strategy: Strategy
    tape: Tape
    fixed: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.table)

    def best(self, by: str = "sharpe", *, min_trades: int = 1) -> Result:
        """Run the best combination again and return its whole ``Result``; undefined figures never win.

        Parameters
        ----------
        by
            A field of ``Summary``; where less is better (``volatility``, ``fees`` …) the least wins.
        min_trades
            Leave out combinations that closed fewer trades.
        """
        ranked = self.ranked(by, min_trades=min_trades)
        return self.result(int(ranked.index[0]))

    def ranked(self, by: str = "sharpe", *, min_trades: int = 1) -> pd.DataFrame:
        """The table from best to worst by one figure, without undefined ones."""
        self._require_figure(by)
        good = self.table[(self.table["trades"] >= min_trades) & self.table[by].notna()]
        if good.empty:
            raise ConfigError(
                f"no combination has a defined {by} and at least {min_trades} closed trades.",
                fix="Lower min_trades, widen the grid or take more bars.",
            )
        return good.sort_values(by, ascending=by in LOW_IS_GOOD, kind="stable")

    def result(self, row: int) -> Result:
        """Run the combination of one row of the table again and return its whole ``Result``."""
        if row not in self.table.index:
            raise ParameterError(f"row {row} is not in the table.", allowed=[f"0 … {len(self.table) - 1}"])
        return backtest_tape(self.tape, self.strategy, {**self.fixed, **self.points[row]})

    def plot(self, by: str = "sharpe") -> go.Figure:
        """Draw one figure over what was swept: a line over one parameter, a heatmap over the first two of more."""
        MissingExtraError.unless("plotly", "report", "drawing")
        from tradelab.research import plots

        if len(self.axes) > 1:
            return self.heatmap(by)
        self._require_figure(by)
        return plots.sweep_lines(self.table.set_index(self.axes[0])[by].sort_index(), by, self.strategy.name)

    def heatmap(self, by: str = "sharpe", x: str | None = None, y: str | None = None) -> go.Figure:
        """Draw one figure over two parameters; where more were swept, the best over the others is shown."""
        MissingExtraError.unless("plotly", "report", "drawing")
        from tradelab.research import plots

        self._require_figure(by)
        names = [a for a in self.axes if a not in (x, y)]
        x = x or (names.pop(0) if names else None)
        y = y or (names.pop(0) if names else None)
        for axis in (x, y):
            if axis not in self.axes:
                raise ParameterError(f"a heatmap needs two swept parameters; {axis!r} is none.", allowed=self.axes)
        best = self.table.pivot_table(
            index=y,
            columns=x,
            values=by,
            aggfunc="min" if by in LOW_IS_GOOD else "max",
            dropna=False,  # None is a value too
        )
        return plots.heatmap(best, by, self.strategy.name)

    def _require_figure(self, by: str) -> None:
        known = [name for name in _FIGURES if name not in _WORDS and name != "grade"]
        if by not in known:
            raise UnknownNameError.of("figure", by, known)

    def __str__(self) -> str:
        state = "" if self.complete else f", interrupted after {len(self)}"
        left = f", {self.left_out} against the rule {self.strategy.requires}" if self.left_out else ""
        return f"Sweep of {self.strategy.name} over {' × '.join(self.axes)}: {self.total} combinations{left}{state}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        shown = ["total_return", "sharpe", "max_drawdown", "trades", "win_rate", "profit_factor", "grade"]
        top = self.table.sort_values("sharpe", ascending=False).head(10)[[*self.axes, *shown]]
        form = {
            "total_return": "{:.1%}",
            "max_drawdown": "{:.1%}",
            "win_rate": "{:.1%}",
            "sharpe": "{:.2f}",
            "profit_factor": "{:.2f}",
        }
        rows = top.to_html(formatters={k: v.format for k, v in form.items()}, na_rep="–", border=0)
        return f"<p><b>{self}</b></p>{rows}"


def sweep(
    bars: pd.DataFrame | Mapping[str, pd.DataFrame],
    strategy: str | Strategy,
    *,
    progress: bool = True,
    **parameters: Any,
) -> Sweep:
    """Backtest every combination of the parameters that were given as several values.

    A range, list, tuple, array or set is swept; a single value is fixed. Ctrl-C, or *interrupt kernel*, stops and keeps
    what is done.

    Parameters
    ----------
    bars
        As for ``backtest``.
    strategy
        A strategy or its registered name.
    progress
        Show a progress bar.
    **parameters
        Parameters of the strategy and terms of the backtest; either may be swept (``sl_stop=[0.01, 0.02]``).

    Examples
    --------
    >>> import tradelab as tl
    >>> found = tl.sweep(tl.samples.load("GOOG-1d"), "sma_cross", fast=range(5, 20, 5), slow=[20, 40], progress=False)
    >>> len(found), found.best("sharpe").parameters["slow"] in (20, 40)
    (6, True)
    """
    chosen = find(strategy)
    axes = {name: _values(name, value) for name, value in parameters.items() if _is_many(value)}
    if not axes:
        raise ConfigError("nothing to sweep.", fix="Give at least one parameter several values: fast=range(5, 50, 5).")
    fixed = {name: value for name, value in parameters.items() if name not in axes}
    grid = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    runnable = [point for point in grid if _allowed(chosen, {**fixed, **point})]
    if not runnable:
        raise ConfigError(f"all {len(grid)} combinations break the rule {chosen.requires} of {chosen.name}.")
    tape = read_bars(bars)
    for point in runnable:  # said before the first run, not after an hour of them
        require_warmup(tape, chosen, split_parameters({**fixed, **point})[1])
    columns = {name: f"{name}_set" if name in _FIGURES else name for name in axes}
    rows, complete = _run(chosen, tape, fixed, runnable, progress)
    shown = [
        {columns[name]: _shown(value) for name, value in point.items()} | figures
        for point, figures in zip(runnable, rows, strict=False)
    ]
    return Sweep(
        table=pd.DataFrame(shown, columns=[*columns.values(), *_FIGURES]),
        axes=tuple(columns.values()),
        points=tuple(runnable[: len(rows)]),
        total=len(grid),
        left_out=len(grid) - len(runnable),
        complete=complete,
        strategy=chosen,
        tape=tape,
        fixed=fixed,
    )


def _run(
    strategy: Strategy, tape: Tape, fixed: Mapping[str, Any], points: list[dict[str, Any]], progress: bool
) -> tuple[list[dict[str, Any]], bool]:
    from tqdm.auto import tqdm

    rows: list[dict[str, Any]] = []
    try:
        for point in tqdm(points, desc=strategy.name, unit="run", disable=not progress):
            rows.append(_figures(tape, strategy, {**fixed, **point}, point))
    except KeyboardInterrupt:
        return rows, False
    return rows, True


def _figures(tape: Tape, strategy: Strategy, parameters: Mapping[str, Any], point: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return backtest_tape(tape, strategy, parameters).summary.to_dict()
    except Exception as error:
        error.add_note(f"in the sweep of {strategy.name} at {', '.join(f'{k}={v!r}' for k, v in point.items())}")
        raise


def _shown(value: Any) -> Any:
    """A swept value as a cell of the table: numbers and words as they are, a fill policy as words."""
    return value if isinstance(value, (int, float, str, type(None))) else str(value)


def _is_many(value: Any) -> bool:
    if isinstance(value, FillPolicy) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return False
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping, pd.Series, pd.DataFrame))


def _values(name: str, value: Iterable[Any]) -> list[Any]:
    values = [v.item() if isinstance(v, np.generic) else v for v in value]
    if not values:
        raise ParameterError(f"{name} has no values to sweep.", fix="Give at least one.")
    try:
        distinct = list(dict.fromkeys(values))
        return sorted(distinct) if isinstance(value, (set, frozenset)) else distinct  # a set has no order of its own
    except TypeError as error:
        raise ParameterError(
            f"{name} cannot be swept over {type(values[0]).__name__} values: {error}.",
            fix="Sweep numbers and words; values bar by bar are given one at a time, as a Series.",
        ) from error


def _allowed(strategy: Strategy, parameters: Mapping[str, Any]) -> bool:
    """Whether a combination obeys the strategy's rule; a value that is wrong on its own is refused for all."""
    _, own = split_parameters(parameters)  # refuses wrong terms before the first run
    try:
        strategy.resolve(own)
    except ParameterError:
        full = {name: p.accept(own.get(name, p.default), strategy.name) for name, p in strategy.parameters.items()}
        if own.keys() - full.keys() or strategy.allows(full):
            raise
        return False
    return True
