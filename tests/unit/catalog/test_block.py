"""Runs of bars are joined and merged; the newer bar stands."""

from __future__ import annotations

import numpy as np

from tradelab.catalog.block import EMPTY, Block, concat, merge, of_frame, of_rows, without


def block(**bars: float) -> Block:
    """Return bars by stamp: ``block(t1=5.0)``."""
    stamps = np.array([int(k[1:]) for k in bars], np.int64)
    return Block(stamps, np.tile(np.array(list(bars.values()), dtype=float), (5, 1)))


def said(found: Block) -> dict[int, float]:
    return dict(zip(found.time.tolist(), found.values[3].tolist(), strict=True))


def test_a_merge_interleaves_and_the_new_bar_stands() -> None:
    merged, changed = merge(block(t1=1, t3=3, t5=5), block(t2=2, t3=9, t5=5))
    assert said(merged) == {1: 1, 2: 2, 3: 9, 5: 5}
    assert changed == 1


def test_nan_that_stays_nan_is_no_change() -> None:
    _, changed = merge(block(t1=np.nan, t2=1), block(t1=np.nan, t2=np.nan))
    assert changed == 1


def test_merging_with_nothing_is_the_other() -> None:
    assert said(merge(EMPTY, block(t1=1))[0]) == said(merge(block(t1=1), EMPTY)[0]) == {1: 1}
    assert len(concat([])) == 0


def test_stamps_can_be_taken_out_and_ranges_cut() -> None:
    assert said(without(block(t1=1, t2=2, t3=3), np.array([2]))) == {1: 1, 3: 3}
    assert said(block(t1=1, t2=2, t3=3).between(2, 3)) == {2: 2}


def test_rows_and_frames_go_both_ways() -> None:
    made = of_rows([(10, 1.0, 2.0, 0.5, 1.5, None), (20, 1.0, 2.0, 0.5, 1.5, 3.0)])
    assert np.isnan(made.values[4, 0])
    again = of_frame(made.frame())
    assert np.array_equal(again.time, made.time)
    assert np.array_equal(again.values, made.values, equal_nan=True)
    assert len(of_rows([])) == 0
