"""Say who may change what may be sent: everybody may make it stricter, only a person may let go again.

A program that gives commands under its own name says so: ``program nightly-job``. One that does not counts as the
person under whose name it runs, for nobody can tell them apart.
"""

from __future__ import annotations

from collections.abc import Collection

from tradelab.model.states import TradingState

PROGRAM = "program "  # what a program's name begins with where it gives commands
_STRICTNESS = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)


def is_person(by: str, modules: Collection[str]) -> bool:
    """Whether a name is a person's: not empty, none of the engine's own parts, and not marked as a program's.

    >>> is_person("ada", ["execution"]), is_person("execution", ["execution"]), is_person("program cron", [])
    (True, False, False)

    A program whose name is empty is still one, however it is written:

    >>> is_person("program ", []), is_person("Program cron", [])
    (False, False)
    """
    name = " ".join(by.split()).casefold()
    return bool(name) and name not in {"node", "engine", *modules} and not f"{name} ".startswith(PROGRAM)


def may_change(now: TradingState, to: TradingState, by: str, modules: Collection[str]) -> str | None:
    """Return why ``by`` may not change a trading state, in words; ``None`` where they may.

    >>> may_change(TradingState.ACTIVE, TradingState.HALTED, "risk_management", ["risk_management"])
    >>> may_change(TradingState.HALTED, TradingState.ACTIVE, "risk_management", ["risk_management"])
    "only a person may change halted to active, and 'risk_management' is none"
    """
    if _STRICTNESS.index(to) >= _STRICTNESS.index(now) or is_person(by, modules):
        return None
    return f"only a person may change {now.value} to {to.value}, and {by!r} is none"
