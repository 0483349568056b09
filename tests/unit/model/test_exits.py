"""Read exit plans as people write them, and refuse what has no meaning."""

from __future__ import annotations

import pytest

from tradelab.model.errors import ParameterError
from tradelab.model.exits import BreakEven, Distance, ExitPlan, Target, Trail, distance


@pytest.mark.parametrize(
    ("said", "value", "unit"),
    [
        (0.02, 0.02, "fraction"),
        ("2 %", 0.02, "fraction"),
        ("2%", 0.02, "fraction"),
        ("2 atr", 2.0, "atr"),
        ("2.5ATR", 2.5, "atr"),
        ("1.5 r", 1.5, "r"),
        ("15 price", 15.0, "price"),
        ("1e-3 price", 0.001, "price"),
        (Distance(3.0, "atr"), 3.0, "atr"),
    ],
)
def test_a_distance_is_a_fraction_or_words_with_a_unit(said, value, unit):
    read = distance("stop", said)
    assert (read.value, read.unit) == (pytest.approx(value), unit)


@pytest.mark.parametrize(
    "said", [0, -0.02, "0 atr", "-1 r", float("nan"), float("inf"), "2 pips", "atr", "", True, [1]]
)
def test_a_distance_that_is_none_is_refused_by_name(said):
    with pytest.raises(ParameterError, match="stop="):
        ExitPlan(stop=said)


def test_short_forms_of_a_plan_are_read_in_full():
    plan = ExitPlan(stop="2 atr", targets=[("1 r", 0.5, "break_even"), "3 r"], trail="3 atr", break_even="1 r")
    assert plan.targets == (Target("1 r", 0.5, "break_even"), Target("3 r", 0.5))  # the last one takes what is left
    assert plan.trail == Trail("3 atr")
    assert plan.break_even == BreakEven("1 r")
    assert ExitPlan(targets=0.02).targets == (Target(0.02),)
    assert ExitPlan(targets=[{"at": 0.02, "fraction": 0.5}]).targets == (Target(0.02, 0.5),)
    assert ExitPlan(roi={30: 0.02, 0: 0.04}).roi == ((0, 0.04), (30, 0.02))


def test_what_a_plan_is_measured_in_is_known():
    assert ExitPlan(stop="2 atr").in_atr
    assert not ExitPlan(stop=0.02).in_atr
    assert ExitPlan(stop=0.02, trail=Trail(0.01, start="1 r")).in_r
    assert ExitPlan(stop=0.02, targets=[(0.05, 0.5, "1 r")]).in_r


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"stop": "1 r"}, "defines R"),
        ({"targets": "2 r"}, "need a stop"),
        ({"targets": [0.02, 0.04]}, "leaves nothing"),
        ({"targets": [(0.02, 0.7), (0.04, 0.7)]}, "add up to 1.4"),
        ({"targets": [(0.04, 0.5), (0.02, 0.5)]}, "not in order"),
        ({"targets": [(0.01 * k, 0.1) for k in range(1, 10)]}, "too many"),
        ({"targets": [(0.02, 0.0)]}, "fraction"),
        ({"targets": [(0.02, 0.5, 0.03), (0.1, 0.5)]}, "beyond itself"),
        ({"targets": [(0.02, 0.5, "trail"), (0.1, 0.5)]}, "there is none"),
        ({"roi": {1.5: 0.02}}, "whole numbers"),
        ({"roi": {-1: 0.02}}, "whole numbers"),
        ({"roi": {0: float("nan")}}, "roi"),
        ({"max_bars": 0}, "max_bars"),
        ({"max_bars": 2.5}, "max_bars"),
        ({"atr_window": 0}, "atr_window"),
    ],
)
def test_a_plan_that_means_nothing_is_refused(said, match):
    with pytest.raises(ParameterError, match=match):
        ExitPlan(**said)


def test_a_chandelier_is_measured_in_atr():
    with pytest.raises(ParameterError, match="chandelier"):
        Trail(0.02, chandelier=True)


def test_a_plan_is_a_value():
    a = ExitPlan(stop=0.02, targets=[(0.02, 0.5)])
    assert a == ExitPlan(stop="2 %", targets=[Target(0.02, 0.5)])
    assert hash(a) == hash(ExitPlan(stop="2 %", targets=[Target(0.02, 0.5)]))


@pytest.mark.parametrize("said", [{"before": "2 atr"}, {"step": "1 atr"}])
def test_a_trail_refuses_units_that_it_cannot_keep(said):
    with pytest.raises(ParameterError, match="measured in fraction"):
        Trail(0.02, start=0.05, **said)
    with pytest.raises(ParameterError, match="measured in atr"):
        Trail("2 atr", start="1 atr", before=0.05)
    assert Trail("2 atr", start="1 atr", before="4 atr").before == Distance(4.0, "atr")
