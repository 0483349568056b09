"""An exit plan that is written down is the same plan when it is read."""

from __future__ import annotations

import pytest

from tradelab.model.errors import ParameterError
from tradelab.model.exits import BreakEven, ExitPlan, Trail
from tradelab.model.plan_words import read_plan, written_plan

PLANS = {
    "nothing": ExitPlan(),
    "a stop in full digits": ExitPlan(stop=0.1 + 0.2),
    "very small": ExitPlan(stop="1e-7 price"),
    "ladder": ExitPlan(
        stop="2 atr", targets=[("0.7 r", 1 / 3, "break_even"), ("1.5 r", 0.3, "0.25 r"), ("2 r", 0.2, "-0.5 r")]
    ),
    "one target closes all": ExitPlan(targets=0.02),
    "all else": ExitPlan(
        stop="2 %", roi={0: 0.04, 30: 0.02, 90: -1.0}, trail=Trail("3 atr", start="1 r", step=0.001, chandelier=True),
        break_even=BreakEven("1 r", offset=0.0005, fees=False), max_bars=40, stop_at_close=True, session_close=True,
        atr_window=7,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_is_read_as_it_was_written_to_the_last_digit(name: str) -> None:
    assert read_plan(written_plan(PLANS[name])) == PLANS[name]


def test_a_plan_that_cannot_be_is_refused() -> None:
    with pytest.raises(ParameterError, match="stop"):
        read_plan('{"stop": -1}')
