"""Run many combinations over one instrument by visiting only the bars on which something happens.

The second kernel: it means what ``simulate`` means, for it lives a bar with the same functions (``trading``); new is
only what lies between. From a signal it leaps to the next bar that can matter to the position it has (``quiet``), and
what the account did meanwhile is counted in one go (``tally``). ``docs/event-kernel.md`` tells it with a drawing.

Bars are walked in tiles, so that what a tile needs stays in the nearest caches while all combinations pass over it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tradelab.engine.book import ACCOUNT, LINE, ORDER, fresh_accounts, fresh_lines
from tradelab.engine.far import Far, frame_of, grid_at, number_at, row_at, run
from tradelab.engine.jit import Primitive, Row, inlined, kernel
from tradelab.engine.known import as_is, as_plain, as_simple, lane_of
from tradelab.engine.plain import walk_plain
from tradelab.engine.program import Space, Tables, evaluate_tile, signal_words
from tradelab.engine.program_ops import INSTRUCTION
from tradelab.engine.quiet import corridor, leap, leap_following, leaps, moves, next_clock, resting_corridor
from tradelab.engine.simulate import ORDERS_A_BAR, read_row
from tradelab.engine.single import Day, live_bar, one_of, stand
from tradelab.engine.tally import (
    MOVE,
    PART,
    RUNNING,
    TALLY,
    count_bar,
    count_flat,
    count_held,
    count_order,
    end_part,
    finish_tally,
    run_along,
)
from tradelab.engine.tape import Tape, next_bit, signals_at
from tradelab.engine.terms import TERMS, WISH
from tradelab.engine.trades import SEAT
from tradelab.engine.trading import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT, Bar

_ZERO = np.uint64(0)
SHIFT = 63  # bars that signals are moved on at once
fetch: Any = Primitive("fetch")


class Scratch(NamedTuple):
    """What one thread writes on: a combination's signals in a tile, running sums over it, the orders of a bar."""

    words: np.ndarray
    running: np.ndarray
    orders: np.ndarray


class State(NamedTuple):
    """All that is remembered of combinations between two tiles: one row each."""

    accounts: np.ndarray
    lines: np.ndarray
    seats: np.ndarray
    tallies: np.ndarray
    parts: np.ndarray  # (combinations, parts)
    tails: np.ndarray  # (combinations, 4 a shift): the last word of the tile before, for what acts late


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
    """Move a tile's signals ``bars`` bars on, 63 at a time; the last word of the tile before comes in at the bottom."""
    at = 0
    while bars > 0:
        shift = np.uint64(min(bars, SHIFT))
        for k in range(4):
            before = tail[at + k]
            for w in range(count):
                now = words[k, w]
                words[k, w] = (now << shift) | (before >> (np.uint64(64) - shift))
                before = now
            tail[at + k] = before
        bars, at = bars - SHIFT, at + 4


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
    move: float, rows: np.ndarray, given: int, terms: Row,
) -> None:  # fmt: skip
    """Live one bar in full and count it; ``move`` is the market's return on it."""
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
    count_bar(tally, bar, last_bar, account.cash + account.net, line.qty != 0.0, move)


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
        move = running[bar - origin, MOVE]
        lived(account, line, seat, tally, bar, signals, orders, tape, move, rows, given, terms)
        bar += 1


_f8, _i8, _u8, _u1 = np.float64, np.int64, np.uint64, np.uint8
_KINDS = (
    *(INSTRUCTION, _i8, _f8, _u8, None, None, None),  # tables
    *(_f8, _u8, None),  # space
    *(_f8, _f8, _f8, _f8, _f8, _f8, _f8, _f8, _u1, _i8),  # tape
    *(ACCOUNT, LINE, SEAT, TALLY, PART, _u8),  # state
    *(WISH, None, TERMS, _i8, _i8, _i8, _u8, _f8, ORDER),
)


def _carrier(name: str, walk_one: Any, as_known: Any) -> Any:
    """What carries all combinations over one tile, from part ``part`` of history on; returns the part it ends in."""

    def carry(
        tables: Tables, space: Space, tape: Tape, rows: np.ndarray, given: int, terms: np.ndarray, which: np.ndarray,
        flags: np.ndarray, state: State, edges: np.ndarray, scratch: Scratch, span: tuple[int, int, int, int],
        part: int,
    ) -> int:  # fmt: skip
        first, last, begin_at, end_at = span
        parts, now = len(edges) - 1, part
        for c in range(begin_at, end_at):
            row = terms[which[c]]
            signal_words(tables, space, first, last, c, scratch.words)
            fetch_state(state, min(c + 1, end_at - 1))
            prepare(scratch.words, (last - first + 63) >> 6, flags[c], row.latency, state.tails, c)
            at, now = first, part
            while at < last:
                stop = min(last, edges[now + 1]) if now < parts else last
                walk_one(
                    state.accounts[c], state.lines[c], state.seats[c], state.tallies[c], at, stop, first, scratch.words,
                    scratch.running, scratch.orders, tape, rows, given, as_known(row), parts,
                )  # fmt: skip
                if now < parts and stop == edges[now + 1]:
                    end_part(state.tallies[c], state.parts[c, now])
                    now += 1
                at = stop
        return now

    return kernel(_named(carry, f"carry_{name}"))


def _lane(name: str, walk_one: Any, as_known: Any) -> Far:
    """The machine code of one lane: walks the tiles, and in each all combinations; ``sweep`` writes its frame."""
    carry = _carrier(name, walk_one, as_known)

    def far(frame: int, begin_at: int, end_at: int, _third: int, _fourth: int) -> None:
        tables = Tables(
            row_at(frame, 0, INSTRUCTION), grid_at(frame, 1, _i8), grid_at(frame, 2, _f8), grid_at(frame, 3, _u8),
            number_at(frame, 4), number_at(frame, 5), number_at(frame, 6),
        )  # fmt: skip
        space = Space(row_at(frame, 7, _f8), row_at(frame, 8, _u8), number_at(frame, 9))
        tape = Tape(
            row_at(frame, 10, _f8), row_at(frame, 11, _f8), row_at(frame, 12, _f8), row_at(frame, 13, _f8),
            row_at(frame, 14, _f8), grid_at(frame, 15, _f8), row_at(frame, 16, _f8), row_at(frame, 17, _f8),
            row_at(frame, 18, _u1), row_at(frame, 19, _i8),
        )  # fmt: skip
        state = State(
            row_at(frame, 20, ACCOUNT), row_at(frame, 21, LINE), row_at(frame, 22, SEAT), row_at(frame, 23, TALLY),
            grid_at(frame, 24, PART), grid_at(frame, 25, _u8),
        )  # fmt: skip
        scratch = Scratch(grid_at(frame, 32, _u8), grid_at(frame, 33, _f8), row_at(frame, 34, ORDER))
        bars, first, part = len(tape.close), 0, 0
        while first < bars:
            last = min(first + space.room, bars)
            evaluate_tile(tables, space, first, last)
            run_along(tape.close, first, last, scratch.running)
            part = carry(
                tables, space, tape, row_at(frame, 26, WISH), number_at(frame, 27), row_at(frame, 28, TERMS),
                row_at(frame, 29, _i8), row_at(frame, 30, _i8), state, row_at(frame, 31, _i8), scratch,
                (first, last, begin_at, end_at), part,
            )  # fmt: skip
            first = last
        for c in range(begin_at, end_at):
            finish_tally(state.tallies[c], state.seats[c], bars)

    return _named(far, f"sweep_{name}")


def _named(function: Any, name: str) -> Any:
    """Give a function made here a name of its own, for machine code is told apart by names."""
    function.__name__ = function.__qualname__ = name
    return function


@inlined
def fetch_state(state: State, c: int) -> None:
    """Ask for the state of the combination that comes next."""
    fetch(state.accounts[c])
    fetch(state.lines[c])
    fetch(state.seats[c])
    fetch(state.tallies[c])


@kernel
def prepare(words: np.ndarray, count: int, flags: int, latency: int, tails: np.ndarray, c: int) -> None:
    """Take away signals that a combination may not use, and move the others on by its latency."""
    for k in range(4):
        if not (flags >> k) & 1:
            for w in range(count):
                words[k, w] = _ZERO
    if latency > 0:
        late(words, tails[c], latency, count)


LANES = (
    _lane("everything", walk, as_is),
    _lane("simple", walk, as_simple),
    _lane("plain", walk_plain, as_plain),
)


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
    words, running = np.empty((4, room >> 6), np.uint64), np.empty((room + 1, RUNNING))
    orders = np.empty(ORDERS_A_BAR, ORDER)
    parts = (*tables, *space, *tape, *state, rows, given, terms, which, flags, edges, words, running, orders)
    frame = frame_of(_KINDS, *parts)
    given_by_bar = len(rows) > 1 or len(tape.clock) > 0
    run(LANES[0 if given_by_bar else lane_of(terms)], frame, begin_at, end_at)


def fresh_state(combinations: int, parts: int, init_cash: np.ndarray, latency: int = 0) -> State:
    """Memory of combinations that start with ``init_cash`` each, shape (combinations,), and act ``latency`` late."""
    accounts, lines = fresh_accounts(init_cash), fresh_lines(combinations)
    seats, tallies = np.zeros(combinations, SEAT), np.zeros(combinations, TALLY)
    for name in ("equity", "peak", "part_peak"):
        tallies[name] = init_cash
    tallies["depth"] = tallies["part_depth"] = 1.0
    tallies["below"] = -1
    tallies["best"], tallies["worst"] = -np.inf, np.inf
    parts_ = np.zeros((combinations, parts), PART)
    tails = np.zeros((combinations, 4 * max(1, -(-latency // SHIFT))), np.uint64)
    return State(accounts, lines, seats, tallies, parts_, tails)
