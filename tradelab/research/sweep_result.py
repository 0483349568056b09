"""Hold what a sweep found, as columns: the best few, the whole table, pictures, and any combination run again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tradelab.model.errors import ConfigError, MissingExtraError, ParameterError, StorageError, UnknownNameError
from tradelab.research.backtest import backtest_tape
from tradelab.research.columns import Unread
from tradelab.research.figures import FIGURES, OF_TAPE, SUMMARY, facts_of, figure_columns
from tradelab.research.inputs import Tape
from tradelab.research.job import Job
from tradelab.research.ranking import LOW_IS_GOOD
from tradelab.research.result import Result
from tradelab.strategy.spec import Strategy

if TYPE_CHECKING:
    import plotly.graph_objects as go

_LABELS = ("symbol", "timeframe")
_RANKED = tuple(name for name in FIGURES.names or () if name != "init_cash")
_WRITTEN_AT_ONCE = 1 << 16


def column_of(name: str) -> str:
    """Return the column of a swept parameter: its name, ``_set`` behind where another column has it already.

    >>> column_of("fast"), column_of("fees")
    ('fast', 'fees_set')
    """
    return f"{name}_set" if name in (*SUMMARY, *_LABELS, "error") else name


class Points(Sequence[Mapping[str, Any]]):
    """The parameters of each row as they were given; the table may show them in another type."""

    def __init__(self, job: Job, rows: np.ndarray) -> None:
        self._job, self._rows = job, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return Points(self._job, self._rows[at])
        return self._job.point(int(self._rows[at]))

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self._job.point(row) for row in self._rows.tolist())


@dataclass(frozen=True, eq=False)
class Sweep:
    """Figures of every combination that ran; row by row, in the order of the search.

    Parameters
    ----------
    job
        What was computed.
    rows
        Shape (n,), ascending: which rows of the job are here.
    figures
        Shape (n,) of ``job.dtype``: the figures of each, undefined ones NaN.
    total, left_out
        Combinations looked at, and how many of them break the strategy's rule (``fast < slow``) and were not run.
    complete
        False when the sweep was interrupted; what was done is here.
    errors
        By row of the table, what a combination raised, where errors were skipped.
    shows_errors
        Whether the table has a column for them.
    stale
        Why a combination cannot be run again; empty where it can.
    """

    job: Job
    rows: np.ndarray
    figures: np.ndarray
    total: int
    left_out: int
    complete: bool
    errors: Mapping[int, str] = field(default_factory=dict)
    shows_errors: bool = False
    stale: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def strategy(self) -> Strategy:
        """The strategy that was swept."""
        return self.job.strategy

    @property
    def fixed(self) -> Mapping[str, Any]:
        """Parameters and terms that were the same for all."""
        return self.job.fixed

    @property
    def axes(self) -> tuple[str, ...]:
        """Columns of the swept parameters, in the order they were given.

        Their names, with ``_set`` behind where a figure bears the same: ``fees`` are what was paid, ``fees_set`` the
        rate that was swept.
        """
        return tuple(column_of(name) for name in self.job.space.names)

    @property
    def points(self) -> Points:
        """The parameters of each row as they were given."""
        return Points(self.job, self.rows)

    @property
    def tape(self) -> Tape:
        """The bars of a sweep over one account; where there are several, ``tape_of`` has those of a row."""
        if len(self.job.sources) > 1:
            raise ConfigError(f"this sweep ran on {len(self.job.sources)} accounts.", fix="Ask tape_of(row).")
        return self.job.sources[0].open()

    def tape_of(self, row: int) -> Tape:
        """Return the bars that one row ran on."""
        return self.job.source(self._row(row)).open()

    @property
    def blocks(self) -> np.ndarray:
        """Sums over equal blocks of bars, shape (rows, blocks) of ``research.figures.BLOCK``.

        ``n`` returns a bar, their ``sum``, ``sum_sq`` of their squares, and the ``drawdown`` (≤ 0) inside the block;
        what walk-forward, the probability of overfitting and the like are computed from.
        """
        if not self.job.blocks:
            raise ConfigError("this sweep kept no block sums.", fix="Sweep with blocks=16.")
        return self.figures["blocks"]

    @property
    def nbytes(self) -> int:
        """Memory the rows take: figures, block sums, parameters."""
        return self.figures.nbytes + self.rows.nbytes + self.job.space.nbytes

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a combination: symbol and timeframe where there are several, parameters, fields of ``Summary``."""
        return self._frame(np.arange(len(self)))

    def top(self, n: int = 10, by: str = "sharpe", *, min_trades: int = 1) -> pd.DataFrame:
        """Return the best ``n`` rows of the table by one figure, without making the rest of it."""
        return self._frame(self._order(by, min_trades)[:n])

    def ranked(self, by: str = "sharpe", *, min_trades: int = 1) -> pd.DataFrame:
        """The table from best to worst by one figure, without undefined ones."""
        return self._frame(self._order(by, min_trades))

    def best(self, by: str = "sharpe", *, min_trades: int = 1) -> Result:
        """Run the best combination again and return its whole ``Result``; undefined figures never win.

        Parameters
        ----------
        by
            A field of ``Summary``; where less is better (``volatility``, ``fees`` …) the least wins.
        min_trades
            Leave out combinations that closed fewer trades.
        """
        return self.result(int(self._order(by, min_trades)[0]))

    def result(self, row: int) -> Result:
        """Run the combination of one row of the table again and return its whole ``Result``."""
        at = self._row(row)
        if self.stale:
            raise ConfigError(
                f"row {row} cannot be run again: {self.stale}.", fix="Give it: tl.load_sweep(path, strategy)."
            )
        parameters = self.job.parameters(at)
        lost = [name for name, value in parameters.items() if isinstance(value, Unread)]
        if lost:
            raise ConfigError(
                f"{', '.join(lost)} of row {row} could not be kept in a file.", fix="Give it: tl.load_sweep(path, …)."
            )
        return backtest_tape(self.job.source(at).open(), self.strategy, parameters)

    def to_parquet(self, path: str | Path) -> Path:
        """Write the table to one Parquet file, which any tool reads.

        Raises
        ------
        StorageError
            It cannot be written; nothing is left behind.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = Path(path)
        scratch = path.with_name(path.name + ".partial")
        schema = pa.Table.from_pandas(self._frame(np.arange(len(self))[:1]), preserve_index=False).schema
        try:
            with pq.ParquetWriter(scratch, schema, compression="zstd") as writer:
                for first in range(0, len(self), _WRITTEN_AT_ONCE):
                    part = self._frame(np.arange(first, min(first + _WRITTEN_AT_ONCE, len(self))))
                    writer.write_table(pa.Table.from_pandas(part, schema, preserve_index=False))
            scratch.replace(path)
        except OSError as error:
            raise StorageError(
                f"the sweep could not be written to {os.fspath(path)!r}: {error.strerror or error}.",
                fix="Choose a folder that exists and has room.",
            ) from error
        finally:
            scratch.unlink(missing_ok=True)
        return path

    def plot(self, by: str = "sharpe") -> go.Figure:
        """Draw one figure over what was swept: a line over one parameter, a heatmap over the first two of more."""
        MissingExtraError.unless("plotly", "report", "drawing")
        from tradelab.research import plots

        if len(self.axes) > 1:
            return self.heatmap(by)
        self._require_figure(by)
        values = self.table.groupby(self.axes[0], dropna=False)[by]
        return plots.sweep_lines(values.min() if by in LOW_IS_GOOD else values.max(), by, self.strategy.name)

    def heatmap(self, by: str = "sharpe", x: str | None = None, y: str | None = None) -> go.Figure:
        """Draw one figure over two parameters; where more were swept, the best over the others is shown."""
        MissingExtraError.unless("plotly", "report", "drawing")
        from tradelab.research import plots

        self._require_figure(by)
        known = [*self.axes, *self._labels]
        names = [a for a in known if a not in (x, y)]
        x = x or (names.pop(0) if names else None)
        y = y or (names.pop(0) if names else None)
        for axis in (x, y):
            if axis not in known:
                raise ParameterError(f"a heatmap needs two swept parameters; {axis!r} is none.", allowed=known)
        best = self.table.pivot_table(
            index=y,
            columns=x,
            values=by,
            aggfunc="min" if by in LOW_IS_GOOD else "max",
            dropna=False,  # None is a value too
        )
        return plots.heatmap(best, by, self.strategy.name)

    @property
    def _labels(self) -> tuple[str, ...]:
        return tuple(label for label in _LABELS if getattr(self.job.sources[0], label))

    def _row(self, row: int) -> int:
        """The row of the job behind a row of the table."""
        if isinstance(row, bool) or not (isinstance(row, (int, np.integer)) and 0 <= row < len(self)):
            raise ParameterError(f"row {row} is not in the table.", allowed=[f"0 … {len(self) - 1}"])
        return int(self.rows[row])

    def _order(self, by: str, min_trades: int) -> np.ndarray:
        """Rows from best to worst; rows alike stay in their order."""
        self._require_figure(by)
        values = self.figures[by].astype(np.float64)
        good = np.flatnonzero((self.figures["trades"] >= min_trades) & ~np.isnan(values))
        if not len(good):
            raise ConfigError(
                f"no combination has a defined {by} and at least {min_trades} closed trades.",
                fix="Lower min_trades, widen the grid or take more bars.",
            )
        return good[np.argsort(values[good] if by in LOW_IS_GOOD else -values[good], kind="stable")]

    def _frame(self, places: np.ndarray) -> pd.DataFrame:
        rows = self.rows[places]
        accounts, combinations = np.divmod(rows, self.job.size)
        columns: dict[str, Any] = {}
        for label in self._labels:
            columns[label] = pd.Series([getattr(s, label) for s in self.job.sources]).take(accounts).array
        for axis in self.job.space.axes:
            shown = pd.Series([_shown(value) for value in axis.values])
            columns[column_of(axis.name)] = shown.take(axis.codes[combinations]).array
        shared = {name: pd.Series([f[name] for f in self._facts]).take(accounts).array for name in OF_TAPE}
        columns |= figure_columns(self.figures[places], shared)
        if self.shows_errors:
            columns["error"] = pd.array([self.errors.get(int(k)) for k in places], dtype="string")
        return pd.DataFrame(columns, index=places if len(places) < len(self) or (np.diff(places) < 0).any() else None)

    @cached_property
    def _facts(self) -> list[dict[str, Any]]:
        return [facts_of(source.open()) for source in self.job.sources]

    def _require_figure(self, by: str) -> None:
        if by not in _RANKED:
            raise UnknownNameError.of("figure", by, _RANKED)

    def __str__(self) -> str:
        state = "" if self.complete else f", interrupted after {len(self)}"
        left = f", {self.left_out} against the rule {self.strategy.requires}" if self.left_out else ""
        accounts = f" on {len(self.job.sources)} accounts" if len(self.job.sources) > 1 else ""
        failed = f", {len(self.errors)} failed" if self.errors else ""
        swept = " × ".join(self.axes)
        return f"Sweep of {self.strategy.name} over {swept}: {self.total} combinations{accounts}{left}{failed}{state}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        shown = ["total_return", "sharpe", "max_drawdown", "trades", "win_rate", "profit_factor", "grade"]
        sharpe = self.figures["sharpe"]
        best = np.argsort(np.where(np.isnan(sharpe), np.inf, -sharpe), kind="stable")[:10]
        top = self._frame(best)[[*self._labels, *self.axes, *shown]]
        form = {
            "total_return": "{:.1%}",
            "max_drawdown": "{:.1%}",
            "win_rate": "{:.1%}",
            "sharpe": "{:.2f}",
            "profit_factor": "{:.2f}",
        }
        rows = top.to_html(formatters={k: v.format for k, v in form.items()}, na_rep="–", border=0)
        return f"<p><b>{self}</b></p>{rows}"


def _shown(value: Any) -> Any:
    """A swept value as a cell of the table: numbers and words as they are, a fill policy as words."""
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, (int, float, str, type(None))) else str(value)
