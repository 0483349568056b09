"""Run a batch of combinations: the one place where a sweep meets the engine.

The front of a sweep (what to try, in which order, on which machine, what to keep) knows nothing of how a combination
is computed; it calls ``run_batch`` from many threads, or in other processes, and puts the rows where they belong.
"""

from __future__ import annotations

import numpy as np

from tradelab.research.backtest import backtest_tape
from tradelab.research.figures import row_of
from tradelab.research.inputs import Tape
from tradelab.research.job import Job

_ARRAYS_A_BAR = 30  # of float64: wishes, the run's series, returns, and what a strategy makes on its way to signals


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
    done = np.zeros(len(rows), job.dtype)
    for at, row in enumerate(rows.tolist()):
        try:
            done[at] = row_of(backtest_tape(tape, job.strategy, job.parameters(row)), job.blocks)
        except BaseException as error:
            raise BatchStopped(done[:at], error) from error
    return done


def working_bytes(tape: Tape) -> int:
    """Return about how much memory one thread needs beside the bars while it runs a batch over them."""
    return 8 * _ARRAYS_A_BAR * len(tape.index) * len(tape.frames)
