"""A rehearsal kept in a file goes on after a kill: orders, fills and money as the client last knew them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.unit.rehearsal.binance_world import KEY, PERP, SECRET, SPOT, START_NS, still_bars
from tests.unit.rehearsal.metaapi_world import EURUSD
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.adapters.rehearsal_clock import follow
from tradelab.model.approval import OrderApproved, approve
from tradelab.model.clock import ManualClock, ScaledClock, SystemClock
from tradelab.model.errors import CorruptFileError, StorageError, VenueError
from tradelab.model.instrument import Instrument
from tradelab.model.orders import Fill, OrderIntent, OrderRef, OrderType, Side
from tradelab.model.outcome import Accepted, Outcome, Unknown
from tradelab.rehearsal.clock import VenueClock
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.ledger_spot import SpotLedger
from tradelab.rehearsal.orders import SimOrder
from tradelab.rehearsal.settings import AccountSetup, Ledger, VenueSetup
from tradelab.rehearsal.state import StateFile, Told
from tradelab.rehearsal.tape import Tape
from tradelab.rehearsal.venue import rehearse

D = Decimal
KEPT = (
    "orders",
    "open",
    "fills",
    "ledgers",
    "accounts",
    "pinned",
    "delisted",
    "funding",
    "now_ns",
    "last_number",
    "books",
)
MARKETS = {Ledger.SPOT: SPOT, Ledger.PERPETUAL: PERP, Ledger.HEDGING: EURUSD}


def exchange(ledger: Ledger, clock: ManualClock) -> Exchange:
    instrument = MARKETS[ledger]
    tape = Tape(
        instrument, still_bars(40_000.0 if ledger is not Ledger.HEDGING else 1.16), start_ns=START_NS, start_bar=1500
    )
    money = {"USDT": D(1_000_000), "BTC": D(10)} if ledger is Ledger.SPOT else {instrument.quote: D(1_000_000)}
    account = AccountSetup(key=KEY, secret=SECRET, balances=money)
    return Exchange([tape], VenueClock(clock), VenueSetup(ledger=ledger, accounts=(account,), level_qty=D(1)))


def at_random(venue: Exchange, chance: random.Random) -> None:
    """Do one of the things that happen at a venue, whatever comes of it."""
    (instrument,) = (tape.instrument for tape in venue.tapes.values())
    symbol, last = instrument.symbol, venue.mark(instrument.symbol)
    waiting = list(venue.open.values())
    what = chance.choice(["market", "limit", "stop", "cancel", "amend", "price", "deposit", "delist"])
    side, qty = chance.choice(list(Side)), instrument.qty_step * chance.randint(100, 2000)
    away = last * chance.choice([D("0.98"), D("0.999"), D("1.001"), D("1.02")])
    price = instrument.floor_price(away)
    if what == "market":
        closes = venue.open_orders(KEY) and chance.random() < 0.2
        venue.place(venue.draft(KEY, symbol, side, OrderType.MARKET, qty, reduce_only=bool(closes)))
    elif what == "limit":
        more = {"stop_loss": instrument.floor_price(price * D("0.9"))} if side is Side.BUY else {}
        venue.place(
            venue.draft(KEY, symbol, side, OrderType.LIMIT, qty, price=price, extra={"note": "é", "n": 3}, **more)
        )
    elif what == "stop":
        rises = price > last
        venue.place(venue.draft(KEY, symbol, side, OrderType.STOP, qty, stop_price=price, trigger_rises=rises))
    elif what == "cancel" and waiting:
        venue.cancel(chance.choice(waiting))
    elif what == "amend" and waiting:
        venue.amend(chance.choice(waiting), qty=qty)
    elif what == "price":
        venue.pinned[symbol] = price
    elif what == "deposit":
        venue.deposit(KEY, instrument.quote, D("12.345"))
    elif what == "delist":
        venue.delisted ^= {symbol}


@pytest.mark.parametrize("ledger", list(Ledger))
def test_whatever_happened_is_read_back_as_it_was(ledger: Ledger, tmp_path: Path) -> None:
    """400 random requests in eleven hours, a funding time with them; read back at every fiftieth, and gone on with."""
    clock, chance = ManualClock(START_NS), random.Random(5)
    venue, path = exchange(ledger, clock), tmp_path / "state"
    kept = StateFile(path)
    kept.save(venue)
    for step in range(400):
        at_random(venue, chance)
        asyncio.run(clock.advance(100))
        venue.advance()
        kept.save(venue)
        if step % 50 == 49:
            kept.close()
            kept = StateFile(path)
            again = kept.load(clock)
            for name in KEPT:
                assert getattr(again, name) == getattr(venue, name), name
            assert all(again.open[n] is again.orders[n] for n in again.open)
            venue = again
            kept.save(venue)
    kept.close()
    assert len(venue.fills) > 20
    assert len(venue.orders) > len(venue.open) > 0
    if ledger is Ledger.PERPETUAL:
        assert venue.funding


def test_a_market_goes_on_over_the_same_bars_to_the_last_bit(tmp_path: Path) -> None:
    venue = exchange(Ledger.SPOT, ManualClock(START_NS))
    with StateFile(tmp_path / "state") as kept:
        kept.save(venue)
        again = kept.load(ManualClock(START_NS))
    (one,), (other,) = venue.tapes.values(), again.tapes.values()
    until = START_NS + 3600 * 10**9
    assert list(one.prints(START_NS, until)) == list(other.prints(START_NS, until))
    assert np.array_equal(one.bars.to_numpy(), other.bars.to_numpy())
    assert one.instrument == other.instrument


def test_saving_costs_the_same_with_a_thousand_orders_behind(tmp_path: Path) -> None:
    """Counted in rows written, not in seconds: one for the order, three small ones and the time at most."""
    clock = ManualClock(START_NS)
    venue = exchange(Ledger.SPOT, clock)
    with StateFile(tmp_path / "state") as kept:
        kept.save(venue)
        for _ in range(1000):
            venue.place(venue.draft(KEY, "BTCUSDT", Side.BUY, OrderType.MARKET, D("0.00100")))
            kept.save(venue)
        before = kept._base.total_changes
        venue.place(venue.draft(KEY, "BTCUSDT", Side.BUY, OrderType.MARKET, D("0.00100")))
        kept.save(venue)
        assert len(venue.orders) == 1001
        assert kept._base.total_changes - before <= 6
        before = kept._base.total_changes
        kept.save(venue)
        assert kept._base.total_changes == before, "nothing changed, nothing written"


def test_what_could_not_be_written_is_written_with_the_next(tmp_path: Path) -> None:
    venue = exchange(Ledger.SPOT, ManualClock(START_NS))
    with StateFile(tmp_path / "state") as kept:
        kept.save(venue)
        kept._base.execute("pragma max_page_count = 1")  # the disk is full
        order = venue.draft(
            KEY, "BTCUSDT", Side.BUY, OrderType.LIMIT, D(1), price=D(39_000), extra={"note": "x" * 100_000}
        )
        assert venue.place(order) is None
        with pytest.raises(StorageError, match="cannot be written"):
            kept.save(venue)
        kept._base.execute("pragma max_page_count = 100000")
        kept.save(venue)
        assert kept.load(ManualClock(START_NS)).orders == venue.orders


def test_a_file_is_held_by_one_process_and_free_after_it(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with StateFile(path), pytest.raises(StorageError, match=r"another rehearsal runs with .*state\. End it"):
        StateFile(path)
    StateFile(path).close()


@pytest.mark.parametrize("content", [b"not a database at all" * 100, None])
def test_another_s_file_is_refused_and_left_alone(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine"
    if content is None:
        with contextlib.closing(sqlite3.connect(path)) as base:
            base.execute("create table mine (x)")
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(CorruptFileError, match="Name another file"):
        StateFile(path)
    assert path.read_bytes() == before


def test_a_state_that_cannot_be_understood_is_said_by_its_part(tmp_path: Path) -> None:
    with StateFile(tmp_path / "state") as kept:
        with pytest.raises(CorruptFileError, match="holds no 'setup'"):
            kept.load()
        kept.save(exchange(Ledger.SPOT, ManualClock(START_NS)))
        kept._base.execute("update parts set text = '{}' where name = 'market'")
        with pytest.raises(CorruptFileError, match="market cannot be read"):
            kept.load(ManualClock(START_NS))


@pytest.mark.parametrize(("speed", "kind"), [(1.0, SystemClock), (60.0, ScaledClock)])
def test_a_fast_market_stands_still_while_nobody_runs_it_and_one_that_is_now_does_not(
    tmp_path: Path, speed: float, kind: type
) -> None:
    venue = exchange(Ledger.SPOT, ManualClock(START_NS))
    with StateFile(tmp_path / "state") as kept:
        kept.tell(Told("binance", speed, 8123))
        kept.save(venue)
        again = kept.load()
        assert kept.told().port == 8123
    assert type(again.clock.base) is kind
    assert again.now_ns == START_NS
    if speed != 1.0:
        assert 0 <= again.clock.market_ns() - START_NS < 3600 * 10**9


# ── the real process, killed ─────────────────────────────────────────────────────────────────────────────────────────

_PRICE = D(40_000)
_START = """
import sys
from tradelab.app.cli import main
main(["rehearse", *sys.argv[1:]])
"""


@dataclass
class Killable:
    """`tradelab rehearse --state` in a process of its own, and how to reach it."""

    state: Path
    process: subprocess.Popen[str] | None = None
    url: str = ""
    login: tuple[str, str] = ("", "")

    def start(self) -> None:
        new = [] if self.state.exists() else ["--dialect", "binance", "--balance", "USDT=100000", "--balance", "BTC=3"]
        command = [sys.executable, "-c", _START, "--state", str(self.state), *new]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        found = re.search(r"rehearsal at (\S+)", said)
        assert found is not None, said
        assert not self.url or self.url == found[1], "the same port as before"
        self.url = found[1]
        self.login = (re.search(r"key +(\S+)", said)[1], re.search(r"secret +(\S+)", said)[1])  # type: ignore[index]

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(30) == -signal.SIGKILL
        assert self.process.stdout is not None
        self.process.stdout.close()

    def tell(self, call: str, **how: Any) -> None:
        httpx.post(f"{self.url}/rehearsal/{call}", json=how, trust_env=False).raise_for_status()


@dataclass
class Desk:
    """The real ccxt client before it."""

    at: Killable
    venue: CcxtVenue
    instrument: Instrument
    sent: int = 0

    def approved(self, side: Side, qty: str, price: str | None = None) -> OrderApproved:
        self.sent += 1
        intent = OrderIntent(
            symbol="BTC/USDT", side=side, type=OrderType.MARKET if price is None else OrderType.LIMIT, qty=D(qty),
            price=None if price is None else D(price), client_order_id=f"tl{self.sent:022}",
        )  # fmt: skip
        passed = approve(intent, self.instrument, reference_price=_PRICE, by=("person",), at_ns=1)
        assert isinstance(passed, OrderApproved), passed
        return passed

    async def submit(self, side: Side, qty: str, price: str | None = None) -> Outcome:
        return await self.venue.submit(self.approved(side, qty, price))

    async def fills(self) -> Sequence[Fill]:
        return await self.venue.fills(await self.venue.now_ns() - 600 * 10**9)

    async def known(self) -> tuple[Any, ...]:
        """Everything the client can know of its account."""
        orders = [
            await self.venue.order(OrderRef(symbol="BTC/USDT", client_order_id=f"tl{n + 1:022}"))
            for n in range(self.sent)
        ]
        money = {b.currency: (b.free, b.used) for b in await self.venue.balances()}
        return orders, list(await self.venue.open_orders()), list(await self.fills()), money


@contextlib.asynccontextmanager
async def desk(at: Killable, timeout_s: float = 20.0) -> AsyncIterator[Desk]:
    """Connect; the market stands at a price first, so that nothing moves but by us."""
    venue = CcxtVenue(
        "binance", base_url=at.url, credentials={"api_key": at.login[0], "api_secret": at.login[1]},
        symbols=["BTC/USDT"], clock=await follow(at.url), timeout_s=timeout_s,
    )  # fmt: skip
    await venue.connect()
    try:
        (instrument,) = await venue.instruments()
        yield Desk(at, venue, instrument)
    finally:
        await venue.disconnect()


def play(at: Killable, act: Callable[[Desk], Awaitable[None]], **how: Any) -> None:
    async def run() -> None:
        async with desk(at, **how) as on:
            await act(on)

    asyncio.run(run())


@pytest.fixture
def killable(tmp_path: Path) -> Any:
    at = Killable(tmp_path / "evening.rehearsal")
    at.start()
    at.tell("move_price", symbol="BTCUSDT", price=str(_PRICE), depth="5")
    try:
        yield at
    finally:
        if at.process is not None and at.process.poll() is None:
            at.kill()


def conserved(state: Path, at_first: dict[str, Decimal]) -> None:
    """Every coin is where the fills say that it went: out of the file itself, by sums of our own."""
    with StateFile(state) as kept:
        venue = kept.load(ManualClock(START_NS))
    (ledger,) = venue.ledgers.values()
    assert isinstance(ledger, SpotLedger)
    expected = dict(at_first)
    for fill in venue.fills:
        expected["BTC"] += fill.side.sign * fill.qty
        expected["USDT"] -= fill.side.sign * fill.qty * fill.price
        expected[fill.fee_currency] -= fill.fee
    held = {c: ledger.free.get(c, D(0)) + ledger.held.get(c, D(0)) for c in expected}
    assert held == expected
    assert sum(ledger.held.values()) == sum(o.held for o in venue.open.values())


def test_killed_between_requests_it_has_all_that_the_client_knew(killable: Killable) -> None:
    async def act(on: Desk) -> None:
        assert isinstance(await on.submit(Side.BUY, "0.5"), Accepted)
        assert isinstance(await on.submit(Side.BUY, "1", "39000"), Accepted)
        resting = await on.submit(Side.SELL, "0.25", "40500")
        assert isinstance(resting, Accepted)
        on.at.tell("fill", number=int(resting.venue_order_id or 0), qty="0.1")
        killed = await on.submit(Side.BUY, "0.1", "38000")
        assert isinstance(killed, Accepted)
        assert isinstance(await on.venue.cancel(OrderRef(symbol="BTC/USDT", client_order_id=f"tl{4:022}")), Accepted)
        before = await on.known()
        on.at.kill()
        with pytest.raises(VenueError):
            await on.venue.balances()
        on.at.start()
        assert await on.known() == before, "the same client, on the same port, sees what it saw"
        assert len(before[1]) == 2
        assert len(before[2]) >= 2
        assert isinstance(await on.submit(Side.SELL, "0.1"), Accepted), "and goes on"
        numbers = [fill.trade_id for fill in await on.fills()]
        assert len(set(numbers)) == len(numbers)

    play(killable, act)
    killable.kill()
    conserved(killable.state, {"USDT": D(100_000), "BTC": D(3)})


def test_an_order_that_was_taken_before_the_kill_is_there_and_one_that_was_not_is_not(killable: Killable) -> None:
    """Killed while the answer hangs: the venue had taken it. Killed while the request waits: it had not."""

    async def act(on: Desk) -> None:
        for fault, seconds in (("hang", 60.0), ("delay", 60.0)):
            on.at.tell("fault", fault=fault, on="submit", seconds=seconds)
            sending = asyncio.create_task(on.submit(Side.BUY, "0.2"))
            await _until(_submits_begun, on.at, fault)
            on.at.kill()
            assert isinstance(await sending, Unknown)
            on.at.start()
        taken, lost = (await on.known())[0]
        assert taken is not None
        assert taken.filled_qty == D("0.2")
        assert lost is None

    play(killable, act)
    killable.kill()
    conserved(killable.state, {"USDT": D(100_000), "BTC": D(3)})


def test_killed_at_any_moment_of_a_burst_no_acknowledged_order_is_lost_and_no_coin(killable: Killable) -> None:
    chance = random.Random(11)

    async def act(on: Desk) -> None:
        acknowledged: set[str] = set()
        for _ in range(4):
            jobs = [asyncio.create_task(on.submit(chance.choice(list(Side)), "0.01")) for _ in range(8)]
            done: list[asyncio.Task[Outcome]] = []
            while len(done) < 1 + chance.randrange(6):
                done = list((await asyncio.wait(jobs, timeout=0.001 + chance.random() / 50))[0])
            on.at.kill()
            outcomes = await asyncio.gather(*jobs)
            acknowledged |= {o.client_order_id for o in outcomes if isinstance(o, Accepted) and o.client_order_id}
            on.at.start()
            orders, _, fills, _ = await on.known()
            there = {order.client_order_id: order for order in orders if order is not None}
            assert acknowledged <= set(there)
            assert {f.venue_order_id for f in fills} <= {order.venue_order_id for order in there.values()}
            for name in acknowledged:
                mine = [f.qty for f in fills if f.venue_order_id == there[name].venue_order_id]
                assert sum(mine) == there[name].filled_qty
        assert acknowledged

    play(killable, act)
    killable.kill()
    conserved(killable.state, {"USDT": D(100_000), "BTC": D(3)})


def _submits_begun(at: Killable, fault: str) -> bool:
    """Whether the fault has befallen a request: it no longer waits, and what hangs has been taken."""
    left = httpx.get(f"{at.url}/rehearsal/faults", trust_env=False).json()
    return not any(script["fault"] == fault for script in left) and (
        fault == "delay" or bool(httpx.get(f"{at.url}/rehearsal/orders", trust_env=False).json())
    )


async def _until(holds: Callable[..., bool], *of: object) -> None:
    for _ in range(2000):
        if await asyncio.to_thread(holds, *of):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never came to be")


# ── in this process: what is told is kept ────────────────────────────────────────────────────────────────────────────


def test_the_file_knows_what_happened_before_anybody_is_told(tmp_path: Path) -> None:
    """At each frame and each answer the file is read: it has every order and fill that was spoken of."""
    seen: list[tuple[int, int]] = []

    async def run() -> None:
        clock = ManualClock(START_NS)
        venue = exchange(Ledger.SPOT, clock)
        with StateFile(tmp_path / "state") as kept:
            async with rehearse("binance", (), venue.setup, save=kept.save, exchange=venue) as at:

                def told(table: str) -> int:
                    return int(kept._base.execute(f"select count(*) from {table}").fetchone()[0])

                at.direct.move_price("BTCUSDT", D(40_000), depth=D(1))
                assert venue.place(_resting(venue)) is None
                async with httpx.AsyncClient(base_url=at.url, trust_env=False) as http:
                    await http.get("/api/v3/ping")
                    seen.append((told("orders"), told("fills")))
                    answer = await http.post(
                        "/rehearsal/move_price", json={"symbol": "BTCUSDT", "price": "39000", "depth": "9"}
                    )
                    assert answer.json()["done"]
                    seen.append((told("orders"), told("fills")))
                venue.pinned.clear()
                venue.place(_resting(venue))
                await clock.advance(600)
                await at.server.advance()
                seen.append((told("orders"), told("fills")))
                assert told("fills") == len(venue.fills)

    asyncio.run(run())
    assert seen == [(1, 0), (1, 1), (2, seen[2][1])]


def _resting(venue: Exchange) -> SimOrder:
    return venue.draft(KEY, "BTCUSDT", Side.BUY, OrderType.LIMIT, D(1), price=D(39_500))


def test_a_script_that_sends_no_json_is_told_so(tmp_path: Path) -> None:
    async def run() -> None:
        venue = exchange(Ledger.SPOT, ManualClock(START_NS))
        async with (
            rehearse("binance", (), venue.setup, exchange=venue) as at,
            httpx.AsyncClient(base_url=at.url, trust_env=False) as http,
        ):
            answer = await http.post("/rehearsal/fault", content=b"{nonsense")
            assert answer.status_code == 400
            assert json.loads(answer.text)["error"]

    asyncio.run(run())
