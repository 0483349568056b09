"""Tabulate which of freqtrade's exits comes first, and what its signals do; ``freqtrade_cases.py`` has the form."""

from __future__ import annotations

from tests.oracles.freqtrade_cases import Case, Trailing

PLAIN = Trailing()

# Priority. "Evaluation sequence (if multiple signals happen on the same candle): exit-signal, stoploss, ROI, trailing
# stoploss"; "exit-signal is favored over stoploss, because exit-signals are assumed to trigger on candle's open";
# "ROI applies before trailing-stop, ensuring profits are top-capped at ROI" (backtesting.md). Tool: "trailing" is a
# stop that was moved at least once; the stop comes before an ROI that the open has already passed.
PRIORITY = [
    Case(
        "an exit signal leaves at the open before the stop is touched",
        "100 101 99 100 L / 100 101 99 100 l / 98 99 90 91 / 91 92 90 91",
        [(1, 2, "long", "exit_signal", 100, 98)],
        stoploss=0.05,
    ),
    Case(
        "a short's exit signal leaves at the open before the stop is touched",
        "100 101 99 100 S / 100 101 99 100 s / 102 110 101 109 / 109 110 108 109",
        [(1, 2, "short", "exit_signal", 100, 102)],
        stoploss=0.05,
    ),
    Case(
        "an exit signal names the exit of a candle that lies below the stop as a whole",
        "100 101 99 100 L / 100 101 99 100 l / 92 93 90 91 / 91 92 90 91",
        [(1, 2, "long", "exit_signal", 100, 92)],
        stoploss=0.05,
    ),
    Case(
        "an exit signal leaves at the open before the target is touched",
        "100 101 99 100 L / 100 101 99 100 l / 101 105 100 104 / 104 105 103 104",
        [(1, 2, "long", "exit_signal", 100, 101)],
        roi={0: 0.02},
    ),
    Case(
        "an exit signal leaves at the open before a trailed stop is touched",
        "100 101 99 100 L / 100 101 99 100 l / 104 110 103 105 / 105 106 104 105",
        [(1, 2, "long", "exit_signal", 100, 104)],
        stoploss=0.05,
        trailing=PLAIN,
    ),
    Case(
        "a candle that touches stop and target is stopped",
        "100 101 99 100 L / 100 101 99 100 / 100 105 94 99 / 99 100 98 99",
        [(1, 2, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
        roi={0: 0.02},
    ),
    Case(
        "a short's candle that touches stop and target is stopped",
        "100 101 99 100 S / 100 101 99 100 / 100 106 95 101 / 101 102 100 101",
        [(1, 2, "short", "stop_loss", 100, 105)],
        stoploss=0.05,
        roi={0: 0.02},
    ),
    Case(
        "an entry candle that touches stop and target is stopped",
        "100 101 99 100 L / 100 105 94 99 / 99 100 98 99",
        [(1, 1, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
        roi={0: 0.02},
    ),
    Case(
        "a candle that opens beyond the target and falls to the stop is stopped",
        "100 101 99 100 L / 100 101 99 100 / 103 104 94 96 / 96 97 95 96",
        [(1, 2, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
        roi={0: 0.02},
    ),
    Case(
        "a candle that opens beyond a step it begins and falls to the stop is stopped",
        "100 101 99 100 L / 100 103.5 99 103 / 103 104 94 96 / 96 97 95 96",
        [(1, 2, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
        roi={0: 0.05, 60: 0.02},
    ),
    Case(
        "a candle that -1 would leave at its open is stopped if it touches the stop",
        "100 101 99 100 L / 100 101 97 98 / 98 99 94 96 / 96 97 95 96",
        [(1, 2, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
        roi={0: 0.1, 60: -1},
    ),
    Case(
        "a target comes before the stop that the same candle's high lifted",
        "100 101 99 100 L / 100 101 99 100 / 100 110 100 105 / 105 106 104 105",
        [(1, 2, "long", "roi", 100, 106)],
        stoploss=0.05,
        roi={0: 0.06},
        trailing=PLAIN,
    ),
    Case(
        "a target comes before a stop that was trailed on earlier candles",
        "100 101 99 100 L / 100 101 99 100 / 100 110 95 105 / 105 106 104 105",
        [(1, 2, "long", "roi", 100, 106)],
        stoploss=0.05,
        roi={0: 0.06},
        trailing=PLAIN,
    ),
    Case(
        "a short's target comes before its trailed stop",
        "100 101 99 100 S / 100 101 99 100 / 99 100 90 91 / 91 92 90 91",
        [(1, 2, "short", "roi", 100, 94)],
        stoploss=0.05,
        roi={0: 0.06},
        trailing=PLAIN,
    ),
    Case(
        "a target comes before the trailed stop on the entry candle too",
        "100 101 99 100 L / 100 110 99 105 / 105 106 104 105",
        [(1, 1, "long", "roi", 100, 106)],
        stoploss=0.05,
        roi={0: 0.06},
        trailing=PLAIN,
    ),
    Case(
        "a trailing stop that never moved comes before the target",
        "100 101 99 100 L / 100 100 99 99.5 / 100 110 94 105 / 105 106 104 105",
        [(1, 2, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
        roi={0: 0.06},
        trailing=PLAIN,
    ),
]

# Signals. "Entries happen at open-price"; "exit-signal exits happen at open-price of the consecutive candle"
# (backtesting.md); with colliding signals no entry is made (strategy-customization.md, "Colliding signals"). Tool: an
# exit signal counts only without an entry signal of its own side on that candle; an opposite entry alone closes
# nothing; together with the exit it turns round at the same open; nobody enters on the last candle; what is open after
# it leaves at its open; once a position has closed within a candle, a waiting entry of the other side fills at that
# candle's open.
SIGNALS = [
    Case(
        "entry and exit are at the open after their signal",
        "100 101 99 100 / 101 102 100 101 L / 102 103 101 102 / 103 104 102 103 l / 104 105 103 104 / 105 106 104 105",
        [(2, 4, "long", "exit_signal", 102, 104)],
    ),
    Case(
        "a short enters and exits at the open after its signal",
        "100 101 99 100 / 101 102 100 101 S / 102 103 101 102 / 103 104 102 103 s / 104 105 103 104 / 105 106 104 105",
        [(2, 4, "short", "exit_signal", 102, 104)],
    ),
    Case("nobody enters on the last candle", "100 101 99 100 / 100 101 99 100 L / 100 101 99 100", []),
    Case("a signal on the last candle comes too late", "100 101 99 100 / 100 101 99 100 / 100 101 99 100 L", []),
    Case(
        "what is open at the end leaves at the open of the last candle",
        "100 101 99 100 L / 100 101 99 100 / 103 106 102 105",
        [(1, 2, "long", "force_exit", 100, 103)],
    ),
    Case(
        "a short that is open at the end leaves at the open of the last candle",
        "100 101 99 100 S / 100 101 99 100 / 103 106 102 105",
        [(1, 2, "short", "force_exit", 100, 103)],
    ),
    Case(
        "a stop touched on the last candle comes before the end",
        "100 101 99 100 L / 100 101 99 100 / 103 104 94 96",
        [(1, 2, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
    ),
    Case(
        "a target passed on the last candle comes before the end",
        "100 101 99 100 L / 100 101 99 100 / 100 104 99 103",
        [(1, 2, "long", "roi", 100, 102)],
        roi={0: 0.02},
    ),
    Case(
        "an exit signal on the candle before the last names the exit at the last open",
        "100 101 99 100 L / 100 101 99 100 l / 103 104 102 103",
        [(1, 2, "long", "exit_signal", 100, 103)],
    ),
    Case(
        "an exit signal on the last candle comes too late",
        "100 101 99 100 L / 100 101 99 100 / 103 104 102 103 l",
        [(1, 2, "long", "force_exit", 100, 103)],
    ),
    Case(
        "an exit signal beside an entry signal is ignored on the candle before the last, too",
        "100 101 99 100 L / 100 101 99 100 Ll / 103 104 102 103",
        [(1, 2, "long", "force_exit", 100, 103)],
    ),
    Case(
        "entry and exit signal of one side on one candle open nothing",
        "100 101 99 100 Ll / 100 101 99 100 / 100 101 99 100 / 100 101 99 100",
        [],
    ),
    Case(
        "entry and exit signal of the short side on one candle open nothing",
        "100 101 99 100 Ss / 100 101 99 100 / 100 101 99 100 / 100 101 99 100",
        [],
    ),
    Case(
        "entry signals of both sides on one candle open nothing",
        "100 101 99 100 LS / 100 101 99 100 / 100 101 99 100 / 100 101 99 100",
        [],
    ),
    Case(
        "the exit signal of the other side does not hinder an entry",
        "100 101 99 100 Ls / 100 101 99 100 / 101 102 100 101 / 102 103 101 102",
        [(1, 3, "long", "force_exit", 100, 102)],
    ),
    Case(
        "an exit signal beside a fresh entry signal is ignored",
        "100 101 99 100 L / 100 101 99 100 Ll / 101 102 100 101 / 102 103 101 102",
        [(1, 3, "long", "force_exit", 100, 102)],
    ),
    Case(
        "further entry signals do not add to the position",
        "100 101 99 100 L / 100 101 99 100 L / 101 102 100 101 L / 102 103 101 102 / 103 104 102 103",
        [(1, 4, "long", "force_exit", 100, 103)],
    ),
    Case(
        "an exit signal while nothing is held is forgotten",
        "100 101 99 100 l / 100 101 99 100 L / 101 102 100 101 / 102 103 101 102 / 103 104 102 103",
        [(2, 4, "long", "force_exit", 101, 103)],
    ),
    Case(
        "an entry signal of the other side alone closes nothing",
        "100 101 99 100 L / 100 101 99 100 S / 101 102 100 101 / 102 103 101 102",
        [(1, 3, "long", "force_exit", 100, 102)],
    ),
    Case(
        "an exit signal with an entry signal of the other side turns round at one open",
        "100 101 99 100 L / 100 101 99 100 lS / 102 103 101 102 / 103 104 102 103 / 104 105 103 104",
        [(1, 2, "long", "exit_signal", 100, 102), (2, 4, "short", "force_exit", 102, 104)],
    ),
    Case(
        "a short turns round as a long does",
        "100 101 99 100 S / 100 101 99 100 sL / 102 103 101 102 / 103 104 102 103 / 104 105 103 104",
        [(1, 2, "short", "exit_signal", 100, 102), (2, 4, "long", "force_exit", 102, 104)],
    ),
    Case(
        "a hindered entry of the other side leaves the exit alone",
        "100 101 99 100 L / 100 101 99 100 lSs / 102 103 101 102 / 103 104 102 103 / 104 105 103 104",
        [(1, 2, "long", "exit_signal", 100, 102)],
    ),
    Case(
        "all three of exit, entry and opposite entry change nothing",
        "100 101 99 100 L / 100 101 99 100 LlS / 102 103 101 102 / 103 104 102 103",
        [(1, 3, "long", "force_exit", 100, 103)],
    ),
    Case(
        "an entry signal of the same side that waits while a candle stops the position out is lost",
        "100 101 99 100 L / 100 101 99 100 L / 100 101 94 96 / 96 97 95.5 96 / 96 97 95.5 96",
        [(1, 2, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
    ),
    Case(
        "an entry signal of the other side that waits while a candle stops the position out fills at its open",
        "100 101 99 100 L / 100 101 99 100 S / 99 100 94 96 / 96 97 95.5 96 / 96 97 95.5 96",
        [(1, 2, "long", "stop_loss", 100, 95), (2, 4, "short", "force_exit", 99, 96)],
        stoploss=0.05,
    ),
    Case(
        "a position turned round at an open is held against that candle",
        "100 101 99 100 L / 100 101 99 100 lS / 102 108 101 107 / 107 108 106 107",
        [(1, 2, "long", "exit_signal", 100, 102), (2, 2, "short", "stop_loss", 102, 107.1)],
        stoploss=0.05,
    ),
]

# Several trades, one after the other: stop, ROI clock and trail of each begin anew at its own entry.
SEVERAL = [
    Case(
        "after a stop the next signal enters again",
        "100 101 99 100 L / 100 101 94 96 L / 96 97 95 96 / 96 99 95.5 98.5 / 98 99 97 98",
        [(1, 1, "long", "stop_loss", 100, 95), (2, 3, "long", "roi", 96, 97.92)],
        stoploss=0.05,
        roi={0: 0.02},
    ),
    Case(
        "a signal on the candle left at its open enters one candle later",
        "100 101 99 100 L / 100 101 99 100 l / 101 102 100 101 L / 102 103 101 102 / 103 104 102 103",
        [(1, 2, "long", "exit_signal", 100, 101), (3, 4, "long", "force_exit", 102, 103)],
    ),
    Case(
        "each trade is stopped from its own open",
        "100 101 99 100 L / 100 101 94 96 / 96 101 95 100 L / 110 111 109 110 / 110 110 104 105 / 105 106 104 105",
        [(1, 1, "long", "stop_loss", 100, 95), (3, 4, "long", "stop_loss", 110, 104.5)],
        stoploss=0.05,
    ),
    Case(
        "each trade counts the minutes of its own",
        "100 101 99 100 L / 100 101 99 100 / 100 103 99.5 102 L / 102 104.5 101 103 / 103 105 102 104/ 104 105 103 104",
        [(1, 2, "long", "roi", 100, 102), (3, 4, "long", "roi", 102, 104.04)],
        roi={0: 0.05, 60: 0.02},
    ),
    Case(
        "a trail is forgotten with its trade",
        "100 101 99 100 L / 100 101 99 100 / 104 110 103 105 L / 100 100 99 99.5 / 99 99.5 94 95 / 95 96 94 95",
        [(1, 2, "long", "trailing_stop_loss", 100, 104.5), (3, 4, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
        trailing=PLAIN,
    ),
    Case(
        "a long, a short and a long follow each other",
        "100 101 99 100 L / 100 101 99 100 / 100 103 99 102.5 S / 103 104 102 103 / 103 104 100 101 L"
        "/ 101 101.5 95 96 / 96 97 95 96",
        [
            (1, 2, "long", "roi", 100, 102),
            (3, 4, "short", "roi", 103, 100.94),
            (5, 5, "long", "stop_loss", 101, 95.95),
        ],
        stoploss=0.05,
        roi={0: 0.02},
    ),
]

FREQTRADE_SIGNALS = PRIORITY + SIGNALS + SEVERAL
