"""Tabulate how freqtrade fills inside a candle: stops and ROI steps, each case worked out by hand.

The rules come from freqtrade's documentation ("Assumptions made by backtesting" in its ``docs/backtesting.md``, and
``docs/stoploss.md``); numbers, candles and answers are ours, and freqtrade 2026.9 itself, driven offline, gave every
one of them. Where the tool does something its documentation does not say, the group says "tool".

A case reads: candles of one hour as ``open high low close`` and the signals decided on that candle (``L`` enter long,
``l`` exit long, ``S`` enter short, ``s`` exit short), then trades as (row opened, row closed, side, reason, open rate,
close rate). No fees. Trailing is in ``freqtrade_trailing.py``, signals and priorities in ``freqtrade_signals.py``.
"""

from __future__ import annotations

from typing import NamedTuple

Row = tuple[float, float, float, float, int, int, int, int]
Trade = tuple[int, int, str, str, float, float]


class Trailing(NamedTuple):
    """freqtrade's ``trailing_stop = True`` and its three settings."""

    positive: float | None = None
    offset: float = 0.0
    only_offset: bool = False


class Case(NamedTuple):
    """Candles, settings and the trades that must come out; fractions are profits of the stake, as in freqtrade."""

    name: str
    bars: str
    trades: list[Trade]
    stoploss: float = 0.5
    roi: dict[int, float] = {}  # noqa: RUF012 (never written to); minutes held -> profit to leave with
    trailing: Trailing | None = None
    leverage: float = 1.0

    @property
    def rows(self) -> list[Row]:
        """Open, high, low, close, enter_long, exit_long, enter_short, exit_short of every candle."""
        rows = []
        for bar in self.bars.split("/"):
            words = bar.split()
            flags = words[4] if len(words) > 4 else ""
            open_, high, low, close = (float(word) for word in words[:4])
            rows.append((open_, high, low, close, *(int(letter in flags) for letter in "LlSs")))
        return rows


# Stop loss. "Stoploss exits happen exactly at stoploss price, even if low was lower" (backtesting.md); "a stoploss of
# -10% is placed exactly 10% below the entry point" (stoploss.md); with leverage it is a loss of the stake, so the price
# moves by the fraction over the leverage (stoploss.md, "Stoploss and Leverage"). Works on the entry candle too.
# Tool: a candle that opens beyond the stop still fills at the stop if it trades there; only one that lies beyond it
# as a whole fills at its open.
STOPS = [
    Case(
        "a long stop inside the candle fills at its level",
        "100 101 99 100 L / 100 102 99 101 / 101 103 94 96 / 96 97 95 96",
        [(1, 2, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
    ),
    Case(
        "a short stop inside the candle fills at its level",
        "100 101 99 100 S / 100 101 98 99 / 99 106 98 104 / 104 105 103 104",
        [(1, 2, "short", "stop_loss", 100, 105)],
        stoploss=0.05,
    ),
    Case(
        "a low exactly at the stop fills",
        "100 101 99 100 L / 100 102 99 101 / 101 101 95 96 / 96 97 95 96",
        [(1, 2, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
    ),
    Case(
        "a high exactly at a short's stop fills",
        "100 101 99 100 S / 100 101 98 99 / 99 105 98 104 / 104 105 103 104",
        [(1, 2, "short", "stop_loss", 100, 105)],
        stoploss=0.05,
    ),
    Case(
        "a low a tick above the stop spares the position",
        "100 101 99 100 L / 100 102 99 101 / 101 101 95.01 96 / 96 97 95.5 96",
        [(1, 3, "long", "force_exit", 100, 96)],
        stoploss=0.05,
    ),
    Case(
        "a candle that opens below the stop and trades back through it fills at the stop, not at the open",
        "100 101 99 100 L / 100 102 99 101 / 93 96 92 95.5 / 96 97 95 96",
        [(1, 2, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
    ),
    Case(
        "a candle that opens above a short's stop and trades back through it fills at the stop",
        "100 101 99 100 S / 100 101 98 99 / 107 108 104 105 / 104 105 103 104",
        [(1, 2, "short", "stop_loss", 100, 105)],
        stoploss=0.05,
    ),
    Case(
        "a candle that lies below the stop as a whole fills at its open",
        "100 101 99 100 L / 100 102 99 101 / 93 94.5 92 94 / 96 97 95 96",
        [(1, 2, "long", "stop_loss", 100, 93)],
        stoploss=0.05,
    ),
    Case(
        "a candle that lies above a short's stop as a whole fills at its open",
        "100 101 99 100 S / 100 101 98 99 / 107 108 106 107 / 104 105 103 104",
        [(1, 2, "short", "stop_loss", 100, 107)],
        stoploss=0.05,
    ),
    Case(
        "a candle below the stop whose high just reaches it fills at the stop",
        "100 101 99 100 L / 100 102 99 101 / 93 95 92 94 / 96 97 95 96",
        [(1, 2, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
    ),
    Case(
        "a long stop works on the candle entered at its open",
        "100 101 99 100 L / 100 101 94 96 / 96 97 95.5 96",
        [(1, 1, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
    ),
    Case(
        "a short stop works on the candle entered at its open",
        "100 101 99 100 S / 100 106 99 104 / 104 105 103 104",
        [(1, 1, "short", "stop_loss", 100, 105)],
        stoploss=0.05,
    ),
    Case(
        "the low of the deciding candle stops nobody",
        "100 101 90 100 L / 100 101 99 100 / 101 102 100 101",
        [(1, 2, "long", "force_exit", 100, 101)],
        stoploss=0.05,
    ),
    Case(
        "a stop is measured from the entry's open, not from the close that decided",
        "100 101 99 100 L / 110 111 109 110 / 110 111 98 100 / 100 101 99 100",
        [(1, 2, "long", "stop_loss", 110, 99)],
        stoploss=0.1,
    ),
    Case(
        "without trailing the stop stays where it was, however high the price went",
        "100 101 99 100 L / 100 112 99 111 / 111 120 110 118 / 118 119 94 96 / 96 97 95 96",
        [(1, 3, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
    ),
    Case(
        "with leverage 4 a stop of a fifth of the stake is five percent of the price",
        "100 101 99 100 L / 100 102 99 101 / 101 102 94 96 / 96 97 95 96",
        [(1, 2, "long", "stop_loss", 100, 95)],
        stoploss=0.2,
        leverage=4,
    ),
    Case(
        "with leverage 5 a short's stop of a tenth of the stake is two percent of the price",
        "100 101 99 100 S / 100 101 99 100 / 100 103 99 102.5 / 102 103 101 102",
        [(1, 2, "short", "stop_loss", 100, 102)],
        stoploss=0.1,
        leverage=5,
    ),
]

# ROI table. "Exits are compared to high - but the ROI value is used"; "exits are never below the candle"; "ROI entries
# which came into effect on the triggering candle will use the candle's open as exit rate"; "force-exits caused by
# <N>=-1 ROI entries use low as exit value, unless N falls on the candle open" (backtesting.md). The step that counts
# is the one with the largest key not above the minutes held at the candle's open (strategy-customization.md, "Minimal
# ROI"). Tool: the profit at the high must exceed the step, reaching it is not enough; the open is used only if it is
# beyond.
ROI = [
    Case(
        "a target fills at its level though the high went further",
        "100 101 99 100 L / 100 101 99 100 / 100 105 99.5 104 / 104 105 103 104",
        [(1, 2, "long", "roi", 100, 102)],
        roi={0: 0.02},
    ),
    Case(
        "a short's target fills at its level",
        "100 101 99 100 S / 100 101 99 100 / 100 101 95 96 / 96 97 95 96",
        [(1, 2, "short", "roi", 100, 98)],
        roi={0: 0.02},
    ),
    Case(
        "a target works on the candle entered at its open",
        "100 101 99 100 L / 100 103 99 99.5 / 102 103 101 102",
        [(1, 1, "long", "roi", 100, 102)],
        roi={0: 0.02},
    ),
    Case(
        "a high that only equals the target does not fill it; one beyond does",
        "128 129 127 128 L / 128 129 127 128 / 128 132 127 131 / 131 132.5 130 132 / 132 133 131 132",
        [(1, 3, "long", "roi", 128, 132)],
        roi={0: 0.03125},
    ),
    Case(
        "a candle that opens beyond a target in force and trades back through it fills at the target",
        "100 101 99 100 L / 100 101 99 100 / 104 106 101 105 / 105 106 104 105",
        [(1, 2, "long", "roi", 100, 102)],
        roi={0: 0.02},
    ),
    Case(
        "a candle that lies above a target in force as a whole fills at its low",
        "100 101 99 100 L / 100 101 99 100 / 104 106 103 105 / 105 106 104 105",
        [(1, 2, "long", "roi", 100, 103)],
        roi={0: 0.02},
    ),
    Case(
        "a candle that lies below a short's target as a whole fills at its high",
        "100 101 99 100 S / 100 101 99 100 / 96 97 95 96 / 96 97 95 96",
        [(1, 2, "short", "roi", 100, 97)],
        roi={0: 0.02},
    ),
    Case(
        "a step that begins with this candle fills at its level when the open has not passed it",
        "100 101 99 100 L / 100 103 99 101 / 101 103 100.5 102 / 102 103 101 102",
        [(1, 2, "long", "roi", 100, 102)],
        roi={0: 0.05, 60: 0.02},
    ),
    Case(
        "a step that begins with this candle fills at the open when the open has passed it",
        "100 101 99 100 L / 100 103.5 99 103 / 103 104 101 102 / 102 103 101 102",
        [(1, 2, "long", "roi", 100, 103)],
        roi={0: 0.05, 60: 0.02},
    ),
    Case(
        "a step that begins with this candle fills at the open, not at the low, of a candle wholly above it",
        "100 101 99 100 L / 100 103.5 99 103 / 103 104 102.5 104 / 104 105 103 104",
        [(1, 2, "long", "roi", 100, 103)],
        roi={0: 0.05, 60: 0.02},
    ),
    Case(
        "a short's step that begins with this candle fills at the open when the open has passed it",
        "100 101 99 100 S / 100 101 96.5 97 / 97 99 96 98 / 98 99 97 98",
        [(1, 2, "short", "roi", 100, 97)],
        roi={0: 0.05, 60: 0.02},
    ),
    Case(
        "one candle after a step began its level counts again, not the open",
        "100 101 99 100 L / 100 101 99 100 / 100 101.5 99.5 101 / 103 104 101 102 / 102 103 101 102",
        [(1, 3, "long", "roi", 100, 102)],
        roi={0: 0.05, 60: 0.02},
    ),
    Case(
        "a step between two candles waits for the later one, whose open is not used",
        "100 101 99 100 L / 100 103 99 102 / 102 103 101 102.5 / 103 104 102.5 104 / 104 105 103 104",
        [(1, 3, "long", "roi", 100, 102.5)],
        roi={0: 0.05, 90: 0.02},
    ),
    Case(
        "a step between two candles fills at its level when the later one trades there",
        "100 101 99 100 L / 100 103 99 102 / 102 103 101 102.5 / 103 104 101.5 104 / 104 105 103 104",
        [(1, 3, "long", "roi", 100, 102)],
        roi={0: 0.05, 90: 0.02},
    ),
    Case(
        "of several steps the latest that has begun counts",
        "100 101 99 100 L / 100 104 99 101 / 101 104 100 101 / 101 104 100.5 102 / 102 103 101 102",
        [(1, 3, "long", "roi", 100, 103)],
        roi={0: 0.1, 60: 0.06, 120: 0.03},
    ),
    Case(
        "before the first key of the table no profit is taken",
        "100 101 99 100 L / 100 105 99 100 / 100.5 104 100 102 / 102 103 101 102",
        [(1, 2, "long", "roi", 100, 101)],
        roi={60: 0.01},
    ),
    Case(
        "-1 on a candle's open leaves there at any price",
        "100 101 99 100 L / 100 101 97 98 / 98 99 96 97 / 97 98 95 96 / 96 97 95 96",
        [(1, 3, "long", "roi", 100, 97)],
        roi={0: 0.1, 120: -1},
    ),
    Case(
        "-1 between two candles leaves at the low of the later one",
        "100 101 99 100 L / 100 101 97 98 / 98 99 96 97 / 97 98 95 96 / 96 97 95 96",
        [(1, 3, "long", "roi", 100, 95)],
        roi={0: 0.1, 90: -1},
    ),
    Case(
        "-1 between two candles leaves a short at the high of the later one",
        "100 101 99 100 S / 100 103 99 102 / 102 103 101 102 / 102 104 101 103 / 103 104 102 103",
        [(1, 3, "short", "roi", 100, 104)],
        roi={0: 0.1, 90: -1},
    ),
    Case(
        "-1 from the start leaves at the open just entered",
        "100 101 99 100 L / 100 103 97 101 / 101 102 100 101",
        [(1, 1, "long", "roi", 100, 100)],
        roi={0: -1},
    ),
    Case(
        "a step of nothing leaves where it came in",
        "100 101 99 100 L / 100 101 98 99 / 99 99.5 98 99 / 99 101 98 100 / 100 101 99 100",
        [(1, 3, "long", "roi", 100, 100)],
        roi={0: 0.1, 120: 0.0},
    ),
    Case(
        "a negative step is a loss accepted after a time, at its level from below",
        "100 101 99 100 L / 100 101 95 96 / 96 97 94 95 / 95 98 94 96 / 96 97 95 96",
        [(1, 3, "long", "roi", 100, 97)],
        roi={0: 0.1, 120: -0.03},
    ),
    Case(
        "a negative step that the open has passed as it begins leaves at the open",
        "100 101 99 100 L / 100 101 98 99 / 99 99.5 98 99 / 99 99.5 96 97 / 97 98 96 97",
        [(1, 3, "long", "roi", 100, 99)],
        roi={0: 0.1, 120: -0.03},
    ),
    Case(
        "with leverage 2 a profit of four percent of the stake is two percent of the price",
        "100 101 99 100 L / 100 101 99 100 / 100 105 99.5 104 / 104 105 103 104",
        [(1, 2, "long", "roi", 100, 102)],
        roi={0: 0.04},
        leverage=2,
    ),
    Case(
        "with leverage 5 a short's profit of a tenth of the stake is two percent of the price",
        "100 101 99 100 S / 100 101 99 100 / 100 101 97 98 / 98 99 97 98",
        [(1, 2, "short", "roi", 100, 98)],
        roi={0: 0.1},
        leverage=5,
    ),
]
