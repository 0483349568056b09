"""Read answers, and turn one, or silence, into a verdict."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from tradelab.model.errors import CorruptFileError
from tradelab.model.signal import Drop, DropCode, Inputs, Pass, Resize, Signal, Verdict
from tradelab.model.units import NS_PER_S
from tradelab.modules.ai_analysis.config import Profile
from tradelab.spine.tables import Table


class Answer(Table):
    """One answer.

    Parameters
    ----------
    bot, symbol, bar_ns
        What it is about; ``bar_ns`` is the open time of the bar that decided, ``None`` for a signal that no bar did.
    at_ns
        When it was given: one of the future, or older than the profile allows, is not used.
    verdict
        ``"confirm"``, ``"reject"``, or ``"resize"`` with a ``factor`` above 0 up to 1.
    """

    bot: str
    symbol: str
    bar_ns: int | None = None
    at_ns: int
    verdict: Literal["confirm", "reject", "resize"]
    factor: Annotated[Decimal, Field(gt=0, le=1)] | None = None
    says: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Answer:
        if (self.verdict == "resize") != (self.factor is not None):
            raise ValueError("factor belongs to resize, and only to it")
        return self


def read_answers(text: str, where: str) -> tuple[Answer, ...]:
    """Return the answers of a file; a last line that is still being written is left for the next look.

    Raises
    ------
    CorruptFileError
        A whole line is no answer.
    """
    lines = text.split("\n")
    answers = []
    for number, line in enumerate(lines[:-1], 1):
        if not line.strip():
            continue
        try:
            answers.append(Answer.model_validate_json(line))
        except ValidationError as error:
            one = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, one["loc"])) or "the line"
            raise CorruptFileError(f"{where}, line {number}: {field}: {one['msg']}.", fix="Mend the line.") from None
    return tuple(answers)


def newest(answers: Iterable[Answer], signal: Signal, now_ns: int, ttl_s: float) -> Answer | None:
    """Return the newest answer about a signal that is not too old and not of the future; the later line wins a tie."""
    found: Answer | None = None
    for each in answers:
        is_meant = (each.bot, each.symbol, each.bar_ns) == (signal.bot, signal.symbol, signal.bar_ns)
        is_fresh = 0 <= now_ns - each.at_ns <= ttl_s * NS_PER_S
        if is_meant and is_fresh and (found is None or each.at_ns >= found.at_ns):
            found = each
    return found


def verdict_of(answer: Answer) -> Verdict:
    """Return what an answer means."""
    inputs: Inputs = (("answered_at_ns", str(answer.at_ns)), ("verdict", answer.verdict))
    says = answer.says or answer.verdict
    if answer.verdict == "reject":
        return Drop(DropCode.AI_REJECTED, says, inputs)
    if answer.factor is not None:
        return Resize(answer.factor, says, inputs)
    return Pass(says, inputs)


def verdict_of_silence(profile: Profile, why: str) -> Verdict:
    """Return what no answer means, by the profile's own policy."""
    inputs: Inputs = (("deadline_s", f"{profile.deadline_s:g}"), ("on_silence", profile.on_silence))
    if profile.on_silence == "pass":
        return Pass(f"{why}; the profile lets silence pass", inputs)
    return Drop(DropCode.AI_SILENT, why, inputs)
