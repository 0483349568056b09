"""Let things happen to a real account of a rehearsal venue while no engine looks, then start one and compare both.

The engine runs in this process: node, risk, execution, journal in SQLite, the real ccxt client over a real socket. What
happens meanwhile is done to the exchange itself, past every door that the engine has.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.acceptance.engine import Job, make_node, see_quote
from tests.acceptance.kills import MARKETS, records, venue_of
from tests.conformance.ccxt_stage import KEY, SECRET, flat_bars
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.model.clock import SystemClock
from tradelab.model.messages import OrderWanted, PositionAdjusted, TradeExecuted
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.model.states import Leg
from tradelab.model.units import NS_PER_S
from tradelab.rehearsal.faults import Fault
from tradelab.rehearsal.orders import SimOrder
from tradelab.rehearsal.settings import AccountSetup, VenueSetup
from tradelab.rehearsal.tape import Tape
from tradelab.rehearsal.venue import DIALECTS, Rehearsal, rehearse
from tradelab.spine.keeping import JournalKeeper
from tradelab.spine.node import Node
from tradelab.spine.snapshot import PositionKey
from tradelab.store.database import Database
from tradelab.store.journal import Journal

ACCOUNT, BOT = "venue", "bot"
_PATIENCE_S = 40.0


class Scene:
    """A venue, an engine before it, and what a story does to both."""

    def __init__(self, at: Rehearsal, job: Job, database: Database) -> None:
        self.at, self.job, self.database = at, job, database
        self.qty = Decimal(job.qty)
        self.unit = self.qty / 2
        self.own = next(iter(at.exchange.tapes))  # the venue's own spelling of its market
        self.is_spot = job.market == "spot"
        self.name = ""  # of the order that the story is about
        self.node: Node
        self.venue: CcxtVenue

    # ── the engine ───────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> float:
        """Start an engine, and wait until it agrees with its venue; return how long that took."""
        began = time.monotonic()
        self.node, self.venue = make_node(self.job, self.database)
        await self.node.start()
        await self.until(lambda: not self.node.ledger.snapshot().accounts[ACCOUNT].reconciling)
        return time.monotonic() - began

    async def stop(self) -> None:
        """End it, and leave everything as it is."""
        await self.node.stop("keep")

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(_PATIENCE_S):
            while not holds():
                await asyncio.sleep(0.02)

    async def enter(self, kind: str = "market", price: Decimal | None = None, id: str = "buy") -> str:
        """Let a bot buy, and return the name of the order when the venue has it."""
        await see_quote(self.node, self.venue, self.job.symbol)
        before = set(self.node.ledger.snapshot().orders)
        given = {"bot": BOT, "symbol": self.job.symbol, "action": "enter_long", "order_type": kind, "ttl_s": "300"}
        if price is not None:
            given["order_price"] = str(price)
        await self.node.command("signal", given, id=id, by="acceptance")
        await self.until(lambda: bool(set(self.node.ledger.snapshot().orders) - before))
        (name,) = set(self.node.ledger.snapshot().orders) - before
        done = "closed" if kind == "market" else "open"
        await self.until(lambda: self.node.ledger.snapshot().orders[name].phase.value == done)
        if kind == "market":
            await self.until(lambda: self.held(BOT) > 0)
        return name

    async def protect(self) -> str:
        """Place a stop for what the bot holds."""
        instrument = self.node.ledger.snapshot().instruments[ACCOUNT, self.job.symbol]
        qty = instrument.floor_qty(self.held(BOT))
        intent = OrderIntent(
            client_order_id=f"stop{time.monotonic_ns()}", symbol=self.job.symbol, side=Side.SELL, type=OrderType.STOP,
            qty=qty, stop_price=instrument.floor_price(self.price * Decimal("0.97")), reduce_only=not self.is_spot,
        )  # fmt: skip
        fresh_ns = SystemClock().now_ns() + 60 * NS_PER_S
        wanted = OrderWanted(
            account=ACCOUNT, bot=BOT, signal_id="stop", leg=Leg.STOP, intent=intent, by="acceptance",
            reference_price=self.price, fresh_until_ns=fresh_ns,
        )  # fmt: skip
        self.node.bus.say(wanted)
        name = intent.client_order_id
        await self.until(lambda: self.node.ledger.snapshot().orders[name].phase.value == "open")
        return name

    def held(self, bot: str | None) -> Decimal:
        """What a bot, or nobody, holds as we know it."""
        return self.node.ledger.position(PositionKey(ACCOUNT, bot, self.job.symbol)).qty

    # ── the venue, past the engine ───────────────────────────────────────────────────────────────────────────────

    @property
    def price(self) -> Decimal:
        """What it trades at."""
        return self.at.exchange.mark(self.own)

    def near(self, share: str) -> Decimal:
        """A price so far from the market's."""
        return self.at.exchange.instrument(self.own).floor_price(self.price * Decimal(share))

    @property
    def there(self) -> Decimal:
        """What the account holds, as the exchange itself has it."""
        ledger = self.at.exchange.ledgers[KEY]
        if self.is_spot:
            base = str(self.at.exchange.instrument(self.own).base)
            return ledger.free.get(base, Decimal(0)) + ledger.held.get(base, Decimal(0))  # type: ignore[union-attr]
        return ledger.position(self.own).qty  # type: ignore[union-attr]

    def hand(self, side: Side, qty: Decimal, kind: OrderType = OrderType.MARKET, **more: object) -> SimOrder:
        """Let a person send an order."""
        order = self.at.exchange.draft(KEY, self.own, side, kind, qty, **more)
        rejected = self.at.exchange.place(order)
        assert rejected is None, rejected
        return order

    def order_of(self, name: str) -> SimOrder:
        """The exchange's own order of a name."""
        order = self.at.exchange.find(KEY, client_order_id=name)
        assert order is not None, name
        return order

    # ── counting ─────────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self) -> int:
        """How many messages were ever kept."""
        return sum(1 for _ in JournalKeeper(Journal(self.database, "acceptance")).recorded())

    def said(self, kind: type) -> list[Any]:
        """What was kept of a kind."""
        told = JournalKeeper(Journal(self.database, "acceptance")).recorded()
        return [each.message for each in told if isinstance(each.message, kind)]


@dataclass(frozen=True)
class Story:
    """What happens before, and while nobody looks; ``held`` is what the bot then has, in units of half an order."""

    name: str
    before: Callable[[Scene], Awaitable[None]]
    meanwhile: Callable[[Scene], Awaitable[None]]
    held: int | None = None
    nobodys: int = 0
    spot: bool = True
    margin: bool = True
    alive: bool = False


async def _nothing(_: Scene) -> None:
    """Do nothing."""


async def _long(scene: Scene) -> None:
    await scene.enter()
    await scene.protect()


async def _resting(scene: Scene) -> None:
    scene.name = await scene.enter("limit", scene.near("0.98"))


def _fill(share: str) -> Callable[[Scene], Awaitable[None]]:
    async def act(scene: Scene) -> None:
        order = scene.order_of(scene.name)
        scene.at.direct.fill(order.number, order.qty * Decimal(share))

    return act


async def _cancel(scene: Scene) -> None:
    scene.at.exchange.cancel(scene.order_of(scene.name))


async def _expire(scene: Scene) -> None:
    scene.at.direct.expire(scene.order_of(scene.name).number)


async def _amend(scene: Scene) -> None:
    order = scene.order_of(scene.name)
    scene.at.exchange.amend(order, qty=order.qty * 2)


def _trade(side: Side, units: int) -> Callable[[Scene], Awaitable[None]]:
    async def act(scene: Scene) -> None:
        scene.hand(side, scene.unit * units)

    return act


async def _orders_of_somebody(scene: Scene) -> None:
    scene.hand(Side.BUY, scene.qty, OrderType.LIMIT, price=scene.near("0.97"))


async def _stop_fills(scene: Scene) -> None:
    scene.at.direct.move_price(scene.own, scene.near("0.965"))


async def _stop_gone(scene: Scene) -> None:
    for order in scene.at.exchange.open_orders(KEY):
        scene.at.exchange.cancel(order)


async def _deposit(scene: Scene) -> None:
    scene.at.direct.deposit(KEY, "USDT", Decimal(500))


async def _delist(scene: Scene) -> None:
    scene.at.direct.delist(scene.own)


async def _gap(scene: Scene) -> None:
    """The sockets break, and it fills in three pieces meanwhile."""
    scene.at.direct.disconnect()
    for share in ("0.3", "0.3", "0.4"):
        await _fill(share)(scene)


async def _deaf(scene: Scene) -> None:
    """Frames are dropped while it fills."""
    scene.at.direct.fault(Fault.STREAM_DROP, times=6)
    await _fill("1")(scene)


async def _liquidated(scene: Scene) -> None:
    scene.hand(Side.SELL, scene.qty, reduce_only=True)


def _then(*acts: Callable[[Scene], Awaitable[None]]) -> Callable[[Scene], Awaitable[None]]:
    async def act(scene: Scene) -> None:
        for each in acts:
            await each(scene)

    return act


STORIES = [
    Story("nothing happened", _long, _nothing, 2),
    Story("a resting entry filled", _resting, _fill("1"), 2),
    Story("it filled in part, then was cancelled", _resting, _then(_fill("0.5"), _cancel), 1),
    Story("it was cancelled by hand", _resting, _cancel, 0),
    Story("it expired", _resting, _expire, 0),
    Story("it was amended by hand, and filled", _resting, _then(_amend, _fill("1")), 4),
    Story("the stop filled", _long, _stop_fills, 0),
    Story("the stop was cancelled by hand", _long, _stop_gone, 2),
    Story("opened by hand", _nothing, _trade(Side.BUY, 2), 0, 2, spot=False),
    Story("grown by hand", _long, _trade(Side.BUY, 1), 2, 1, spot=False),
    Story("reduced by hand", _long, _trade(Side.SELL, 1), 1, spot=False),
    Story("closed by hand", _long, _trade(Side.SELL, 2), 0, spot=False),
    Story("turned round by hand", _long, _trade(Side.SELL, 3), 0, -1, spot=False),
    Story("closed by an order that only reduces", _long, _liquidated, 0, spot=False),
    Story("spot: the bot's units were sold", _long, _then(_stop_gone, _trade(Side.SELL, 1)), 1, margin=False),
    Story("spot: somebody bought", _long, _trade(Side.BUY, 2), 2, margin=False),
    Story("somebody's orders are open", _long, _orders_of_somebody, 2),
    Story("money was deposited", _long, _deposit, 2),
    Story("the market is listed no more", _long, _delist, 2),
    Story("the sockets broke in the middle of fills", _resting, _gap, 2, alive=True),
    Story("frames were lost while it filled", _resting, _deaf, 2, alive=True),
]


@dataclass(frozen=True)
class Told:
    """What came of a story on a venue; ``wrong`` is empty where all was right."""

    story: str
    venue: str
    wrong: tuple[str, ...]
    took_s: float


@asynccontextmanager
async def scene_of(venue: str, folder: Path) -> AsyncIterator[Scene]:
    """Open a venue and records of its own."""
    market = MARKETS[venue]
    qty = Decimal(400) if venue == "bybit" else Decimal("0.01")  # of which the half is still enough to be traded
    async with venue_of(venue) as at:
        job = Job(
            database=records(folder), url=at.url, exchange=market.exchange, market=market.market,
            symbol=f"{market.instrument.base}/USDT" + ":USDT" * (market.market == "linear"), key=KEY, secret=SECRET,
            kind="market", qty=str(qty), price="0",
        )  # fmt: skip
        with Database(job.database) as database:
            scene = Scene(at, job, database)
            scene.venue_price = lambda share: market.instrument.floor_price(market.price * share)
            yield scene


async def tell(story: Story, venue: str, folder: Path) -> Told:
    """Play a story, and hold what must be true after it."""
    async with scene_of(venue, folder) as scene:
        await scene.start()
        await story.before(scene)
        if not story.alive:
            await scene.stop()
        await story.meanwhile(scene)
        took_s = 0.0
        if story.alive:
            await scene.until(lambda: scene.held(BOT) >= scene.unit * (story.held or 0) * Decimal("0.99"))
            await scene.until(lambda: not scene.node.ledger.snapshot().accounts[ACCOUNT].reconciling)
            await scene.node.stage("execution").reconcilers[ACCOUNT].compare()  # as it does every minute
        else:
            took_s = await scene.start()
        wrong = _wrong(story, scene)
        wrong += await _not_still(scene)
        await scene.stop()
        return Told(story.name, venue, tuple(wrong), took_s)


def _wrong(story: Story, scene: Scene) -> list[str]:
    wrong = []
    fee = Decimal("0.998") if scene.is_spot else Decimal(1)  # taken from what was bought
    meant = scene.unit * (story.held or 0)
    step = scene.at.exchange.instrument(scene.own).qty_step
    if not meant * fee - step < scene.held(BOT) <= meant:
        wrong.append(f"the bot holds {scene.held(BOT)}, not {meant}")
    if scene.held(None) != scene.unit * story.nobodys:
        wrong.append(f"nobody holds {scene.held(None)}")
    ours = scene.held(BOT) + scene.held(None)
    if (ours != scene.there) if not scene.is_spot else (ours > scene.there + step):
        wrong.append(f"ours are {ours}, the venue has {scene.there}")
    fills = {str(fill.number) for fill in scene.at.exchange.fills} if hasattr(scene.at.exchange, "fills") else None
    booked = [each.fill.trade_id for each in scene.said(TradeExecuted)]
    if len(set(booked)) != len(booked):
        wrong.append("a fill was booked twice")
    if fills is not None and len(booked) > len(fills):
        wrong.append("more was booked than was traded")
    there = scene.at.exchange.open_orders(KEY)
    ours_there = {o.client_order_id for o in there if not o.client_order_id.startswith("auto")}  # by hand: none
    open_here = {n for n, o in scene.node.ledger.snapshot().orders.items() if o.phase.value == "open"}
    foreign = len(scene.node.ledger.snapshot().foreign_orders)
    if open_here != ours_there or foreign != len(there) - len(ours_there):
        wrong.append(f"open are {ours_there}, and we know {open_here} and {foreign} of somebody's")
    return wrong


async def _not_still(scene: Scene) -> list[str]:
    """Compare twice more: the second pass must write nothing."""
    wrong = []
    reconciler = scene.node.stage("execution").reconcilers[ACCOUNT]
    await reconciler.compare()
    kinds = (PositionAdjusted, TradeExecuted)
    before = [len(scene.said(kind)) for kind in kinds]
    found = await reconciler.compare()
    if found:
        wrong.append(f"a second pass found {found}")
    if [len(scene.said(kind)) for kind in kinds] != before:
        wrong.append("a second pass wrote fills or adjustments")
    return wrong


def told_of(venues: list[str]) -> list[tuple[Story, str]]:
    """Return each story on each venue that it can happen on."""
    return [
        (story, venue)
        for venue in venues
        for story in STORIES
        if (story.spot if MARKETS[venue].market == "spot" else story.margin)
    ]


# ── many at once ─────────────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def crowd(folder: Path, markets: int = 50) -> AsyncIterator[Many]:
    """Open a venue of USD-M perpetuals with many markets, and an engine that trades them all."""
    model = MARKETS["binanceusdm"]
    now_ns = SystemClock().now_ns()
    instruments = [replace(model.instrument, symbol=f"C{n}USDT", base=f"C{n}") for n in range(markets)]
    tapes = [Tape(each, flat_bars(float(model.price)), start_ns=now_ns, start_bar=1000) for each in instruments]
    account = AccountSetup(key=KEY, secret=SECRET, balances={"USDT": Decimal(10_000_000)})
    setup = VenueSetup(
        ledger=DIALECTS["binanceusdm"][1], accounts=(account,), level_qty=model.level_qty, leverage=Decimal(10),
        weight_per_min=1_000_000,
    )  # fmt: skip
    async with rehearse("binanceusdm", tapes, setup) as at:
        for each in instruments:
            at.direct.move_price(each.symbol, model.price)
        symbols = [f"{each.base}/USDT:USDT" for each in instruments]
        job = Job(
            database=records(folder), url=at.url, exchange=model.exchange, market=model.market, symbol=symbols[0],
            key=KEY, secret=SECRET, kind="market", qty="0.01", price="0", symbols=tuple(symbols),
        )  # fmt: skip
        with Database(job.database) as database:
            yield Many(at, job, database)


class Many(Scene):
    """The same with many markets."""

    def open_all(self, orders: int) -> None:
        """Let a person buy in every market, and leave orders that rest."""
        for own in self.at.exchange.tapes:
            order = self.at.exchange.draft(KEY, own, Side.BUY, OrderType.MARKET, Decimal("0.01"))
            assert self.at.exchange.place(order) is None
            for n in range(orders):
                price = self.at.exchange.instrument(own).floor_price(self.at.exchange.mark(own) * Decimal("0.98")) - n
                rests = self.at.exchange.draft(KEY, own, Side.BUY, OrderType.LIMIT, Decimal("0.01"), price=price)
                assert self.at.exchange.place(rests) is None

    def all_held(self) -> dict[str, Decimal]:
        """What the exchange itself holds."""
        return {s: p.qty for s, p in self.at.exchange.ledgers[KEY].positions.items() if p.qty}  # type: ignore[union-attr]


async def compare_many(folder: Path) -> tuple[float, int]:
    """Start an engine before 200 orders and 50 positions that it does not know; return seconds and differences."""
    async with crowd(folder) as scene:
        scene.open_all(4)
        took_s = await scene.start()
        snapshot = scene.node.ledger.snapshot()
        ours = {key.symbol.split("/")[0] + "USDT": held.qty for key, held in snapshot.positions.items()}
        theirs = scene.all_held()
        differ = sum(ours.get(s) != q for s, q in theirs.items()) + abs(len(snapshot.foreign_orders) - 200)
        await scene.stop()
        return took_s, differ


async def flatten_many(folder: Path, share: int = 5) -> tuple[float, int, int]:
    """Flatten 50 positions while one order in ``share`` fails; return seconds, what is left, how many crossed zero."""
    async with crowd(folder) as scene:
        scene.open_all(0)
        await scene.start()
        crossed = _count_crossings(scene)
        kinds = [
            (Fault.HANG, {}), (Fault.RESET, {}), (Fault.TRUNCATED, {}), (Fault.LOST, {}), (Fault.OVERLOADED, {}),
            (Fault.GATEWAY, {"executed": True}), (Fault.GATEWAY, {"executed": False}), (Fault.RATE_LIMITED, {}),
        ]  # fmt: skip
        for n in range(40):
            fault, more = kinds[n % len(kinds)]
            scene.at.direct.fault(fault, "submit", skip=n * (share - 1), seconds=2.0, **more)  # type: ignore[arg-type]
        began = time.monotonic()
        async with asyncio.timeout(180):
            await scene.node.command("flatten", {}, id="flatten", by="acceptance")
        took_s = time.monotonic() - began
        left = len(scene.all_held())
        await scene.stop()
        return took_s, left, len(crossed)


def _count_crossings(scene: Many) -> list[str]:
    """Watch every fill, and note where a position changes its sign."""
    crossed: list[str] = []
    before = dict(scene.all_held())

    def hear(event: object) -> None:
        now = scene.all_held()
        for symbol, qty in now.items():
            if before.get(symbol, Decimal(0)) * qty < 0:
                crossed.append(symbol)
        before.clear()
        before.update(now)

    scene.at.exchange.listeners.append(hear)
    return crossed
