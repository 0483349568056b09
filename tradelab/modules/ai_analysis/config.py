"""Read the tables ``[ai.<profile>]``: where answers come from, how long they are waited for, and what silence means."""

from __future__ import annotations

from typing import Literal

from tradelab.spine.tables import Seconds, Table


class Profile(Table):
    """How a bot's signals are confirmed.

    No model is asked here yet: answers are recorded ones, or given by a function of Python.

    Parameters
    ----------
    answers
        A file of answers, one JSON object a line; another program may add lines while the engine runs. ``None`` where
        the stage is given a function.
    deadline_s
        How long an answer is waited for.
    on_silence
        What no answer in time means: ``"drop"``, or ``"pass"`` for who wants to trade without one.
    ttl_s
        An answer older than this is none.
    """

    answers: str | None = None
    deadline_s: Seconds = 10.0
    on_silence: Literal["drop", "pass"] = "drop"
    ttl_s: Seconds = 300.0
