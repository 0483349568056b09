"""What people hand in means the same however it is written, and what means nothing is refused by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import AlignmentError, ParameterError


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return tl.samples.load("GOOG-1d").iloc[:200]


def rising(frame: pd.DataFrame) -> pd.Series:
    return frame["close"] > frame["close"].shift(1)


def signals(frame: pd.DataFrame) -> dict[str, pd.Series]:
    return {"entries": rising(frame), "exits": ~rising(frame)}


@pytest.mark.parametrize(
    "written",
    [lambda f: f.tz_convert("America/New_York"), lambda f: f.set_axis(f.index.as_unit("ms"))],
    ids=["another zone", "another unit"],
)
def test_signals_and_stops_fit_bars_in_any_zone_or_unit(bars, written):
    frame = written(bars)
    stop = pd.Series(0.02, frame.index)
    expected = tl.backtest(bars, **signals(bars), sl_stop=0.02)
    pd.testing.assert_frame_equal(tl.backtest(frame, **signals(frame), sl_stop=stop).orders, expected.orders)


@pytest.mark.parametrize("dtype", ["boolean", "object", "float", "Int8"])
def test_a_missing_signal_is_no_in_every_dtype(bars, dtype):
    given = pd.Series([1, None, 0, 1] + [0] * 196, bars.index, dtype="Int8").astype(
        {"boolean": "boolean", "object": "object", "float": "Float64", "Int8": "Int8"}[dtype]
    )
    orders = tl.backtest(bars, entries=given, exits=rising(bars) & False).orders
    assert orders["time"].tolist() == [bars.index[1]]


@pytest.mark.parametrize("wrong", [-1, 0.3, "no"])
def test_a_signal_that_is_neither_yes_nor_no_is_refused(bars, wrong):
    with pytest.raises(AlignmentError, match=f"is {wrong} at 2004-08-19"):
        tl.backtest(bars, entries=pd.Series(wrong, bars.index))


def test_numpy_numbers_and_flags_are_terms_like_any_other(bars):
    expected = tl.backtest(bars, **signals(bars), init_cash=1000, fees=0.25, sl_stop=0.5, sl_trail=True)
    terms = {"init_cash": np.int64(1000), "fees": np.float32(0.25), "sl_stop": np.float64(0.5), "sl_trail": np.True_}
    result = tl.backtest(bars, **signals(bars), **terms)
    pd.testing.assert_series_equal(result.equity, expected.equity)
    assert result.settings == expected.settings


def test_values_by_symbol_are_named_but_not_kept_in_the_settings(bars, tmp_path):
    both = {"A": bars, "B": bars}
    sizes = {"A": np.ones(200), "B": np.ones(200)}
    result = tl.backtest(both, "sma_cross", size=sizes)
    assert result.settings["size"] == "per bar"
    assert tl.load(result.save(tmp_path / "result")).settings == result.settings


def test_columns_by_field_and_symbol_are_several_instruments_too(bars):
    by_symbol = pd.concat({"A": bars, "B": 2 * bars}, axis=1)
    expected = tl.backtest(by_symbol, "sma_cross")
    result = tl.backtest(by_symbol.swaplevel(axis=1), "sma_cross")
    assert result.symbols == ["A", "B"]
    pd.testing.assert_frame_equal(result.orders, expected.orders)


def test_symbols_may_be_numbers_but_not_two_that_are_written_alike(bars):
    flags = pd.DataFrame({1: rising(bars), 2: rising(bars)})
    assert tl.backtest({1: bars, 2: bars}, entries=flags).symbols == ["1", "2"]
    with pytest.raises(ParameterError, match="written alike"):
        tl.backtest({1: bars, "1": bars}, "sma_cross")


def test_a_choice_that_is_no_word_is_refused(bars):
    with pytest.raises(ParameterError, match=r"fill=\['close'\] is not known"):
        tl.backtest(bars, "sma_cross", fill=["close"])
