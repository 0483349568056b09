"""An answer about this very signal, in time and not too old, decides; silence is what the profile says it is."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.feeds.scripted import settle
from tests.unit.modules.desk import World, node_of
from tests.unit.spine.world import signal
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConfigError, CorruptFileError
from tradelab.model.signal import Drop, DropCode, Pass, Resize, Signal, Verdict
from tradelab.model.units import NS_PER_S, Timeframe
from tradelab.modules.ai_analysis.rules import Answer, newest, read_answers
from tradelab.modules.ai_analysis.stage import Stage
from tradelab.spine.view import View

NOW_NS = 10**18
BAR_NS = NOW_NS - 60 * NS_PER_S
ASKED = signal(bot="bot0", timeframe=Timeframe.M1, bar_ns=BAR_NS)


def line(**changes: Any) -> str:
    told = {"bot": "bot0", "symbol": "BTC/USDT", "bar_ns": BAR_NS, "at_ns": NOW_NS - NS_PER_S, "verdict": "confirm"}
    return json.dumps({**told, **changes}) + "\n"


class Scene:
    def __init__(self, profile: dict[str, Any], bot: dict[str, Any] | None = None, ask: Any = None) -> None:
        self.clock = ManualClock(NOW_NS)
        config = node_of(bot if bot is not None else {"ai": "careful"}, ai={"careful": profile})
        self.world = World(config, clock=self.clock)
        self.stage: Stage = self.world.add(Stage, ask=ask)

    async def review(self, wait_s: float = 0.0) -> Verdict:
        """Ask, let so much time pass, and return the verdict, which must be there then."""
        view = self.world.desk.view(self.world.desk.config.bots[0])
        asked = asyncio.ensure_future(self.stage.review(ASKED, view))
        await settle(20)
        for _ in range(int(wait_s * 4)):
            await self.clock.advance(0.25)
            await settle()
        assert asked.done()
        return asked.result()


def verdict(tmp_path: Path, *lines: str, wait_s: float = 0.0, **profile: Any) -> Verdict:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(lines))
    return asyncio.run(Scene({"answers": str(path), **profile}).review(wait_s))


def test_a_confirmed_signal_passes_with_the_words_of_the_answer(tmp_path: Path) -> None:
    told = verdict(tmp_path, line(says="trend is up"))
    assert isinstance(told, Pass)
    assert told.says == "trend is up"
    assert ("answered_at_ns", str(NOW_NS - NS_PER_S)) in told.inputs


def test_a_rejected_one_is_dropped_and_a_resized_one_is_smaller(tmp_path: Path) -> None:
    rejected = verdict(tmp_path, line(verdict="reject", says="news"))
    assert isinstance(rejected, Drop)
    assert (rejected.code, rejected.says) == (DropCode.AI_REJECTED, "news")
    resized = verdict(tmp_path, line(verdict="resize", factor="0.5"))
    assert isinstance(resized, Resize)
    assert resized.factor == Decimal("0.5")


def test_of_several_answers_the_newest_counts(tmp_path: Path) -> None:
    first, second = line(verdict="reject", at_ns=NOW_NS - 9), line(at_ns=NOW_NS - 5)
    assert isinstance(verdict(tmp_path, first, second), Pass)
    assert isinstance(verdict(tmp_path, second, first), Pass)


@pytest.mark.parametrize(
    "changes",
    [
        {"bot": "bot1"},
        {"symbol": "ETH/USDT"},
        {"bar_ns": BAR_NS - 60 * NS_PER_S},
        {"bar_ns": None},
        {"at_ns": NOW_NS - 301 * NS_PER_S},  # older than the profile allows
        {"at_ns": NOW_NS + 3600 * NS_PER_S},  # of the future
    ],
    ids=str,
)
def test_an_answer_about_something_else_too_old_or_of_the_future_is_none(tmp_path: Path, changes: Any) -> None:
    told = verdict(tmp_path, line(**changes), wait_s=10.25)
    assert isinstance(told, Drop)
    assert (told.code, told.says) == (DropCode.AI_SILENT, "no answer within 10 s")


def test_silence_passes_only_where_the_profile_says_so(tmp_path: Path) -> None:
    told = verdict(tmp_path, wait_s=2.25, deadline_s=2, on_silence="pass")
    assert isinstance(told, Pass)
    assert told.says == "no answer within 2 s; the profile lets silence pass"
    assert isinstance(verdict(tmp_path, wait_s=2.25, deadline_s=2), Drop)


def test_an_answer_that_is_written_while_we_wait_is_taken_and_half_a_line_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"

    async def run() -> None:
        scene = Scene({"answers": str(path)})
        view = scene.world.desk.view(scene.world.desk.config.bots[0])
        asked = asyncio.ensure_future(scene.stage.review(ASKED, view))
        await settle(20)
        path.write_text(line()[:20])
        await scene.clock.advance(1.0)
        assert not asked.done()
        path.write_text(line())
        await scene.clock.advance(0.5)
        await settle(20)
        assert isinstance(asked.result(), Pass)

    asyncio.run(run())


def test_a_function_may_answer_and_one_that_is_late_is_silence_and_ended() -> None:
    ended: list[bool] = []

    async def slow(asked: Signal, view: View) -> Answer | None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)
        return None

    async def quick(asked: Signal, view: View) -> Answer | None:
        return Answer.model_validate_json(line())

    async def wrong(asked: Signal, view: View) -> Answer | None:
        return Answer.model_validate_json(line(bot="bot1"))

    async def run() -> None:
        assert isinstance(await Scene({}, ask=quick).review(), Pass)
        late = await Scene({"deadline_s": 1}, ask=slow).review(1.25)
        assert isinstance(late, Drop)
        await settle()
        assert ended == [True]
        other = await Scene({}, ask=wrong).review()
        assert isinstance(other, Drop)
        assert "about another signal" in other.says

    asyncio.run(run())


def test_a_bot_without_a_profile_waits_for_nobody(tmp_path: Path) -> None:
    scene = Scene({"answers": str(tmp_path / "none")}, bot={})
    assert asyncio.run(scene.review()) == Pass("the bot has no AI profile")


def test_a_line_that_is_no_answer_shuts_the_gate_and_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match=r"answers.jsonl, line 2: verdict: "):
        verdict(tmp_path, line(), line(verdict="maybe"))


def test_a_factor_belongs_to_a_resize_and_only_to_it() -> None:
    for wrong in (line(factor="0.5"), line(verdict="resize"), line(verdict="resize", factor="1.5"), line(more=1)):
        with pytest.raises(CorruptFileError):
            read_answers(wrong, "x")


def test_nothing_is_found_where_nothing_was_answered() -> None:
    assert newest((), ASKED, NOW_NS, 300) is None


def test_a_profile_without_a_file_is_refused_unless_a_function_answers() -> None:
    with pytest.raises(ConfigError, match=r"\[ai.careful\]: answers is missing"):
        Scene({})
    with pytest.raises(ConfigError, match=r"no field of the top table named 'modell'"):
        Scene({"modell": "x"})
