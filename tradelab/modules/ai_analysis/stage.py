"""Wait for an answer about each entry until the deadline; silence is what the profile says it is.

Answers are recorded, or given by a function: no model is asked here yet, and nothing pretends that one was.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from tradelab.model.errors import ConfigError
from tradelab.model.messages import Message, Recorded
from tradelab.model.signal import Pass, Signal, Verdict
from tradelab.modules.ai_analysis.config import Profile
from tradelab.modules.ai_analysis.rules import Answer, newest, read_answers, verdict_of, verdict_of_silence
from tradelab.spine.desk import Desk
from tradelab.spine.refused import read_table
from tradelab.spine.tables import Table
from tradelab.spine.view import View

Ask = Callable[[Signal, View], Awaitable[Answer | None]]
_LOOK_EVERY_S = 0.25


class _NoSettings(Table):
    """The module's own table has no words; profiles stand in ``[ai.<name>]``."""


class Stage:
    """The gate that waits for answers.

    Parameters
    ----------
    ask
        Answers instead of files: for scripts and tests.
    """

    def __init__(self, desk: Desk, ask: Ask | None = None) -> None:
        read_table(_NoSettings, desk.settings, "[modules.ai_analysis]")
        self._clock = desk.clock
        self._ask = ask
        self._profiles = {name: read_table(Profile, told, f"[ai.{name}]") for name, told in desk.config.ai.items()}
        for name, profile in self._profiles.items():
            if ask is None and profile.answers is None:
                raise ConfigError(f"[ai.{name}]: answers is missing.", fix="Name a file of answers, one JSON a line.")

    def remember(self, recorded: Recorded[Message]) -> None:
        """Remember nothing: what was answered stands in the journal, and what was not is asked again."""

    async def start(self) -> None:
        """Begin nothing."""

    async def stop(self) -> None:
        """End nothing."""

    async def review(self, signal: Signal, view: View) -> Verdict:
        """Judge an entry by the answer about it."""
        if view.bot.ai is None:
            return Pass("the bot has no AI profile")
        profile = self._profiles[view.bot.ai]
        answer = await self._within(profile, self._answer(profile, signal, view))
        if answer is None:
            return verdict_of_silence(profile, f"no answer within {profile.deadline_s:g} s")
        if newest([answer], signal, self._clock.now_ns(), profile.ttl_s) is None:
            return verdict_of_silence(profile, "the answer is about another signal, too old, or of the future")
        return verdict_of(answer)

    async def _within(self, profile: Profile, answering: Awaitable[Answer | None]) -> Answer | None:
        asked = asyncio.ensure_future(answering)
        deadline = asyncio.ensure_future(self._clock.sleep(profile.deadline_s))
        try:
            await asyncio.wait({asked, deadline}, return_when=asyncio.FIRST_COMPLETED)
            return asked.result() if asked.done() else None
        finally:
            for each in (asked, deadline):
                each.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await deadline

    async def _answer(self, profile: Profile, signal: Signal, view: View) -> Answer | None:
        if self._ask is not None:
            return await self._ask(signal, view)
        path = Path(profile.answers or "")
        seen: tuple[int, int] | None = None
        while True:
            told = _stamp(path)
            if told != seen:
                seen = told
                answers = read_answers(path.read_text(encoding="utf-8"), str(path)) if told else ()
                found = newest(answers, signal, self._clock.now_ns(), profile.ttl_s)
                if found is not None:
                    return found
            await self._clock.sleep(_LOOK_EVERY_S)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what tells that a file has changed; ``None``: it is not there yet."""
    try:
        told = path.stat()
    except FileNotFoundError:
        return None
    return told.st_size, told.st_mtime_ns
