"""Walk a plain account: the third way through history, for the sweeps that are most of all sweeps.

Market orders of one layer, all or a part of the cash, a stop and a target that stay where they are, costs in
proportion (``known.PLAIN`` says it exactly). What an order does is done by the same functions as everywhere
(``trading``, ``book``, ``tally``); new is only how few of them a bar then needs, and that each of them stands in the
machine code once, so that all of it stays in the nearest cache. `tests/property/test_events.py` holds it to the
reference.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine.exits import RUIN, SIGNAL, STOP, TARGET
from tradelab.engine.fills import AT_CLOSE, AT_OPEN, INTRABAR
from tradelab.engine.jit import Row, inlined, kernel
from tradelab.engine.path import passed
from tradelab.engine.quiet import corridor, leap
from tradelab.engine.simulate import read
from tradelab.engine.single import close_line
from tradelab.engine.tally import MOVE, count_bar, count_fill, count_flat, count_held, count_order
from tradelab.engine.tape import Tape, next_bit, signals_at
from tradelab.engine.trading import (
    AS_LIMIT,
    AS_STOP,
    AT_MARKET,
    CLOSE_IT,
    GO_LONG,
    LONG_ENTRY,
    LONG_EXIT,
    NOTHING,
    SHORT_ENTRY,
    SHORT_EXIT,
    Bar,
    decide,
    enter,
    leave,
)


@inlined
def asked_for(qty: float) -> int:
    """The signals that can change anything for a position."""
    if qty == 0.0:
        return LONG_ENTRY | SHORT_ENTRY
    return LONG_EXIT | SHORT_ENTRY if qty > 0.0 else SHORT_EXIT | LONG_ENTRY


@inlined
def guarded(line: Row, open_: float, high: float, low: float, terms: Row) -> tuple[float, int]:
    """Price and reason of the exit that a bar brings, the worse side first; NaN price: it brings none."""
    direction = 1 if line.qty > 0.0 else -1
    if terms.gap_beats_stop != 0 and passed(direction, line.target, open_):
        return open_, TARGET
    if passed(-direction, line.stop, open_):
        return open_, STOP
    worst, best = (low, high) if direction > 0 else (high, low)
    if passed(-direction, line.stop, worst):
        return line.stop, STOP
    if passed(direction, line.target, best):
        return (open_ if passed(direction, line.target, open_) else line.target), TARGET
    return np.nan, 0


@inlined
def live_plain(
    account: Row, line: Row, seat: Row, tally: Row, bar: int, signals: int, orders: np.ndarray, tape: Tape,
    move: float, terms: Row,
) -> None:  # fmt: skip
    """Live one bar: what waits is done at its open, exits inside, what it decides at its close where policy says."""
    now = Bar(bar, tape.open[bar], tape.high[bar], tape.low[bar], tape.close[bar], np.nan)
    spoken = signals
    for when in range(AT_OPEN, AT_CLOSE + 1):
        wants, quote, kind, reason = NOTHING, now.open, AT_MARKET, SIGNAL
        if when == INTRABAR:
            if line.qty != 0.0 and (terms.exits_on_entry_bar != 0 or line.entry_bar != bar):
                quote, reason = guarded(line, now.open, now.high, now.low, terms)
                if not np.isnan(quote):
                    wants, kind = CLOSE_IT, (AS_STOP if reason == STOP else AS_LIMIT)
                    if terms.enter_at_close != 0 and terms.signals_after_exit == 0:
                        spoken = 0
        elif when == AT_OPEN:
            if line.signals == 0:
                continue
            wants = decide(line.qty, line.signals, False, True)
        else:
            read(line, spoken, terms)
            if terms.enter_at_close == 0:
                break
            quote = now.close
            wants = decide(line.qty, line.signals, False, True)
        if when != INTRABAR:
            line.signals = 0
        if wants == NOTHING:
            continue
        if wants == CLOSE_IT:
            fill = leave(account, line, quote, abs(line.qty), kind, reason, np.nan, terms)
        else:
            fill = enter(account, line, now, quote, 1 if wants == GO_LONG else -1, AT_MARKET, np.nan, SIGNAL, terms)
        if fill.qty != 0.0:
            count_fill(tally, seat, bar, when, fill.side, fill.qty, fill.price, fill.fees, 0.0, fill.stop)
    stand_at(account, line, now.close)
    if account.cash + account.net <= 0.0 and account.ruined == 0:
        account.ruined = 1
        if close_line(account, line, orders, 0, now, now.close, RUIN, terms) > 0:
            count_order(tally, seat, orders[0])
        stand_at(account, line, now.close)
    count_bar(tally, bar, len(tape.close) - 1, account.cash + account.net, line.qty != 0.0, move)


@inlined
def stand_at(account: Row, line: Row, close: float) -> None:
    """Value a line as it stands after a close."""
    line.value = line.qty * close if line.qty != 0.0 else 0.0
    account.net, account.gross = line.value, abs(line.value)


@kernel
def walk_plain(
    account: Row, line: Row, seat: Row, tally: Row, first: int, last: int, origin: int, words: np.ndarray,
    running: np.ndarray, orders: np.ndarray, tape: Tape, _rows: np.ndarray, _given: int, terms: Row, parts: int,
) -> None:  # fmt: skip
    """Carry one combination over bars ``first`` up to ``last`` of the tile that begins at ``origin``."""
    bar = first
    while bar < last:
        if line.signals == 0:
            signal = origin + next_bit(words, asked_for(line.qty), bar - origin, last - origin)
            until = signal if terms.enter_at_close != 0 else min(signal + 1, last)  # else done at the next open
            if line.qty == 0.0:
                count_flat(tally, until - bar)
            else:
                low, high = corridor(account, line, bar, terms)
                until = leap(low, high, bar, until - 1, tape.low, tape.high, tape.blocks)
                if until > bar:
                    count_held(
                        tally, bar, until - 1, account.cash, line.qty, tape.close, tape.blocks, running, origin, parts
                    )
            if until > bar:
                bar = until
                stand_at(account, line, tape.close[bar - 1])
                if signal == bar - 1:
                    signals = signals_at(words, signal - origin)
                    if decide(line.qty, signals, False, True) != NOTHING:
                        read(line, signals, terms)
                    continue
                if bar == last:
                    break
        signals, move = signals_at(words, bar - origin), running[bar - origin, MOVE]
        live_plain(account, line, seat, tally, bar, signals, orders, tape, move, terms)
        bar += 1
