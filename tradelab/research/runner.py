"""Run a batch of combinations: the one place where a sweep meets the engine.

The front of a sweep (what to try, in which order, on which machine, what to keep) knows nothing of how a combination
is computed; it calls ``run_batch`` from many threads, or in other processes, and puts the rows where they belong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tradelab.research.backtest import backtest_tape
from tradelab.research.event_runner import kind_of, run_events
from tradelab.research.figures import block_edges, row_of
from tradelab.research.inputs import Tape
from tradelab.research.job import Job
from tradelab.research.settings import Settings
from tradelab.research.tallies import blocks_of

# Of float64: what a strategy makes on its way to signals; and, where every bar is walked, wishes, series and returns.
_LEAPS, _WALKS = 10, 30
_WORKSPACE = 8_000_000  # lines of a tile, and what a few thousand combinations remember


class BatchStopped(Exception):  # noqa: N818  (it carries what was done; the error is its cause)
    """One combination could not be computed; those before it in the batch were.

    Parameters
    ----------
    done
        Rows of the combinations before it, of ``job.dtype``.
    cause
        What was raised, a ``KeyboardInterrupt`` included.
    """

    def __init__(self, done: np.ndarray, cause: BaseException) -> None:
        super().__init__(done, cause)
        self.done = done
        self.cause = cause


def run_batch(job: Job, rows: np.ndarray) -> np.ndarray:
    """Compute the figures of some rows of a job.

    Called from several threads at once, each with a batch of its own; what a row comes to may depend on nothing but the
    job and the row.

    Parameters
    ----------
    job
        What to compute; ``job.parameters(row)`` and ``job.source(row).open()`` say it row by row.
    rows
        Shape (n,), int64, n ≥ 1: rows of one account, ``rows // job.size`` is the same for all.

    Returns
    -------
    ndarray
        Shape (n,) of ``job.dtype``, in the order of ``rows``. Undefined figures are NaN.

    Raises
    ------
    BatchStopped
        A combination raised; carries the rows before it.
    """
    tape = job.source(int(rows[0])).open()
    if not can_leap(tape):
        return _one_by_one(job, tape, rows, _walked)
    try:
        return _leapt(job, tape, rows)
    except Exception:  # noqa: BLE001  (one of them raised: one by one tells which, and keeps those before it)
        return _one_by_one(job, tape, rows, _leapt)
    except KeyboardInterrupt as stop:
        raise BatchStopped(np.zeros(0, job.dtype), stop) from stop


def can_leap(tape: Tape) -> bool:
    """Whether the event kernel can run these bars: those of one instrument, with no finer ones inside."""
    return len(tape.frames) == 1 and tape.finer is None


def _one_by_one(
    job: Job, tape: Tape, rows: np.ndarray, run: Callable[[Job, Tape, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Run combinations by themselves, up to the first that raises."""
    done = np.zeros(len(rows), job.dtype)
    for at in range(len(rows)):
        try:
            done[at : at + 1] = run(job, tape, rows[at : at + 1])
        except BaseException as error:
            raise BatchStopped(done[:at], error) from error
    return done


def _walked(job: Job, tape: Tape, rows: np.ndarray) -> np.ndarray:
    """Run one combination by the reference, which knows several instruments and finer bars."""
    return np.array([row_of(backtest_tape(tape, job.strategy, job.parameters(int(rows[0]))), job.blocks)], job.dtype)


def _leapt(job: Job, tape: Tape, rows: np.ndarray) -> np.ndarray:
    """Run all combinations by the event kernel, those of one kind of terms together."""
    done = np.zeros(len(rows), job.dtype)
    bars = len(tape.index)
    edges = block_edges(bars, job.blocks) if job.blocks else np.zeros(1, np.int64)
    columns = job.space.columns(rows % job.size)
    settings, which = _terms(job, columns, len(rows))
    kinds = [kind_of(s) for s in settings]
    for kind in dict.fromkeys(kinds):
        mine = [k for k, other in enumerate(kinds) if other == kind]
        places = np.flatnonzero(np.isin(which, mine))
        points = {
            name: [columns[name][at] for at in places]
            if name in columns
            else [job.fixed.get(name, p.default)] * len(places)
            for name, p in job.strategy.parameters.items()
        }
        numbered = np.searchsorted(mine, which[places])
        figures, parts = run_events(tape, job.strategy, [settings[k] for k in mine], numbered, points, edges)
        for name, values in figures.items():
            done[name][places] = values
        if job.blocks:
            done["blocks"][places] = blocks_of(parts, edges)
    return done


def _terms(job: Job, columns: Mapping[str, Any], count: int) -> tuple[list[Settings], np.ndarray]:
    """The distinct terms of a batch, and which of them each combination trades on."""
    names = [name for name in columns if name in Settings.__dataclass_fields__]
    fixed = {name: value for name, value in job.fixed.items() if name in Settings.__dataclass_fields__}
    if not names:
        return [Settings(**fixed)], np.zeros(count, np.int64)
    distinct: dict[Any, int] = {}
    which = [distinct.setdefault(values, len(distinct)) for values in zip(*(columns[n] for n in names), strict=True)]
    settings = [Settings(**{**fixed, **dict(zip(names, values, strict=True))}) for values in distinct]
    return settings, np.array(which, np.int64)


def working_bytes(tape: Tape) -> int:
    """Return about how much memory one thread needs beside the bars while it runs a batch over them."""
    arrays = _LEAPS if can_leap(tape) else _WALKS
    return 8 * arrays * len(tape.index) * len(tape.frames) + _WORKSPACE
