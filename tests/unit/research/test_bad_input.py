"""Whatever is wrong with what people give, the error names it, its value, what is allowed and what to do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.engine.fills import NEXT_OPEN
from tradelab.model.errors import (
    AlignmentError,
    ColumnError,
    ConfigError,
    CorruptFileError,
    ParameterError,
    QualityError,
    StorageError,
    TimestampError,
    TooFewBarsError,
    UnknownNameError,
)


@pytest.fixture
def bars() -> pd.DataFrame:
    return tl.samples.load("GOOG-1d").iloc[:300]


def refused(kind: type[Exception], words: list[str], bars: object, *args: object, **terms: object) -> None:
    with pytest.raises(kind) as caught:
        tl.backtest(bars, *args, **terms)
    assert isinstance(caught.value, tl.TradelabError)
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"


def test_a_missing_column(bars):
    refused(ColumnError, ["GOOG", "close"], bars.drop(columns="close"), "sma_cross")


def test_unsorted_repeated_and_naive_time_stamps(bars):
    refused(TimestampError, ["GOOG"], bars.iloc[::-1], "sma_cross")
    refused(TimestampError, ["GOOG"], pd.concat([bars, bars.iloc[-1:]]), "sma_cross")
    refused(TimestampError, ['tz_localize("UTC")'], bars.tz_localize(None), "sma_cross")


@pytest.mark.parametrize(("column", "value"), [("close", np.nan), ("low", 0.0), ("open", -5.0), ("high", 1.0)])
def test_nan_zero_negative_and_impossible_prices(bars, column, value):
    bars = bars.copy()
    bars.iloc[7, bars.columns.get_loc(column)] = value
    refused(QualityError, ["GOOG", str(bars.index[7].date())], bars, "sma_cross")


def test_no_bars_and_too_few_for_the_warm_up(bars):
    refused(TooFewBarsError, ["empty"], bars.iloc[:0], "sma_cross")
    words = ["GOOG has 31 bars", "needs 31", "Load more history"]
    refused(TooFewBarsError, words, bars.iloc[:31], "sma_cross", slow=30)


def test_what_is_no_bars_at_all():
    refused(ParameterError, ["bars is list", "DataFrame"], [1, 2, 3], "sma_cross")
    refused(ParameterError, ["empty mapping"], {}, "sma_cross")


def test_an_unknown_strategy_and_an_unknown_parameter(bars):
    refused(UnknownNameError, ["'sma_cros'", "did you mean 'sma_cross'"], bars, "sma_cros")
    refused(ParameterError, ["'fst'", "did you mean 'fast'", "fast, slow"], bars, "sma_cross", fst=3)


def test_a_parameter_of_the_wrong_kind_out_of_range_or_against_the_rule(bars):
    refused(ParameterError, ["fast='ten'", "str", "1 … 500"], bars, "sma_cross", fast="ten")
    refused(ParameterError, ["fast=0", "1 … 500"], bars, "sma_cross", fast=0)
    refused(ParameterError, ["fast=30", "slow=20", "fast < slow"], bars, "sma_cross", fast=30, slow=20)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"init_cash": 0.0}, ["init_cash=0.0", "above 0"]),
        ({"init_cash": "10k"}, ["init_cash='10k'"]),
        ({"fees": -0.1}, ["fees=-0.1", "from 0"]),
        ({"fees": 5}, ["fees=5", "below 1"]),
        ({"slippage": float("nan")}, ["slippage=nan"]),
        ({"fixed_fees": float("inf")}, ["fixed_fees=inf"]),
        ({"size": 0.0}, ["size=0.0", "above 0"]),
        ({"size": 1.5, "size_type": "percent"}, ["size=1.5", "up to 1"]),
        ({"size_type": "percent"}, ["needs a size"]),
        ({"size": 1.0, "size_type": "lots"}, ["size_type='lots'", "amount, value, percent"]),
        ({"size_granularity": 0.0}, ["size_granularity=0.0"]),
        ({"sl_stop": 0.0}, ["sl_stop=0.0", "above 0 up to 1"]),
        ({"sl_stop": 2.0}, ["sl_stop=2.0"]),
        ({"sl_trail": True}, ["sl_trail=True needs sl_stop"]),
        ({"tp_stop": "far"}, ["tp_stop='far'"]),
        ({"fill": "tomorrow"}, ["fill='tomorrow'", "next_open, close, vectorbt"]),
        ({"direction": "up"}, ["direction='up'", "both, long, short"]),
        ({"calendar": "lunar"}, ["lunar", "24/7"]),
    ],
)
def test_a_wrong_term_of_the_backtest(bars, terms, words):
    refused(ParameterError, words, bars, "sma_cross", **terms)


def test_signals_on_another_index_or_of_another_length(bars):
    yes = pd.Series(True, bars.index)
    refused(AlignmentError, ["entries of GOOG", "300", "reindex"], bars, entries=yes.iloc[1:])
    refused(AlignmentError, ["exits of GOOG", "reindex"], bars, entries=yes, exits=yes.shift(freq="1D"))
    refused(AlignmentError, ["shape (5,)", "300 rows"], bars, entries=np.ones(5, dtype=bool))


def test_signals_for_several_instruments_must_name_them(bars):
    both = {"A": bars, "B": bars}
    yes = pd.Series(True, bars.index)
    refused(AlignmentError, ["one series for 2 instruments"], both, entries=yes)
    refused(AlignmentError, ["no column 'B'"], both, entries={"A": yes})


def test_stops_bar_by_bar_must_fit_and_be_in_range(bars):
    yes = pd.Series(True, bars.index)
    refused(AlignmentError, ["sl_stop of GOOG"], bars, entries=yes, sl_stop=yes.iloc[1:] * 0.01)
    wrong = pd.Series(0.01, bars.index)
    wrong.iloc[4] = -0.02
    refused(ParameterError, ["sl_stop of GOOG is -0.02", str(bars.index[4].date())], bars, entries=yes, sl_stop=wrong)


def test_nothing_to_trade_on_and_too_much(bars):
    yes = pd.Series(True, bars.index)
    refused(ConfigError, ["nothing to trade on", "entries="], bars)
    refused(ConfigError, ["both a strategy and entries"], bars, "sma_cross", entries=yes)
    refused(ParameterError, ["fast", "terms of a backtest"], bars, entries=yes, fast=3)


def test_an_unknown_sample_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'EURUSD-1h'"):
        tl.samples.load("EURUSD-1hh")


def test_a_sweep_without_values_without_axes_or_against_the_rule_alone(bars):
    with pytest.raises(ConfigError, match="nothing to sweep"):
        tl.sweep(bars, "sma_cross", fast=3)
    with pytest.raises(ParameterError, match="fast has no values"):
        tl.sweep(bars, "sma_cross", fast=[])
    with pytest.raises(ConfigError, match="all 2 combinations break the rule fast < slow"):
        tl.sweep(bars, "sma_cross", fast=[50, 60], slow=20)
    with pytest.raises(ParameterError, match="fast=0 is out of range"):
        tl.sweep(bars, "sma_cross", fast=[0, 5], slow=20)


def test_a_saved_result_that_is_none_and_a_folder_that_is_not_there(bars, tmp_path):
    (tmp_path / "x.tlr").write_bytes(b"not a zip")
    with pytest.raises(CorruptFileError, match="not a saved result"):
        tl.load(tmp_path / "x.tlr")
    with pytest.raises(CorruptFileError, match="not a saved result"):
        tl.load(tmp_path / "missing.tlr")
    with pytest.raises(StorageError, match="could not be written"):
        tl.backtest(bars, "sma_cross").save(tmp_path / "no" / "such" / "folder.tlr")


def test_a_policy_given_as_a_policy_is_fine(bars):
    assert len(tl.backtest(bars, "sma_cross", fill=NEXT_OPEN).orders) > 0


def test_an_unknown_picture_or_symbol_names_the_known_ones(bars):
    result = tl.backtest(bars, "sma_cross")
    with pytest.raises(UnknownNameError, match="did you mean 'monthly'"):
        result.plot("montly")
    with pytest.raises(UnknownNameError, match="Allowed: GOOG"):
        result.plot(symbol="GOGL")
    with pytest.raises(ParameterError, match="chooses nothing in 'monthly'"):
        result.plot("monthly", symbol="GOOG")
