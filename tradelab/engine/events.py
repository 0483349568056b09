"""Run many combinations over one instrument by visiting only the bars on which something happens.

The second kernel: it means what ``simulate`` means, for it lives a bar with the same functions (``trading``); new is
only what lies between. From a signal it leaps to the next bar that can matter to the position it has (``quiet``), and
what the account did meanwhile is counted in one go (``tally``). ``docs/event-kernel.md`` tells it with a drawing.

Bars are walked in tiles, so that what a tile needs stays in the nearest caches while all combinations pass over it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from tradelab.engine.book import ACCOUNT, DUST, LINE, ORDER, clear
from tradelab.engine.borrow import borrowed
from tradelab.engine.jit import Row, inlined, kernel
from tradelab.engine.program import Space, Tables, evaluate_tile, signal_words
from tradelab.engine.quiet import corridor, leap, leap_following, leaps, moves, next_clock, resting_corridor
from tradelab.engine.simulate import ORDERS_A_BAR, read_row
from tradelab.engine.single import Day, live_bar, one_of, stand
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
from tradelab.engine.trades import SEAT
from tradelab.engine.trading import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT, Bar

_ZERO, _ONE = np.uint64(0), np.uint64(1)
_zeros_below: Any = trailing_zeros


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
            at: Any = (w << 6) + np.int64(_zeros_below(found))
            return at if at < last else last
        mask = ~_ZERO
        w += 1
    return last


@inlined
def signals_at(words: np.ndarray, at: int) -> int:
    """The four flags of one bar of a tile."""
    w, bit = at >> 6, np.uint64(at & 63)
    flags: Any = np.int64(0)
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
def leapt(
    account: Row, line: Row, tally: Row, bar: int, until: int, origin: int, running: np.ndarray, tape: Tape,
    terms: Row, parts: int,
) -> int:  # fmt: skip
    """Leap from ``bar`` towards ``until`` and count the bars between; return the first that must be lived in full."""
    held, rests = line.qty != 0.0, line.rest_side != 0
    if not held and not rests:
        count_flat(tally, until - bar)
        return until
    if (held and rests) or (held and not leaps(terms)):
        return bar
    until = min(until, next_clock(line, terms, bar, len(tape.close) - 1) if held else line.rest_until)
    if len(tape.clock) > 0:
        until = min(until, tape.clock[bar])
    if until <= bar:
        return bar
    low, high = corridor(account, line, bar, terms) if held else resting_corridor(line, terms)
    if held and moves(terms):
        until = leap_following(line, low, high, bar, until - 1, tape.low, tape.high, tape.blocks, terms)
    else:
        until = leap(low, high, bar, until - 1, tape.low, tape.high, tape.blocks)
    if not held:
        count_flat(tally, until - bar)
    elif until > bar:
        cash, qty = account.cash, line.qty
        count_held(tally, bar, until - 1, cash, qty, tape.close, tape.blocks, running, origin, parts)
    return until


@inlined
def lived(
    account: Row, line: Row, seat: Row, tally: Row, bar: int, signals: int, orders: np.ndarray, tape: Tape,
    rows: np.ndarray, given: int, terms: Row,
) -> None:  # fmt: skip
    """Live one bar in full and count it."""
    close, last_bar = tape.close[bar], len(tape.close) - 1
    volume = tape.volume[bar] if len(tape.volume) > 0 else np.nan
    now = Bar(bar, tape.open[bar], tape.high[bar], tape.low[bar], close, volume)
    unit = rows[bar].unit if len(rows) > 1 else np.nan
    day = Day(unit, 0.0, 0.0, False, bar == last_bar)
    if len(tape.clock) > 0:
        ends = len(tape.ends) > 0 and tape.ends[bar] != 0
        day = Day(unit, one_of(tape.nights, bar), one_of(tape.funding, bar), ends, bar == last_bar)
    wish = rows[max(bar - terms.latency, 0) if len(rows) > 1 else 0]
    for j in range(live_bar(account, line, orders, now, day, signals, wish, given, terms)):
        count_order(tally, seat, orders[j])
    market = close / tape.close[bar - 1] - 1.0 if bar > 0 else 0.0
    count_bar(tally, bar, last_bar, account.cash + account.net, line.qty != 0.0, market)


@kernel
def walk(
    account: Row, line: Row, seat: Row, tally: Row, first: int, last: int, origin: int, words: np.ndarray,
    running: np.ndarray, orders: np.ndarray, tape: Tape, rows: np.ndarray, given: int, terms: Row, parts: int,
) -> None:  # fmt: skip
    """Carry one combination over bars ``first`` up to ``last`` of the tile that begins at ``origin``."""
    bar = first
    while bar < last:
        if line.signals == 0 and line.due == 0:  # nothing waits: on to the next bar that can matter
            signal = origin + next_bit(words, asked_for(line, terms), bar - origin, last - origin)
            until = signal if terms.enter_at_close != 0 else min(signal + 1, last)  # else done at the next open
            until = leapt(account, line, tally, bar, until, origin, running, tape, terms, parts)
            if until > bar:
                before, bar = until - 1, until
                stand(account, line, tape.close[before], tape.high[before] - tape.low[before])
                if signal == before and before >= terms.latency:
                    wish = rows[before - terms.latency if len(rows) > 1 else 0]
                    read_row(line, signals_at(words, before - origin), wish, given, terms)
                    continue
                if bar == last:
                    break
        signals = signals_at(words, bar - origin)
        lived(account, line, seat, tally, bar, signals, orders, tape, rows, given, terms)
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
        accounts[c].dust = DUST * init_cash[c]
        clear(lines[c])
        lines[c].last = lines[c].range = np.nan
        begin(tallies[c], init_cash[c])
    return State(
        accounts, lines, seats, tallies, np.zeros((combinations, parts), PART), np.zeros((combinations, 4), np.uint64)
    )
