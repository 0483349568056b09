"""Watched or asked, a batch of combinations decides, bit for bit, what the function decides for each alone."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.engine.bits import pack
from tradelab.model.errors import ParameterError
from tradelab.strategy import define
from tradelab.strategy import indicators as ta
from tradelab.strategy.registry import registered
from tradelab.strategy.spec import SIGNAL_NAMES, Signals, Strategy
from tradelab.strategy.trace_batch import Batch, compile_batch


def bars_of(n: int = 700, seed: int = 5) -> pd.DataFrame:
    """Prices of few distinct values, so that lines touch, hourly, with a volume."""
    rng = np.random.default_rng(seed)
    close = 50.0 + 0.25 * np.cumsum(rng.integers(-2, 3, n))
    index = pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC", name="time")
    return pd.DataFrame(
        {
            "open": np.concatenate([[close[0]], close[:-1]]),
            "high": close + 0.25 * rng.integers(0, 3, n),
            "low": close - 0.25 * rng.integers(0, 3, n),
            "close": close,
            "volume": rng.integers(0, 50, n).astype(float),
        },
        index,
    )


@pytest.fixture(autouse=True)
def _shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strategies of these tests do not stay."""
    monkeypatch.setattr(define, "SHELF", dict(define.SHELF))


def made(function: Callable[..., Signals]) -> Strategy:
    return tl.strategy(warmup=lambda **p: max([5, *(int(v) for v in p.values() if isinstance(v, int))]))(function)


def grid(**axes: list) -> list[dict]:
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def agreed(strategy: Strategy, points: list[dict], bars: pd.DataFrame | None = None, **options) -> Batch:
    """The batch, after every point's words were compared with what the function decides."""
    frame = bars_of() if bars is None else bars
    batch = compile_batch(strategy, frame, points, checked=False, **options)
    words = batch.words()
    for c, point in enumerate(points):
        decided = strategy.decide(frame.copy(), point)
        for k, name in enumerate(SIGNAL_NAMES):
            np.testing.assert_array_equal(words[c, k], pack(decided[name]), err_msg=f"{name} at {point}")
    return batch


BUILT_IN = {
    "sma_cross": grid(fast=[1, 3, 8], slow=[10, 30]),
    "ema_cross": grid(fast=[1, 3], slow=[5, 8]),
    "rsi_reversion": grid(window=[2, 5], low=[20, 30.0], high=[70.0, 80.0]),
    "donchian_breakout": grid(window=[5, 20], exit_window=[5, 10]),
    "bollinger_reversion": grid(window=[5, 20], width=[1, 2.0]),
    "macd": grid(fast=[3, 5], slow=[8, 13], signal=[3, 4]),
    "psar_trend": grid(step=[0.01, 0.02], maximum=[0.1, 0.2]),
    "buy_and_hold": [{}, {}, {}],
}


@pytest.mark.parametrize("name", sorted(BUILT_IN))
@pytest.mark.parametrize("bars", ["ours", "AAPL-1d"])
def test_every_built_in_becomes_a_program_that_decides_what_it_decides(name: str, bars: str) -> None:
    frame = bars_of() if bars == "ours" else tl.samples.load(bars)
    assert agreed(registered()[name], BUILT_IN[name], frame).road == "program"


def test_the_list_of_built_ins_is_whole() -> None:
    assert set(BUILT_IN) == {name for name, s in registered().items() if s.function.__module__.endswith("builtin")}


def series_rules(bars, fast: int = 3, slow: int = 10, share: float = 0.01):
    """Series, attributes, reflected and chained arithmetic, shifts, levels that depend on parameters."""
    quick, lazy = ta.sma(bars.close, fast), ta.ema(bars["close"], slow * 2)
    band = lazy * (1 + share)
    rising = quick > quick.shift(1)
    return Signals(
        long_entry=(bars.close > band) & rising & ~(2.0 - bars.close < -60),
        long_exit=(quick <= lazy.shift(slow)) | (abs(quick - lazy) >= share * fast),
        short_entry=(-quick > -lazy) ^ (bars.high == bars.low),
        short_exit=(quick / lazy != 1) & (rising.shift(2, fill_value=False)),
    )


def array_rules(bars, window: int = 5, level: float = 51.0):
    """Arrays, ufuncs, extremes, NaN tests, crossings with a memory."""
    close = bars["close"].to_numpy()
    mean = ta.sma(close, window)
    return Signals(
        long_entry=ta.cross_above(mean, level),
        long_exit=ta.cross_below(close, mean),
        short_entry=np.logical_and(np.minimum(mean, bars.high.values) < level, np.isnan(ta.previous(mean, window))),
        short_exit=np.greater(np.maximum(close, mean), level) | ta.rises_above(level, close),
    )


def pandas_rules(bars, window: int = 5, share: float = 0.3):
    """What only pandas and NumPy know is done by them, on whole columns, once for each distinct parameter."""
    mean = bars.close.rolling(window).mean()
    tail = bars.close.rolling(window + 1).quantile(share)
    calm = bars[["high", "low"]].diff(axis=1)["low"].abs() < 0.5
    return Signals(
        long_entry=bars.close > mean,
        long_exit=np.where(bars.close < tail, True, calm),
        short_entry=bars.close.pct_change() ** 2 > share / 1000,
        short_exit=(bars.close < mean).astype(int).diff() == 1,
    )


def clock_rules(bars, start: int = 8, window: int = 4):
    """Times are real whatever the parameters."""
    at_work = bars.index.hour >= start
    return Signals(
        long_entry=(bars.close > ta.highest(bars.close, window).shift(1)) & at_work,
        long_exit=~at_work & (bars.close > 0),
        short_entry=pd.Series(bars.index.day_of_week == 0, bars.index) & (bars.volume > 25),
        short_exit=np.arange(len(bars)) % 7 == 3,
    )


def late_flags(bars, window: int = 4):
    """A shifted Series of booleans has a hole at its head; a hole is no."""
    above = bars.close > ta.sma(bars.close, window)
    return Signals(long_entry=above.shift(1), long_exit=(~above).shift(window), short_entry=above.astype(float))


def part_filled(bars, window: int = 4):
    """In place, on a name that has no other."""
    entry = bars.close > ta.sma(bars.close, window)
    entry &= bars.volume > 20
    entry |= bars.high > 60
    return Signals(long_entry=entry, long_exit=~entry)


def many_bands(bars, window: int = 4, width: float = 1.5):
    """Indicators of several lines, of lines that were themselves reckoned, and on other columns."""
    bands = ta.bollinger(ta.rsi(bars.close, window), window, width)
    lines = ta.macd(bars.volume, window, window + 5, 3)
    return Signals(
        long_entry=ta.rises_above(lines.line, lines.signal),
        long_exit=bands.upper - bands.lower < width,
        short_entry=ta.atr(bars.high, bars.low, bars.close, window) > 0.4 * width,
        short_exit=ta.stochastic(bars.high, bars.low, bars.close, window).d > 50,
    )


WATCHED = {
    series_rules: grid(fast=[2, 3], slow=[5, 9], share=[0.0, 0.02]),
    array_rules: grid(window=[1, 4, 9], level=[49.0, 50.5]),
    pandas_rules: grid(window=[3, 6], share=[0.2, 0.5]),
    clock_rules: grid(start=[0, 8, 20], window=[2, 5]),
    late_flags: grid(window=[2, 3, 70]),
    part_filled: grid(window=[2, 3, 70]),
    many_bands: grid(window=[2, 5], width=[0.5, 2.0]),
}


@pytest.mark.parametrize("rules", WATCHED, ids=lambda f: f.__name__)
def test_a_strategy_of_whole_columns_becomes_a_program(rules: Callable) -> None:
    assert agreed(made(rules), WATCHED[rules]).road == "program"


def test_bars_with_holes_and_a_nan_head_are_decided_the_same() -> None:
    frame = bars_of()
    frame.loc[frame.index[:90], ["close", "volume"]] = np.nan
    frame.loc[frame.index[400], "high"] = np.nan
    for rules in (series_rules, array_rules, many_bands):
        assert agreed(made(rules), WATCHED[rules], frame).road == "program"


def two_ways(bars, fast: int = 3, slow: int = 10, kind: Literal["sma", "ema"] = "sma", sure: bool = False):
    """Words and truths are as they are; numbers part where the function asks them for a decision."""
    average = {"sma": ta.sma, "ema": ta.ema}[kind]
    long = max(fast, slow)
    entry = bars.close > average(bars.close, long)
    if sure and fast * 3 > slow:
        entry = entry & (bars.close > average(bars.close, int(math.sqrt(long)) + 1))
    for k in range(1, fast // 2):
        entry = entry & (bars.close.shift(k) < 60 + k)
    return Signals(long_entry=entry, long_exit=~entry)


def test_combinations_that_go_different_ways_are_watched_apart() -> None:
    points = grid(fast=[2, 5, 9], slow=[4, 12], kind=["sma", "ema"], sure=[False, True])
    assert " ways" in agreed(made(two_ways), points).why


def walks(bars, window: int = 3):
    entry = [price > window for price in bars.close]
    return Signals(long_entry=np.array(entry))


def slices(bars, window: int = 3):
    mean = ta.sma(bars.close.to_numpy(), window)
    crossed = np.zeros(len(bars), dtype=bool)
    crossed[1:] = mean[1:] > mean[:-1]
    return Signals(long_entry=crossed)


def decides_by_bars(bars, window: int = 3):
    if bars.close.mean() > 50:
        return Signals(long_entry=bars.close > ta.sma(bars.close, window))
    return Signals(long_entry=bars.close < ta.sma(bars.close, window))


def scribbles(bars, window: int = 3):
    bars["close"] = bars["close"].shift(window)
    return Signals(long_entry=bars.close > bars.open, long_exit=ta.sma(bars.close, 3) > bars.close)


def changes_an_alias(bars, window: int = 3):
    mean = ta.sma(bars.close.to_numpy(), window)
    tail = mean[10:]
    mean += 1.0
    return Signals(long_entry=bars.close > mean, long_exit=np.append(np.zeros(10), tail) > 52)


@functools.cache
def threshold(window: int) -> float:
    return 50.0 + window / 10


def keeps_a_cache(bars, window: int = 3):
    return Signals(long_entry=bars.close > threshold(window))


ASKED = {
    walks: "one by one",
    slices: "wants arrays",
    decides_by_bars: "decides by values",
    scribbles: "writes into",
    changes_an_alias: "in place",
    keeps_a_cache: "unhashable",
}


@pytest.mark.parametrize("rules", ASKED, ids=lambda f: f.__name__)
def test_what_cannot_be_watched_is_asked_each_time(rules: Callable) -> None:
    batch = agreed(made(rules), grid(window=[2, 3, 4, 7]))
    assert batch.road == "arrays"
    assert ASKED[rules] in batch.why


def test_a_function_that_notices_it_is_watched_is_found_out() -> None:
    @tl.strategy(warmup=5)
    def sly(bars, window: int = 3):
        if isinstance(window, int):
            return Signals(long_entry=bars.close > ta.sma(bars.close, window))
        return Signals(long_entry=bars.close < ta.sma(bars.close, window))

    points = grid(window=[2, 3, 4])
    batch = compile_batch(sly, bars_of(), points)
    assert batch.road == "arrays"
    assert "decided otherwise" in batch.why
    want = [pack(sly.decide(bars_of(), point)["long_entry"]) for point in points]
    np.testing.assert_array_equal(batch.words()[:, 0], want)


def test_a_program_too_large_for_its_limit_is_asked_instead() -> None:
    batch = agreed(made(pandas_rules), WATCHED[pandas_rules], whole_bytes=10_000)
    assert batch.road == "arrays"
    assert "GB" in batch.why


def test_an_error_in_a_strategy_is_its_own_and_says_where() -> None:
    @tl.strategy(warmup=5)
    def fails(bars, window: int = 3):
        if window == 4:
            raise ArithmeticError("four is too many")
        return Signals(long_entry=bars.close > ta.sma(bars.close, window))

    with pytest.raises(ArithmeticError, match="four") as caught:
        compile_batch(fails, bars_of(), grid(window=[2, 3, 4]))
    assert "window=4" in caught.value.__notes__[0]


def test_a_window_the_indicator_refuses_is_refused_as_ever() -> None:
    @tl.strategy(warmup=5)
    def halves(bars, window: int = 4):
        return Signals(long_entry=bars.close > ta.sma(bars.close, window / 2))

    with pytest.raises(ParameterError, match="is not a window"):
        compile_batch(halves, bars_of(), grid(window=[2, 4, 5]))


def test_points_may_be_columns_and_are_accepted_like_any_parameters() -> None:
    strategy = registered()["sma_cross"]
    columns = {"fast": np.array([3, 5, 8]), "slow": [10.0, 20, 30]}
    rows = [{"fast": 3, "slow": 10}, {"fast": 5, "slow": 20}, {"fast": 8, "slow": 30}]
    np.testing.assert_array_equal(
        compile_batch(strategy, bars_of(), columns).words(), compile_batch(strategy, bars_of(), rows).words()
    )
    for wrong in ([{"fast": 9, "slow": 3}] * 3, [{"fats": 3}] * 3, [{"fast": 0}] * 3, {"fast": [1, 2], "slow": [5]}):
        with pytest.raises(ParameterError):
            compile_batch(strategy, bars_of(), wrong)


def test_lines_are_made_once_whatever_the_number_of_combinations() -> None:
    batch = compile_batch(registered()["sma_cross"], bars_of(), grid(fast=list(range(2, 12)), slow=list(range(20, 40))))
    assert batch.program.rows[0] == 30  # ten fast and twenty slow averages
    assert len(batch) == 200
    assert str(batch).startswith("program: 30 lines")


def test_asked_each_time_equal_indicators_are_reckoned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from tradelab.engine import histories

    reckoned: list[tuple[int, int]] = []
    real = histories.sma
    monkeypatch.setattr(
        histories, "sma", lambda values, window: reckoned.append((window, len(values))) or real(values, window)
    )

    @tl.strategy(warmup=5)
    def slowly(bars, fast: int = 3, slow: int = 9):
        a, b = ta.sma(bars.close, fast), ta.sma(bars.close.to_numpy(), slow)
        return Signals(long_entry=np.asarray(a) > b)

    points = grid(fast=[2, 3, 4], slow=[9, 10, 11])
    frame = bars_of()
    batch = compile_batch(slowly, frame, points, threads=1)
    assert batch.road == "arrays"
    assert sorted(window for window, bars in reckoned if bars == len(frame) and window >= 9) == [9, 10, 11]
    want = [pack(slowly.decide(frame, point)["long_entry"]) for point in points]
    np.testing.assert_array_equal(batch.words()[:, 0], want)


def test_what_is_remembered_is_not_harmed_by_who_writes_into_it() -> None:
    @tl.strategy(warmup=1)
    def writes(bars, window: int = 3, more: float = 0.0):
        mean = ta.sma(bars.close.to_numpy(), window)
        mean[:] = mean + more
        return Signals(long_entry=bars.close.to_numpy() > mean)

    batch = agreed(writes, grid(window=[3], more=[0.0, 1.0, 2.0, 0.5]), threads=1)
    assert batch.road == "arrays"
