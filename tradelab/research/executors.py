"""Run batches where there are hands: on threads of this process, in other processes, or on a Dask cluster.

A crew is given a job and rows, and gives finished batches back in whatever order they come. It decides where, never
what: the figures of a row are the same whoever computes them.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import time
import traceback
import warnings
from collections.abc import Collection
from concurrent import futures
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tradelab.model.errors import ConfigError, ConnectivityError, ParameterError
from tradelab.research.job import Job, Source
from tradelab.research.runner import BatchStopped, run_batch

_LOST_AT_MOST = 5  # times one batch is sent again after its worker died
_COUNT_EVERY_S = 5.0
_PATIENCE_S = 120.0  # for a cluster without a single worker


@dataclass(frozen=True, eq=False)
class Batch:
    """What came of one batch.

    Parameters
    ----------
    rows
        The rows that were asked for.
    figures
        Of the first of them: all, or those before the one that failed.
    seconds
        Time spent computing.
    error
        What the next row raised; ``None`` when all went well.
    """

    rows: np.ndarray
    figures: np.ndarray
    seconds: float
    error: BaseException | None = None


class Crew(Protocol):
    """Whoever runs batches."""

    @property
    def slots(self) -> int:
        """How many batches to keep under way."""

    @property
    def local(self) -> bool:
        """Whether batches run in this process, which then needs the memory."""

    def submit(self, job: Job, rows: np.ndarray) -> Any:
        """Start a batch and return its ticket."""

    def finished(self, tickets: Collection[Any], timeout: float) -> list[tuple[Any, Batch]]:
        """Wait until some batch is done, ``timeout`` seconds at most, and return those that are."""

    def drop(self, tickets: Collection[Any]) -> list[Any]:
        """Give up batches that have not started, and return the tickets of those that have."""

    def close(self) -> None:
        """Let go of what this crew made itself."""


def compute(job: Job, rows: np.ndarray) -> Batch:
    """Run one batch and time it; an error is a result too."""
    begun = time.perf_counter()
    try:
        figures, error = run_batch(job, rows), None
    except BatchStopped as stopped:
        figures, error = stopped.done, stopped.cause
    return Batch(rows, figures, time.perf_counter() - begun, error)


def compute_far(source: Source | None, job: Job) -> Batch:
    """Run every row of a job in another process; what is returned can be sent back."""
    if source is not None:
        job = replace(job, sources=(source,))
    batch = compute(job, np.arange(job.size))
    return batch if batch.error is None else Batch(batch.rows, batch.figures, batch.seconds, _sendable(batch.error))


def _sendable(error: BaseException) -> BaseException:
    """The error with its traceback as a note, or one that says the same where it cannot be pickled."""
    error.add_note("raised in another process:\n" + "".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  (whatever a user's error does when it is pickled)
        plain = RuntimeError(f"{type(error).__name__}: {error}")
        for note in error.__notes__:
            plain.add_note(note)
        return plain
    return error


class Here:
    """One batch at a time in the calling thread, which Ctrl-C interrupts at once."""

    slots = 1
    local = True

    def submit(self, job: Job, rows: np.ndarray) -> Batch:
        """Run it; the ticket is the batch itself."""
        return compute(job, rows)

    def finished(self, tickets: Collection[Batch], timeout: float) -> list[tuple[Any, Batch]]:
        """Return all: what was submitted is done."""
        return [(ticket, ticket) for ticket in tickets]

    def drop(self, tickets: Collection[Any]) -> list[Any]:
        """Nothing waits here."""
        return list(tickets)

    def close(self) -> None:
        """Nothing to let go of."""


class Threads:
    """Threads of this process; kernels release the GIL."""

    local = True

    def __init__(self, count: int) -> None:
        self.slots = count
        self._pool = futures.ThreadPoolExecutor(count, thread_name_prefix="tradelab-sweep")

    def submit(self, job: Job, rows: np.ndarray) -> Any:
        """Hand the batch to a free thread."""
        return self._pool.submit(compute, job, rows)

    def finished(self, tickets: Collection[Any], timeout: float) -> list[tuple[Any, Batch]]:
        """Wait for the first."""
        done, _ = futures.wait(tickets, timeout, return_when=futures.FIRST_COMPLETED)
        return [(ticket, ticket.result()) for ticket in done]

    def drop(self, tickets: Collection[Any]) -> list[Any]:
        """Cancel what no thread has begun."""
        return [ticket for ticket in tickets if not ticket.cancel()]

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Processes(Threads):
    """The processes of a ``concurrent.futures`` executor of the caller's; bars go by path."""

    local = False

    def __init__(self, pool: futures.Executor) -> None:
        self.slots = 2 * (getattr(pool, "_max_workers", None) or os.cpu_count() or 1)
        self._pool: Any = pool
        self._rows: dict[Any, np.ndarray] = {}

    def submit(self, job: Job, rows: np.ndarray) -> Any:
        """Send the part of the job that these rows need."""
        ticket = self._pool.submit(compute_far, None, job.only(rows))
        self._rows[ticket] = rows
        return ticket

    def finished(self, tickets: Collection[Any], timeout: float) -> list[tuple[Any, Batch]]:
        """Wait for the first, and give its rows their own numbers back."""
        return [
            (ticket, _numbered(batch, self._rows.pop(ticket))) for ticket, batch in super().finished(tickets, timeout)
        ]

    def close(self) -> None:
        """The executor is the caller's."""


@dataclass(eq=False)
class _Sent:
    """A batch on its way through the cluster."""

    job: Job
    rows: np.ndarray
    future: Any
    lost: int = 0


class Cluster:
    """A Dask cluster: bars go by path where every worker can read them, else they are sent once.

    They are sent as the result of a task, not scattered: what is scattered dies with the workers that have it, a task is
    done again.

    A batch whose worker died is sent again. Dask does so itself until a worker has died three times with the batch in
    its queue, begun or not, and then calls the batch a killer, which on a shaky cluster says nothing about it.
    """

    local = False

    def __init__(self, client: Any) -> None:
        if client.asynchronous:
            raise ConfigError("executor is an asynchronous client.", fix="Give an ordinary Client(…).")
        self._client = client
        self._bars: dict[Source, Any] = {}
        self._readable: dict[Source, bool] = {}
        self._counted, self._slots = -np.inf, 2

    @property
    def slots(self) -> int:
        """Two batches a thread of the cluster, whatever its size is now."""
        if time.monotonic() - self._counted > _COUNT_EVERY_S:
            self._slots = 2 * max(1, sum(self._client.nthreads().values()))
            self._counted = time.monotonic()
        return self._slots

    def submit(self, job: Job, rows: np.ndarray) -> _Sent:
        """Send the part of the job that these rows need."""
        return _Sent(job, rows, self._send(job, rows))

    def finished(self, tickets: Collection[_Sent], timeout: float) -> list[tuple[Any, Batch]]:
        """Wait for the first; what was lost with its worker is sent again."""
        from distributed import wait

        with contextlib.suppress(TimeoutError, futures.CancelledError):
            wait([sent.future for sent in tickets], timeout, return_when="FIRST_COMPLETED")
        done = []
        for sent in [sent for sent in tickets if sent.future.status != "pending"]:
            batch = self._result(sent)
            if batch is not None:
                done.append((sent, _numbered(batch, sent.rows)))
        return done

    def drop(self, tickets: Collection[_Sent]) -> list[_Sent]:
        """Cancel what is in no worker's hands and not done."""
        held = {key for keys in self._client.processing().values() for key in keys}
        kept = [sent for sent in tickets if sent.future.key in held or sent.future.status != "pending"]
        self._client.cancel([sent.future for sent in tickets if sent not in kept])
        return kept

    def close(self) -> None:
        """Forget the bars that were sent; the cluster is the caller's."""
        self._bars.clear()

    def _send(self, job: Job, rows: np.ndarray) -> Any:
        part = job.only(rows)
        source = part.sources[0]
        if self._is_readable(source):
            return self._client.submit(compute_far, None, part, pure=False)
        if source not in self._bars:
            held = Source(source.symbol, source.timeframe, source.open())
            with warnings.catch_warnings():  # that this graph is large, which is its purpose
                warnings.simplefilter("ignore", UserWarning)
                self._bars[source] = self._client.submit(_same, held, pure=False)
        bare = replace(part, sources=(Source(source.symbol, source.timeframe, None),))
        return self._client.submit(compute_far, self._bars[source], bare, pure=False)

    def _is_readable(self, source: Source) -> bool:
        if source not in self._readable:
            self._await_worker()
            seen = (
                self._client.run(_all_files, [file.path for file in source.files], on_error="ignore")
                if source.files
                else {}
            )
            self._readable[source] = bool(seen) and all(seen.values())
        return self._readable[source]

    def _await_worker(self) -> None:
        """Wait where all workers died at once and are on their way back."""
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE_S)
        except TimeoutError as error:
            raise ConnectivityError(
                f"the cluster has had no worker for {_PATIENCE_S:.0f} s.",
                fix="Start workers and make the call again; with path= it goes on where it stood.",
            ) from error

    def _result(self, sent: _Sent) -> Batch | None:
        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        try:
            batch: Batch = sent.future.result()
        except (KilledWorker, CommClosedError, futures.CancelledError) as error:
            sent.lost += 1
            if sent.lost > _LOST_AT_MOST:
                error.add_note(
                    f"workers died {sent.lost} times with rows {sent.rows[0]} … {sent.rows[-1]} in their hands"
                )
                raise
            self._bars.clear()  # the bars may have died with the worker
            sent.future = self._send(sent.job, sent.rows)
            return None
        return batch


def _same(source: Source) -> Source:
    return source


def _all_files(paths: list[str]) -> bool:
    return all(Path(path).is_file() for path in paths)


def _numbered(batch: Batch, rows: np.ndarray) -> Batch:
    return replace(batch, rows=rows)


def crew_of(executor: Any, threads: int | None) -> Crew:
    """Return who runs the batches.

    Parameters
    ----------
    executor
        ``None`` for threads of this process, a ``dask.distributed.Client``, or an executor of ``concurrent.futures``.
    threads
        How many threads; as many as the machine has processors by default.
    """
    if executor is None:
        count = (os.cpu_count() or 1) if threads is None else threads
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ParameterError(f"threads={threads!r} is no number of threads.", allowed=["1, 2, 3 …"])
        return Here() if count == 1 else Threads(count)
    if threads is not None:
        raise ConfigError("both threads and an executor were given.", fix="Leave threads out.")
    if isinstance(executor, futures.ThreadPoolExecutor):
        raise ConfigError("executor is a pool of threads.", fix="Say threads=… instead.")
    if isinstance(executor, futures.Executor):
        return Processes(executor)
    if type(executor).__module__.partition(".")[0] == "distributed":
        return Cluster(executor)
    raise ParameterError(
        f"executor is {type(executor).__name__}.",
        allowed=["None for threads", "a dask.distributed.Client", "a ProcessPoolExecutor"],
    )
