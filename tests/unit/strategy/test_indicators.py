"""The face of the indicators: kind in, kind out, and refusals that name the argument."""

import inspect

import numpy as np
import pandas as pd
import pytest

import tradelab.strategy.indicators as ta
from tradelab.model.errors import AlignmentError, ParameterError

INDEX = pd.date_range("2024-01-01", periods=80, freq="h", tz="UTC", name="time")
CLOSE = pd.Series(100 + np.cumsum(np.random.default_rng(2).normal(0, 1, 80)), INDEX, name="close")
BARS = {"values": CLOSE, "a": CLOSE, "b": CLOSE.shift(3), "high": CLOSE + 1, "low": CLOSE - 1, "close": CLOSE}


def call(name, **changes):
    """Call an indicator with columns by name and windows of 5 where they have no default."""
    function = getattr(ta, name)
    needed = {
        key: BARS.get(key, 5)
        for key, parameter in inspect.signature(function).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    return function(**(needed | changes))


def arrays(name):
    parameters = inspect.signature(getattr(ta, name)).parameters
    return {key: BARS[key].to_numpy() for key in parameters if key in BARS}


def lines(out):
    return out if isinstance(out, tuple) else (out,)


@pytest.mark.parametrize("name", ta.__all__)
def test_series_in_means_series_out_on_the_same_index_and_array_in_means_array_out(name):
    for series, array in zip(lines(call(name)), lines(call(name, **arrays(name))), strict=True):
        assert series.index is INDEX or series.index.equals(INDEX)
        assert isinstance(array, np.ndarray)
        np.testing.assert_array_equal(series.to_numpy(), array)


def test_several_lines_come_by_name_and_carry_it():
    lines_ = ta.macd(CLOSE)
    assert [line.name for line in lines_] == ["line", "signal", "histogram"]
    assert ta.sma(CLOSE, 3).name == "sma"


def test_figures_equal_pandas_own():
    pd.testing.assert_series_equal(ta.sma(CLOSE, 7), CLOSE.rolling(7).mean(), check_names=False)
    pd.testing.assert_series_equal(ta.rolling_std(CLOSE, 7), CLOSE.rolling(7).std(), check_names=False)
    pd.testing.assert_series_equal(ta.highest(CLOSE, 7), CLOSE.rolling(7).max(), check_names=False)
    pd.testing.assert_series_equal(ta.lowest(CLOSE, 7), CLOSE.rolling(7).min(), check_names=False)
    pd.testing.assert_series_equal(ta.roc(CLOSE, 2), CLOSE.pct_change(2), check_names=False)
    pd.testing.assert_series_equal(ta.momentum(CLOSE, 2), CLOSE.diff(2), check_names=False)


def test_integers_lists_and_missing_values_are_taken_as_numbers():
    assert ta.sma([1, 2, 3], 2).tolist()[1:] == [1.5, 2.5]
    assert ta.sma(pd.Series([None, 2, 4], dtype="Int64"), 2).iloc[2] == 3
    assert ta.highest(CLOSE, np.int64(2)).iloc[1] == CLOSE.iloc[:2].max()


def test_a_series_is_crossed_with_a_level_or_another_line():
    x = pd.Series([1.0, 3.0, 3.0, 1.0])
    assert ta.cross_above(x, 2).tolist() == [False, True, False, False]
    assert ta.cross_below(x, pd.Series([2.0] * 4)).tolist() == [False, False, False, True]
    assert ta.cross_above(x, 2).dtype == bool


@pytest.mark.parametrize("window", [0, -3, 2.0, 2.5, True, "20", None])
@pytest.mark.parametrize("name", ["sma", "ema", "wma", "rsi", "atr", "adx", "donchian", "bollinger", "stochastic"])
def test_a_window_that_is_none_is_refused_by_name_and_value(name, window):
    with pytest.raises(ParameterError) as caught:
        call(name, window=window)
    assert f"{name}: window={window!r}" in str(caught.value)
    assert "whole numbers from 1" in str(caught.value)


@pytest.mark.parametrize("width", [0, -1.0, np.nan, np.inf, "2"])
def test_a_width_that_is_not_above_zero_is_refused(width):
    with pytest.raises(ParameterError, match="bollinger: width="):
        ta.bollinger(CLOSE, 20, width)


def test_macd_refuses_a_fast_average_that_is_not_faster():
    with pytest.raises(ParameterError, match="fast=26 is not below slow=26"):
        ta.macd(CLOSE, 26, 26)


@pytest.mark.parametrize(
    "values", [pd.DataFrame({"close": CLOSE}), np.ones((3, 2)), 5.0, None, ["a", "b"], pd.Series(["a", "b"])]
)
def test_values_that_are_not_one_column_of_numbers_are_refused(values):
    with pytest.raises(ParameterError, match="sma: values"):
        ta.sma(values, 2)


def test_a_level_that_is_no_number_is_refused():
    with pytest.raises(ParameterError, match="cross_above: b"):
        ta.cross_above(CLOSE, None)


def test_series_on_different_indexes_are_refused_by_name():
    with pytest.raises(AlignmentError, match="high and low are on different indexes"):
        ta.donchian(CLOSE, CLOSE.iloc[1:], 5)


def test_arrays_of_different_lengths_are_refused_with_their_lengths():
    with pytest.raises(AlignmentError, match="high 80, low 79"):
        ta.donchian(CLOSE.to_numpy(), CLOSE.to_numpy()[1:], 5)


@pytest.mark.parametrize("name", ta.__all__)
def test_every_indicator_shows_its_own_signature_and_an_example(name):
    function = getattr(ta, name)
    assert ">>>" in function.__doc__
    assert "args" not in inspect.signature(function).parameters
