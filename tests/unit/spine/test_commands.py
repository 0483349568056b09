"""What people and programs ask for: orders by hand pass the gates once, and only a person loosens or re-arms."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.unit.modules.execution.venue import D
from tests.unit.modules.execution.world import ACCOUNT, BOT, SYMBOL, World
from tradelab.model import messages as said
from tradelab.model.market import Quote
from tradelab.model.messages import CommandDone
from tradelab.model.orders import OrderType
from tradelab.model.signal import DropCode, Origin
from tradelab.model.states import BotStatus, TradingState
from tradelab.modules.execution.manifest import MANIFEST as EXECUTION
from tradelab.modules.execution.stage import Stage as Executor
from tradelab.modules.risk_management.manifest import MANIFEST as RISK
from tradelab.modules.risk_management.stage import Stage as Risk
from tradelab.spine.config import parse_node
from tradelab.spine.node import Node, Part
from tradelab.spine.view import SeenQuote

OTHER = "ETH/USDT"


class Desk(World):
    """A node with risk management and the executor: what is asked for passes the real gates."""

    def _made(self) -> Node:
        return Node(
            self.config, [Part(RISK, Risk), Part(EXECUTION, Executor)], self.keeper, clock=self.clock,
            permit=lambda _: self.permit, venues={ACCOUNT: self.venue}, providers={}, identities={ACCOUNT: "venue 1"},
        )  # fmt: skip

    def quote(self, price: str = "100") -> None:
        """See a quote now."""
        now_ns = self.clock.now_ns()
        seen = Quote(symbol=SYMBOL, bid=D(price), ask=D(price) + D("0.1"), ts_ns=now_ns)
        self.node.market.quotes["src", SYMBOL] = SeenQuote(seen, now_ns)

    async def ask(self, name: str, id: str = "c", *, by: str = "ada", **given: str) -> CommandDone:
        """Ask for something and wait for the answer."""
        self.quote()
        task = asyncio.ensure_future(self.node.command(name, given, id=id, by=by))
        await self.settle()
        assert task.done(), f"{name} was not answered: {self.kinds()[-6:]}"
        return task.result()

    @property
    def signal(self) -> Any:
        """The last signal that was raised."""
        return self.said(said.SignalRaised)[-1].signal


def play(act: Callable[[Desk], Awaitable[Any]], **how: Any) -> Any:
    async def run() -> Any:
        world = Desk(**how)
        await world.start()
        assert world.node.ledger.snapshot().bots[BOT] is BotStatus.RUNNING
        return await act(world)

    return asyncio.run(run())


ORDER = {"account": ACCOUNT, "symbol": SYMBOL, "side": "buy"}


# ── what is no number ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("word", ["nan", "-NaN", "snan", "inf", "0", "1e999999", "1e-999999"])
@pytest.mark.parametrize(
    ("name", "field"), [("order", "ttl_s"), ("order", "qty"), ("signal", "ttl_s"), ("signal", "share")]
)
def test_a_number_that_is_none_is_refused_and_ends_nothing(name: str, field: str, word: str) -> None:
    given = ORDER if name == "order" else {"bot": BOT, "symbol": SYMBOL, "action": "enter_long"}

    async def act(world: Desk) -> None:
        done = await world.ask(name, **given, **{field: word})
        assert not done.done
        assert field in done.says
        assert not world.submits()
        assert (await world.ask("halt", "next")).done  # the engine goes on

    play(act)


# ── orders by hand ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_by_hand_passes_the_gates_and_is_answered_with_the_order_it_became() -> None:
    async def act(world: Desk) -> None:
        done = await world.ask("order", **ORDER, qty="2", stop_loss="90", says="because")
        (name,) = world.submits()
        assert done.done
        assert done.says == f"order {name} is on its way: buy 2 {SYMBOL} market"
        assert world.held() == 2
        assert (world.signal.origin, world.signal.stop_loss, world.signal.says) == (Origin.PERSON, D(90), "because")
        assert world.kinds().index("CommandReceived") < world.kinds().index("OrderIntended")

    play(act)


def test_sent_twice_at_once_and_again_after_a_restart_it_is_one_order() -> None:
    async def act(world: Desk) -> None:
        world.quote()
        both = [asyncio.ensure_future(world.node.command("order", ORDER, id="once", by="ada")) for _ in range(2)]
        await world.settle()
        assert both[0].result() == both[1].result()
        await world.restart()
        assert await world.ask("order", "once", **ORDER) == both[0].result()
        assert len(world.submits()) == 1
        assert len(world.said(said.SignalRaised)) == 1

    play(act)


def test_without_a_quantity_the_preset_says_how_much() -> None:
    async def act(world: Desk) -> None:
        await world.ask("order", **ORDER)
        assert world.held() == 1  # the preset's sizing: 1

    play(act)


@pytest.mark.parametrize(
    ("given", "kind", "price", "stop"),
    [
        ({}, OrderType.MARKET, None, None),
        ({"price": "99"}, OrderType.LIMIT, D(99), None),
        ({"stop": "101"}, OrderType.STOP, None, D(101)),
        ({"price": "101.5", "stop": "101"}, OrderType.STOP_LIMIT, D("101.5"), D(101)),
    ],
)
def test_a_price_and_a_stop_make_the_kind_of_order(
    given: dict[str, str], kind: OrderType, price: Any, stop: Any
) -> None:
    async def act(world: Desk) -> None:
        assert (await world.ask("order", **ORDER, **given, type=kind.value)).done
        (meant,) = world.said(said.OrderIntended)
        assert (meant.intent.type, meant.intent.price, meant.intent.stop_price) == (kind, price, stop)

    play(act)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"side": "bye"}, "side='bye' is not known. Allowed: buy, sell"),
        ({"qty": "two"}, "qty='two' is no number"),
        ({"qty": "0"}, "qty=0 must be above zero"),
        ({"type": "limit"}, "type=limit: such an order has a price"),
        ({"type": "market", "price": "99"}, "type=market: such an order has neither a price nor a stop"),
        ({"type": "iceberg"}, "type='iceberg' is not known"),
        ({"close": "perhaps"}, "close='perhaps' is not known. Allowed: yes, no"),
        ({"ttl_s": "0"}, "ttl_s=0 is not allowed"),
        ({"symbol": OTHER}, f"no bot ('acc') trades {OTHER!r}"),
        ({"account": "main"}, "no bot ('main') trades 'BTC/USDT'"),
        ({"account": ""}, "an order needs an account, or a bot. Allowed: bot"),
        ({"bot": "bob"}, "no bot named 'bob'; did you mean 'bot'?"),
        ({"side": "sell", "close": "yes"}, "bot 'bot' holds nothing of BTC/USDT: a sell closes none of that"),
    ],
)
def test_what_means_nothing_is_refused_by_name_and_nothing_is_raised(given: dict[str, str], says: str) -> None:
    async def act(world: Desk) -> None:
        done = await world.ask("order", **ORDER | given)
        assert not done.done
        assert says in done.says
        assert world.said(said.SignalRaised) == []

    play(act)


def test_a_gate_that_lets_nothing_pass_answers_with_its_reason() -> None:
    async def act(world: Desk) -> None:
        await world.ask("halt", "h", scope=f"account {ACCOUNT}")
        done = await world.ask("order", **ORDER)
        assert not done.done
        assert done.says.startswith(f"{DropCode.HALTED.value}: account acc is halted")
        assert world.submits() == []

    play(act)


def test_a_lease_that_is_lost_in_the_last_moment_is_the_answer() -> None:
    async def act(world: Desk) -> None:
        world.permit.is_lost = True
        done = await world.ask("order", **ORDER)
        assert (done.done, done.says) == (False, "no_lease: another engine has the lease. (execution)")

    play(act)


def test_what_is_held_is_closed_when_that_is_said_and_never_turned_by_mistake() -> None:
    async def act(world: Desk) -> None:
        await world.ask("order", "in", **ORDER, qty="2")
        turned = await world.ask("order", "turn", **ORDER | {"side": "sell"})
        assert not turned.done
        assert "say close=yes" in turned.says
        assert (await world.ask("order", "part", **ORDER | {"side": "sell"}, close="yes", qty="0.5")).done
        assert world.held() == D("1.5")
        await world.ask("halt", "h")
        assert (await world.ask("order", "out", **ORDER | {"side": "sell"}, close="yes")).done
        assert world.held() == 0, "who reduces is let through although all is halted"

    play(act)


def test_of_several_bots_one_must_be_named_or_its_preset() -> None:
    async def act(world: Desk) -> None:
        many = await world.ask("order", "many", **ORDER)
        assert "several bots trade BTC/USDT there: name one, or its preset. Allowed: bot, other" in many.says
        assert (await world.ask("order", "one", **ORDER, bot="other")).done
        assert world.held("other") == 1

    play(act, bots=(BOT, "other"))


def test_where_nothing_is_ever_ordered_it_says_so_at_once() -> None:
    async def act(world: Desk) -> None:
        world.node.commands._hand._config = parse_node({"name": "n", "modules": {"execution": {}}})
        assert "nothing is ordered here: risk_management is off" in (await world.ask("order", **ORDER)).says

    play(act)


def test_an_order_that_was_being_judged_when_the_engine_died_is_answered_by_the_next_one() -> None:
    async def act(world: Desk) -> None:
        now_ns = world.clock.now_ns()
        world.quote()
        received = said.CommandReceived(command_id="c", name="order", arguments=tuple(ORDER.items()), by="ada")
        world.node._judges.begin = lambda signal: None  # type: ignore[method-assign]  # a model takes its time
        world.node.bus._hearers[said.SignalRaised].clear()
        world.node.bus.say(received)
        assert world.node.ledger.command("c") is None
        await world.kill()
        await world.clock.advance(120.0)
        world.node = world._made()
        await world.start()
        done = await world.ask("order", "c", **ORDER)
        assert (done.done, world.submits()) == (False, [])
        assert done.says.startswith("expired: ")
        assert world.clock.now_ns() > now_ns

    play(act)


# ── signals ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def limited(world: Desk, **limits: Any) -> None:
    """Give the preset other limits."""
    preset = world.config.presets["p"]
    world.config.presets["p"] = preset.model_copy(update={"limits": preset.limits.model_copy(update=limits)})


def test_a_signal_may_say_what_the_market_was_at_when_it_was_decided() -> None:
    async def act(world: Desk) -> None:
        limited(world, max_deviation_bps=D(50))
        given = {"bot": BOT, "symbol": SYMBOL, "action": "enter_long"}
        await world.ask("signal", "far", **given, price="110")
        (dropped,) = world.said(said.SignalDropped)
        assert dropped.code is DropCode.PRICE_DEVIATION
        await world.ask("signal", "near", **given, price="100.2")
        assert world.held() == 1

    play(act)


def test_who_wants_out_at_once_is_not_held_up_by_an_exit_that_waits_for_its_price() -> None:
    async def act(world: Desk) -> None:
        close = {**ORDER, "side": "sell", "close": "yes"}
        await world.ask("order", "1", **ORDER, qty="2")
        assert (await world.ask("order", "2", **close, price="110")).done
        again = await world.ask("order", "3", **close, price="111")
        assert "all of it is being closed already" in again.says
        assert (await world.ask("order", "4", **close)).done
        assert world.held() == 0

    play(act)


# ── who may loosen ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("by", ["program ", "program", "Program nightly", " program\tnightly"])
def test_a_program_is_one_however_its_name_is_written(by: str) -> None:
    async def act(world: Desk) -> None:
        assert (await world.ask("halt", "1", by=by)).done
        assert not (await world.ask("resume", "2", by=by)).done

    play(act)


@pytest.mark.parametrize("name", ["halt", "reduce"])
def test_a_program_may_tighten_and_only_a_person_lets_go(name: str) -> None:
    async def act(world: Desk) -> None:
        assert (await world.ask(name, "1", by="program nightly")).done
        refused = await world.ask("resume", "2", by="program nightly")
        assert not refused.done
        assert "only a person may change" in refused.says
        assert "names itself 'program NAME'" in refused.says
        assert world.node.ledger.snapshot().state() is not TradingState.ACTIVE
        assert (await world.ask("resume", "3")).says == "node is active"

    play(act)


def test_who_arms_an_account_without_a_live_bot_is_told_that_it_is_none_of_real_money() -> None:
    async def act(world: Desk) -> None:
        told = (await world.ask("arm", "1", account=ACCOUNT)).says
        says = "armed, and nothing comes of it: it has no live bot, and no order of it is of real money"
        assert told == f"account {ACCOUNT} is {says}"
        assert "disarmed, and nothing comes of it" in (await world.ask("disarm", "2", account=ACCOUNT)).says

    play(act)


def test_a_program_arms_no_account_and_its_answer_says_so() -> None:
    async def act(world: Desk) -> None:
        refused = await world.ask("arm", "1", by="program nightly", account=ACCOUNT)
        assert (refused.done, "only a person may do that" in refused.says) == (False, True)
        memory = world.node.stage("risk_management").memory
        assert not memory.is_armed(ACCOUNT, "venue 1")
        assert (await world.ask("arm", "2", account=ACCOUNT, of="venue 2")).done
        assert memory.is_armed(ACCOUNT, "venue 1")  # what it is, and not what somebody says it is
        assert (await world.ask("disarm", "3", by="program nightly", account=ACCOUNT)).done
        assert not memory.is_armed(ACCOUNT, "venue 1")

    play(act)


def test_to_resume_the_node_says_what_is_still_shut_and_how_that_is_let_go() -> None:
    async def act(world: Desk) -> None:
        await world.ask("halt", "1", scope=f"account {ACCOUNT}")
        await world.ask("halt", "2")
        told = await world.ask("resume", "3")
        assert told.says == (
            "node is active; but account acc is halted, which is let go by its own name: tradelab resume --account acc"
        )
        await world.ask("halt", "4", scope=f"bot {BOT}")
        told = await world.ask("resume", "5", scope=f"account {ACCOUNT}")
        assert told.says.endswith("but bot bot is halted, which is let go by its own name: tradelab resume --bot bot")
        assert (await world.ask("resume", "6", scope=f"bot {BOT}")).says == "bot bot is active"

    play(act)


# ── guards ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def tripped(world: Desk) -> list[str]:
    """The guards of the account that stand."""
    return sorted(code.value for code in world.node.stage("risk_management").memory.guarded(ACCOUNT).tripped)


async def trip(world: Desk) -> None:
    """Let the account lose a tenth: its guard of the day halts it."""
    for worth in ("100000", "90000"):
        info = dataclasses.replace(await world.venue.account_info(), equity=D(worth))
        world.node.bus.say(said.AccountReported(account=ACCOUNT, info=info))
    assert tripped(world) == ["daily_loss"]


def with_guard(act: Callable[[Desk], Awaitable[Any]]) -> None:
    async def run() -> None:
        world = Desk()
        limited(world, max_daily_loss=D("0.05"))
        world.node = world._made()
        await world.start()
        await trip(world)
        await act(world)

    asyncio.run(run())


def test_acknowledging_re_arms_the_guard_and_leaves_the_account_halted_until_it_is_resumed() -> None:
    async def act(world: Desk) -> None:
        told = await world.ask("acknowledge", "1", scope=f"account {ACCOUNT}")
        assert told.done
        assert "account acc is halted" in told.says
        assert "tradelab resume --account acc" in told.says
        assert tripped(world) == []
        assert world.node.ledger.snapshot().state(f"account {ACCOUNT}") is TradingState.HALTED
        await world.restart()
        assert tripped(world) == [], "it is in the journal"
        assert (await world.ask("resume", "2", scope=f"account {ACCOUNT}")).done
        assert world.node.ledger.snapshot().state(f"account {ACCOUNT}") is TradingState.ACTIVE

    with_guard(act)


def test_the_node_is_acknowledged_for_every_account() -> None:
    async def act(world: Desk) -> None:
        assert "every account" in (await world.ask("acknowledge", "1")).says
        assert tripped(world) == []

    with_guard(act)


def test_resuming_the_node_re_arms_nothing_and_resuming_the_account_does() -> None:
    async def act(world: Desk) -> None:
        assert "tradelab resume --account acc" in (await world.ask("resume", "1")).says
        assert tripped(world) == ["daily_loss"]
        await world.ask("resume", "2", scope=f"account {ACCOUNT}")
        assert tripped(world) == []

    with_guard(act)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"by": "program nightly"}, "only a person may do that, and 'program nightly' is none"),
        ({"scope": f"bot {BOT}"}, "guards are an account's"),
        ({"scope": "account main"}, "no account named 'main'"),
    ],
)
def test_what_re_arms_nothing_says_why(given: dict[str, str], says: str) -> None:
    async def act(world: Desk) -> None:
        told = await world.ask("acknowledge", "1", **given)  # type: ignore[arg-type]
        assert not told.done
        assert says in told.says
        assert tripped(world) == ["daily_loss"]

    with_guard(act)
