"""A signal passes the gates one after the other; what a gate does not let through, or fails on, comes to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.modules.desk import World, node_of
from tests.unit.spine.world import D, signal
from tradelab.model.errors import InvariantError
from tradelab.model.messages import DataFiltered, SignalAnalyzed, SignalDropped, SignalRaised
from tradelab.model.signal import Action, Drop, DropCode, Pass, Resize, Signal, Verdict
from tradelab.spine.gates import Gated, Judges


class Gate:
    """Answers as it is told to."""

    def __init__(self, answer: Callable[[Signal], Any]) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def review(self, asked: Signal, view: Any) -> Any:
        self.asked.append(asked.id)
        return self.answer(asked)


class Chain:
    """A filter, an AI, and what passed both."""

    def __init__(self, first: Callable[[Signal], Any], second: Callable[[Signal], Any] | None = None) -> None:
        self.world = World(node_of({"name": "bot"}))
        self.gates = [Gate(first)] + ([Gate(second)] if second else [])
        told = (DataFiltered, SignalAnalyzed)
        names = ("filter_strategy", "ai_analysis")
        gated = tuple(Gated(names[n], gate, told[n]) for n, gate in enumerate(self.gates))  # type: ignore[arg-type]
        self.passed: list[tuple[str, Decimal]] = []
        desk = self.world.desk
        self.judges = Judges(
            desk.bus, gated, lambda _: desk.view(desk.config.bots[0]),
            lambda one, factor: self.passed.append((one.id, factor)), desk.tasks,
        )  # fmt: skip

    def raise_(self, **changes: Any) -> None:
        self.world.say(SignalRaised(signal(**changes)))

    def dropped(self) -> list[tuple[str, DropCode]]:
        return [(m.by, m.code) for m in self.world.said(SignalDropped)]


def passes(_: Signal) -> Verdict:
    return Pass("fine")


def test_a_signal_that_all_let_pass_comes_through_at_the_product_of_what_they_cut_it_to() -> None:
    chain = Chain(lambda _: Resize(D("0.5"), "half"), lambda _: Resize(D("0.4"), "less"))
    chain.raise_()
    assert chain.passed == [("s1", D("0.20"))]
    assert [m.verdict.says for m in chain.world.said(DataFiltered)] == ["half"]
    assert [m.verdict.says for m in chain.world.said(SignalAnalyzed)] == ["less"]


def test_what_the_first_drops_the_second_is_not_asked_about() -> None:
    chain = Chain(lambda _: Drop(DropCode.FILTER, "no", (("rsi", "80"),)), passes)
    chain.raise_()
    assert (chain.passed, chain.gates[1].asked) == ([], [])
    (dropped,) = chain.world.said(SignalDropped)
    assert (dropped.by, dropped.code, dropped.says) == ("filter_strategy", DropCode.FILTER, "no")
    assert dropped.inputs == (("rsi", "80"),)
    assert chain.world.ledger.signal("s1").dropped is DropCode.FILTER  # type: ignore[union-attr]


@pytest.mark.parametrize("action", [Action.EXIT_LONG, Action.EXIT_SHORT])
def test_who_wants_out_is_not_asked_twice(action: Action) -> None:
    chain = Chain(lambda _: Drop(DropCode.FILTER, "no"), passes)
    chain.raise_(action=action)
    assert chain.passed == [("s1", D(1))]
    assert [gate.asked for gate in chain.gates] == [[], []]


def test_a_gate_that_fails_is_a_gate_that_is_shut() -> None:
    chain = Chain(lambda _: 1 / 0)
    chain.raise_()
    assert (chain.passed, chain.dropped()) == ([], [("filter_strategy", DropCode.GATE_FAILED)])


def test_a_mistake_of_ours_is_no_verdict() -> None:
    def broken(_: Signal) -> Verdict:
        raise InvariantError("we are wrong.")

    with pytest.raises(InvariantError):
        Chain(broken).raise_()


def test_without_gates_everything_comes_through() -> None:
    chain = Chain(passes)
    chain.judges._gates = ()
    chain.raise_()
    assert chain.passed == [("s1", D(1))]


def test_an_answer_that_takes_time_is_waited_for_and_others_go_on_meanwhile() -> None:
    async def run() -> None:
        waits: dict[str, asyncio.Future[Verdict]] = {}

        def slow(asked: Signal) -> Any:
            waits[asked.id] = asyncio.get_running_loop().create_future()

            async def answer() -> Verdict:
                return await waits[asked.id]

            return answer()

        chain = Chain(passes, slow)
        chain.raise_(id="a")
        chain.raise_(id="b")
        assert set(chain.judges.pending) == {"a", "b"}
        await asyncio.sleep(0)
        waits["b"].set_result(Pass("yes"))
        waits["a"].set_exception(RuntimeError("the model is gone"))
        for _ in range(3):
            await asyncio.sleep(0)
        assert chain.passed == [("b", D(1))]
        assert chain.dropped() == [("ai_analysis", DropCode.GATE_FAILED)]
        assert not chain.judges.pending
        await chain.world.desk.tasks.stop()
        assert chain.world.failures == []

    asyncio.run(run())


def test_an_answer_about_a_signal_that_is_over_changes_nothing() -> None:
    chain = Chain(lambda _: Drop(DropCode.FILTER, "no"))
    chain.raise_()
    chain.world.say(DataFiltered(bot="bot", signal_id="s1", verdict=Pass("late")))
    assert (chain.passed, len(chain.dropped())) == ([], 1)


def test_a_signal_under_way_is_not_led_through_a_second_time() -> None:
    async def run() -> None:
        async def never() -> Verdict:
            return await asyncio.get_running_loop().create_future()

        chain = Chain(lambda _: never())
        chain.raise_()
        chain.judges.begin(signal())
        assert chain.gates[0].asked == ["s1"]
        await asyncio.sleep(0)
        await chain.world.desk.tasks.stop()

    asyncio.run(run())
