"""Purged and combinatorial cross-validation against López de Prado's book and skfolio."""

import numpy as np
import pytest

from tradelab.model.errors import AlignmentError, ParameterError
from tradelab.research.crossval import choose, combinatorial, paths_of, purged_folds


# López de Prado 2018, section 12.3: φ[6, 2] = 5, and with k = 1 the one path of plain cross-validation.
@pytest.mark.parametrize(("groups", "held_out", "paths"), [(6, 2, 5), (6, 1, 1), (10, 2, 9), (5, 4, 4)])
def test_the_number_of_paths_is_the_books(groups, held_out, paths):
    assert paths_of(groups, held_out) == paths
    assert combinatorial(60, groups, held_out).paths.shape == (paths, groups)


def test_the_paths_of_six_groups_by_two_are_the_books():
    # figures 12.1 and 12.2: the first path is split 1 for the first two groups, then splits 2, 3, 4 and 5
    folds = combinatorial(48, 6, 2)
    assert folds.paths[0].tolist() == [0, 0, 1, 2, 3, 4]
    assert folds.paths[-1].tolist() == [4, 8, 11, 13, 14, 14]
    assert folds.held[0] == (0, 1)
    assert folds.held[-1] == (4, 5)


# skfolio 1.12.2, CombinatorialPurgedCV(n_folds=6, n_test_folds=2, purged_size=2, embargo_size=3) on 48 bars: of each
# training set how many bars, their sum, and the sum of their squares.
_SKFOLIO = [
    (27, 918, 32850), (20, 735, 28175), (20, 615, 22175), (20, 495, 14255), (25, 625, 16925),
    (25, 737, 28061), (18, 498, 20010), (18, 378, 12090), (23, 508, 14760), (25, 553, 20333),
    (18, 258, 8010), (23, 388, 10680), (25, 369, 9661), (23, 268, 4680), (30, 435, 8555),
]  # fmt: skip


def test_the_training_sets_are_skfolios():
    reach = np.minimum(np.arange(48) + 2, 47)
    folds = combinatorial(48, 6, 2, label_end=reach, embargo=3)
    assert [(len(s.train), s.train.sum(), (s.train**2).sum()) for s in folds.splits] == _SKFOLIO


def test_nothing_learned_from_has_seen_the_test():
    rng = np.random.default_rng(3)
    ends = np.minimum(np.arange(200) + rng.integers(0, 15, 200), 199)
    for split in combinatorial(200, 8, 3, label_end=ends).splits:
        for bar in split.train:
            overlap = (ends[split.test] >= bar) & (split.test <= ends[bar])
            assert not overlap.any()


def test_purging_takes_no_more_than_overlaps_when_labels_are_short():
    split = purged_folds(10, 5)[2]
    assert split.test.tolist() == [4, 5]
    assert split.train.tolist() == [0, 1, 2, 3, 6, 7, 8, 9]


def test_the_embargo_counts_from_the_last_bar_the_test_labels_reach():
    # by hand: test 3-5, labels reach 7; 8 and 9 are under embargo; bars 1 and 2 reach into the test
    split = purged_folds(12, 4, label_end=np.minimum(np.arange(12) + 2, 11), embargo=2)[1]
    assert split.test.tolist() == [3, 4, 5]
    assert split.train.tolist() == [0, 10, 11]


def test_a_long_label_that_spans_the_test_is_purged():
    ends = np.arange(9)
    ends[0] = 8
    assert purged_folds(9, 3, label_end=ends)[1].train.tolist() == [1, 2, 6, 7, 8]


def test_every_bar_is_tested_once_on_each_path_by_the_split_that_says_so():
    folds = combinatorial(50, 5, 2)
    whole = folds.assemble([np.full(len(s.test), k) for k, s in enumerate(folds.splits)])
    assert whole.shape == (4, 50)
    for path, row in zip(whole, folds.paths, strict=True):
        for group, number in zip(folds.groups, row, strict=True):
            assert (path[group] == number).all()
            assert set(group) <= set(folds.splits[number].test)
    used = np.concatenate(whole[:, [g[0] for g in folds.groups]])
    assert (np.bincount(used) == 2).all()  # each split serves each of its two groups once


def test_values_come_back_in_their_own_places():
    folds = combinatorial(23, 4, 2, embargo=1)
    whole = folds.assemble([split.test * 10 for split in folds.splits])
    assert (whole == np.arange(23) * 10).all()


def test_each_path_is_made_of_what_choices_made_on_bars_they_had_not_seen():
    rng = np.random.default_rng(4)
    returns = rng.normal(0.0, 1.0, (120, 9))
    folds = combinatorial(120, 6, 2, label_end=np.minimum(np.arange(120) + 3, 119), embargo=2)
    found = choose(returns, folds)
    for path, row in zip(found.returns, folds.paths, strict=True):
        for group, number in zip(folds.groups, row, strict=True):
            known = returns[folds.splits[number].train]
            best = np.argmax(known.mean(axis=0) / known.std(axis=0, ddof=1))
            assert found.chosen[number] == best
            assert (path[group] == returns[group, best]).all()


def test_choosing_among_idle_trials_earns_nothing_and_among_skilled_ones_the_skill():
    rng = np.random.default_rng(6)
    folds = combinatorial(1200, 6, 2)
    idle = choose(rng.normal(0.0, 1.0, (1200, 50)), folds).returns.mean()
    skilled = choose(rng.normal(np.linspace(-0.3, 0.3, 50), 1.0, (1200, 50)), folds).returns.mean()
    assert idle == pytest.approx(0.0, abs=0.1)  # 1 200 bars: a standard error of 0.03
    assert skilled == pytest.approx(0.28, abs=0.1)


def test_returns_over_other_bars_are_refused():
    with pytest.raises(AlignmentError, match="other bars"):
        choose(np.ones((10, 2)), combinatorial(12, 3, 1))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: purged_folds(10, 1), "groups=1"),
        (lambda: purged_folds(3, 4), "groups=4"),
        (lambda: combinatorial(10, 4, 4), "held_out=4"),
        (lambda: purged_folds(10, 2, embargo=-1), "embargo=-1"),
        (lambda: purged_folds(10, 2, label_end=np.arange(9)), r"shape \(9,\)"),
        (lambda: purged_folds(10, 2, label_end=np.zeros(10, int)), "ends before its own bar"),
        (lambda: purged_folds(10, 2, label_end=np.arange(10.0)), "no whole numbers"),
    ],
)
def test_what_makes_no_folds_is_refused(call, says):
    with pytest.raises((ParameterError, AlignmentError), match=says):
        call()


def test_results_that_do_not_fit_the_splits_are_refused():
    folds = combinatorial(10, 3, 1)
    with pytest.raises(AlignmentError, match="2 results"):
        folds.assemble([[1.0], [2.0]])
    with pytest.raises(AlignmentError, match="split 0 tests 4 bars"):
        folds.assemble([[1.0]] * 3)
