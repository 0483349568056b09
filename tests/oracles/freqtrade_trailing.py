"""Tabulate freqtrade's trailing stops inside a candle; the form of a case is in ``freqtrade_cases.py``."""

from __future__ import annotations

from tests.oracles.freqtrade_cases import Case, Trailing

PLAIN = Trailing()

# Plain trailing. "The stoploss will be adjusted to be always -10% of the highest observed price" (stoploss.md); "high
# happens first - adjusting stoploss; low uses the adjusted stoploss"; "trailing stoploss is only adjusted if it's below
# the candle's low (otherwise it would be triggered)" (backtesting.md). Tool: a stop that was moved once is reported as
# trailing_stop_loss; on the entry candle the worst path is taken, open x (1 - distance), but never below the low.
PLAIN_TRAILING = [
    Case(
        "the stop follows the high at its distance and is hit on a later candle",
        "100 101 99 100 L / 100 100.5 99 100 / 100 102 99 101 / 101 101.5 91 92 / 92 93 91 92",
        [(1, 3, "long", "trailing_stop_loss", 100, 91.8)],
        stoploss=0.1,
        trailing=PLAIN,
    ),
    Case(
        "a short's stop follows the low at its distance",
        "100 101 99 100 S / 100 101 99 100 / 95 96 90 91 / 91 100 90.5 99.5 / 99 100 98 99",
        [(1, 3, "short", "trailing_stop_loss", 100, 99)],
        stoploss=0.1,
        trailing=PLAIN,
    ),
    Case(
        "the high comes first: the low of the same candle is held against the stop it lifted",
        "100 101 99 100 L / 100 101 99 100 / 104 110 103 105 / 105 106 104 105",
        [(1, 2, "long", "trailing_stop_loss", 100, 104.5)],
        stoploss=0.05,
        trailing=PLAIN,
    ),
    Case(
        "for a short the low comes first: the high of the same candle is held against the stop it lowered",
        "100 101 99 100 S / 100 101 99 100 / 96 97 90 91 / 91 92 90 91",
        [(1, 2, "short", "trailing_stop_loss", 100, 94.5)],
        stoploss=0.05,
        trailing=PLAIN,
    ),
    Case(
        "a candle whose low touches the stop of before does not lift it first",
        "100 101 99 100 L / 100 101 99 100 / 100 110 95.9 105 / 105 106 104 105",
        [(1, 2, "long", "trailing_stop_loss", 100, 95.95)],
        stoploss=0.05,
        trailing=PLAIN,
    ),
    Case(
        "the stop is never lowered by a lower high",
        "100 101 99 100 L / 100 101 99 100 / 100 110 100 109 / 109 109.5 99.5 100 / 100 101 98 99 / 99 100 98 99",
        [(1, 4, "long", "trailing_stop_loss", 100, 99)],
        stoploss=0.1,
        trailing=PLAIN,
    ),
    Case(
        "a candle that opens below a trailed stop and trades back through it fills at the stop",
        "100 101 99 100 L / 100 101 99 100 / 100 110 100 109 / 97 100 96 98 / 98 99 97 98",
        [(1, 3, "long", "trailing_stop_loss", 100, 99)],
        stoploss=0.1,
        trailing=PLAIN,
    ),
    Case(
        "a candle that lies below a trailed stop as a whole fills at its open",
        "100 101 99 100 L / 100 101 99 100 / 100 110 100 109 / 97 98.5 96 98 / 98 99 97 98",
        [(1, 3, "long", "trailing_stop_loss", 100, 97)],
        stoploss=0.1,
        trailing=PLAIN,
    ),
    Case(
        "a candle that lies above a short's trailed stop as a whole fills at its open",
        "100 101 99 100 S / 100 101 99 100 / 95 96 90 91 / 101 102 99.5 100 / 99 100 98 99",
        [(1, 3, "short", "trailing_stop_loss", 100, 101)],
        stoploss=0.1,
        trailing=PLAIN,
    ),
    Case(
        "a stop trailed within the entry candle fills at its low",
        "100 101 99 100 L / 100 110 99 108 / 108 109 107 108",
        [(1, 1, "long", "trailing_stop_loss", 100, 99)],
        stoploss=0.05,
        trailing=PLAIN,
    ),
    Case(
        "a short's stop trailed within the entry candle fills at its high",
        "100 101 99 100 S / 100 101 90 91 / 91 92 90 91",
        [(1, 1, "short", "trailing_stop_loss", 100, 101)],
        stoploss=0.05,
        trailing=PLAIN,
    ),
    Case(
        "an entry candle whose low touches the first stop fills there, whatever its high was",
        "100 101 99 100 L / 100 110 94 108 / 108 109 107 108",
        [(1, 1, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
        trailing=PLAIN,
    ),
    Case(
        "a trailing stop that never moved is a plain stop",
        "100 101 99 100 L / 100 100 99 99.5 / 97 98 94 95 / 95 96 94 95",
        [(1, 2, "long", "stop_loss", 100, 95)],
        stoploss=0.05,
        trailing=PLAIN,
    ),
    Case(
        "with leverage 2 a trail of a tenth of the stake is five percent of the high",
        "100 101 99 100 L / 100 101 99 100 / 104 110 103 105 / 105 106 104 105",
        [(1, 2, "long", "trailing_stop_loss", 100, 104.5)],
        stoploss=0.1,
        trailing=PLAIN,
        leverage=2,
    ),
]

# A different trail in profit. "Once you hit positive result the system will utilize a new stop loss" (stoploss.md,
# "Trailing stop loss, different positive loss"), counted from the offset when there is one; before that the stop trails
# at its own distance. Tool: the profit of the candle's high must exceed the offset; that of earlier candles is gone.
POSITIVE = [
    Case(
        "in profit the stop follows the high at the positive distance",
        "100 101 99 100 L / 100 100 99 99.5 / 101 102 100.5 101 / 101 101.5 99.9 100 / 100 101 99 100",
        [(1, 3, "long", "trailing_stop_loss", 100, 99.96)],
        stoploss=0.1,
        trailing=Trailing(positive=0.02),
    ),
    Case(
        "below the offset the stop follows at its own distance",
        "100 101 99 100 L / 100 100 99 100 / 100 102 99.5 101 / 101 101 96 97 / 97 98 96 97",
        [(1, 3, "long", "trailing_stop_loss", 100, 96.9)],
        stoploss=0.05,
        trailing=Trailing(positive=0.01, offset=0.03),
    ),
    Case(
        "above the offset the stop follows at the positive distance",
        "100 101 99 100 L / 100 100 99 100 / 106 106 105.5 106 / 106 106.5 104 104.5 / 104 105 103 104",
        [(1, 3, "long", "trailing_stop_loss", 100, 104.94)],
        stoploss=0.05,
        trailing=Trailing(positive=0.01, offset=0.03),
    ),
    Case(
        "the candle that passes the offset may be stopped by its own low",
        "100 101 99 100 L / 100 100 99 100 / 105 106 104 105 / 105 106 104 105",
        [(1, 2, "long", "trailing_stop_loss", 100, 104.94)],
        stoploss=0.05,
        trailing=Trailing(positive=0.01, offset=0.03),
    ),
    Case(
        "a high that only equals the offset leaves the stop at its own distance",
        "128 129 127 128 L / 128 128 127 128 / 130 132 129 131 / 131 131 115 116 / 116 117 115 116",
        [(1, 3, "long", "trailing_stop_loss", 128, 115.5)],
        stoploss=0.125,
        trailing=Trailing(positive=0.015625, offset=0.03125),
    ),
    Case(
        "profits are compared to eight decimals: 102.5 is not beyond 2.5 percent",
        "100 101 99 100 L / 100 100 99 100 / 100 102.5 99 101 / 101 101.5 97 98 / 98 99 97 98",
        [(1, 3, "long", "trailing_stop_loss", 100, 97.375)],
        stoploss=0.05,
        trailing=Trailing(positive=0.02, offset=0.025),
    ),
    Case(
        "a stop that came nearer stays when the profit falls back under the offset",
        "100 101 99 100 L / 100 100 99 100 / 103 106 103 105"
        "/ 102.95 102.98 102.94 102.95 / 102.9 103 102 102.5 / 102 103 101 102",
        [(1, 4, "long", "trailing_stop_loss", 100, 102.926)],
        stoploss=0.05,
        trailing=Trailing(positive=0.029, offset=0.03),
    ),
    Case(
        "on the entry candle the worst path is a tick up and down the positive distance",
        "100 101 99 100 L / 100 105 97 103 / 103 104 102 103",
        [(1, 1, "long", "trailing_stop_loss", 100, 98)],
        stoploss=0.1,
        trailing=Trailing(positive=0.02),
    ),
    Case(
        "on the entry candle the worst path ends at the low",
        "100 101 99 100 L / 100 105 99.5 103 / 103 104 102 103",
        [(1, 1, "long", "trailing_stop_loss", 100, 99.5)],
        stoploss=0.1,
        trailing=Trailing(positive=0.02),
    ),
    Case(
        "an entry candle below the offset is stopped by the trail at its own distance, at the low",
        "100 101 99 100 L / 100 102 96.5 98 / 98 99 97 98",
        [(1, 1, "long", "trailing_stop_loss", 100, 96.5)],
        stoploss=0.05,
        trailing=Trailing(positive=0.01, offset=0.03),
    ),
    Case(
        "a short in profit is followed from its low",
        "100 101 99 100 S / 100 100 99 100 / 96 96.5 95 96 / 96 98 95.5 97 / 97 98 96 97",
        [(1, 3, "short", "trailing_stop_loss", 100, 96.9)],
        stoploss=0.1,
        trailing=Trailing(positive=0.02, offset=0.03),
    ),
    Case(
        "with leverage 2 offset and positive distance are halves in price",
        "100 101 99 100 L / 100 101 99 100 / 105 106 104.5 105 / 105 105 103 104 / 104 105 103 104",
        [(1, 3, "long", "trailing_stop_loss", 100, 103.88)],
        stoploss=0.2,
        trailing=Trailing(positive=0.04, offset=0.06),
        leverage=2,
    ),
]

# Trailing only once the offset is reached. "The trailing stoploss is only activated once the offset is reached. Until
# then, the stoploss remains at the configured stoploss" (stoploss.md). "On trade entry candles that trigger trailing
# stoploss, the minimum offset is assumed (instead of high) - and the stop is calculated from this point"
# (backtesting.md). Tool: a high exactly at the offset moves the stop by `stoploss`, not by the positive distance,
# though the example in stoploss.md says otherwise; the offset must be larger than the positive distance, and without a
# positive distance the tool refuses to start, though stoploss.md allows it. Left out: the worst path of an entry candle
# with leverage, where the tool forgets to divide the offset by it.
ONLY_OFFSET = [
    Case(
        "before the offset the stop does not trail",
        "100 101 99 100 L / 100 101 99 100 / 100 102.9 99 102 / 102 102 91 92 / 92 93 91 92",
        [(1, 4, "long", "force_exit", 100, 92)],
        stoploss=0.1,
        trailing=Trailing(positive=0.02, offset=0.03, only_offset=True),
    ),
    Case(
        "before the offset the first stop holds",
        "100 101 99 100 L / 100 101 99 100 / 100 102.9 99 102 / 102 102 89 92 / 92 93 91 92",
        [(1, 3, "long", "stop_loss", 100, 90)],
        stoploss=0.1,
        trailing=Trailing(positive=0.02, offset=0.03, only_offset=True),
    ),
    Case(
        "beyond the offset the stop follows at the positive distance",
        "100 101 99 100 L / 100 101 99 100 / 103 104 102.5 103 / 103 103.5 101 102 / 102 103 101 102",
        [(1, 3, "long", "trailing_stop_loss", 100, 101.92)],
        stoploss=0.1,
        trailing=Trailing(positive=0.02, offset=0.03, only_offset=True),
    ),
    Case(
        "beyond the offset a short's stop follows its low at the positive distance",
        "100 101 99 100 S / 100 101 99 100 / 96.5 97.5 96 97 / 97 99 96.5 98 / 98 99 97 98",
        [(1, 3, "short", "trailing_stop_loss", 100, 97.92)],
        stoploss=0.1,
        trailing=Trailing(positive=0.02, offset=0.03, only_offset=True),
    ),
    Case(
        "a high exactly at the offset moves the stop at its own distance only",
        "128 129 127 128 L / 128 129 127 128 / 130 132 129 131 / 131 131 115 116 / 116 117 115 116",
        [(1, 3, "long", "trailing_stop_loss", 128, 115.5)],
        stoploss=0.125,
        trailing=Trailing(positive=0.015625, offset=0.03125, only_offset=True),
    ),
    Case(
        "the candle that passes the offset may be stopped by its own low",
        "100 101 99 100 L / 100 101 99 100 / 105 108 104 106 / 106 107 105 106",
        [(1, 2, "long", "trailing_stop_loss", 100, 105.84)],
        stoploss=0.1,
        trailing=Trailing(positive=0.02, offset=0.03, only_offset=True),
    ),
    Case(
        "a candle that passes the offset but touches the first stop fills there",
        "100 101 99 100 L / 100 101 99 100 / 100 108 89 95 / 95 96 94 95",
        [(1, 2, "long", "stop_loss", 100, 90)],
        stoploss=0.1,
        trailing=Trailing(positive=0.02, offset=0.03, only_offset=True),
    ),
    Case(
        "on the entry candle the worst path just reaches the offset and turns",
        "100 101 99 100 L / 100 106 99.5 105 / 105 106 104 105",
        [(1, 1, "long", "trailing_stop_loss", 100, 101)],
        stoploss=0.1,
        trailing=Trailing(positive=0.02, offset=0.03, only_offset=True),
    ),
    Case(
        "on a short's entry candle the worst path just reaches the offset and turns",
        "100 101 99 100 S / 100 100.5 94 95 / 95 96 94 95",
        [(1, 1, "short", "trailing_stop_loss", 100, 99)],
        stoploss=0.1,
        trailing=Trailing(positive=0.02, offset=0.03, only_offset=True),
    ),
    Case(
        "a stop that came nearer stays when the profit falls back under the offset",
        "100 101 99 100 L / 100 101 99 100 / 103 106 103 105"
        "/ 102.95 102.98 102.94 102.95 / 102.9 103 102 102.5 / 102 103 101 102",
        [(1, 4, "long", "trailing_stop_loss", 100, 102.926)],
        stoploss=0.1,
        trailing=Trailing(positive=0.029, offset=0.03, only_offset=True),
    ),
    Case(
        "with leverage 2 the offset is reached at half of it in price",
        "100 101 99 100 L / 100 101 99 100 / 103 104 102.5 103 / 103 103.5 101 102 / 102 103 101 102",
        [(1, 3, "long", "trailing_stop_loss", 100, 101.92)],
        stoploss=0.2,
        trailing=Trailing(positive=0.04, offset=0.06, only_offset=True),
        leverage=2,
    ),
]

TRAILING = PLAIN_TRAILING + POSITIVE + ONLY_OFFSET
