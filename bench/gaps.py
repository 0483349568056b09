"""Count what a thousand disconnects and two hundred stalls do to bars and fills through the real ccxt client."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.property.gap_world import PLAYS, Play, Told, play_through
from tests.property.test_stream_gaps import facts, money_missing
from tradelab.model.feed_events import FeedGap, FeedPolling, FeedStale

ROW = "{:<14}{:>12}{:>8}{:>8}{:>9}{:>8}{:>9}{:>8}{:>8}{:>8}{:>9}{:>8}{:>8}{:>8}"
HEAD = (
    "venue", "disconnects", "stalls", "others", "minutes", "bars", "wrong", "filled", "fills", "missed", "doubled",
    "money", "alarms", "s",
)  # fmt: skip


def row(play: Play, told: Told, seconds: float) -> tuple[object, ...]:
    """Return the figures of one run; *filled* are bars that the stream did not show."""
    wrong = sum((Counter(told.true_bars) - Counter(told.bars)).values()) + (told.bars != told.true_bars)
    others = sum(told.done.values()) - play.disconnects - play.stalls
    missed = Counter(map(facts, told.true_fills)) - Counter(map(facts, told.fills))
    doubled = len(told.fills) - len({(f.symbol, f.trade_id) for f in told.fills})
    filled = sum(a.bars for a in told.alarms if isinstance(a, FeedGap))
    alarms = sum(isinstance(a, FeedStale | FeedPolling) for a in told.alarms)
    return (
        play.dialect, play.disconnects, play.stalls, others, round(told.minutes), len(told.bars), wrong, filled,
        len(told.fills), sum(missed.values()), doubled, money_missing(told), alarms, round(seconds, 1),
    )  # fmt: skip


def main() -> None:
    """Run every play and print a row of each, and the sum."""
    print(ROW.format(*HEAD))
    rows = []
    for play in PLAYS:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            told = asyncio.run(play_through(play, Path(folder)))
        rows.append(row(play, told, time.perf_counter() - began))
        print(ROW.format(*map(str, rows[-1])))
    print(ROW.format("all", *(str(round(sum(column), 1)) for column in list(zip(*rows, strict=True))[1:])))


if __name__ == "__main__":
    main()
