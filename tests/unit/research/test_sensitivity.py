"""Costs, delay and neighbours: what is left when an assumption moves."""

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import ConfigError, ParameterError
from tradelab.research import plots_theme
from tradelab.research.rerun import setup_of
from tradelab.research.sensitivity import cost_sensitivity, delay_sensitivity
from tradelab.research.stability import stability


@pytest.fixture(scope="module")
def bars():
    return tl.samples.load("GOOG-1d").iloc[:700]


@pytest.fixture(scope="module")
def result(bars):
    return tl.backtest(bars, "sma_cross", fast=5, slow=20, fees=0.001, slippage=0.0005)


def test_each_row_is_the_backtest_at_that_multiple_of_all_costs(bars, result):
    found = cost_sensitivity(result, at=(0.0, 1.0, 3.0))
    assert found.unit == "times the costs set"
    for times in (0.0, 1.0, 3.0):
        alone = tl.backtest(bars, "sma_cross", fast=5, slow=20, fees=0.001 * times, slippage=0.0005 * times).summary
        assert found.table.loc[times, "total_return"] == pytest.approx(alone.total_return)
        assert found.table.loc[times, "sharpe"] == pytest.approx(alone.sharpe)


def test_at_the_break_even_nothing_is_left(bars, result):
    times = cost_sensitivity(result, at=(1.0,)).break_even
    alone = tl.backtest(bars, "sma_cross", fast=5, slow=20, fees=0.001 * times, slippage=0.0005 * times)
    assert times > 1.0
    assert alone.summary.total_return == pytest.approx(0.0, abs=2e-3)


def test_without_costs_they_are_counted_in_basis_points(bars):
    found = cost_sensitivity(tl.backtest(bars, "sma_cross", fast=5, slow=20))
    assert found.unit == "basis points a fill"
    alone = tl.backtest(bars, "sma_cross", fast=5, slow=20, fees=found.break_even * 1e-4)
    assert alone.summary.total_return == pytest.approx(0.0, abs=2e-3)


def test_what_loses_without_costs_breaks_even_at_none(bars):
    losing = tl.backtest(bars, "sma_cross", fast=5, slow=20, direction="short", fees=0.001)
    assert losing.summary.total_return < 0
    free = tl.backtest(bars, "sma_cross", fast=5, slow=20, direction="short")
    assert free.summary.total_return < 0
    assert cost_sensitivity(losing, at=(1.0,)).break_even == 0.0


def test_what_never_stops_paying_has_no_break_even(bars):
    held = tl.backtest(bars, "buy_and_hold", fees=1e-5)
    found = cost_sensitivity(held, at=(1.0,))
    assert np.isnan(found.break_even)
    assert "not reached" in str(found)


def test_fee_tiers_are_scaled_tier_by_tier(bars):
    tiers = ((0.0, 0.002), (50_000.0, 0.001))
    found = cost_sensitivity(tl.backtest(bars, "sma_cross", fast=5, slow=20, fee_tiers=tiers), at=(2.0,))
    doubled = tl.backtest(bars, "sma_cross", fast=5, slow=20, fee_tiers=((0.0, 0.004), (50_000.0, 0.002)))
    assert found.table.loc[2.0, "total_return"] == pytest.approx(doubled.summary.total_return)


def test_a_delay_is_the_backtest_with_its_signals_moved_back(bars, result):
    found = delay_sensitivity(result, delays=(1, 3))
    decided = tl.strategies.sma_cross.decide(bars, {"fast": 5, "slow": 20})
    for later in (1, 3):
        moved = {k: np.concatenate([np.zeros(later, bool), v[:-later]]) for k, v in decided.items()}
        alone = tl.backtest(
            bars,
            entries=moved["long_entry"],
            exits=moved["long_exit"],
            short_entries=moved["short_entry"],
            short_exits=moved["short_exit"],
            fees=0.001,
            slippage=0.0005,
        )
        assert found.table.loc[later, "total_return"] == pytest.approx(alone.summary.total_return)
    assert found.table.index.tolist() == [0, 1, 3]
    assert found.kept == pytest.approx(found.table["sharpe"][1] / result.summary.sharpe)


def test_costs_and_delays_below_zero_are_refused(result):
    with pytest.raises(ParameterError, match="-1"):
        cost_sensitivity(result, at=(-1.0,))
    with pytest.raises(ParameterError, match="delays="):
        delay_sensitivity(result, delays=(-1,))


def test_sensitivities_show_themselves(result):
    for found in (cost_sensitivity(result, at=(0.0, 1.0, 2.0)), delay_sensitivity(setup_of(result))):
        assert "<table" in found._repr_html_()
        assert plots_theme.said(found.plot()) is None


class _Swept:
    """A sweep whose figures were written by hand."""

    def __init__(self, **columns):
        self.table = pd.DataFrame(columns)
        self.axes = tuple(name for name in columns if name != "sharpe")

    def ranked(self, by, *, min_trades=1):
        return self.table.sort_values(by, ascending=False)


def test_a_lone_peak_and_a_plateau_worked_by_hand():
    # 3 × 3: the peak of 4 in the middle has eight neighbours of 1
    grid = [(a, b) for a in (1, 2, 3) for b in (10, 20, 30)]
    peak = _Swept(a=[a for a, _ in grid], b=[b for _, b in grid], sharpe=[4.0 if g == (2, 20) else 1.0 for g in grid])
    found = stability(peak)
    assert (found.best, found.score, found.worst) == (4, 0.25, 0.25)
    assert found.table["neighbours"].tolist() == [3, 5, 3, 5, 8, 5, 3, 5, 3]
    assert found.table["around_mean"][0] == pytest.approx((4 + 1 + 1) / 3)
    flat = _Swept(a=[1, 2, 3], sharpe=[2.0, 2.2, 2.1])
    assert stability(flat).score == pytest.approx((2.0 + 2.1) / 2 / 2.2)


def test_the_careful_choice_is_the_best_neighbourhood_not_the_best_point():
    # a spike of 5 between zeros; a plateau of 3 further on
    found = stability(_Swept(a=list(range(8)), sharpe=[0.0, 5.0, 0.0, 0.0, 3.0, 3.0, 3.0, 0.0]))
    assert found.best == 1
    assert found.score == 0.0
    assert found.smooth == 5


def test_an_undefined_neighbour_counts_as_the_worst_there_is():
    found = stability(_Swept(a=[1, 2, 3], sharpe=[np.nan, 2.0, -1.0]))
    assert found.worst == pytest.approx(-0.5)
    assert found.score == pytest.approx(-0.5)


def test_words_are_all_neighbours_of_each_other():
    found = stability(_Swept(side=["long", "short", "both"], sharpe=[1.0, 0.5, 2.0]))
    assert found.table["neighbours"].tolist() == [2, 2, 2]
    assert found.score == pytest.approx(0.375)


def test_combinations_drawn_at_random_have_their_nearest_for_neighbours():
    rng = np.random.default_rng(0)
    a, b = rng.random(200), rng.random(200)
    found = stability(_Swept(a=a, b=b, sharpe=2.0 - (a - 0.5) ** 2 - (b - 0.5) ** 2))
    assert found.table["neighbours"].between(8, 12).all()  # eight, and whoever is exactly as far as the eighth
    assert found.score == pytest.approx(1.0, abs=0.02)


def test_stability_of_a_real_sweep_draws_its_map(bars):
    sweep = tl.sweep(bars, "sma_cross", fast=[3, 5, 8], slow=[20, 30, 40], progress=False)
    found = stability(sweep)
    assert found.table.loc[found.best, "sharpe"] == sweep.table["sharpe"].max()
    assert "neighbours have" in str(found)
    assert "neighbours" in found.plot().layout.title.text
    line = stability(tl.sweep(bars, "sma_cross", fast=[3, 5, 8], progress=False))
    assert plots_theme.said(line.plot()) is None


def test_one_combination_has_no_neighbours():
    with pytest.raises((ParameterError, ConfigError), match="no neighbours"):
        stability(_Swept(a=[1], sharpe=[1.0]))
