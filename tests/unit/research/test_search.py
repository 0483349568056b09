"""A search tries what it says: all of a grid, distinct draws, an even spread; and never what the rule forbids."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import tradelab as tl
from tradelab.model.errors import ConfigError, ParameterError, TooFewBarsError, UnknownNameError
from tradelab.research.search import Plan, Rules, grid, random, sobol
from tradelab.research.space import Axis, domains_of, is_many, kind_of
from tradelab.strategy import define
from tradelab.strategy.registry import find


@pytest.fixture
def ruled(monkeypatch):
    """Make a strategy of a rule; the shelf is as before afterwards."""
    monkeypatch.setattr(define, "SHELF", dict(define.SHELF))

    def make(rule: str):
        @tl.strategy(warmup=1, requires=rule)
        def ruled(bars, a: int = 2, b: int = 3, mode: str = "x"):
            return tl.Signals()

        return ruled

    return make


def points(space) -> list[dict]:
    return [space.point(k) for k in range(len(space))]


def test_a_grid_is_every_combination_that_obeys_the_rule_the_last_parameter_fastest():
    strategy = find("sma_cross")
    given = {"fast": [3, 5, 30], "sl_stop": [None, 0.1], "slow": range(10, 40, 10)}
    space = grid(domains_of(strategy, given), Rules(strategy, {}))
    expected = [p for p in itertools.product([3, 5, 30], [None, 0.1], [10, 20, 30]) if p[0] < p[2]]
    assert [tuple(p.values()) for p in points(space)] == expected
    assert (space.total, space.left_out) == (18, 18 - len(expected))


@pytest.mark.parametrize(
    "rule",
    ["a < b", "1 < a < b", "a < b and mode == 'x'", "a != b or mode == 'y'", "not a == b", "b % 2", "b if a else a",
     "(a, b) < (3, 3)", "mode in ('x', 'y')", "a * 10 ** 30 < b * 10 ** 30", "mode.upper() == 'X'", "True"],
)  # fmt: skip
def test_a_rule_says_the_same_of_many_as_of_each(ruled, rule):
    strategy = ruled(rule)
    cells = list(itertools.product(range(5), range(5), "xyz"))
    columns = {"a": [c[0] for c in cells], "b": [c[1] for c in cells], "mode": [c[2] for c in cells]}
    one_by_one = [strategy.allows({"a": a, "b": b, "mode": mode}) for a, b, mode in cells]
    assert Rules(strategy, {}).allowed(columns, len(cells)).tolist() == one_by_one


@pytest.mark.parametrize("draw", [random, sobol])
def test_draws_are_distinct_obey_the_rule_and_depend_on_the_seed_alone(draw):
    pytest.importorskip("scipy")
    strategy = find("sma_cross")
    domains = domains_of(strategy, {"fast": tl.Range(2, 60), "slow": tl.Range(5, 60), "sl_stop": tl.Range(0.01, 0.2)})
    space = draw(domains, Rules(strategy, {}), 200, 7)
    drawn = [tuple(p.values()) for p in points(space)]
    assert len(set(drawn)) == len(drawn) == 200
    assert all(fast < slow and 0.01 <= stop <= 0.2 and type(fast) is int for fast, slow, stop in drawn)
    assert space.left_out > 0
    assert space.total == 200 + space.left_out
    assert [tuple(p.values()) for p in points(draw(domains, Rules(strategy, {}), 200, 7))] == drawn
    assert [tuple(p.values()) for p in points(draw(domains, Rules(strategy, {}), 200, 8))] != drawn


def test_a_logarithmic_range_has_as_many_draws_below_its_geometric_mean_as_above():
    strategy = find("sma_cross")
    domains = domains_of(strategy, {"sl_stop": tl.Range(0.001, 0.1, log=True)})
    drawn = [p["sl_stop"] for p in points(random(domains, Rules(strategy, {}), 1000, 1))]
    below = sum(value < 0.01 for value in drawn)  # √(0.001 · 0.1)
    assert abs(below - 500) < 5 * math.sqrt(250)  # five deviations of a fair coin


def test_a_sobol_search_is_the_sequence_of_scipy():
    qmc = pytest.importorskip("scipy.stats").qmc
    strategy = find("sma_cross")
    domains = domains_of(strategy, {"sl_stop": tl.Range(0.0, 1.0), "tp_stop": tl.Range(0.0, 1.0)})
    drawn = [tuple(p.values()) for p in points(sobol(domains, Rules(strategy, {}), 100, 5))]
    expected = qmc.Sobol(2, scramble=True, rng=np.random.default_rng(5)).random_base2(7)[:100]
    np.testing.assert_array_equal(np.array(drawn), expected)


def test_a_space_with_fewer_combinations_than_samples_is_tried_whole():
    strategy = find("sma_cross")
    domains = domains_of(strategy, {"fast": tl.Range(2, 6), "slow": [5, 10, 20]})
    space = random(domains, Rules(strategy, {}), 1000, 0)
    expected = {(f, s) for f, s in itertools.product(range(2, 7), [5, 10, 20]) if f < s}
    assert {tuple(p.values()) for p in points(space)} == expected
    logarithmic = domains_of(strategy, {"fast": tl.Range(1, 4, log=True)})  # whole numbers: 1, 2, 3, 4
    assert sorted(p["fast"] for p in points(random(logarithmic, Rules(strategy, {"slow": 9}), 50, 0))) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("given", "listed"),
    [
        (tl.Range(2, 11, 3), [2, 5, 8, 11]),
        (tl.Range(2, 10, 3), [2, 5, 8]),
        (tl.Range(2, 5), [2, 3, 4, 5]),
    ],
)
def test_a_range_of_whole_numbers_is_walked_by_its_steps(given, listed):
    assert list(domains_of(find("sma_cross"), {"fast": given})["fast"].listed("fast")) == listed


def test_steps_of_a_fraction_do_not_gather_rounding():
    stops = domains_of(find("sma_cross"), {"sl_stop": tl.Range(0.1, 0.5, 0.1)})["sl_stop"]
    assert stops.listed("sl_stop") == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert stops.ends() == (0.1, 0.5)


@pytest.mark.parametrize(
    ("search", "parameters", "samples", "words"),
    [
        ("grid", {"sl_stop": tl.Range(0.01, 0.1)}, None, "without steps.*search=\"random\""),
        ("grid", {"fast": tl.Range(1, 9, log=True)}, None, "without steps"),
        ("grid", {"fast": [5, 6]}, 10, "samples=10 means nothing to a grid"),
        ("random", {"fast": [5, 6]}, None, "samples=None is no number"),
        ("random", {"fast": [5, 6]}, True, "samples=True is no number"),
        ("random", {"fast": tl.Range(9, 2)}, 5, "goes from 9 to 2"),
        ("random", {"fast": tl.Range(2, 9, -1)}, 5, "steps of -1"),
        ("random", {"fast": tl.Range(2.5, 9)}, 5, "whole numbers"),
        ("random", {"sl_stop": tl.Range(0.0, 0.2, log=True)}, 5, "no logarithmic scale"),
        ("random", {"direction": tl.Range(0, 1)}, 5, "direction=0"),
        ("random", {"sl_stop": tl.Range(0.5, 1.5)}, 50, "sl_stop"),
        ("random", {"fast": tl.Range(0, 20)}, 5, "fast=0 is out of range"),
        ("randm", {"fast": [5, 6]}, 5, "search='randm' is not known.*sobol"),
        (17, {"fast": [5, 6]}, 5, "search=17 is no way to search"),
    ],
)  # fmt: skip
def test_a_search_that_cannot_be_is_refused_before_the_first_run(search, parameters, samples, words):
    strategy = find("sma_cross")
    bars = tl.samples.load("GOOG-1d").iloc[:300]
    with pytest.raises(ParameterError, match=words):
        tl.sweep(bars, strategy, search=search, samples=samples, progress=False, **parameters)


def test_an_unknown_parameter_figure_or_seed_is_named():
    bars = tl.samples.load("GOOG-1d").iloc[:300]
    with pytest.raises(ParameterError, match="no parameter or term named 'fats'; did you mean 'fast'"):
        tl.sweep(bars, "sma_cross", fats=[5, 6], progress=False)
    with pytest.raises(UnknownNameError, match="did you mean 'sharpe'"):
        tl.sweep(bars, "sma_cross", fast=[5, 6], by="sharp", progress=False)
    with pytest.raises(ParameterError, match="seed=-1"):
        tl.sweep(bars, "sma_cross", fast=tl.Range(2, 9), search="random", samples=3, seed=-1, progress=False)


def test_a_space_without_an_allowed_combination_is_refused():
    strategy = find("sma_cross")
    for draw, samples in ((grid, ()), (random, (5, 0)), (sobol, (5, 0))):
        domains = domains_of(strategy, {"fast": tl.Range(50, 90), "slow": tl.Range(10, 40)})
        with pytest.raises(ConfigError, match="break the rule fast < slow"):
            draw(domains, Rules(strategy, {}), *samples)


def test_an_adaptive_search_refuses_a_corner_that_needs_more_bars_than_there_are():
    pytest.importorskip("optuna")
    bars = tl.samples.load("GOOG-1d").iloc[:300]
    with pytest.raises(TooFewBarsError, match="needs 401"):
        tl.sweep(bars, "sma_cross", fast=[5, 6], slow=tl.Range(20, 400), search="optuna", samples=5, progress=False)


def test_a_grid_knows_its_size_before_it_is_made():
    strategy = find("sma_cross")
    domains = domains_of(
        strategy,
        {"fast": range(1, 501), "slow": range(2, 502), "sl_stop": [0.1, 0.2], "fees": np.linspace(0, 0.1, 400)},
    )
    plan = Plan.of("grid", domains, Rules(strategy, {}), samples=None, seed=0, by="sharpe")
    assert plan.count == 200_000_000


def test_fee_tiers_are_one_value_and_a_list_of_them_is_swept():
    assert not is_many("fee_tiers", ((0, 0.001), (1e6, 0.0005)))
    assert is_many("fee_tiers", [((0, 0.001), (1e6, 0.0005)), ((0, 0.002),)])


def test_columns_keep_values_as_they_were_given_and_take_keeps_only_what_is_used():
    mixed = Axis.of("x", [None, 0.5, True, 1, "a", 0.5])
    assert [mixed.value(k) for k in range(6)] == [None, 0.5, True, 1, "a", 0.5]
    assert [type(mixed.value(k)) for k in (2, 3)] == [bool, int]
    strategy = find("sma_cross")
    space = grid(domains_of(strategy, {"fast": range(2, 300)}), Rules(strategy, {"slow": 400}))
    part = space.take(np.array([7, 3, 7]))
    assert [p["fast"] for p in points(part)] == [9, 5, 9]
    assert part.axes[0].values == (5, 9)
    assert kind_of(domains_of(strategy, {"sl_stop": [None, 0.1]})["sl_stop"]) == "json"
