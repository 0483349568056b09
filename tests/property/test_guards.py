"""Whatever an account lives through, nothing enters behind a tripped guard, all may leave, and no cap is exceeded."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.modules.risk_management.world import EURUSD, GBPUSD, Bot, World, code
from tradelab.model import messages as said
from tradelab.model.orders import OrderStatus
from tradelab.model.signal import Action, DropCode
from tradelab.model.states import Leg, TradingState
from tradelab.model.units import NS_PER_S

D = Decimal
ZERO = D(0)

LIMITS = {"max_daily_loss": D("0.05"), "max_weekly_loss": D("0.08"), "max_drawdown": D("0.12")}
NEW_YORK = ZoneInfo("America/New_York")


@dataclass
class Plainly:
    """The guards as one would tell them: all reports are kept, and everything is looked up in them."""

    reports: list[tuple[dt.date, D]] = field(default_factory=list)
    acknowledged: dict[str, int] = field(default_factory=dict)  # at which report a guard was re-armed last
    tripped: set[str] = field(default_factory=set)
    halted: bool = False

    def report(self, now_ns: int, equity: D) -> None:
        """A report comes."""
        wall = dt.datetime.fromtimestamp(now_ns // NS_PER_S, NEW_YORK).replace(tzinfo=None)
        self.reports.append(((wall - dt.timedelta(hours=17)).date(), equity))
        for name, limit in LIMITS.items():
            base = self._base(name)
            if (base - equity) / base >= limit:
                self.tripped.add(name)
                self.halted = True

    def _base(self, name: str) -> D:
        today = self.reports[-1][0]
        day = today if name == "max_daily_loss" else today - dt.timedelta(days=today.weekday())
        here = len(self.reports) - 1
        began = next(i for i, (date, _) in enumerate(self.reports) if date >= day)
        since = self.acknowledged.get(name)
        if name == "max_drawdown":
            return max(equity for _, equity in self.reports[since or 0 : here + 1])
        if since is not None and since >= began:
            return self.reports[since][1]
        return max(equity for _, equity in self.reports[max(began - 1, 0) : began + 1])

    def resume(self, *, person: bool) -> None:
        """Somebody lets the account trade."""
        if person:
            self.acknowledged |= dict.fromkeys(self.tripped, len(self.reports) - 1)
            self.tripped.clear()
        self.halted = bool(self.tripped)


def _days() -> st.SearchStrategy[tuple[str, Any]]:
    return st.one_of(
        st.tuples(st.just("report"), st.integers(8_000, 12_500)),
        st.tuples(st.just("report"), st.integers(9_300, 10_200)),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, 3_600, 40_000, 86_400, 200_000])),
        st.tuples(
            st.sampled_from(["enter", "enter together", "leave", "restart", "halt", "person", "program"]), st.none()
        ),
    )


@settings(max_examples=300)
@given(st.lists(_days(), min_size=3, max_size=30))
def test_after_a_breach_nothing_enters_until_a_person_re_arms_and_all_may_leave(
    life: list[tuple[str, Any]],
) -> None:
    limits = {name: str(limit) for name, limit in LIMITS.items()}
    bot = Bot(limits=limits | {"max_quote_age_s": 1e9, "max_balance_age_s": 1e9},
              settings={"timezone": "America/New_York", "day_starts": dt.time(17)})  # fmt: skip
    world, plainly = World(bot, executes=False), Plainly()
    plainly.report(world.clock.now_ns(), D(10_000))
    world.hold("0.1", symbol="GBPUSD")
    for what, value in life:
        if what == "report":
            world.report(str(value))
            plainly.report(world.clock.now_ns(), D(value))
        elif what == "wait":
            world.wait(float(value))
        elif what == "restart":
            world.restart()
        elif what == "halt":
            world.change(TradingState.HALTED)
            plainly.halted = True
        elif what in ("person", "program"):
            world.change(TradingState.ACTIVE, by="ada" if what == "person" else "program nightly")
            plainly.resume(person=what == "person")
        elif what == "leave":
            assert code(world.leave(symbol="GBPUSD")) is None
        elif what == "enter together":
            signals = [world.signal(symbol="EURUSD") for _ in range(2)]
            world.raise_together(*signals)
            assert (code(world.answers[signals[0].id]) is None) == (not plainly.halted)
        answer = code(world.enter())
        assert (answer is DropCode.HALTED) == plainly.halted, (answer, plainly)
        assert plainly.halted or answer is None
        names = {f"max_{each.value}" for each in world.stage.memory.guarded("acc").tripped}
        assert names == plainly.tripped


# ── caps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

CAPS = {
    "max_order_notional": D(40_000), "max_symbol_notional": D(90_000), "max_bot_notional": D(100_000),
    "max_account_notional": D(150_000), "max_group_notional": D(120_000),
}  # fmt: skip
PRICES = {"EURUSD": D(1), "GBPUSD": D(2)}
BOTS = ("b", "c", "d")
_LOTS = st.integers(1, 45).map(lambda each: D(each) / 100)


@dataclass
class Sent:
    """An order that passed: what it asked for, what has filled of it and is sold again, whether it lives."""

    bot: str
    symbol: str
    qty: D
    filled: D = ZERO
    sold: D = ZERO
    lives: bool = True
    to_book: D = ZERO  # told to be filled, its fill on the way

    @property
    def worth(self) -> D:
        """What it came to, or may still come to."""
        return ((self.qty if self.lives else self.filled) - self.sold) * 100_000 * PRICES[self.symbol]


def _orders() -> st.SearchStrategy[tuple[str, Any]]:
    wish = st.tuples(st.sampled_from(BOTS), st.sampled_from(sorted(PRICES)), _LOTS)
    return st.one_of(
        st.tuples(st.just("raise"), st.lists(wish, min_size=1, max_size=4)),
        st.tuples(st.just("fill"), st.integers(1, 100)),
        st.tuples(st.just("told"), st.integers(1, 100)),  # the fill itself comes later
        st.tuples(st.just("booked"), st.none()),
        st.tuples(st.just("cancel"), st.none()),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("close"), st.sampled_from(BOTS)),
    )


@settings(max_examples=400)
@given(st.lists(_orders(), min_size=2, max_size=14), st.integers(1, 5))
def test_no_sequence_of_entries_exceeds_a_cap(life: list[tuple[str, Any]], most: int) -> None:
    limits = {name: str(cap) for name, cap in CAPS.items()}
    limits |= {"max_positions_symbol": 3, "max_positions": most}
    world = World(Bot(limits=limits, limits_of_others=limits, others=BOTS[1:], groups={"all": ("EURUSD", "GBPUSD")}))
    for symbol, price in PRICES.items():
        world.quote(symbol, str(price), str(price))
    sent: dict[str, Sent] = {}
    for what, value in life:
        if what == "raise":
            signals = [world.signal(bot=bot, symbol=symbol, qty=qty) for bot, symbol, qty in value]
            world.raise_together(*signals)
            for signal in signals:
                intent = world.answers[signal.id].intent
                if intent is not None:
                    sent[intent.client_order_id] = Sent(signal.bot, signal.symbol, intent.qty)
        elif what == "restart":
            world.restart()
        elif what == "close":
            _close(world, sent, value)
        else:
            _move(world, sent, what, value)
        _within(sent, most)


def _move(world: World, sent: dict[str, Sent], what: str, value: Any) -> None:
    """The oldest order that lives fills in part or whole, or is cancelled; or what was told of one is booked."""
    wanted = (each for each in sent.items() if (each[1].to_book if what == "booked" else each[1].lives))
    name, order = next(wanted, ("", None))
    if order is None:
        return
    if what == "cancel":
        order.lives = False
        world.told(name, OrderStatus.CANCELLED, str(order.filled))
    elif what != "booked":
        part = min(order.qty - order.filled, max(D("0.01"), (order.qty * value / 100).quantize(D("0.01"))))
        order.filled += part
        order.to_book += part
        order.lives = order.filled < order.qty
        world.told(name, OrderStatus.PARTIALLY_FILLED if order.lives else OrderStatus.FILLED, str(order.filled))
    if what in ("fill", "booked"):
        world.hold(str(order.to_book), symbol=order.symbol, bot=order.bot, price=str(PRICES[order.symbol]), order=name)
        order.to_book = ZERO


def _close(world: World, sent: dict[str, Sent], bot: str) -> None:
    """All that a bot holds is sold; its orders that live go on."""
    for symbol in PRICES:
        held = world.ledger.snapshot().positions.get(("acc", bot, symbol))
        if held is not None:
            world.hold(str(-held.qty), symbol=symbol, bot=bot, price=str(PRICES[symbol]), leg=Leg.EXIT)
    for order in sent.values():
        if order.bot == bot:
            order.sold = order.filled - order.to_book


def _within(sent: dict[str, Sent], most: int) -> None:
    on: defaultdict[str, D] = defaultdict(D)
    for order in sent.values():
        for name in (f"symbol {order.symbol}", f"bot {order.bot}", "account"):
            on[name] += order.worth
        assert order.worth <= CAPS["max_order_notional"]
    for name, worth in on.items():
        cap = CAPS[f"max_{name.split()[0]}_notional"]
        assert worth <= min(cap, CAPS["max_group_notional"]), name
    positions = {(order.bot, order.symbol) for order in sent.values() if order.worth}
    assert len(positions) <= most


def test_these_lives_are_full_enough_to_mean_something() -> None:
    """One of them by hand: 0.4 lots of EURUSD pass twice; a third would be the bot's third in two symbols."""
    limits = {name: str(cap) for name, cap in CAPS.items()} | {"max_positions_symbol": 3}
    world = World(Bot(limits=limits, limits_of_others=limits, others=BOTS[1:], groups={"all": ("EURUSD", "GBPUSD")}))
    world.quote("EURUSD", "1", "1")
    signals = [world.signal(bot=bot, qty=D("0.4")) for bot in BOTS]
    world.raise_together(*signals)
    assert [code(world.answers[each.id]) for each in signals] == [None, None, DropCode.MAX_SYMBOL_NOTIONAL]
    assert world.answers[signals[0].id].intent is not None
    assert {EURUSD.symbol, GBPUSD.symbol} == set(PRICES)
    assert isinstance(world.said(said.OrderIntended)[0], said.OrderIntended)
    assert code(world.enter(Action.ENTER_SHORT, bot="b")) is DropCode.ALREADY_OPEN
