"""Write an exit plan as text and read it back, exactly: what a position was opened on stands in the journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from tradelab.model.exits import BreakEven, Distance, ExitPlan, Target, Trail


def written_plan(plan: ExitPlan) -> str:
    """Return a plan as JSON: what is not its default, by the names of its arguments, every digit of a number.

    >>> written_plan(ExitPlan(stop="2 atr", targets=[("1 r", 0.5, "break_even"), "3 r"]))
    '{"stop":"2.0 atr","targets":[["1.0 r",0.5,"break_even"],["3.0 r",0.5,null]]}'
    """
    return json.dumps(_words(plan), separators=(",", ":"))


def read_plan(text: str) -> ExitPlan:
    """Return the plan that :func:`written_plan` was given.

    Raises
    ------
    ParameterError
        It is no plan that can be.

    Examples
    --------
    >>> read_plan('{"stop":0.02,"trail":{"distance":"3.0 atr","chandelier":true}}')
    ExitPlan(stop=0.02, trail=Trail(distance='3 atr', chandelier=True))
    """
    told: dict[str, Any] = json.loads(text)
    if "targets" in told:
        told["targets"] = [tuple(each) for each in told["targets"]]
    for name, kind in (("trail", Trail), ("break_even", BreakEven)):
        if name in told:
            told[name] = kind(**told[name])
    return ExitPlan(**told)


def _words(value: Any) -> Any:
    if isinstance(value, ExitPlan | Trail | BreakEven):
        named = ((field.name, getattr(value, field.name), field.default) for field in fields(value))
        return {name: _words(one) for name, one, default in named if one != default}
    if isinstance(value, Target):  # a target: its arguments in their order
        return [_words(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, Distance):
        return value.value if value.unit == "fraction" else f"{value.value!r} {value.unit}"
    if isinstance(value, Mapping | tuple | list):
        return [_words(one) for one in value]
    return value
