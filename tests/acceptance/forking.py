"""Fork an engine for each job that a line of the input describes, and tell its process id and how it ended.

All that an engine needs is imported once, before the first of them. Run it as ``python -m tests.acceptance.forking``.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable

from tests.acceptance.engine import FAILED, Job, arrange, die, live
from tests.acceptance.lives import LIVES
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.store.database import Database
from tradelab.store.journal import Journal

_PR_SET_PDEATHSIG = 1  # of Linux's prctl


def die_with_parent() -> None:
    """Be killed when the parent is: what is left of a run that somebody ended would take the next one's time."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def in_child(job: Job) -> int:
    """Live once, in a process of its own."""
    arrange(job.point)
    if job.after_s:
        threading.Timer(job.after_s, die).start()
    return asyncio.run(live(job, LIVES[job.life]))


def fork(work: Callable[[], int]) -> int:
    """Run something in a child, and return how it ended: its code, or minus the signal that killed it."""
    child = os.fork()
    if child == 0:
        code = FAILED
        die_with_parent()
        try:
            code = work()
        except BaseException as error:  # noqa: BLE001 (a child must never go on as the parent)
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    sys.stdout.write(f"born {child}\n")
    sys.stdout.flush()
    _, status = os.waitpid(child, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def warm() -> None:
    """Import what engines import late, so that no child has to: what is tested is not how long that takes."""
    with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/records.sqlite") as database:
        Journal(database, "warm")
    for exchange, market in (("binance", "spot"), ("bybit", "linear")):
        CcxtVenue(exchange, market=market, base_url="http://127.0.0.1:9")._client  # noqa: B018
    gc.freeze()


def main() -> None:
    """Live as often as asked: a job a line, its end a line."""
    die_with_parent()
    warm()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        job = Job(**json.loads(line))
        sys.stdout.write(f"ended {fork(lambda: in_child(job))}\n")  # noqa: B023 (called before the next line)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
