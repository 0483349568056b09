"""Whatever is asked of a paper account, and whatever the market does: no money is made or lost but by trading."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tradelab.adapters.paper_config import PaperConfig
from tradelab.adapters.paper_ledger import exactly
from tradelab.adapters.paper_venue import PaperVenue
from tradelab.model.approval import OrderApproved, approve
from tradelab.model.clock import ManualClock
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle, Quote
from tradelab.model.orders import OrderIntent, OrderRef, OrderType, Side, TimeInForce
from tradelab.model.outcome import Accepted

_MARKET = Instrument(
    symbol="X/USD", venue="paper", quote="USD", base="X", tick_size=Decimal("0.01"), qty_step=Decimal("0.1"),
    contract_size=Decimal(1), min_qty=Decimal("0.1"), min_notional=Decimal(1),
)  # fmt: skip
_START = Decimal("1000")
_cents = st.integers(9500, 10500).map(lambda n: Decimal(n) / 100)
_qty = st.integers(1, 30).map(lambda n: Decimal(n) / 10)
_depth = st.none() | _qty
Pick = Callable[[Sequence[Any]], Any]


def now(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited")


class PaperMachine(RuleBasedStateMachine):
    """Quotes, or bars, and orders of every kind; after each step the books must balance."""

    on_bars = False

    @initialize(
        mode=st.sampled_from(["spot", "netting", "hedging"]),
        fee=st.integers(0, 40),
        maker=st.none() | st.integers(-2, 10),
        slippage=st.integers(0, 50),
        leverage=st.integers(1, 20),
        share=st.none() | st.sampled_from(["0.1", "0.5"]),
        latency=st.sampled_from([0, 0, 1500]),
    )
    def begin(
        self, mode: str, fee: int, maker: int | None, slippage: int, leverage: int, share: str | None, latency: int
    ) -> None:
        margin = {} if mode == "spot" else {"leverage": leverage, "maintenance": Decimal("0.01")}
        self.config = PaperConfig(
            mode=mode, balances={"USD": _START}, taker_fee_bps=fee, maker_fee_bps=maker, slippage_bps=slippage,
            volume_share=share, latency_ms=latency, spread_bps=3, **margin,
        )  # fmt: skip
        self.clock = ManualClock(10**18)
        self.venue = PaperVenue(self.config, [_MARKET], clock=self.clock)
        now(self.venue.connect())
        self.bar_ns = 10**18
        self.sent: list[OrderApproved] = []
        self.feed(Decimal(100), Decimal(1), None)

    def feed(self, price: Decimal, spread: Decimal, depth: Decimal | None) -> None:
        if self.on_bars:
            self.bar_ns += 60 * 10**9
            opened, width = float(price), float(spread)
            volume = float(depth) * 10 if depth is not None else float("nan")
            candle = Candle(self.bar_ns, opened, opened + width, opened - width, opened + width / 3, volume, True)
            self.venue.on_candle("X/USD", candle)
            return
        ts_ns = now(self.venue.now_ns()) + 10**9
        quote = Quote(symbol="X/USD", bid=price - spread, ask=price, ts_ns=ts_ns, bid_qty=depth, ask_qty=depth)
        self.venue.on_quote(quote)

    @rule(price=_cents, spread=st.integers(0, 500).map(lambda n: Decimal(n) / 100), depth=_depth)
    def market_moves(self, price: Decimal, spread: Decimal, depth: Decimal | None) -> None:
        self.feed(price, spread, depth)

    @rule(
        side=st.sampled_from(Side), kind=st.sampled_from(OrderType), qty=_qty, price=_cents, stop=_cents,
        time=st.sampled_from(TimeInForce), reduces=st.booleans(), guards=st.booleans(), data=st.data(),
    )  # fmt: skip
    def order_is_sent(self, data: st.DataObject, **asked: Any) -> None:
        self.send(lambda choices: data.draw(st.sampled_from(choices)), **asked)

    def send(
        self, pick: Pick, side: Side, kind: OrderType, qty: Decimal, price: Decimal, stop: Decimal, time: TimeInForce,
        reduces: bool, guards: bool,
    ) -> None:  # fmt: skip
        if time is TimeInForce.PO and kind is not OrderType.LIMIT:
            time = TimeInForce.GTC
        rest: dict[str, Any] = {"reduce_only": reduces and self.config.mode != "spot"}
        if kind.needs_price:
            rest["price"] = price
        if kind.needs_stop_price:
            rest["stop_price"] = stop
        if time is TimeInForce.GTD:
            rest["expire_ns"] = now(self.venue.now_ns()) + 5 * 10**9
        if guards and self.config.mode != "spot":
            below, above = Decimal(pick(range(85, 99))), Decimal(pick(range(101, 115)))
            near, far = (below, above) if side is Side.BUY else (above, below)
            rest |= {"stop_loss": near, "take_profit": far}
        tickets = [p.position_id for p in now(self.venue.positions()) if p.position_id and p.qty * side.sign < 0]
        if tickets and pick((True, False)):
            rest["position_id"] = pick(tickets)
        name = f"c{len(self.sent)}"
        intent = OrderIntent(
            client_order_id=name, symbol="X/USD", side=side, type=kind, qty=qty, time_in_force=time, **rest
        )
        order = approve(intent, _MARKET, reference_price=Decimal(100), by=("test",), at_ns=0)
        assert isinstance(order, OrderApproved)
        if isinstance(now(self.venue.submit(order)), Accepted):
            self.sent.append(order)

    @rule(data=st.data())
    def an_order_is_sent_again(self, data: st.DataObject) -> None:
        self.send_again(lambda choices: data.draw(st.sampled_from(choices)))

    def send_again(self, pick: Pick) -> None:
        if self.sent:
            order = pick(self.sent)
            now(self.venue.open_orders())  # what has run out is closed first
            before = self.venue.export_state()
            first = now(self.venue.order(OrderRef(symbol="X/USD", client_order_id=order.intent.client_order_id)))
            again = now(self.venue.submit(order))
            assert isinstance(again, Accepted)
            assert again.venue_order_id == first.venue_order_id
            assert self.venue.export_state() == before

    @rule(data=st.data(), qty=st.none() | _qty, price=st.none() | _cents)
    def an_order_is_changed(self, data: st.DataObject, qty: Decimal | None, price: Decimal | None) -> None:
        self.change(lambda choices: data.draw(st.sampled_from(choices)), qty, price)

    def change(self, pick: Pick, qty: Decimal | None, price: Decimal | None) -> None:
        there = now(self.venue.open_orders())
        if there:
            now(self.venue.modify(pick(there).ref, qty=qty, price=price))

    @rule(data=st.data())
    def an_order_is_cancelled(self, data: st.DataObject) -> None:
        self.cancel(lambda choices: data.draw(st.sampled_from(choices)))

    def cancel(self, pick: Pick) -> None:
        there = now(self.venue.open_orders())
        if there:
            assert isinstance(now(self.venue.cancel(pick(there).ref)), Accepted)

    @rule()
    def the_process_is_restarted(self) -> None:
        told = json.loads(json.dumps(self.venue.export_state(), allow_nan=False))
        self.venue = PaperVenue(self.config, [_MARKET], clock=self.clock, saved=told)
        now(self.venue.connect())
        assert self.venue.export_state() == told

    @invariant()
    def money_is_conserved(self) -> None:
        if not hasattr(self, "venue"):
            return
        fills = now(self.venue.fills(0))
        account = now(self.venue.account_info())
        with exactly():
            spent = sum((f.side.sign * f.qty * f.price for f in fills), Decimal(0))
            fees = sum((f.fee for f in fills), Decimal(0))
            held = sum((f.side.sign * f.qty for f in fills), Decimal(0))
            told = self.venue.export_state()
            money = told["money"]
            costs = sum((Decimal(p["cost"]) for p in told["positions"].values()), Decimal(0))
            assert Decimal(money["USD"]) + spent - costs + fees == _START
            if self.config.mode == "spot":
                assert Decimal(money.get("X", 0)) == held
                assert all(balance.free >= 0 and balance.used >= 0 for balance in account.balances)
            else:
                assert sum(p.qty for p in now(self.venue.positions())) == held

    @invariant()
    def nothing_trades_more_than_it_was(self) -> None:
        if not hasattr(self, "venue"):
            return
        fills = now(self.venue.fills(0))
        assert len({fill.trade_id for fill in fills}) == len(fills)
        assert [fill.ts_ns for fill in fills] == sorted(fill.ts_ns for fill in fills)
        held, by_ticket = Decimal(0), {}
        for fill in fills:
            order = now(self.venue.order(OrderRef(symbol="X/USD", venue_order_id=fill.venue_order_id)))
            assert (
                sum(f.qty for f in fills if f.venue_order_id == order.venue_order_id) == order.filled_qty <= order.qty
            )
            after = held + fill.side.sign * fill.qty
            if order.reduce_only and self.config.mode == "netting":
                assert abs(after) < abs(held)
                assert after * held >= 0
            if order.position_id is not None and self.config.mode == "hedging":
                before = by_ticket[order.position_id]
                left = before + fill.side.sign * fill.qty
                assert abs(left) < abs(before)
                assert left * before >= 0
                by_ticket[order.position_id] = left
            elif fill.position_id is not None and not order.reduce_only:
                by_ticket[fill.position_id] = by_ticket.get(fill.position_id, Decimal(0)) + fill.side.sign * fill.qty
            held = after


class PaperMachineOnBars(PaperMachine):
    on_bars = True


def live(machine: PaperMachine, chance: random.Random, steps: int) -> Counter[str]:
    """Live a long random life, check the books at every tenth step, and count what happened in it."""
    cents = lambda: Decimal(chance.randint(9500, 10500)) / 100  # noqa: E731
    qty = lambda: Decimal(chance.randint(1, 30)) / 10  # noqa: E731
    mode = chance.choice(["spot", "netting", "hedging"])
    machine.begin(
        mode, chance.randint(0, 40), chance.choice([None, -1, 8]), chance.randint(0, 50), chance.randint(1, 20),
        chance.choice([None, "0.1", "0.5"]), chance.choice([0, 0, 1500]),
    )  # fmt: skip
    for step in range(steps):
        what = chance.random()
        if what < 0.4:
            machine.feed(cents(), Decimal(chance.randint(0, 300)) / 100, chance.choice([None, qty()]))
        elif what < 0.85:
            machine.send(
                chance.choice, chance.choice(list(Side)), chance.choice(list(OrderType)), qty(), cents(), cents(),
                chance.choice(list(TimeInForce)), chance.random() < 0.3, chance.random() < 0.3,
            )  # fmt: skip
        elif what < 0.9:
            machine.change(chance.choice, chance.choice([None, qty()]), chance.choice([None, cents()]))
        elif what < 0.95:
            machine.cancel(chance.choice)
        elif what < 0.98:
            machine.send_again(chance.choice)
        else:
            machine.the_process_is_restarted()
        if step % 10 == 0 or step == steps - 1:
            machine.money_is_conserved()
            machine.nothing_trades_more_than_it_was()
    told = machine.venue.export_state()
    return Counter([mode, *("fill" for _ in told["fills"]), *(order["status"] for order in told["orders"])])


@pytest.mark.parametrize("on_bars", [False, True], ids=["quotes", "bars"])
def test_the_books_balance_through_long_lives(on_bars: bool) -> None:
    seen: Counter[str] = Counter()
    for seed in range(30):
        machine = PaperMachineOnBars() if on_bars else PaperMachine()
        seen += live(machine, random.Random(seed), 150)
    assert min(seen[mode] for mode in ("spot", "netting", "hedging")) >= 5
    assert seen["fill"] > 500
    assert all(seen[status] > 10 for status in ("filled", "cancelled", "expired", "new", "untriggered")), seen


TestOnQuotes = PaperMachine.TestCase
TestOnQuotes.settings = settings(max_examples=40, stateful_step_count=40)
TestOnBars = PaperMachineOnBars.TestCase
TestOnBars.settings = settings(max_examples=40, stateful_step_count=40)
