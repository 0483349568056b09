"""Compute rows in batches sized from measured speed, and keep every one that was finished, whatever happens next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tradelab.research.executors import Batch, Crew
from tradelab.research.figures import empty_rows
from tradelab.research.job import Job

_BATCH_S = 0.5  # what a batch should take
_LEAST_S = 0.1  # what it should take at least, when little is left to share out: its lines are drawn for it alone
_FIRST_ROWS, _FIRST_S, _GUESS_S = 32, 0.1, 5e-9  # the first batch is small, by a guess of a bar and row
_LITTLE_S = 0.2  # by the same guess: less than it takes to share it out
_GROWTH = 32  # a batch is at most so many times the last one measured
_PATIENCE_S = 10.0  # how long Ctrl-C waits for batches under way
_TICK_S = 0.5  # how often the progress bar shows that time passes


@dataclass(eq=False)
class Ledger:
    """What has been computed so far.

    Parameters
    ----------
    figures
        Shape (rows,) of ``job.dtype``: one place a row of the job, filled as batches come in.
    done
        Which places are filled.
    errors
        What was raised by rows that could not be computed, in words; their figures are undefined.
    """

    figures: np.ndarray
    done: np.ndarray
    errors: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: int, dtype: np.dtype) -> Ledger:
        """Return an empty one."""
        return cls(np.empty(rows, dtype), np.zeros(rows, dtype=bool))

    def put(self, rows: np.ndarray, figures: np.ndarray) -> None:
        """Enter finished rows."""
        self.figures[rows] = figures
        self.done[rows] = True

    def fail(self, row: int, error: str) -> None:
        """Enter a row that could not be computed."""
        self.put(np.array([row]), empty_rows(1, self.figures.dtype))
        self.errors[row] = error


class CombinationFailed(Exception):  # noqa: N818  (carries what was raised to where it can be told with its combination)
    """A combination raised, and the rest is not to be run without it."""

    def __init__(self, row: int, error: BaseException) -> None:
        super().__init__(row, error)
        self.row = row
        self.error = error


@dataclass(eq=False)
class Pace:
    """Sizes batches: long enough that handing them out costs nothing, short enough that a kill or Ctrl-C loses little.

    Parameters
    ----------
    hands
        How many batches run at once.
    seconds
        A bar and row, as measured; ``None`` before the first batch.
    """

    hands: int
    seconds: float | None = None
    largest: int = 0

    def size(self, left: int, bars: int) -> int:
        """Return how many of the rows that are left, over so many bars, the next batch should have."""
        if self.seconds is None:
            return max(1, min(left, _FIRST_ROWS, int(_FIRST_S / (_GUESS_S * bars))))
        share = 2 * left // (3 * self.hands)  # towards the end, smaller ones, so that all hands finish together
        least = int(_LEAST_S / (self.seconds * bars)) + 1
        most = int(_BATCH_S / (self.seconds * bars)) + 1
        return max(1, min(left, most, max(share, least), _GROWTH * self.largest))

    def measured(self, rows: int, bars: int, seconds: float) -> None:
        """Learn from a finished batch; the newest counts half."""
        if rows:
            now, known = max(seconds / (rows * bars), 1e-15), self.seconds
            # a first batch also compiles kernels and opens files: where the next is far faster, believe the next
            self.seconds = now if known is None or now < known / 4 else (known + now) / 2
            self.largest = max(self.largest, rows)


@dataclass(eq=False)
class Course:
    """One way through the rows of a job.

    Parameters
    ----------
    crew, ledger, pace
        Who computes, where figures are entered, how batches are sized.
    skip_errors
        Enter a combination that raised as failed and go on, rather than stop.
    entered
        Told of rows that were just entered in the ledger.
    ticked
        Told every now and then that time passes.
    """

    crew: Crew
    ledger: Ledger
    pace: Pace
    skip_errors: bool
    entered: Callable[[np.ndarray], None]
    ticked: Callable[[], None]

    def run(self, job: Job, rows: np.ndarray) -> None:
        """Compute rows of a job.

        Raises
        ------
        CombinationFailed
            Of those that raised while it stopped, the first; the batches under way are finished and entered.
        KeyboardInterrupt
            Ctrl-C; the batches under way are finished and entered, unless it comes again.
        """
        todo = deque(_by_account(rows, job.size))
        under_way: dict[Any, None] = {}
        failed: list[CombinationFailed] = []
        try:
            while (todo and not failed) or under_way:
                while todo and not failed and len(under_way) < self._hands(job, todo):
                    under_way[self.crew.submit(job, self._cut(job, todo))] = None
                done = self.crew.finished(list(under_way), _TICK_S)
                for ticket, batch in done:
                    del under_way[ticket]
                    self._enter(job, batch, todo, failed)
                if not done:
                    self.ticked()
        except KeyboardInterrupt:
            self._finish(under_way)
            raise
        if failed:
            raise min(failed, key=lambda failure: failure.row)

    def _hands(self, job: Job, todo: deque[np.ndarray]) -> int:
        """How many batches may be under way: where little is left, one until its speed says whether sharing pays."""
        work = sum(map(len, todo)) * job.source(int(todo[0][0])).bars
        return 1 if self.pace.seconds is None and work * _GUESS_S < _LITTLE_S else self.crew.slots

    def _cut(self, job: Job, todo: deque[np.ndarray]) -> np.ndarray:
        """Take the next batch off what is to do; never across two accounts."""
        rows = todo.popleft()
        size = self.pace.size(len(rows) + sum(map(len, todo)), job.source(int(rows[0])).bars)
        if size < len(rows):
            todo.appendleft(rows[size:])
        return rows[:size]

    def _enter(self, job: Job, batch: Batch, todo: deque[np.ndarray], failed: list[CombinationFailed]) -> None:
        count = len(batch.figures)
        self.pace.measured(count, job.source(int(batch.rows[0])).bars, batch.seconds)
        self.ledger.put(batch.rows[:count], batch.figures)
        if batch.error is None:
            self.entered(batch.rows)
            return
        if isinstance(batch.error, Exception) and self.skip_errors:
            row = int(batch.rows[count])
            self.ledger.fail(row, f"{type(batch.error).__name__}: {batch.error}")
            self.entered(batch.rows[: count + 1])
            if count + 1 < len(batch.rows):
                todo.appendleft(batch.rows[count + 1 :])
            return
        self.entered(batch.rows[:count])
        if not isinstance(batch.error, Exception):
            raise batch.error
        failed.append(CombinationFailed(int(batch.rows[count]), batch.error))

    def _finish(self, under_way: dict[Any, None]) -> None:
        """After Ctrl-C: give back what has not begun, and wait for what has, which takes a batch's time."""
        left = self.crew.drop(list(under_way))
        begun = time.monotonic()
        while left and time.monotonic() - begun < _PATIENCE_S:
            for ticket, batch in self.crew.finished(left, _TICK_S):
                left.remove(ticket)
                rows = batch.rows[: len(batch.figures)]
                self.ledger.put(rows, batch.figures)
                self.entered(rows)


def _by_account(rows: np.ndarray, size: int) -> list[np.ndarray]:
    if not len(rows):
        return []
    return np.split(rows, np.flatnonzero(np.diff(rows // size)) + 1)
