"""Run a rehearsal venue on a thread beside a test, with the login that the test wants; a home for connections."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.rehearsal.binance_world import SPOT, still_bars
from tradelab.model.clock import Clock, ScaledClock
from tradelab.rehearsal.settings import AccountSetup, Ledger, VenueSetup
from tradelab.rehearsal.tape import Tape
from tradelab.rehearsal.venue import Rehearsal, rehearse
from tradelab.store.sealing import new_key

KEY = "rehearsal-key-77aa"
START_NS = 1_704_067_200_000_000_000


def make_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a test records and bars of its own, and a key for its secrets."""
    monkeypatch.setenv("TRADELAB_HOME", str(folder))
    monkeypatch.setenv("TRADELAB_KEY", new_key().text.reveal())
    for name in ("TRADELAB_DATABASE", "TRADELAB_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)


@contextlib.contextmanager
def venue_beside(
    secret: str, clock: Clock | None = None, *, may: frozenset[str] = frozenset({"trade"})
) -> Iterator[Rehearsal]:
    """Run Binance spot with one account until the block ends, on a loop of its own; by default thirty times as fast."""
    loop, up, down = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    made: list[Rehearsal] = []

    async def run() -> None:
        tape = Tape(SPOT, still_bars(), start_ns=START_NS, start_bar=1500)
        account = AccountSetup(key=KEY, secret=secret, balances={"USDT": Decimal(10_000)}, may=may)
        setup = VenueSetup(ledger=Ledger.SPOT, accounts=(account,))
        async with rehearse("binance", [tape], setup, clock=clock or ScaledClock(START_NS, 30.0)) as at:
            made.append(at)
            up.set()
            await down.wait()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(run())
        loop.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert up.wait(30), "the venue did not start"
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(down.set)
        thread.join(30)
