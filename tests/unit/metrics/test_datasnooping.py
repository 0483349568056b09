"""Reality check, SPA and their bootstraps against arch 8.0.0, scipy and implementations by hand.

The figures called arch's were computed with arch 8.0.0 on the seven rules below (``SPA(zeros, -performance,
block_size=10, reps=100_000, bootstrap="stationary")``; ``optimal_block_length``) and are written down here.
"""

import math

import numpy as np
import pytest

from tradelab.catalog import samples
from tradelab.metrics import datasnooping as ds


@pytest.fixture(scope="module")
def rules():
    """Long above an average of GOOG's closes, short below, six windows; and the size of its moves: (2048, 7)."""
    close = samples.load("GOOG-1d")["close"].to_numpy()
    returns = close[1:] / close[:-1] - 1.0
    columns = []
    for window in (2, 5, 10, 20, 50, 100):
        mean = np.convolve(close, np.ones(window) / window, "valid")
        mean = np.concatenate([np.full(window - 1, np.nan), mean])
        columns.append(np.where(close > mean, 1.0, -1.0)[99:-1] * returns[99:])
    size = np.abs(returns[99:])
    return np.column_stack([*columns, size - size.mean()])


def test_the_best_block_lengths_are_archs(rules):
    assert ds.optimal_block_length(rules[:, 5]) == pytest.approx((1.623945569122564, 1.8589536221059753), rel=1e-9)
    assert ds.optimal_block_length(rules[:, 6]) == pytest.approx((82.71543312250496, 94.68553437429904), rel=1e-9)


def test_the_best_block_lengths_of_an_autoregression_are_archs():
    # arch's own test, tests/bootstrap/test_block_length.py: 13.635665 and 15.60894
    e = np.random.RandomState(0).standard_normal(10_100)  # the stream that test draws from
    for i in range(1, len(e)):
        e[i] += 0.3 * e[i - 1]
    assert ds.optimal_block_length(e[100:]) == pytest.approx((13.635665, 15.60894), rel=1e-6)


def test_a_block_is_never_shorter_than_one(rules):
    assert ds.optimal_block_length(rules[:, 0]) == (1.0, 1.0)  # arch says 0.47 and 0.54
    assert ds.optimal_block_length(np.ones(50)) == (1.0, 1.0)


def test_too_few_values_have_no_best_block():
    with pytest.raises(ValueError, match="15 values"):
        ds.optimal_block_length(np.arange(15.0))


def test_the_variance_of_the_bootstrap_is_archs(rules):
    expected = [0.00041854408949221976, 0.00038230596466656163, 0.00036992857645021276, 0.000367876292088723]
    assert ds.bootstrap_variance(rules[:, :4], 10.0) == pytest.approx(expected, rel=1e-10)


def test_the_variance_of_the_bootstrap_is_what_drawing_says(rules):
    size = rules[:, 6:]
    means = np.concatenate(list(ds.bootstrap_means(size, 10.0, 4000, 3)))
    assert len(size) * means.var() == pytest.approx(ds.bootstrap_variance(size, 10.0)[0], rel=0.1)


# p-values are known to 0.0016 with arch's draws and to 0.003 with ours: 4 standard errors of the difference.
@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        ((0.0,) * 7, (0.2184, 0.2389, 0.2389)),
        ((0.0004,) * 7, (0.51265, 0.65425, 0.65425)),
        ((0.002, 0.002, 0.002, 0.0, 0.0, 0.0, 0.0003), (0.12206, 0.17715, 0.23458)),
    ],
)
def test_the_plain_p_values_are_archs(rules, shift, expected):
    found = ds.spa(rules - np.array(shift), draws=20_000, mean_block=10.0, seed=2, studentise=False)
    assert (found.lower, found.consistent, found.upper) == pytest.approx(expected, abs=0.018)
    assert found.best == 3


def test_the_reality_check_is_the_upper_plain_p_value(rules):
    check = ds.reality_check(rules, draws=500, mean_block=10.0, seed=4)
    assert check == ds.spa(rules, draws=500, mean_block=10.0, seed=4, studentise=False).upper


def _by_hand(d, positions, block):
    """Hansen 2005, sections 2 and 3, written a trial and a draw at a time."""
    n, trials = d.shape
    q = 1.0 / block
    mean, omega = d.mean(axis=0), np.zeros(trials)
    for k in range(trials):
        centred = d[:, k] - mean[k]
        omega[k] = centred @ centred / n
        for i in range(1, n):
            kappa = (n - i) / n * (1 - q) ** i + i / n * (1 - q) ** (n - i)
            omega[k] += 2 * kappa * (centred[i:] @ centred[:-i]) / n
    omega = np.sqrt(omega)
    t = max((math.sqrt(n) * mean / omega).max(), 0.0)
    keep = mean >= -omega * math.sqrt(2 * math.log(math.log(n)) / n)
    p = []
    for centre in (np.maximum(mean, 0), mean * keep, mean):
        stars = [max((math.sqrt(n) * (d[at].mean(axis=0) - centre) / omega).max(), 0.0) for at in positions]
        p.append(np.mean(np.array(stars) > t))
    return t, p


@pytest.mark.parametrize("seed", range(4))
def test_the_studentised_p_values_are_those_of_an_implementation_by_hand(seed):
    rng = np.random.default_rng(seed)
    d = rng.normal([0.05, -0.1, 0.0, -0.8], [1.0, 0.3, 2.0, 1.0], (120, 4))
    positions = ds.stationary_bootstrap(120, 3.0, 300, seed)
    t, expected = _by_hand(d, positions, 3.0)
    found = ds.spa(d, draws=300, mean_block=3.0, seed=seed)
    assert found.statistic == pytest.approx(t, rel=1e-9)
    assert [found.lower, found.consistent, found.upper] == pytest.approx(expected, abs=1e-12)


def test_the_p_value_of_noise_is_as_often_below_a_tenth_as_it_says():
    # 200 sets of 20 idle trials: a tenth of them below 0.1 is 20 ± 4.2. The bootstrap has seeds of its own, or it would
    # draw the very numbers the sets are made of.
    sets = [np.random.default_rng(10_000 + s).normal(0, 1, (200, 20)) for s in range(200)]
    low = np.array([ds.spa(d, draws=200, seed=s).consistent for s, d in enumerate(sets)])
    assert 8 <= np.sum(low < 0.1) <= 37


def test_a_trial_with_an_edge_is_found_among_idle_ones():
    d = np.random.default_rng(7).normal(0.0, 1.0, (500, 30))
    d[:, 11] += 0.25
    found = ds.spa(d)
    assert (found.best, found.consistent) == (11, 0.0)


def test_hopeless_trials_cost_the_consistent_p_value_little():
    # what Hansen 2005 made it for: the reality check pays for every poor trial, the consistent p-value does not
    d = np.random.default_rng(9).normal(0.0, 1.0, (400, 60))
    d[:, 0] += 0.11
    d[:, 20:] -= 2.0
    d[:, 20:] *= 3.0
    found = ds.spa(d, draws=2000)
    assert found.consistent < 0.6 * found.upper
    assert found.lower <= found.consistent <= found.upper


def test_neither_the_order_of_the_trials_nor_their_scale_matters(rules):
    plain = ds.spa(rules, draws=300, mean_block=5.0, seed=1)
    order = np.array([3, 0, 6, 5, 1, 2, 4])
    moved = ds.spa(rules[:, order], draws=300, mean_block=5.0, seed=1)
    assert order[moved.best] == plain.best
    assert (moved.lower, moved.consistent, moved.upper) == (plain.lower, plain.consistent, plain.upper)
    scaled = ds.spa(rules * np.array([1e-3, 1.0, 50.0, 7.0, 0.1, 3.0, 1.0]), draws=300, mean_block=5.0, seed=1)
    assert scaled.statistic == pytest.approx(plain.statistic)
    assert scaled.consistent == plain.consistent  # studentised: a wild rule weighs no more than a quiet one


def test_thousands_of_trials_are_tested_in_pieces():
    many = np.random.default_rng(3).normal(0.0, 1.0, (300, 3000))
    many[:, 2999] += 0.4
    found = ds.spa(many, draws=50, mean_block=1.0)
    assert (found.best, found.consistent) == (2999, 0.0)
    assert ds.bootstrap_variance(many, 2.0)[[5, 2999]] == pytest.approx(
        np.concatenate([ds.bootstrap_variance(many[:, [k]], 2.0) for k in (5, 2999)])
    )


def test_trials_at_rest_beat_nothing():
    assert ds.spa(np.zeros((50, 3))).consistent == 1.0
    some = np.column_stack([np.zeros(50), np.full(50, 1.0) + np.random.default_rng(1).normal(0, 0.1, 50)])
    assert ds.spa(some).best == 1
    worse = ds.spa(np.random.default_rng(1).normal(-1.0, 0.1, (50, 2)))
    assert (worse.statistic, worse.consistent) == (0.0, 1.0)


@pytest.mark.parametrize("draw", [ds.stationary_bootstrap, ds.circular_bootstrap])
def test_the_same_seed_draws_the_same_and_a_generator_goes_on(draw):
    assert (draw(30, 4, 5, 1) == draw(30, 4, 5, 1)).all()
    rng = np.random.default_rng(1)
    first, second = draw(30, 4, 5, rng), draw(30, 4, 5, rng)
    assert (first == draw(30, 4, 5, 1)).all()
    assert (first != second).any()


def test_circular_blocks_have_one_length_and_wrap_around():
    drawn = ds.circular_bootstrap(20, 6, 400, 0)
    steps = np.diff(drawn, axis=1) % 20
    inside = [k for k in range(19) if (k + 1) % 6]
    assert (steps[:, inside] == 1).all()
    assert (np.bincount(drawn.ravel(), minlength=20) > 250).all()  # 400 expected: no position is favoured


def test_stationary_blocks_have_the_mean_length_asked_for():
    drawn = ds.stationary_bootstrap(1000, 8.0, 200, 0)
    jumps = (np.diff(drawn, axis=1) % 1000 != 1).mean()
    assert jumps == pytest.approx(1 / 8, rel=0.03)  # 1/8 · 999/1000; the error of 199 800 draws is 0.6 %
    assert drawn.min() == 0
    assert drawn.max() == 999


def test_blocks_of_length_one_are_the_plain_bootstrap():
    drawn = ds.stationary_bootstrap(10, 1.0, 3000, 0)
    pairs = np.bincount(drawn[:, 3] * 10 + drawn[:, 4], minlength=100)
    assert pairs.min() > 5  # 30 expected of each of the hundred pairs


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ds.spa(np.ones((15, 2))), "16 or more"),
        (lambda: ds.spa(np.ones(30)), "shape"),
        (lambda: ds.spa(np.full((30, 2), np.inf)), "infinity"),
        (lambda: ds.spa(np.random.default_rng(0).normal(size=(30, 2)), draws=0), "0 draws"),
        (lambda: ds.stationary_bootstrap(10, 0.5, 1, 0), "block length is 0.5"),
    ],
)
def test_what_cannot_be_tested_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
