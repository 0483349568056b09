"""Run many combinations over one instrument by visiting only the bars on which something happens.

The second kernel: it means what ``simulate`` means, for it lives a bar with the same functions (``trading``); new is
only what lies between. From a signal it leaps to the next bar that can matter to the position it has (``quiet``), and
what the account did meanwhile is counted in one go (``tally``). ``docs/event-kernel.md`` tells it with a drawing.

Bars are walked in tiles, so that what a tile needs stays in the nearest caches while all combinations pass over it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from tradelab.engine.book import ACCOUNT, LINE, ORDER, clear
from tradelab.engine.borrow import borrowed
from tradelab.engine.exits import LAST, RUIN
from tradelab.engine.fills import AT_CLOSE, AT_OPEN
from tradelab.engine.jit import Row, inlined, kernel
from tradelab.engine.program import Space, Tables, evaluate_tile, signal_words
from tradelab.engine.quiet import FAR, corridor, leap, leap_following, leaps, moves, next_clock, resting_corridor
from tradelab.engine.simulate import ORDERS_A_BAR, at_close, charge, inside, read_row, written
from tradelab.engine.tally import (
    PART,
    TALLY,
    begin,
    count_bar,
    count_flat,
    count_held,
    count_order,
    end_part,
    finish_tally,
    run_sums,
)
from tradelab.engine.terms import CLOSED_AT_OPEN, LEFT_OPEN
from tradelab.engine.trades import SEAT
from tradelab.engine.trading import (
    AT_MARKET,
    LONG_ENTRY,
    LONG_EXIT,
    SHORT_ENTRY,
    SHORT_EXIT,
    Bar,
    act,
    forget_entry,
    leave,
)

_ZERO, _ONE = np.uint64(0), np.uint64(1)


class Tape(NamedTuple):
    """One instrument's bars, float64 of shape (bars,), and what is known of them beforehand.

    ``blocks`` from ``tally.index_blocks``; ``volume``, ``funding``, ``nights`` and ``ends`` (of sessions) may have no
    rows; ``clock`` of shape (bars,) is the next bar, from each, on which one of the last three is not 0.
    """

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    blocks: np.ndarray
    funding: np.ndarray
    nights: np.ndarray
    ends: np.ndarray
    clock: np.ndarray


class State(NamedTuple):
    """All that is remembered of combinations between two tiles: one row each."""

    accounts: np.ndarray
    lines: np.ndarray
    seats: np.ndarray
    tallies: np.ndarray
    parts: np.ndarray  # (combinations, parts)
    tails: np.ndarray  # (combinations, 4): the last word of the tile before, for what acts late


class Day(NamedTuple):
    """What else is known of a bar: ATR, nights it ends, funding due, whether a session or history ends with it."""

    unit: float
    nights: float
    funding: float
    ends: bool
    is_last: bool


@inlined
def next_bit(words: np.ndarray, flags: int, first: int, last: int) -> int:
    """First bar of a tile, from ``first`` on, that bears one of the signals in ``flags``; ``last`` where none does."""
    if first >= last:
        return last
    w = first >> 6
    mask = ~_ZERO << np.uint64(first & 63)
    while w <= (last - 1) >> 6:
        found = _ZERO
        if flags & LONG_ENTRY:
            found |= words[0, w]
        if flags & LONG_EXIT:
            found |= words[1, w]
        if flags & SHORT_ENTRY:
            found |= words[2, w]
        if flags & SHORT_EXIT:
            found |= words[3, w]
        found &= mask
        if found != _ZERO:
            return min((w << 6) + np.int64(trailing_zeros(found)), last)
        mask = ~_ZERO
        w += 1
    return last


@inlined
def signals_at(words: np.ndarray, at: int) -> int:
    """The four flags of one bar of a tile."""
    w, bit = at >> 6, np.uint64(at & 63)
    flags = np.int64(0)
    for k in range(4):
        flags |= np.int64((words[k, w] >> bit) & _ONE) << k
    return flags


@inlined
def asked_for(line: Row, terms: Row) -> int:
    """The signals that can change anything for a line as it stands."""
    if line.rest_side != 0:
        return LONG_ENTRY | LONG_EXIT | SHORT_ENTRY | SHORT_EXIT
    if line.qty == 0.0:
        return LONG_ENTRY | SHORT_ENTRY
    more = line.layers < terms.layers
    if line.qty > 0.0:
        return LONG_EXIT | SHORT_ENTRY | (LONG_ENTRY if more else 0)
    return SHORT_EXIT | LONG_ENTRY | (SHORT_ENTRY if more else 0)


@inlined
def stand(account: Row, line: Row, close: float, bar_range: float) -> None:
    """Value a line as it stands after a close, with nothing left of earlier rounding."""
    line.last, line.range = close, bar_range
    line.value = line.qty * close if line.qty != 0.0 else 0.0
    account.net, account.gross = line.value, abs(line.value)


@kernel
def late(words: np.ndarray, tail: np.ndarray, bars: int, count: int) -> None:
    """Move a tile's signals ``bars`` bars on, 1 to 63; the last word of the tile before comes in at the bottom."""
    shift = np.uint64(bars)
    for k in range(4):
        before = tail[k]
        for w in range(count):
            now = words[k, w]
            words[k, w] = (now << shift) | (before >> (np.uint64(64) - shift))
            before = now
        tail[k] = before


@inlined
def act_twice(
    account: Row, line: Row, orders: np.ndarray, n: int, bar: Bar, quote: float, when: int, terms: Row
) -> int:
    """Do what waits on a line: its exit, then its entry."""
    if line.qty != 0.0:
        n = written(orders, n, line, bar.number, 0, when, act(account, line, bar, quote, True, terms))
    if line.signals != 0:
        n = written(orders, n, line, bar.number, 0, when, act(account, line, bar, quote, False, terms))
    return n


@inlined
def live_bar(
    account: Row, line: Row, orders: np.ndarray, bar: Bar, day: Day, signals: int, wish: Row, given: int, terms: Row
) -> int:
    """Live one bar of one line in full, as ``simulate.live`` does; return how many orders it came to."""
    n = 0
    nights = day.nights
    if nights > 0.0 and account.cash < 0.0 and account.ruined == 0:
        account.cash += account.cash * terms.interest * nights / 365.0
    if line.qty != 0.0 and (nights > 0.0 or day.funding != 0.0):
        charge(account, line, bar.open, nights, day.funding, terms)
    if terms.enter_at_close == 0 and (line.signals != 0 or line.due != 0):
        if day.is_last and terms.enters_on_last_bar == 0:
            forget_entry(line, terms)
        n = act_twice(account, line, orders, n, bar, bar.open, AT_OPEN, terms)
    before = n
    if line.qty != 0.0 or line.rest_side != 0:
        n = inside(account, line, orders, n, 0, bar, day.unit, terms)
    n = at_close(account, line, orders, n, 0, bar, day.ends, terms)
    read_row(line, signals, wish, given, terms)
    if n > before and terms.enter_at_close != 0 and terms.signals_after_exit == 0:
        line.signals = 0
    if terms.enter_at_close != 0 and (line.signals != 0 or line.due != 0):
        stand(account, line, bar.close, bar.high - bar.low)
        n = act_twice(account, line, orders, n, bar, bar.close, AT_CLOSE, terms)
    if day.is_last and terms.last_bar != LEFT_OPEN:
        quote = bar.open if terms.last_bar == CLOSED_AT_OPEN else bar.close
        n = close_line(account, line, orders, n, bar, quote, LAST, terms)
    stand(account, line, bar.close, bar.high - bar.low)
    if account.cash + account.net <= 0.0 and account.ruined == 0:
        account.ruined = 1
        n = close_line(account, line, orders, n, bar, bar.close, RUIN, terms)
        stand(account, line, bar.close, bar.high - bar.low)
    return n


@inlined
def one_of(values: np.ndarray, bar: int) -> float:
    """A value of a bar, 0 where there are none."""
    return values[bar] if len(values) > 0 else 0.0


@kernel
def close_line(
    account: Row, line: Row, orders: np.ndarray, n: int, bar: Bar, quote: float, why: int, terms: Row
) -> int:
    """Close what a line holds."""
    if line.qty == 0.0:
        return n
    fill = leave(account, line, quote, abs(line.qty), AT_MARKET, why, bar.volume, terms)
    return written(orders, n, line, bar.number, 0, AT_CLOSE, fill)


@kernel
def walk(
    account: Row, line: Row, seat: Row, tally: Row, first: int, last: int, origin: int, words: np.ndarray,
    running: np.ndarray, orders: np.ndarray, tape: Tape, rows: np.ndarray, given: int, terms: Row, parts: int,
) -> None:  # fmt: skip
    """Carry one combination over bars ``first`` up to ``last`` of the tile that begins at ``origin``."""
    opens, highs, lows, closes, blocks = tape.open, tape.high, tape.low, tape.close, tape.blocks
    last_bar = len(closes) - 1
    at_close_fills, follows, may_leap = terms.enter_at_close != 0, moves(terms), leaps(terms)
    bar = first
    while bar < last:
        until = bar  # the first bar, from here on, to live in full
        if line.signals == 0 and line.due == 0:
            held, rests = line.qty != 0.0, line.rest_side != 0
            signal = origin + next_bit(words, asked_for(line, terms), bar - origin, last - origin)
            until = signal if at_close_fills else min(signal + 1, last)  # decided at its close, done at the next open
            if held:
                until = min(until, next_clock(line, terms, bar, last_bar))
                if len(tape.clock) > 0:
                    until = min(until, tape.clock[bar])
                if not may_leap or rests:
                    until = bar
                if until > bar:
                    low, high = corridor(account, line, bar, terms)
                    if follows:
                        until = leap_following(line, low, high, bar, until - 1, lows, highs, blocks, terms)
                    else:
                        until = leap(low, high, bar, until - 1, lows, highs, blocks)
                    if until > bar:
                        qty, cash = line.qty, account.cash
                        count_held(tally, bar, until - 1, cash, qty, closes, blocks, running, origin, parts)
            elif rests:
                until = min(until, line.rest_until)
                if len(tape.clock) > 0:
                    until = min(until, tape.clock[bar])
                if until > bar:
                    low, high = resting_corridor(line, terms)
                    until = leap(low, high, bar, until - 1, lows, highs, blocks)
                    count_flat(tally, until - bar)
            else:
                count_flat(tally, until - bar)
            if until > bar:
                before = until - 1
                stand(account, line, closes[before], highs[before] - lows[before])
                bar = until
                if signal == before and before >= terms.latency:
                    wish = rows[before - terms.latency if len(rows) > 1 else 0]
                    read_row(line, signals_at(words, before - origin), wish, given, terms)
                    continue
                if bar == last:
                    break
        volume = tape.volume[bar] if len(tape.volume) > 0 else np.nan
        lived = Bar(bar, opens[bar], highs[bar], lows[bar], closes[bar], volume)
        unit = rows[bar].unit if len(rows) > 1 else np.nan
        day = Day(unit, 0.0, 0.0, False, bar == last_bar)
        if len(tape.clock) > 0:
            ends = len(tape.ends) > 0 and tape.ends[bar] != 0
            day = Day(unit, one_of(tape.nights, bar), one_of(tape.funding, bar), ends, bar == last_bar)
        wish = rows[max(bar - terms.latency, 0) if len(rows) > 1 else 0]
        n = live_bar(account, line, orders, lived, day, signals_at(words, bar - origin), wish, given, terms)
        for j in range(n):
            count_order(tally, seat, orders[j])
        market = closes[bar] / closes[bar - 1] - 1.0 if bar > 0 else 0.0
        count_bar(tally, bar, last_bar, account.cash + account.net, line.qty != 0.0, market)
        bar += 1


@kernel
def borrow_tape(t: Tape) -> Tape:
    """Borrow all arrays of a tape."""
    return Tape(
        borrowed(t.open), borrowed(t.high), borrowed(t.low), borrowed(t.close), borrowed(t.volume),
        borrowed(t.blocks), borrowed(t.funding), borrowed(t.nights), borrowed(t.ends), borrowed(t.clock),
    )  # fmt: skip


@kernel
def borrow_state(s: State) -> State:
    """Borrow all arrays of a state."""
    return State(
        borrowed(s.accounts), borrowed(s.lines), borrowed(s.seats), borrowed(s.tallies), borrowed(s.parts),
        borrowed(s.tails),
    )  # fmt: skip


@kernel
def borrow_tables(t: Tables) -> Tables:
    """Borrow all arrays of a program."""
    return Tables(
        borrowed(t.code), borrowed(t.combinations), borrowed(t.columns), borrowed(t.given), t.shared, t.float_base,
        t.word_base,
    )  # fmt: skip


@kernel
def borrow_space(s: Space) -> Space:
    """Borrow a program's memory."""
    return Space(borrowed(s.floats), borrowed(s.words), s.room)


@kernel
def sweep(
    tables: Tables, space: Space, tape: Tape, rows: np.ndarray, given: int, terms: np.ndarray, which: np.ndarray,
    flags: np.ndarray, state: State, edges: np.ndarray, begin_at: int, end_at: int,
) -> None:  # fmt: skip
    """Carry combinations ``begin_at`` up to ``end_at`` over all bars.

    Parameters
    ----------
    tables, space
        The program of their signals, and one thread's memory for it.
    rows, given
        Shape (bars,) of ``WISH`` and the bits of what it gives, as in ``simulate.Wishes``; or one empty row and 0.
    terms, which
        Rows of ``TERMS``, and which of them each combination trades on.
    flags
        Which signals each combination may use: bits as in ``trading``.
    state
        As ``fresh_state`` returns it; ``tallies`` and ``parts`` are the result.
    edges
        Shape (parts + 1,): the bars at which the parts of history begin, and the number of bars.
    """
    room = space.room
    words, running = np.empty((4, room >> 6), np.uint64), np.empty((room + 1, 8))
    orders = np.empty(ORDERS_A_BAR, ORDER)
    carry_all(
        borrow_tables(tables), borrow_space(space), borrow_tape(tape), borrowed(rows), given, terms, which, flags,
        borrow_state(state), edges, begin_at, end_at, borrowed(words), borrowed(running), borrowed(orders),
    )  # fmt: skip
    keep(words, running, orders)


@kernel
def keep(words: np.ndarray, running: np.ndarray, orders: np.ndarray) -> int:
    """Be the last to use what was lent, so that it is not given back before."""
    return len(words) + len(running) + len(orders)


@kernel
def carry_all(
    tables: Tables, space: Space, tape: Tape, rows: np.ndarray, given: int, terms: np.ndarray, which: np.ndarray,
    flags: np.ndarray, state: State, edges: np.ndarray, begin_at: int, end_at: int, words: np.ndarray,
    running: np.ndarray, orders: np.ndarray,
) -> None:  # fmt: skip
    """Walk the tiles, and in each all combinations."""
    bars, room = len(tape.close), space.room
    parts = len(edges) - 1
    first, part = 0, 0
    while first < bars:
        last = min(first + room, bars)
        evaluate_tile(tables, space, first, last)
        run_sums(tape.close, first, last, running)
        count = (last - first + 63) >> 6
        part_after = part
        for c in range(begin_at, end_at):
            signal_words(tables, space, first, last, c, words)
            row = terms[which[c]]
            for k in range(4):
                if not (flags[c] >> k) & 1:
                    for w in range(count):
                        words[k, w] = _ZERO
            if row.latency > 0:
                late(words, state.tails[c], row.latency, count)
            account, line = state.accounts[c], state.lines[c]
            seat, tally = state.seats[c], state.tallies[c]
            at, now = first, part
            while now < parts and edges[now + 1] <= last:
                walk(
                    account,
                    line,
                    seat,
                    tally,
                    at,
                    edges[now + 1],
                    first,
                    words,
                    running,
                    orders,
                    tape,
                    rows,
                    given,
                    row,
                    parts,
                )
                end_part(tally, state.parts[c, now])
                at = edges[now + 1]
                now += 1
            if at < last:
                walk(account, line, seat, tally, at, last, first, words, running, orders, tape, rows, given, row, parts)
            part_after = now
        part = part_after
        first = last
    for c in range(begin_at, end_at):
        finish_tally(state.tallies[c], state.seats[c], bars)


@kernel
def fresh_state(combinations: int, parts: int, init_cash: np.ndarray) -> State:
    """Memory of combinations that start with ``init_cash`` each, shape (combinations,)."""
    accounts = np.zeros(combinations, ACCOUNT)
    lines = np.zeros(combinations, LINE)
    seats = np.zeros(combinations, SEAT)
    tallies = np.zeros(combinations, TALLY)
    for c in range(combinations):
        accounts[c].cash = init_cash[c]
        accounts[c].dust = 1e-9 * init_cash[c]
        clear(lines[c])
        lines[c].last = lines[c].range = np.nan
        begin(tallies[c], init_cash[c])
    return State(
        accounts, lines, seats, tallies, np.zeros((combinations, parts), PART), np.zeros((combinations, 4), np.uint64)
    )


__all__ = ["FAR", "State", "Tape", "fresh_state", "sweep"]
