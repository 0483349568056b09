"""What a sweep found is a table that is made when it is looked at, and files that say the same."""

from __future__ import annotations

import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import ParameterError, StorageError
from tradelab.research import sweep_result


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return tl.samples.load("GOOG-1d").iloc[:600]


@pytest.fixture(scope="module")
def found(bars):
    call = {"fast": range(2, 12), "slow": [20, 30], "sl_stop": [None, 0.05], "fill": ["close", "next_open"]}
    return tl.sweep(bars, "sma_cross", progress=False, **call)


def test_the_best_few_are_the_head_of_the_ranked_table_as_pandas_would_sort_it(found):
    for by, up in (("sharpe", False), ("volatility", True), ("trades", False), ("fees", True)):
        sorted_ = found.table.sort_values(by, ascending=up, kind="stable")
        pd.testing.assert_frame_equal(found.ranked(by), sorted_)
        pd.testing.assert_frame_equal(found.top(5, by), sorted_.head(5))
    assert found.top(3, "sharpe", min_trades=30)["trades"].min() >= 30


def test_the_best_few_are_found_without_the_whole_table(bars):
    fresh = tl.sweep(bars, "sma_cross", fast=range(2, 12), progress=False)
    fresh.top(3)
    fresh.best()
    fresh._repr_html_()
    assert "table" not in fresh.__dict__


def test_a_parquet_file_is_the_table(found, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_result, "_WRITTEN_AT_ONCE", 7)  # in many parts
    path = found.to_parquet(tmp_path / "found.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(path), found.table)
    assert sorted(tmp_path.iterdir()) == [path]
    with pytest.raises(StorageError, match="could not be written"):
        found.to_parquet(tmp_path / "nowhere" / "found.parquet")


def test_points_are_a_sequence_of_what_was_given(found):
    assert found.points[0] == {"fast": 2, "slow": 20, "sl_stop": None, "fill": "close"}
    assert found.points[-1] == {"fast": 11, "slow": 30, "sl_stop": 0.05, "fill": "next_open"}
    assert [point["fast"] for point in found.points[::40]] == [2, 7]
    assert len(list(found.points)) == len(found.points) == len(found) == 80


def test_a_row_that_is_none_is_refused(found):
    for row in (-1, 80, "a", 2.5):
        with pytest.raises(ParameterError, match="not in the table"):
            found.result(row)


def test_kinds_of_columns_are_those_of_what_was_swept(found):
    kinds = found.table.dtypes.astype(str)
    assert kinds[["fast", "slow", "sl_stop", "trades", "bars", "sharpe"]].tolist() == [
        "int64", "int64", "float64", "int64", "int64", "float64",
    ]  # fmt: skip
