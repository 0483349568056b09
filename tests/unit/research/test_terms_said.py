"""What Tab completes, what a mistyped name is told, and how a plan shows itself."""

from __future__ import annotations

import inspect

import pytest

import tradelab as tl
from tradelab.model.errors import ParameterError
from tradelab.model.exits import BreakEven, Target, Trail
from tradelab.research.settings import Settings
from tradelab.strategy.builtin import sma_cross


@pytest.mark.parametrize("function", [tl.backtest, tl.sweep])
def test_the_signature_names_every_term(function):
    known = inspect.signature(function).parameters
    assert set(Settings.__dataclass_fields__) <= set(known)
    assert known["fees"].default == 0.0
    assert next(reversed(known.values())).kind is inspect.Parameter.VAR_KEYWORD


@pytest.mark.parametrize("call", [tl.backtest, tl.sweep])
def test_a_mistyped_term_is_told_the_nearest_of_all(call):
    bars = tl.samples.load("GOOG-1d").iloc[:300]
    with pytest.raises(ParameterError, match="no parameter or term named 'fee'; did you mean 'fees'"):
        call(bars, "sma_cross", fast=[5, 6] if call is tl.sweep else 5, slow=20, fee=1e-3)
    with pytest.raises(ParameterError, match="did you mean 'slow'"):
        call(bars, "sma_cross", fast=[5, 6] if call is tl.sweep else 5, slw=20)


def test_modules_list_what_they_offer_and_nothing_else():
    assert "sma" in dir(tl.indicators) and "np" not in dir(tl.indicators)
    assert dir(tl.strategies) == sorted(tl.strategies.__all__)
    assert all(callable(getattr(tl.strategies, name)) for name in dir(tl.strategies))
    assert tl.strategies.sma_cross is sma_cross


def test_a_plan_shows_itself_as_it_would_be_written():
    plan = tl.ExitPlan(
        stop="2 atr",
        targets=[Target("1 r", 0.5, "break_even"), Target(0.05, 0.5)],
        trail=Trail(0.02, start="1 %"),
        break_even=BreakEven("1 r"),
    )
    assert repr(plan) == (
        "ExitPlan(stop='2 atr', targets=(Target(at='1 r', fraction=0.5, then='break_even'), "
        "Target(at=0.05, fraction=0.5)), trail=Trail(distance=0.02, start=0.01), break_even=BreakEven(at='1 r'))"
    )
    names = {"ExitPlan": tl.ExitPlan, "Target": Target, "Trail": Trail, "BreakEven": BreakEven}
    assert eval(repr(plan), names) == plan
    assert repr(tl.ExitPlan()) == "ExitPlan()"
