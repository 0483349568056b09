"""PSR, MinTRL, DSR and PBO against their papers' worked examples, scipy, vectorbt and an implementation by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy import special, stats

from tradelab.metrics import overfit as o


def test_the_normal_distribution_function_is_scipys():
    z = np.linspace(-8, 8, 161)
    assert [o.normal_cdf(x) for x in z] == pytest.approx(stats.norm.cdf(z), rel=1e-12)


def test_moments_are_scipys():
    returns = np.random.default_rng(3).standard_t(4, 500) * 0.01
    found = o.moments(returns)
    assert found.periods == 500
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))
    assert found.skew == pytest.approx(stats.skew(returns))
    assert found.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))


def test_returns_that_do_not_move_have_no_sharpe_ratio():
    assert math.isnan(o.moments([0.01, 0.01, 0.01]).sharpe)
    assert math.isnan(o.moments([0.01]).sharpe)


# Bailey & López de Prado 2012, section 3: a hedge fund of 24 months looks 98.2 % sure if its returns were normal,
# 91.3 % sure as they are.
def test_probabilistic_sharpe_of_the_papers_hedge_fund():
    assert o.probabilistic_sharpe(0.458, periods=24) == pytest.approx(0.982, abs=5e-4)
    assert o.probabilistic_sharpe(0.458, periods=24, skew=-2.448, kurtosis=10.164) == pytest.approx(0.913, abs=5e-4)


# The same paper, section 4: an annual Sharpe ratio of 2 told from 1 with 95 % confidence needs so many years.
@pytest.mark.parametrize(("per_year", "years"), [(252, 2.73), (52, 2.83), (12, 3.24)])
def test_minimum_track_record_of_the_papers_example(per_year, years):
    unit = per_year**-0.5
    assert o.min_track_record(2 * unit, benchmark=unit) / per_year == pytest.approx(years, abs=5e-3)


def test_after_the_minimum_track_record_the_probabilistic_sharpe_is_the_confidence():
    shape = {"skew": -1.2, "kurtosis": 7.5, "benchmark": 0.02}
    needed = o.min_track_record(0.08, confidence=0.9, **shape)
    assert needed == pytest.approx(round(needed), abs=1.0)
    below, above = (o.probabilistic_sharpe(0.08, periods=n, **shape) for n in (math.floor(needed), math.ceil(needed)))
    assert below <= 0.9 <= above


def test_no_track_record_is_long_enough_for_a_ratio_below_the_benchmark():
    assert math.isnan(o.min_track_record(0.01, benchmark=0.01))


def test_a_confidence_that_is_none_is_refused():
    with pytest.raises(ValueError, match="confidence is 1"):
        o.min_track_record(0.1, confidence=1.0)


# Bailey & López de Prado 2014, numerical example: annual SR 2.5, T = 1250 (250 days a year), skewness -3, kurtosis 10,
# V = 1/2 a year; 100 trials give 0.9004, 46 are the most that keep it at 95 %, 88 if returns were normal.
@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "expected"), [(100, -3, 10, 0.9004), (46, -3, 10, 0.9505), (88, 0, 3, 0.9505)]
)
def test_deflated_sharpe_of_the_papers_example(trials, skew, kurtosis, expected):
    annual = {"variance": 0.5 / 250, "trials": trials}
    found = o.deflated_sharpe(2.5 / 250**0.5, periods=1250, skew=skew, kurtosis=kurtosis, **annual)
    assert found == pytest.approx(expected, abs=5e-5)


def test_the_papers_benchmark_is_an_annual_ratio_of_0_1132_a_day():
    assert o.expected_max_sharpe(0.5 / 250, 100) == pytest.approx(0.1132, abs=5e-5)  # Bailey & López de Prado 2014


@pytest.mark.parametrize("trials", [2, 10, 1000, 1_000_000])
def test_deflated_sharpe_is_vectorbts(oracle, trials):
    metrics = oracle("vectorbt.returns.metrics")
    ours = o.deflated_sharpe(0.1, periods=800, skew=-0.4, kurtosis=6.0, variance=0.0004, trials=trials)
    theirs = metrics.deflated_sharpe_ratio(
        est_sharpe=0.1, var_sharpe=0.0004, nb_trials=trials, backtest_horizon=800, skew=-0.4, kurtosis=6.0
    )
    assert ours == pytest.approx(float(theirs), rel=1e-12)


@pytest.mark.parametrize("trials", [100, 1000])
def test_the_expected_maximum_is_what_drawing_says(trials):
    drawn = np.random.default_rng(5).standard_normal((4000, trials)).max(axis=1)
    error = drawn.std() / math.sqrt(len(drawn))
    # The paper's formula is an approximation: 1.5 % off at 100 trials.
    assert o.expected_max_sharpe(1.0, trials) == pytest.approx(drawn.mean(), abs=4 * error + 0.015 * drawn.mean())


def test_one_trial_is_not_deflated_and_less_than_one_is_refused():
    assert o.expected_max_sharpe(1.0, 1) == 0.0
    with pytest.raises(ValueError, match=r"trials is 0.5"):
        o.expected_max_sharpe(1.0, 0.5)
    with pytest.raises(ValueError, match="variance is -1"):
        o.expected_max_sharpe(-1.0, 10)


def test_more_trials_deflate_more():
    found = [o.deflated_sharpe(0.1, periods=1000, variance=1e-3, trials=n) for n in (1, 2, 10, 100, 10_000)]
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(o.probabilistic_sharpe(0.1, periods=1000))


def test_correlated_trials_are_worth_fewer():
    assert o.independent_trials(100, 0.0) == 100
    assert o.independent_trials(100, 0.9) == pytest.approx(10.9)
    assert o.independent_trials(100, -0.3) == 100


def _by_hand(returns, blocks):
    """CSCV as the paper's section 3 tells it: join the blocks, measure, rank with scipy."""
    parts = np.split(returns, blocks)
    logits, inside, outside = [], [], []
    for held in itertools.combinations(range(blocks), blocks // 2):
        here = np.concatenate([parts[k] for k in held])
        there = np.concatenate([parts[k] for k in range(blocks) if k not in held])
        r, r_bar = (x.mean(axis=0) / x.std(axis=0, ddof=1) for x in (here, there))
        star = int(np.argmax(r))
        omega = stats.rankdata(r_bar)[star] / (returns.shape[1] + 1)
        logits.append(special.logit(omega))
        inside.append(r[star])
        outside.append(r_bar[star])
    return np.array(logits), np.array(inside), np.array(outside)


@pytest.mark.parametrize(("periods", "trials", "blocks"), [(96, 7, 6), (160, 30, 8), (320, 12, 10), (40, 2, 4)])
def test_overfitting_is_that_of_an_implementation_by_hand(periods, trials, blocks):
    rng = np.random.default_rng(periods)
    returns = rng.standard_t(5, (periods, trials)) * 0.01 + rng.normal(0, 0.002, trials)
    found = o.backtest_overfitting(returns, blocks=blocks)
    logits, inside, outside = _by_hand(returns, blocks)
    assert np.sort(found.logits) == pytest.approx(np.sort(logits), abs=1e-9)
    assert np.sort(found.in_sample) == pytest.approx(np.sort(inside), rel=1e-9)
    assert found.pbo == pytest.approx((logits <= 0).mean())
    assert found.probability_of_loss == pytest.approx((outside < 0).mean())
    line = stats.linregress(inside, outside)
    assert (found.slope, found.intercept) == pytest.approx((line.slope, line.intercept), rel=1e-6)
    assert len(found.logits) == math.comb(blocks, blocks // 2)


def test_the_sums_of_a_sweep_say_what_its_returns_say():
    returns = np.random.default_rng(8).normal(0.0, 0.01, (1003, 40))
    edges = [k * 1003 // 16 for k in range(17)]
    parts = [returns[a:b] for a, b in itertools.pairwise(edges)]
    sums = np.stack([[np.full(40, len(p)), p.sum(axis=0), (p**2).sum(axis=0)] for p in parts], axis=1)
    ours, theirs = o.overfitting_of_sums(sums), o.backtest_overfitting(returns)
    assert ours.logits == pytest.approx(theirs.logits, abs=1e-9)
    assert ours.blocks == 16
    assert len(ours.logits) == 12_870  # the paper's number of ways to halve sixteen blocks


def test_noise_is_overfitted_every_second_time_and_skill_never():
    # Bailey et al. 2017: without skill the chosen trial is anywhere; one of 30 seeds alone says little.
    noise = [o.backtest_overfitting(np.random.default_rng(s).normal(0, 1, (200, 20)), blocks=8).pbo for s in range(30)]
    assert np.mean(noise) == pytest.approx(0.5, abs=0.12)
    skilled = np.random.default_rng(1).normal(np.linspace(0, 0.5, 20), 1, (400, 20))
    assert o.backtest_overfitting(skilled, blocks=8).pbo < 0.01


def test_a_trial_that_never_traded_is_neither_chosen_nor_in_the_way():
    rng = np.random.default_rng(2)
    returns = np.column_stack([np.zeros(160), rng.normal(0.01, 0.01, 160), rng.normal(0.0, 0.01, 160)])
    found = o.backtest_overfitting(returns, blocks=8)
    assert set(found.chosen) == {1}
    assert found.pbo == 0.0


def test_equal_trials_share_their_rank():
    same = np.repeat(np.random.default_rng(4).normal(0, 1, (64, 1)), 5, axis=1)
    found = o.backtest_overfitting(same, blocks=4)
    assert found.logits == pytest.approx(np.zeros(6), abs=1e-12)  # the mean rank of five equals is the median
    assert found.pbo == 1.0


@pytest.mark.parametrize(
    ("returns", "blocks", "says"),
    [
        (np.ones(10), 2, "shape"),
        (np.full((64, 2), np.nan), 4, "NaN"),
        (np.ones((7, 2)), 4, "7 periods"),
        (np.random.default_rng(0).normal(size=(64, 1)), 4, "1 trial"),
        (np.random.default_rng(0).normal(size=(64, 2)), 5, "5 blocks"),
    ],
)
def test_what_cannot_be_parted_is_refused(returns, blocks, says):
    with pytest.raises(ValueError, match=says):
        o.backtest_overfitting(returns, blocks=blocks)


def test_sums_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(3, blocks, trials\)"):
        o.overfitting_of_sums(np.ones((2, 4, 3)))
