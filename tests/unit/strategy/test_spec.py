"""Parameters are typed and ranged, signals fit their bars, and a warm-up is kept."""

from __future__ import annotations

import inspect
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import AlignmentError, ConfigError, ParameterError, UnknownNameError
from tradelab.research.settings import Settings
from tradelab.strategy import registry
from tradelab.strategy.spec import RESERVED, SIGNAL_NAMES, Range, as_flags, signal_union


@pytest.fixture
def keep_registry():
    """Let a test register what it likes."""
    kept = dict(registry.SHELF)
    yield
    registry.SHELF.clear()
    registry.SHELF.update(kept)


@pytest.fixture
def every_bar(keep_registry):
    @tl.strategy(warmup=lambda window, **_: window, requires="low < high")
    def every_bar(
        bars,
        window: Annotated[int, Range(2, 50)] = 5,
        low: Annotated[float, Range(0, 10)] = 1.0,
        high: Annotated[float, Range(0, 10)] = 2.0,
        side: Literal["up", "down"] = "up",
        loud: bool = False,
    ):
        """Enter on every bar."""
        return tl.Signals(long_entry=np.ones(len(bars), dtype=bool))

    return every_bar


def test_parameters_are_read_from_the_signature(every_bar):
    assert every_bar.defaults == {"window": 5, "low": 1.0, "high": 2.0, "side": "up", "loud": False}
    assert every_bar.parameters["window"].kind is int
    assert every_bar.parameters["window"].allowed == Range(2, 50)
    assert every_bar.parameters["side"].allowed == ("up", "down")
    assert every_bar.says == "Enter on every bar."


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"windw": 3}, ["windw", "did you mean 'window'", "window"]),
        ({"window": 1}, ["window=1", "out of range", "2 … 50"]),
        ({"window": "5"}, ["window='5'", "str", "int"]),
        ({"window": 2.5}, ["window=2.5", "float", "int"]),
        ({"window": True}, ["window=True", "bool", "int"]),
        ({"low": float("nan")}, ["low=nan", "out of range"]),
        ({"side": "left"}, ["side='left'", "up, down"]),
        ({"low": 3.0}, ["low=3.0", "high=2.0", "low < high"]),
    ],
)
def test_a_wrong_parameter_is_refused_by_name_value_and_what_is_allowed(every_bar, given, words):
    with pytest.raises(ParameterError) as caught:
        every_bar.resolve(given)
    for word in ["every_bar", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(("given", "kept"), [(5.0, 5), (np.int64(7), 7), (np.float64(9.0), 9)])
def test_whole_numbers_of_any_kind_are_taken_as_int(every_bar, given, kept):
    value = every_bar.resolve({"window": given})["window"]
    assert (value, type(value)) == (kept, int)


def test_nothing_is_decided_before_the_warm_up_is_over(every_bar):
    bars = tl.samples.load("GOOG-1d").iloc[:20]
    flags = every_bar.decide(bars, {"window": 7})["long_entry"]
    assert np.flatnonzero(flags)[0] == 6  # the seventh bar is the first with seven bars to look at


def test_a_strategy_that_returns_something_else_is_refused(keep_registry):
    @tl.strategy(warmup=1)
    def wrong(bars):
        return bars.close > 0

    with pytest.raises(ConfigError, match="wrong returned Series, not Signals"):
        wrong.decide(tl.samples.load("GOOG-1d"), {})


def test_a_parameter_without_default_or_of_a_strange_kind_is_refused_when_it_is_defined(keep_registry):
    with pytest.raises(ConfigError, match="'window' has no default"):
        tl.strategy(warmup=1)(lambda bars, window: None)
    with pytest.raises(ConfigError, match="Allowed: int, float, bool, str"):
        tl.strategy(warmup=1)(lambda bars, window=(1, 2): None)


def test_a_plain_function_and_an_unknown_name_say_what_to_do():
    with pytest.raises(ConfigError, match=r"@tl\.strategy"):
        registry.find(lambda bars: None)
    with pytest.raises(UnknownNameError, match="did you mean 'sma_cross'"):
        registry.find("sma_cros")


def test_a_strategy_cannot_change_the_bars_it_is_shown(keep_registry):
    @tl.strategy(warmup=1)
    def vandal(bars):
        bars["close"] = 0.0
        bars.iloc[0, 0] = -1.0
        return tl.Signals(long_entry=np.ones(len(bars), dtype=bool))

    bars = tl.samples.load("GOOG-1d")
    before = bars.copy()
    tl.backtest(bars, vandal)
    pd.testing.assert_frame_equal(bars, before)


def test_flags_take_nan_and_none_for_no():
    index = pd.date_range("2024-01-01", periods=3, tz="UTC")
    assert as_flags(np.array([1.0, np.nan, 0.0]), index, "x").tolist() == [True, False, False]
    assert as_flags(np.array([True, None, np.nan], dtype=object), index, "x").tolist() == [True, False, False]
    assert as_flags(None, index, "x").tolist() == [False] * 3


def test_flags_that_do_not_fit_the_bars_are_refused():
    index = pd.date_range("2024-01-01", periods=3, tz="UTC")
    with pytest.raises(AlignmentError, match=r"x has shape \(2,\), the bars have 3 rows"):
        as_flags(np.array([True, False]), index, "x")
    with pytest.raises(AlignmentError, match="reindex"):
        as_flags(pd.Series([True] * 3, index + pd.Timedelta(days=1)), index, "x")


def test_flags_become_bits_in_the_engines_order():
    from tradelab.engine import trading as engine

    bits = (engine.LONG_ENTRY, engine.LONG_EXIT, engine.SHORT_ENTRY, engine.SHORT_EXIT)
    for name, bit in zip(SIGNAL_NAMES, bits, strict=True):
        flags = {other: np.array([other == name]) for other in SIGNAL_NAMES}
        assert signal_union([flags]).tolist() == [[bit]]


def test_the_repr_in_a_notebook_lists_parameters_and_rule(every_bar):
    shown = every_bar._repr_html_()
    for word in ("every_bar", "window", "2 … 50", "low &lt; high"):
        assert word in shown


def test_no_parameter_may_bear_the_name_of_a_term(keep_registry):
    words = {
        name
        for function in (tl.backtest, tl.sweep, tl.check, tl.walk_forward)
        for name, entry in inspect.signature(function).parameters.items()
        if entry.kind is not entry.VAR_KEYWORD
    }
    assert words | set(Settings.__dataclass_fields__) == RESERVED
    with pytest.raises(ConfigError, match="'size' bears the name of a term"):

        @tl.strategy(warmup=1)
        def sized(bars, size: int = 20):
            return tl.Signals()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda bars, **rest: None, "rest cannot be given by its name"),
        (lambda bars, a=1, /: None, "a=1 cannot be given by its name"),
        (lambda: None, "takes no bars"),
        (lambda *, bars: None, "takes no bars"),
    ],
)
def test_a_signature_that_cannot_be_called_is_refused(keep_registry, function, words):
    with pytest.raises(ConfigError, match=words):
        tl.strategy(warmup=1)(function)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"warmup": 1, "requires": "a <"}, "is no expression"),
        ({"warmup": 1, "requires": "a < c"}, "name 'c' is not defined"),
        ({"warmup": lambda window: window}, "warm-up cannot be computed"),
        ({"warmup": float("nan")}, "warm-up cannot be computed"),
        ({"warmup": -3}, "warm-up is -3 bars"),
    ],
)
def test_a_rule_or_warm_up_that_does_not_fit_is_refused_at_once(keep_registry, terms, words):
    with pytest.raises(ConfigError, match=words):
        tl.strategy(**terms, name="wrong")(lambda bars, a=1, b=2: None)
    assert "wrong" not in registry.SHELF


def test_a_decorator_without_a_warm_up_says_so():
    with pytest.raises(ConfigError, match="needs its warm-up"):
        tl.strategy(lambda bars: None)


def test_half_a_bar_of_warm_up_is_a_whole_one(keep_registry):
    made = tl.strategy(warmup=lambda a: 1.5 * a, name="half")(lambda bars, a=3: None)
    assert made.warmup_bars({}) == 5
