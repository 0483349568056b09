"""Hold ``fill="freqtrade"`` to a table of candles worked out by hand from freqtrade's documentation.

The table is in ``freqtrade_cases.py``, ``freqtrade_trailing.py`` and ``freqtrade_signals.py``. freqtrade states stops,
targets and trails as profit of the stake; ours are fractions of the price, so ``run`` divides them by the leverage.
"""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest

import tradelab as tl
from tests.oracles.freqtrade_cases import ROI, STOPS, Case, Trade
from tests.oracles.freqtrade_signals import PRIORITY, SEVERAL, SIGNALS
from tests.oracles.freqtrade_trailing import ONLY_OFFSET, PLAIN_TRAILING, POSITIVE

GROUPS = {
    "stop loss": STOPS,
    "roi": ROI,
    "plain trailing": PLAIN_TRAILING,
    "positive trailing": POSITIVE,
    "only offset": ONLY_OFFSET,
    "priority": PRIORITY,
    "signals": SIGNALS,
    "several trades": SEVERAL,
}
QUIRKS = {
    "an entry signal of the other side that waits while a candle stops the position out fills at its open": (
        "the tool enters at an open that lies before the exit within the same candle"
    ),
}


def parameter(group: str, case: Case) -> object:
    """A case under its name, one we do not follow marked as such."""
    marks = [pytest.mark.xfail(reason=QUIRKS[case.name], strict=True)] if case.name in QUIRKS else []
    return pytest.param(case, id=f"{group}: {case.name}", marks=marks)


CASES = [parameter(group, case) for group, cases in GROUPS.items() for case in cases]

NAMES = ["open", "high", "low", "close", "enter_long", "exit_long", "enter_short", "exit_short"]
REASONS = {
    "stop": "stop_loss",
    "trail": "trailing_stop_loss",
    "roi": "roi",
    "signal": "exit_signal",
    "reversal": "exit_signal",
    "end": "force_exit",
}
CANDLE = 60  # minutes
NEXT_TO_NOTHING = 1e-12


def plan(case: Case) -> tl.ExitPlan:
    """The exits of a case in our words: fractions of the price, bars for minutes, an offset of next to nothing."""
    stop = case.stoploss / case.leverage
    roi = {minutes // CANDLE: -1 if profit == -1 else profit / case.leverage for minutes, profit in case.roi.items()}
    trail = None
    if case.trailing is not None:
        positive, offset, only_offset = case.trailing
        if positive is None:
            trail = tl.Trail(stop)
        else:
            start, before = offset / case.leverage or NEXT_TO_NOTHING, None if only_offset else stop
            trail = tl.Trail(positive / case.leverage, start=start, before=before)
    return tl.ExitPlan(stop=stop, roi=roi, trail=trail)


def run(case: Case) -> list[Trade]:
    """Trade a case with our engine and say what came out in freqtrade's words."""
    index = pd.date_range("2024-01-01", periods=len(case.rows), freq="h", tz="UTC")
    bars = pd.DataFrame(case.rows, index, NAMES)
    entries, exits, short_entries, short_exits = (bars[name].astype(bool) for name in NAMES[4:])
    result = tl.backtest(
        bars[NAMES[:4]].assign(volume=1.0),
        entries=entries,
        exits=exits,
        short_entries=short_entries,
        short_exits=short_exits,
        fill="freqtrade",
        plan=plan(case),
        size=1.0,
        init_cash=1e6,
    )
    row = {time: k for k, time in enumerate(index)}
    return [
        (row[t.entry_time], row[t.exit_time], t.direction, REASONS[t.exit_reason], t.entry_price, t.exit_price)
        for t in result.trades.itertuples()
    ]


@pytest.mark.parametrize("case", CASES)
def test_trades_are_those_worked_out_by_hand(case):
    if any(minutes % CANDLE for minutes in case.roi):
        pytest.skip("our steps begin with a bar; freqtrade's may begin between two")
    trades = run(case)
    assert [trade[:4] for trade in trades] == [trade[:4] for trade in case.trades]
    for got, expected in zip(trades, case.trades, strict=True):
        assert got[4:] == pytest.approx(expected[4:], rel=1e-9)


def test_the_table_is_whole_and_its_candles_are_possible():
    """More than sixty cases, no name twice in a group, no high below or low above what the candle traded."""
    assert {group: len(cases) for group, cases in GROUPS.items()} == {
        "stop loss": 17,
        "roi": 25,
        "plain trailing": 14,
        "positive trailing": 12,
        "only offset": 11,
        "priority": 16,
        "signals": 26,
        "several trades": 6,
    }
    for group, cases in GROUPS.items():
        assert max(Counter(case.name for case in cases).values()) == 1, group
        for case in cases:
            for open_, high, low, close, *_ in case.rows:
                assert low <= min(open_, close) <= max(open_, close) <= high, case.name
            for entered, left, side, _, bought, sold in case.trades:
                assert 0 < entered <= left < len(case.rows), case.name
                assert side in ("long", "short"), case.name
                assert bought == case.rows[entered][0], case.name
                assert case.rows[left][2] <= sold <= case.rows[left][1], case.name
