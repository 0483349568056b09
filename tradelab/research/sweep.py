"""Run a strategy over many combinations of parameters, and keep one row of figures for each."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tradelab.model.errors import ConfigError, ParameterError
from tradelab.model.units import Timeframe
from tradelab.research.adaptive import Tried, climb
from tradelab.research.checks import as_path, require_choice
from tradelab.research.executors import Crew, crew_of
from tradelab.research.figures import row_dtype
from tradelab.research.job import Job, Source, sources_of
from tradelab.research.memory import estimate, require_memory
from tradelab.research.runner import working_bytes
from tradelab.research.search import Adaptive, Plan, Rules
from tradelab.research.settings import with_terms
from tradelab.research.space import domains_of
from tradelab.research.sweep_folder import load_sweep, manifest_of
from tradelab.research.sweep_result import Sweep
from tradelab.research.sweep_run import CombinationFailed, Course, Ledger, Pace
from tradelab.research.sweep_store import Folder, bars_said, write_bars
from tradelab.strategy.registry import find
from tradelab.strategy.spec import Strategy

__all__ = ["Adaptive", "Sweep", "load_sweep", "sweep"]


@with_terms
def sweep(
    bars: pd.DataFrame | Mapping[str, pd.DataFrame],
    strategy: str | Strategy,
    *,
    search: Any = "grid",
    samples: int | None = None,
    seed: int = 0,
    by: str = "sharpe",
    each: bool = False,
    timeframes: Iterable[str | Timeframe] | None = None,
    finer: Any = None,
    path: str | Path | None = None,
    executor: Any = None,
    threads: int | None = None,
    blocks: int = 16,
    on_error: str = "raise",
    memory_limit: int | str | None = None,
    progress: bool = True,
    **parameters: Any,
) -> Sweep:
    """Backtest many combinations of the parameters that were given as several values or as a ``Range``.

    A range, list, tuple, array, set or ``tl.Range`` is swept; a single value is fixed. Ctrl-C, or *interrupt kernel*,
    stops and keeps what is done. What a row says depends on neither threads, executor, nor the order of work.

    Parameters
    ----------
    bars
        As for ``backtest``: one instrument, or several that share one account.
    strategy
        A strategy or its registered name.
    search
        ``"grid"``: every combination. ``"random"``, ``"sobol"``: ``samples`` of them, drawn by chance or evenly spread
        (``search`` extra). ``"optuna"``, a sampler of Optuna, or ``Adaptive(sampler, per_round)``: each round of them
        chosen by what the earlier ones came to (``search`` extra).
    samples, seed
        How many combinations to draw, and what from; those that break the strategy's rule are drawn again.
    by
        The figure an adaptive search climbs; over several accounts, its mean.
    each
        Give every instrument an account of its own: one row a combination and symbol.
    timeframes
        Sweep these timeframes too, made of the bars given, as ``tl.Catalog`` would: one row a combination and
        timeframe.
    finer
        As for ``backtest``. Every bar is then lived, which takes longer than leaping, and in this process only: not
        with ``path`` or ``executor``.
    path
        A folder to keep finished rows in. The same call goes on where it was stopped or killed; another one is refused.
    executor
        A ``dask.distributed.Client`` (``cluster`` extra) or a ``ProcessPoolExecutor``; threads by default.
    threads
        How many; one a processor by default.
    blocks
        Keep sums of returns over so many equal blocks of bars (32 bytes each); 0 for none.
    on_error
        ``"raise"`` what a combination raises, with what was done in the error's attribute ``sweep``; ``"skip"`` it: its
        figures are undefined, and the table's column ``error`` says why.
    memory_limit
        Refuse a sweep that would need more: bytes, or ``"2 GB"``. Four fifths of what is free by default.
    progress
        Show a progress bar.
    **parameters
        Parameters of the strategy and terms of the backtest; either may be swept (``sl_stop=[0.01, 0.02]``).

    Raises
    ------
    ConfigError
        Nothing to sweep; it does not fit into memory; ``path`` holds another sweep.
    ParameterError
        An unknown, mistyped or out-of-range parameter, said before the first run.
    TooFewBarsError
        A combination needs more bars to warm up than there are, said before the first run.

    Examples
    --------
    >>> import tradelab as tl
    >>> found = tl.sweep(tl.samples.load("GOOG-1d"), "sma_cross", fast=range(5, 20, 5), slow=[20, 40], progress=False)
    >>> len(found), found.best("sharpe").parameters["slow"] in (20, 40)
    (6, True)
    """
    chosen = find(strategy)
    require_choice("on_error", on_error, ("raise", "skip"))
    path = None if path is None else as_path(path)
    domains = domains_of(chosen, parameters)
    rules = Rules(chosen, {name: value for name, value in parameters.items() if name not in domains})
    plan = Plan.of(search, domains, rules, samples=samples, seed=seed, by=by)
    dtype = row_dtype(_require_blocks(blocks))
    crew = crew_of(executor, threads)
    with contextlib.ExitStack() as stack:
        stack.callback(crew.close)
        if finer is not None and (path is not None or not crew.local):
            raise ConfigError("finer bars are held in memory and go nowhere else.", fix="Leave path and executor out.")
        sources = sources_of(bars, each=each, timeframes=timeframes, finer=finer)
        _fit(plan, sources, dtype, crew, memory_limit)
        space = plan.choose(tuple(source.open() for source in sources))
        job = Job(sources, chosen, rules.fixed, space, blocks, len(space) if plan.adaptive is None else plan.count)
        folder = None
        if path is not None:
            said = bars_said(sources)
            folder = Folder(path, manifest_of(job, plan, said))
            stack.callback(folder.close)
            job = replace(job, sources=write_bars(sources, said, folder.path / "bars"))
        elif not crew.local:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tradelab-sweep-")))
            job = replace(job, sources=write_bars(sources, bars_said(sources), scratch))
        return _Voyage(job, plan, crew, folder, on_error == "skip").run(progress)


class _Voyage:
    """One sweep under way: what it computes, what it has, and what becomes of it when it is stopped."""

    def __init__(self, job: Job, plan: Plan, crew: Crew, folder: Folder | None, skip_errors: bool) -> None:
        self.job, self.plan, self.folder, self.skip_errors = job, plan, folder, skip_errors
        self.ledger = Ledger.of(len(job.sources) * job.size, job.dtype)
        if folder is not None:
            folder.load(self.ledger)
        self.bar: Any = None
        self.course = Course(crew, self.ledger, Pace(crew.slots), skip_errors, self._entered, self._ticked)

    def run(self, progress: bool) -> Sweep:
        """Compute what is missing and return the whole."""
        from tqdm.auto import tqdm

        known = int(self.ledger.done.sum()) if self.plan.adaptive is None else 0
        self.bar = tqdm(
            total=len(self.ledger.done), initial=known, desc=self.job.strategy.name, unit="run", disable=not progress
        )
        failure = None
        try:
            if self.plan.adaptive is None:
                self.course.run(self.job, np.flatnonzero(~self.ledger.done))
            else:
                self._climb(self.plan.adaptive)
        except KeyboardInterrupt:
            return self._so_far(complete=False)
        except CombinationFailed as failed:
            failure = failed
        except Exception as error:
            _attach(error, self._so_far(complete=False))
            raise
        finally:
            self.bar.close()
            if self.folder is not None:
                self.folder.flush(self.job, self.ledger)
        if failure is None:
            if self.folder is not None:
                self.folder.finish(self.job.space)
            return self._so_far(complete=True)
        point = ", ".join(f"{name}={value!r}" for name, value in self._said(failure.row).items())
        failure.error.add_note(f"in the sweep of {self.job.strategy.name} at {point}")
        _attach(failure.error, self._so_far(complete=False))
        raise failure.error

    def _entered(self, rows: np.ndarray) -> None:
        self.bar.update(len(rows))
        if self.folder is not None and self.folder.wait(rows):
            self.folder.flush(self.job, self.ledger)

    def _ticked(self) -> None:
        self.bar.refresh()

    def _climb(self, adaptive: Adaptive) -> None:
        """Let the search choose round by round; rows that a folder brought are told without being computed."""
        kept = self.folder.points(self.job) if self.folder is not None else {}
        accounts = np.arange(len(self.job.sources))[:, None]

        def figure(tried: Tried, places: np.ndarray) -> np.ndarray:
            self.job = replace(self.job, space=tried.space(tuple(self.plan.domains)))
            rows = accounts * self.job.size + places
            for row in rows.ravel().tolist():
                if row in kept and kept[row] != self.job.point(row):
                    raise ParameterError(
                        f"{self.plan.says} asked for {self.job.point(row)} where it asked for {kept[row]} before.",
                        fix="Give it a fresh sampler with a seed, or another path.",
                    )
            missing = rows.ravel()[~self.ledger.done[rows.ravel()]]
            self.bar.update(rows.size - len(missing))
            self.course.run(self.job, missing)
            values: np.ndarray = self.ledger.figures[self.plan.by][rows].mean(axis=0)
            return values

        tried = climb(
            adaptive, self.plan.domains, self.plan.rules,
            samples=self.plan.count, seed=self.plan.seed, by=self.plan.by, figure=figure,
        )  # fmt: skip
        self.job = replace(self.job, space=tried.space(tuple(self.plan.domains)))

    def _said(self, row: int) -> dict[str, Any]:
        source = self.job.source(row)
        labels = {name: getattr(source, name) for name in ("symbol", "timeframe") if getattr(source, name)}
        return labels | self.job.point(row)

    def _so_far(self, *, complete: bool) -> Sweep:
        done = self.ledger.done.reshape(len(self.job.sources), -1)
        rows = np.flatnonzero(done & (np.arange(self.job.size) < len(self.job.space)))
        whole = len(rows) == len(self.ledger.done)
        space = self.job.space
        return Sweep(
            job=self.job,
            rows=rows,
            figures=self.ledger.figures if whole else self.ledger.figures[rows],
            total=space.total,
            left_out=space.left_out,
            complete=complete,
            errors={int(np.searchsorted(rows, row)): said for row, said in self.ledger.errors.items()},
            shows_errors=self.skip_errors,
        )


def _attach(error: BaseException, found: Sweep) -> None:
    with contextlib.suppress(AttributeError):  # an exception with slots has no room for it
        error.sweep = found  # type: ignore[attr-defined]


def _require_blocks(blocks: object) -> int:
    if isinstance(blocks, int) and not isinstance(blocks, bool) and 0 <= blocks <= 1024:
        return blocks
    raise ParameterError(f"blocks={blocks!r} is no number of blocks.", allowed=["0 … 1024"])


def _fit(plan: Plan, sources: tuple[Source, ...], dtype: np.dtype, crew: Crew, limit: int | str | None) -> None:
    """Refuse a sweep that does not fit into memory, before its combinations are even listed."""
    needed = estimate(
        bars=sum(len(frame) for source in sources for frame in source.open().frames.values()),
        rows=plan.count * len(sources),
        row_bytes=dtype.itemsize + 9 + 4 * len(plan.domains),  # figures; row number and whether done; parameters
        threads=crew.slots if crew.local else 0,
        thread_bytes=max(working_bytes(source.open()) for source in sources),
    )
    require_memory(needed, limit)
