"""Run engines that all want one account, each a process of its own: python lease_engines.py URL COUNT [careless].

Each writes an intent as often as it can while it holds the lease, and beside it what the database says of the lease in
that very transaction. A careless one does not ask whether it still holds it: by it is seen that the judge would see.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time

from sqlalchemy import text

from tradelab.model.errors import LeaseError, StorageError
from tradelab.store.database import Database
from tradelab.store.leases import Lease, Leases

ACCOUNT, LENGTH_S = "paper", 0.3
_INTENT = text(
    "insert into intents (holder, fence, held_by, held_fence) "
    "select :holder, :fence, holder, fence from leases where account = :account"
)


def trade(url: str, name: str, careless: bool) -> None:
    """Hold the lease whenever it can be had, and write intents."""
    rng = random.Random(name)
    with Database(url) as database:
        leases = Leases(database, name, length_s=LENGTH_S)
        while True:
            try:
                lease = leases.acquire(ACCOUNT)
            except (LeaseError, StorageError):
                time.sleep(0.02 + 0.03 * rng.random())
                continue
            with contextlib.suppress(LeaseError):
                while True:
                    with contextlib.suppress(StorageError):
                        intend(database, leases, lease, careless, rng)
                        lease = leases.renew(lease)


def intend(database: Database, leases: Leases, lease: Lease, careless: bool, rng: random.Random) -> None:
    """Write one intent; the pauses are where a stop of the process is most likely to hit."""
    time.sleep(0.03 * rng.random())
    with database.writing("keep an intent in") as transaction:
        if not careless:
            leases.require(transaction, lease)
        time.sleep(0.003 * rng.random())
        transaction.execute(_INTENT, {"holder": lease.holder, "fence": lease.fence, "account": lease.account})


def main(url: str, count: int, careless: bool) -> None:
    """Fork the engines, print their process ids by name, and end them when the input ends."""
    children: dict[str, int] = {}
    for number in range(count):
        name = f"engine{number}"
        child = os.fork()
        if child == 0:
            sys.stdin.close()
            trade(url, name, careless)
        children[name] = child
    sys.stdout.write(json.dumps(children) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    for child in children.values():
        os.kill(child, signal.SIGKILL)
    for child in children.values():
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), "careless" in sys.argv)
