"""Finer bars say which way the price went inside a bar; every number here is worked out by hand, or by the minute."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tests.oracles.real_bars import MINUTES, minutes
from tradelab.catalog.resample import resample
from tradelab.model.errors import AlignmentError, ConfigError, DataError, ParameterError
from tradelab.research.rerun import setup_of

COLUMNS = ["open", "high", "low", "close"]
FLAT = [(100.0, 100.0, 100.0, 100.0)] * 4
Rows = list[tuple[float, float, float, float]]


def frames(*hours: Rows) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Hours and the quarters of an hour that make them."""
    quarters = [row for hour in hours for row in hour]
    index = pd.date_range("2024-01-01", periods=len(quarters), freq="15min", tz="UTC", name="time")
    finer = pd.DataFrame(quarters, index, COLUMNS, dtype=float)
    whole = [(h[0][0], max(q[1] for q in h), min(q[2] for q in h), h[-1][3]) for h in hours]
    return pd.DataFrame(whole, index[::4], COLUMNS, dtype=float), finer


def on(bars: pd.DataFrame, *rows: int) -> np.ndarray:
    return np.isin(np.arange(len(bars)), rows)


def fills(result: tl.Result) -> list[tuple[int, str, float, float, str]]:
    rows = [result.index.get_loc(t) for t in result.orders["time"]]
    o = result.orders
    return [
        (bar, side, pytest.approx(size), pytest.approx(price), reason)
        for bar, side, size, price, reason in zip(rows, o["side"], o["size"], o["price"], o["reason"], strict=True)
    ]


def run(bars: pd.DataFrame, finer: pd.DataFrame | None, *rows: int, **terms) -> list[tuple]:
    return fills(tl.backtest(bars, entries=on(bars, *rows), size=10.0, finer=finer, **terms))


# Bought at 100, stop at 95, target at 105: the bar touches both, the quarters tell which came first.
UP = [(100, 103, 99, 102), (102, 106, 101, 104), (104, 104, 94, 95), (95, 97, 95, 96)]
DOWN = [(100, 101, 97, 98), (98, 99, 94, 96), (96, 106, 96, 105), (105, 105, 100, 102)]


def test_the_finer_bars_say_whether_stop_or_target_came_first():
    terms = {"sl_stop": 0.05, "tp_stop": 0.05}
    bars, finer = frames(FLAT, UP)
    assert run(bars, None, 0, **terms)[1] == (1, "sell", 10, 95, "stop")
    assert run(bars, finer, 0, **terms)[1] == (1, "sell", 10, 105, "target")
    bars, finer = frames(FLAT, DOWN)
    assert run(bars, None, 0, fill="optimistic", **terms)[1] == (1, "sell", 10, 105, "target")
    assert run(bars, finer, 0, fill="optimistic", **terms)[1] == (1, "sell", 10, 95, "stop")


def test_inside_a_finer_bar_the_policys_own_way_is_taken():
    both = [(100, 101, 99, 100), (100, 106, 94, 100), (100, 101, 99, 100), (100, 101, 99, 100)]
    bars, finer = frames(FLAT, both)
    terms = {"sl_stop": 0.05, "tp_stop": 0.05}
    assert run(bars, finer, 0, **terms)[1] == (1, "sell", 10, 95, "stop")
    assert run(bars, finer, 0, fill="optimistic", **terms)[1] == (1, "sell", 10, 105, "target")


def test_a_finer_bar_that_opens_beyond_a_stop_fills_at_its_open():
    gap = [(100, 101, 99, 100), (93, 94, 92, 93), (93, 94, 92, 93), (93, 94, 92, 93)]
    bars, finer = frames(FLAT, gap)
    assert run(bars, None, 0, sl_stop=0.05)[1] == (1, "sell", 10, 95, "stop")
    assert run(bars, finer, 0, sl_stop=0.05)[1] == (1, "sell", 10, 93, "stop")


def test_a_trail_follows_from_one_finer_bar_to_the_next():
    # the second quarter's 110 puts the stop to 104.5, and the third falls to it; by hours it would stand at 95
    rise = [(100, 101, 99, 101), (101, 110, 101, 109), (109, 109, 103, 104), (104, 105, 103, 104)]
    bars, finer = frames(FLAT, rise)
    assert len(run(bars, None, 0, sl_trail=0.05)) == 1
    assert run(bars, finer, 0, sl_trail=0.05)[1] == (1, "sell", 10, 104.5, "trail")


def test_a_resting_entry_and_its_exits_happen_in_the_order_of_the_finer_bars():
    # bought at 97 in the second quarter; the target of 101.85 was there before that, and comes again in the fourth
    way = [(100, 102, 99, 99), (99, 99, 96, 98), (98, 100, 97, 100), (100, 103, 100, 102)]
    bars, finer = frames(FLAT, way, [(102, 103, 101, 102)] * 4)
    terms = {"entry_type": "limit", "entry_price": 97.0, "tp_stop": 0.05}
    assert run(bars, None, 0, **terms)[1] == (2, "sell", 10, 102, "target")
    assert run(bars, finer, 0, **terms) == [(1, "buy", 10, 97, "entry"), (1, "sell", 10, 101.85, "target")]


def test_bars_are_counted_and_signals_are_read_on_the_bars_alone():
    bars, finer = frames(*[FLAT] * 5)
    got = run(bars, finer, 0, plan=tl.ExitPlan(max_bars=2))
    assert got == run(bars, None, 0, plan=tl.ExitPlan(max_bars=2)) == [
        (1, "buy", 10, 100, "entry"),
        (3, "sell", 10, 100, "time"),
    ]  # fmt: skip
    terms = {"entry_type": "limit", "entry_price": 99.0, "expiry": 1}
    dips = [(100, 100, 100, 100)] * 3 + [(100, 100, 98, 100)]
    bars, finer = frames(FLAT, dips, FLAT)
    assert run(bars, finer, 0, **terms) == [(1, "buy", 10, 99, "entry")]
    bars, finer = frames(FLAT, FLAT, dips)
    assert run(bars, finer, 0, **terms) == []


def test_a_chandelier_and_a_stop_at_closes_wait_for_the_close_of_the_bar():
    # the range of the hours is 2: one ATR under the 110 of this bar would be 108 by the ATR before, which the third
    # quarter falls to; by its own, (2 + 10) / 2 = 6, it is 104, from the next bar on
    calm = [(100, 101, 99, 100)] * 4
    rise = [(100.5, 101, 100.5, 101), (101, 110, 101, 109), (109, 109, 108, 108), (108, 109, 103, 109)]
    drop = [(109, 110, 108, 109), (109, 109, 91, 95), (95, 96, 94, 95), (95, 96, 94, 95)]
    bars, finer = frames(*[calm] * 4, rise, drop)
    plan = tl.ExitPlan(trail=tl.Trail("1 atr", chandelier=True), atr_window=2)
    assert run(bars, finer, 3, plan=plan)[1] == (5, "sell", 10, 104, "trail")
    closes = tl.ExitPlan(stop=0.05, stop_at_close=True)
    bars, finer = frames(FLAT, [(100, 100, 90, 91), (91, 99, 91, 98), *FLAT[:2]], [(98, 99, 90, 94)] * 4, FLAT)
    assert run(bars, finer, 0, plan=closes)[1] == (3, "sell", 10, 100, "stop")


def test_a_bar_without_finer_ones_is_filled_as_the_policy_says_and_counted():
    bars, finer = frames(FLAT, UP, FLAT, UP)
    terms = {"entries": on(bars, 0, 2), "size": 10.0, "sl_stop": 0.05, "tp_stop": 0.05}
    result = tl.backtest(bars, finer=finer.iloc[:8], **terms)
    assert [f[4] for f in fills(result)] == ["entry", "target", "entry", "stop"]
    assert (result.finer["timeframe"], result.finer["walked"], result.finer["without"]) == ("15m", 2, 2)
    assert len(result.finer["sha256"]) == 64
    assert tl.backtest(bars, **terms).finer is None


def test_a_first_and_a_last_bar_that_are_covered_in_part_have_none():
    bars, finer = frames(UP, FLAT, FLAT, DOWN)
    result = tl.backtest(bars, entries=on(bars), finer=finer.iloc[1:-2])
    assert (result.finer["walked"], result.finer["without"]) == (2, 2)


def test_shorts_and_several_instruments_have_finer_bars_of_their_own():
    a, a_finer = frames(FLAT, UP)
    b, b_finer = frames(FLAT, DOWN)
    bars, finer = {"A": a, "B": b}, {"B": b_finer, "A": a_finer}
    entries = pd.DataFrame({"A": on(a, 0), "B": on(b, 0)}, a.index)
    got = tl.backtest(bars, short_entries=entries, size=10.0, sl_stop=0.05, tp_stop=0.05, finer=finer).orders
    assert got["reason"].tolist()[2:] == ["stop", "target"]
    assert got["symbol"].tolist()[2:] == ["A", "B"]


def test_what_cannot_tell_the_way_is_refused():
    bars, finer = frames(FLAT, UP, FLAT, DOWN)

    def refused(error, match, given, of=bars):
        with pytest.raises(error, match=match):
            tl.backtest(of, entries=on(bars, 0), finer=given)

    refused(ParameterError, "are of 1h, the bars of 1h", bars)
    refused(ParameterError, "are of 1h, the bars of 15m", bars, finer.iloc[:4])
    refused(AlignmentError, "none of the finer bars", finer.shift(freq="7D"))
    refused(AlignmentError, "reaches beyond", finer.shift(freq="5min"))
    refused(DataError, "1 of 4 bars of bars are not what their finer bars make", finer.drop(finer.index[5]))
    refused(DataError, "at 2024-01-01 01:00:00", finer.drop(finer.index[5]))
    refused(ParameterError, "finer is list", [1])
    refused(AlignmentError, "1 instruments|one frame for 2", finer, {"A": bars, "B": bars})
    refused(AlignmentError, "finer has bars of", {"A": finer}, {"A": bars, "B": bars})
    other = finer.copy()
    other.attrs["symbol"] = "EURUSD"
    mine = bars.copy()
    mine.attrs["symbol"] = "GBPUSD"
    refused(AlignmentError, "bars of EURUSD, the bars are of GBPUSD", other, mine)
    with pytest.raises(ConfigError, match="freqtrade"):
        tl.backtest(bars, entries=on(bars, 0), finer=finer, fill="freqtrade")


def test_a_result_of_finer_bars_is_not_run_again_without_them():
    bars = tl.samples.load("EURUSD-1h").iloc[:800]
    result = tl.backtest(resample(bars, "4h"), "sma_cross", sl_stop=0.002, finer=bars)
    with pytest.raises(ConfigError, match="walked on finer bars"):
        setup_of(result)


def test_a_sweep_walks_and_gives_what_backtests_give():
    hours = tl.samples.load("EURUSD-1h").iloc[:1600]
    bars = resample(hours, "4h")
    terms = {"sl_stop": 0.003, "tp_stop": 0.003}
    table = tl.sweep(bars, "sma_cross", fast=[3, 5], slow=20, finer=hours, progress=False, **terms)
    for row, fast in enumerate((3, 5)):
        alone = tl.backtest(bars, "sma_cross", fast=fast, slow=20, finer=hours, **terms)
        assert table.table["total_return"].iloc[row] == alone.summary.total_return
        assert table.result(row).finer == alone.finer
    without = tl.backtest(bars, "sma_cross", fast=3, slow=20, **terms)
    assert table.table["total_return"].iloc[0] != without.summary.total_return
    several = tl.sweep(
        hours, "sma_cross", fast=[3, 5], slow=20, timeframes=["4h"], finer=hours, progress=False, **terms
    )
    assert several.table["total_return"].tolist() == table.table["total_return"].tolist()
    pair = {"A": bars, "B": bars.iloc[:300]}
    each = tl.sweep(
        pair, "sma_cross", fast=[3, 5], slow=20, each=True, finer={"A": hours, "B": hours}, progress=False, **terms
    )
    assert each.table["total_return"].tolist()[:2] == table.table["total_return"].tolist()
    with pytest.raises(AlignmentError, match="finer has bars of"):
        tl.sweep(pair, "sma_cross", fast=[3, 5], each=True, finer={"A": hours}, progress=False)
    with pytest.raises(ConfigError, match="go nowhere else"):
        tl.sweep(bars, "sma_cross", fast=[3, 5], finer=hours, path="somewhere", progress=False)


def same_orders(finer: pd.DataFrame, timeframe: str, seed: int, terms: dict) -> tl.Result:
    """Decide at random on long bars, and on the last finer bar of each; the orders and the equity must be the same.

    The second backtest is the plain engine on the finer bars. What is counted or measured in bars is left out.
    """
    bars = resample(finer, timeframe)
    length = pd.Timedelta(timeframe)
    finer = finer[(finer.index >= bars.index[0]) & (finer.index < bars.index[-1] + length)]
    chance = np.random.default_rng(seed)
    drawn = {side: chance.random(len(bars)) < 0.25 for side in ("entries", "exits", "short_entries", "short_exits")}
    last = np.searchsorted(finer.index, bars.index + length) - 1
    late = {side: np.zeros(len(finer), bool) for side in drawn}
    for side, flags in drawn.items():
        late[side][last] = flags
    size = {"size": 0.5, "size_type": "percent", "fees": 1e-4, **terms}
    plain = size
    if "entry_type" in terms:
        price = bars["close"].to_numpy() * (1 + terms["entry_price"] * chance.choice([-1, 1], len(bars)))
        spread = np.full(len(finer), np.nan)
        spread[last] = price
        size, plain = {**size, "entry_price": price}, {**size, "entry_price": spread}
    walked = tl.backtest(bars, finer=finer, **drawn, **size)
    expected = tl.backtest(finer, **late, **plain)
    assert walked.finer["without"] == 0
    columns = ["side", "size", "price", "fees", "reason"]
    pd.testing.assert_frame_equal(walked.orders[columns], expected.orders[columns], rtol=1e-12)
    assert walked.equity.to_numpy() == pytest.approx(expected.equity.to_numpy()[last], rel=1e-12)
    blind = tl.backtest(bars, **drawn, **size)
    assert blind.equity.iloc[-1] != walked.equity.iloc[-1]
    return walked


@pytest.mark.parametrize("name", ["BTC-1m", "GBPUSD-bid-1m", "6EH4-1m"])
@pytest.mark.parametrize("seed", [0, 1])
def test_hours_walked_by_the_minute_trade_as_a_minute_backtest_of_the_same_orders(shared, name, seed):
    finer = minutes(shared / "data" / MINUTES[name]).iloc[:20_000]
    move = float(finer["close"].iloc[::60].pct_change().std())
    walked = same_orders(finer, "1h", seed, {"sl_stop": 0.4 * move, "tp_stop": 0.6 * move})
    assert len(walked.orders) > 60
    assert {"stop", "target", "signal"} <= set(walked.orders["reason"])


LADDER = [(0.0006, 0.3, "break_even"), (0.0012, 0.3, "previous"), (0.002, 0.4)]
EXITS = {
    "trail": {"sl_stop": 0.0015, "sl_trail": 0.001},
    "ladder": {"plan": tl.ExitPlan(stop=0.0012, targets=LADDER)},
    "break-even": {"plan": tl.ExitPlan(stop=0.0015, break_even=0.0005, trail=tl.Trail(0.001, start=0.001))},
    "limit": {"entry_type": "limit", "entry_price": 0.0004, "sl_stop": 0.0012, "tp_stop": 0.0015},
    "breakout": {"entry_type": "stop", "entry_price": 0.0004, "sl_stop": 0.0012, "sl_trail": 0.002},
    "layers": {"entry_type": "limit", "entry_price": 0.0006, "layers": 3, "sl_stop": 0.002, "size": 0.2},
}


@pytest.mark.parametrize("fill", ["tradelab", "optimistic", "ohlc", "colour"])
@pytest.mark.parametrize("kind", EXITS)
def test_long_bars_walked_by_the_hour_trade_as_a_backtest_on_hours_under_every_way_inside(kind, fill):
    hours = tl.samples.load("EURUSD-1h").iloc[:6000]
    walked = same_orders(hours, "4h", 3, {**EXITS[kind], "fill": fill})
    assert len(walked.orders) > 300
