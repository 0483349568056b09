"""Define what a backtest means: one bar after the other, written to be read.

``live`` is the whole semantics. History runs it over all bars (``simulate``), live trading over one (``step``); both
are the same machine code. Within one bar, in this order:

1. at the open, what holding over night costs is charged, then what was decided on the previous close is done: exits
   first, for they free cash, then entries;
2. inside the bar, each position's stop and targets are held against the bar, and resting entries fill;
3. at the close, stops learn the bar's extreme, the clock asks for its exits, and, where the policy fills at the close,
   signals are acted on;
4. an account whose equity is gone is closed out and trades no more.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine.book import ACCOUNT, LINE, ORDER, open_account, value_at, value_at_open
from tradelab.engine.exits import LAST, RUIN, SESSION
from tradelab.engine.far import cube_at, frame_of, grid_at, number_at, row_at, run
from tradelab.engine.fills import AT_CLOSE, AT_OPEN, INTRABAR
from tradelab.engine.jit import Row, inlined, kernel, maker
from tradelab.engine.market import Market as Market
from tradelab.engine.market import Marks as Marks
from tradelab.engine.market import Run as Run
from tradelab.engine.market import Wishes as Wishes
from tradelab.engine.market import bar_before, nights_until
from tradelab.engine.terms import (
    CLOSED_AT_OPEN,
    GIVES_EXIT_SIZE,
    GIVES_SIZE,
    GIVES_STOP,
    GIVES_TRAIL,
    LEFT_OPEN,
    MAX_TARGETS,
    TERMS,
    WISH,
)
from tradelab.engine.trading import (
    AT_MARKET,
    Bar,
    Fill,
    act,
    aims_wait,
    begin_bar,
    close_bar,
    end_inside,
    end_piece,
    end_pieces,
    fill_resting,
    forget_entry,
    guard,
    leave,
    opens_on,
    stays,
)

ORDERS_A_BAR = 2 * MAX_TARGETS + 8  # at most, of one instrument: two positions may leave by a whole ladder each


@inlined
def written(orders: np.ndarray, n: int, line: Row, bar: int, k: int, when: int, fill: Fill) -> int:
    """Write a fill as order ``n``, if there was one, and return the number of orders."""
    if fill.qty == 0.0:
        return n
    row = orders[n]
    row.bar, row.instrument, row.side = bar, k, fill.side
    row.qty, row.price, row.fees, row.stop = fill.qty, fill.price, fill.fees, fill.stop
    row.carry, line.carry = line.carry, 0.0
    row.when, row.reason = when, fill.reason
    return n + 1


@inlined
def one(values: np.ndarray, bar: int, k: int, otherwise: float) -> float:
    """A value of a bar, where there are any."""
    return values[bar, k] if len(values) > 0 else otherwise


@inlined
def bar_of(market: Market, bar: int, k: int) -> Bar:
    """One bar of one instrument."""
    volume = one(market.volume, bar, k, np.nan)
    return Bar(bar, market.open[bar, k], market.high[bar, k], market.low[bar, k], market.close[bar, k], volume)


@inlined
def charge(account: Row, line: Row, open_: float, nights: float, funding: float, terms: Row) -> None:
    """Charge what a position held over night costs: funding, swap, borrowed stock and borrowed cash."""
    cost = line.qty * open_ * funding
    if nights > 0.0:
        cost += nights * abs(line.qty) * (terms.swap_long if line.qty > 0.0 else terms.swap_short)
        if line.qty < 0.0:
            cost -= line.qty * open_ * terms.borrow * nights / 365.0
    account.cash -= cost
    line.spent += cost
    line.carry += cost


@inlined
def waits(lines: np.ndarray) -> bool:
    """Whether any instrument has something that waits to be acted on."""
    for k in range(len(lines)):  # noqa: SIM110 (a kernel has no generator)
        if lines[k].signals != 0 or lines[k].due != 0:
            return True
    return False


@kernel
def act_all(
    account: np.ndarray, lines: np.ndarray, orders: np.ndarray, n: int, bar: int, market: Market, when: int, terms: Row
) -> int:
    """Do what waits: exits of all instruments first, then entries in column order.

    An account that aims at weights is valued at the open it trades at before anything is traded there: else what the
    night has done to its positions would be taken for a drift of their weights, instrument by instrument.
    """
    if when == AT_OPEN and aims_wait(lines):
        value_at_open(account[0], lines, market.open, bar)
    for turn in range(2):
        for k in range(len(lines)):
            lived = bar_of(market, bar, k)
            quote = lived.open if when == AT_OPEN else lived.close
            n = written(orders, n, lines[k], bar, k, when, act(account[0], lines[k], lived, quote, turn == 0, terms))
    return n


@inlined
def read(line: Row, signals: int, terms: Row) -> None:
    """Take down what the strategy has decided at a bar's close; an entry that goes on resting keeps its own."""
    line.signals = signals
    if signals != 0:
        line.wish_exit = terms.exit_size
        if not stays(line):
            line.size, line.wish_stop, line.wish_trail = terms.size, terms.stop, terms.trail
            line.wish_target = line.wish_unit = line.wish_price = np.nan


@inlined
def read_row(line: Row, signals: int, wish: Row, given: int, terms: Row) -> None:
    """The same where some of it is given bar by bar."""
    read(line, signals, terms)
    if signals != 0 and given & GIVES_EXIT_SIZE:
        line.wish_exit = wish.exit_size
    if signals != 0 and not stays(line):
        if given & GIVES_SIZE:
            line.size = wish.size
        if given & GIVES_STOP:
            line.wish_stop = wish.stop
        if given & GIVES_TRAIL:
            line.wish_trail = wish.trail
        line.wish_target, line.wish_unit, line.wish_price = wish.target, wish.unit, wish.price


@inlined
def inside(account: Row, line: Row, orders: np.ndarray, n: int, k: int, bar: Bar, unit: float, terms: Row) -> int:
    """Live the inside of a bar on one line, and let its exits learn it."""
    n = walked(account, line, orders, n, k, bar, terms)
    if line.qty != 0.0:
        end_inside(line, bar, unit, terms)
    return n


@kernel
def inside_finer(
    account: Row, line: Row, orders: np.ndarray, n: int, k: int, bar: Bar, unit: float, market: Market, terms: Row
) -> int:
    """The same along the finer bars that lie in it: prices are theirs, whatever is counted or measured is the bar's."""
    prices = market.finer
    for i in range(market.within[bar.number, k, 0], market.within[bar.number, k, 1]):
        if line.qty == 0.0 and line.rest_side == 0:
            break
        piece = Bar(bar.number, prices[i, 0], prices[i, 1], prices[i, 2], prices[i, 3], bar.volume)
        n = walked(account, line, orders, n, k, piece, terms)
        if line.qty != 0.0:
            end_piece(line, piece, terms)
    if line.qty != 0.0:
        end_pieces(line, bar, unit, terms)
    return n


@inlined
def walked(account: Row, line: Row, orders: np.ndarray, n: int, k: int, bar: Bar, terms: Row) -> int:
    """Go through a bar: what its open meets, the exits, then an entry that rests, then the exits of that."""
    if line.qty != 0.0 and opens_on(line, bar, terms):  # what the open closes, then what enters at it
        start = Bar(bar.number, bar.open, bar.open, bar.open, bar.open, bar.volume)
        n = guarded(account, line, orders, n, k, start, terms)
        if line.rest_side != 0:
            n = written(orders, n, line, bar.number, k, INTRABAR, fill_resting(account, line, start, terms))
    if line.qty != 0.0 and (terms.exits_on_entry_bar != 0 or line.entry_bar != bar.number):
        n = guarded(account, line, orders, n, k, bar, terms)
    if line.rest_side != 0:
        n = written(orders, n, line, bar.number, k, INTRABAR, fill_resting(account, line, bar, terms))
        if line.qty != 0.0 and line.entry_bar == bar.number and terms.exits_on_entry_bar != 0:
            n = guarded(account, line, orders, n, k, bar, terms)
    return n


@inlined
def guarded(account: Row, line: Row, orders: np.ndarray, n: int, k: int, bar: Bar, terms: Row) -> int:
    """Fill all exits that a bar brings to a position."""
    begin_bar(line)
    while line.qty != 0.0:
        fill = guard(account, line, bar, terms)
        if fill.qty == 0.0:
            break
        n = written(orders, n, line, bar.number, k, INTRABAR, fill)
    return n


@inlined
def at_close(account: Row, line: Row, orders: np.ndarray, n: int, k: int, bar: Bar, ends: bool, terms: Row) -> int:
    """Close a bar on one line: value it, and let clock and close decide; a session's end is acted on at once."""
    line.last = bar.close
    line.range = bar.high - bar.low
    if line.qty != 0.0:
        value_at(account, line, bar.close)
        close_bar(line, bar, ends, terms)
    if ends and terms.session_close != 0:
        line.rest_side = 0
        if line.due == SESSION:
            line.due = 0
            fill = leave(account, line, bar.close, abs(line.qty), AT_MARKET, SESSION, bar.volume, terms)
            n = written(orders, n, line, bar.number, k, AT_CLOSE, fill)
    return n


@kernel
def leave_all(
    account: np.ndarray, lines: np.ndarray, orders: np.ndarray, n: int, market: Market, bar: int, when: int,
    reason: int, terms: Row,
) -> int:  # fmt: skip
    """Close every position when a bar has been lived, at its open or close, or at its last close where it has none."""
    for k in range(len(lines)):
        line = lines[k]
        if line.qty != 0.0:
            lived = bar_of(market, bar, k)
            quote = lived.open if when == AT_OPEN else line.last
            if np.isnan(quote):
                quote = line.last
            fill = leave(account[0], line, quote, abs(line.qty), AT_MARKET, reason, lived.volume, terms)
            n = written(orders, n, line, bar, k, AT_CLOSE, fill)
    return n


@kernel
def total(account: Row, lines: np.ndarray) -> None:
    """Value all positions at their last close and add them up afresh, so that no rounding gathers in the totals."""
    net, gross = 0.0, 0.0
    for k in range(len(lines)):
        line = lines[k]
        line.value = line.qty * line.last if line.qty != 0.0 else 0.0
        net += line.value
        gross += abs(lines[k].value)
    account.net, account.gross = net, gross


@kernel
def open_bar(account: np.ndarray, lines: np.ndarray, market: Market, bar: int, terms: Row) -> None:
    """Charge at a bar's open what holding until then cost."""
    nights = market.nights[bar] if len(market.nights) > 0 else 0.0
    if nights > 0.0 and account[0].cash < 0.0 and account[0].ruined == 0:
        account[0].cash += account[0].cash * terms.interest * nights / 365.0
    for k in range(len(lines)):
        if lines[k].qty != 0.0 and not np.isnan(market.open[bar, k]):
            nights, funding = nights_until(market, bar, k), one(market.funding, bar, k, 0.0)
            if nights > 0.0 or funding != 0.0:
                charge(account[0], lines[k], market.open[bar, k], nights, funding, terms)


@kernel
def live(
    account: np.ndarray, lines: np.ndarray, orders: np.ndarray, count: int, first: int, last: int,
    market: Market, wishes: Wishes, terms: Row, marks: Marks,
) -> tuple[int, int]:  # fmt: skip
    """Live bars ``first`` up to ``last``, and return where it stopped and how many orders there are.

    It stops early when ``orders`` may not hold the next bar's; the caller makes room and calls again. One kernel walks
    many bars because every array handed from one kernel to another costs more than a bar does.
    """
    k_all, n = len(lines), count
    charged = len(market.nights) > 0 or len(market.funding) > 0
    for bar in range(first, last):
        if n + ORDERS_A_BAR * k_all > len(orders):
            return bar, n
        if charged:
            open_bar(account, lines, market, bar, terms)
        ends = bar == len(market.close) - 1
        if terms.enter_at_close == 0 and waits(lines):
            if ends and terms.enters_on_last_bar == 0:
                for k in range(k_all):
                    forget_entry(lines[k], terms)
            n = act_all(account, lines, orders, n, bar, market, np.int64(AT_OPEN), terms)
        for k in range(k_all):
            if np.isnan(market.open[bar, k]):
                continue
            n = live_line(account[0], lines[k], orders, n, k, bar, market, wishes, terms)
        if terms.enter_at_close != 0 and waits(lines):
            total(account[0], lines)
            n = act_all(account, lines, orders, n, bar, market, np.int64(AT_CLOSE), terms)
        if ends and terms.last_bar != LEFT_OPEN:
            when = AT_OPEN if terms.last_bar == CLOSED_AT_OPEN else AT_CLOSE
            n = leave_all(account, lines, orders, n, market, bar, when, np.int64(LAST), terms)
        total(account[0], lines)
        if account[0].cash + account[0].net <= 0.0 and account[0].ruined == 0:
            account[0].ruined = 1
            n = leave_all(account, lines, orders, n, market, bar, np.int64(AT_CLOSE), np.int64(RUIN), terms)
            total(account[0], lines)
        mark(account[0], lines, bar, marks)
    return last, n


@kernel
def live_line(
    account: Row, line: Row, orders: np.ndarray, n: int, k: int, bar: int, market: Market, wishes: Wishes, terms: Row
) -> int:
    """Live one instrument's bar from behind its open to its close, and take down what the strategy decides there."""
    lived = bar_of(market, bar, k)
    before = n
    if line.qty != 0.0 or line.rest_side != 0:
        unit = wishes.rows[bar, k].unit if len(wishes.rows) > 0 else np.nan
        if len(market.within) > 0 and market.within[bar, k, 1] > market.within[bar, k, 0]:
            n = inside_finer(account, line, orders, n, k, lived, unit, market, terms)
        else:
            n = inside(account, line, orders, n, k, lived, unit, terms)
    ends = len(market.session_end) > 0 and market.session_end[bar, k] != 0
    n = at_close(account, line, orders, n, k, lived, ends, terms)
    source = bar if terms.latency == 0 else bar_before(market, bar, k, terms.latency)
    if source >= 0:
        signals = np.int64(wishes.signals[source, k])
        if len(wishes.rows) > 0:
            read_row(line, signals, wishes.rows[source, k], wishes.given, terms)
        else:
            read(line, signals, terms)
    if n > before and terms.enter_at_close != 0 and terms.signals_after_exit == 0:
        line.signals = 0
    return n


@kernel
def mark(account: Row, lines: np.ndarray, bar: int, marks: Marks) -> None:
    """Write the account down as it stands at a close."""
    row = bar - marks.origin
    for k in range(len(lines)):
        marks.qty[row, k] = lines[k].qty
    marks.equity[row] = account.cash + account.net
    marks.cash[row] = account.cash
    marks.gross[row] = account.gross


@maker
def blank_marks(bars: int, instruments: int, origin: int) -> Marks:
    """Room for the account at each of ``bars`` closes, the first of them bar ``origin``."""
    return Marks(np.empty(bars), np.empty(bars), np.empty(bars), np.empty((bars, instruments)), origin)


@maker
def step(
    account: np.ndarray, lines: np.ndarray, orders: np.ndarray, bar: int, market: Market, wishes: Wishes,
    terms: np.ndarray,
) -> int:  # fmt: skip
    """Live one bar: change ``account`` and ``lines``, write what was ordered to ``orders``, return how many.

    Parameters
    ----------
    account, lines
        The account (one row of ``ACCOUNT``) and its positions (``LINE``, one an instrument); changed in place.
    orders
        Room for ``ORDERS_A_BAR`` orders an instrument (``ORDER``).
    bar
        Row of ``market`` and ``wishes`` to live.
    terms
        One row of ``TERMS``.
    """
    marks = blank_marks(1, len(lines), bar)
    return live(account, lines, orders, np.int64(0), bar, bar + 1, market, wishes, terms[0], marks)[1]


def simulate(market: Market, wishes: Wishes, terms: np.ndarray, init_cash: float) -> Run:
    """Run history bar by bar.

    Parameters
    ----------
    market
        float64 arrays of shape (bars, instruments). NaN open: no bar, no fill, last close keeps its value.
    wishes
        Signals and sizes of the same shape, each row known at its bar's close.
    terms
        One row of ``TERMS``: fill policy, sizing, costs, exits.
    init_cash
        Money at the start, in the currency of the prices.
    """
    bars, instruments = market.close.shape
    account, lines = open_account(init_cash, instruments)
    orders = np.empty(max(256, 2 * ORDERS_A_BAR * instruments), ORDER)
    marks = Marks(np.empty(bars), np.empty(bars), np.empty(bars), np.empty((bars, instruments)), 0)
    reached = np.zeros(2, np.int64)  # bars lived, orders written
    while reached[0] < bars:
        run(live_far, frame_of(_KINDS, account, lines, orders, *market, *wishes, terms, *marks, reached))
        if reached[0] < bars:
            orders = np.concatenate([orders, np.empty_like(orders)])
    done = orders[: reached[1]].copy()
    return Run(done, *marks[:4], bool(account["ruined"][0]), np.ascontiguousarray(lines["carry"]))


_f8, _i8, _u1 = np.float64, np.int64, np.uint8
_KINDS = (
    *(ACCOUNT, LINE, ORDER),
    *(_f8, _f8, _f8, _f8, _f8, _f8, _f8, _u1, _f8, _i8),  # market
    *(_u1, WISH, None),  # wishes
    TERMS,
    *(_f8, _f8, _f8, _f8, None),  # marks
    _i8,
)


def live_far(frame: int, _second: int, _third: int, _fourth: int, _fifth: int) -> None:
    """Live bars until history ends or the orders need room; ``simulate`` wrote the frame."""
    market = Market(
        grid_at(frame, 3, _f8), grid_at(frame, 4, _f8), grid_at(frame, 5, _f8), grid_at(frame, 6, _f8),
        grid_at(frame, 7, _f8), grid_at(frame, 8, _f8), row_at(frame, 9, _f8), grid_at(frame, 10, _u1),
        grid_at(frame, 11, _f8), cube_at(frame, 12, _i8),
    )  # fmt: skip
    wishes = Wishes(grid_at(frame, 13, _u1), grid_at(frame, 14, WISH), number_at(frame, 15))
    terms, reached = row_at(frame, 16, TERMS), row_at(frame, 22, _i8)
    marks = Marks(
        row_at(frame, 17, _f8), row_at(frame, 18, _f8), row_at(frame, 19, _f8), grid_at(frame, 20, _f8),
        number_at(frame, 21),
    )  # fmt: skip
    reached[0], reached[1] = live(
        row_at(frame, 0, ACCOUNT), row_at(frame, 1, LINE), row_at(frame, 2, ORDER), reached[1], reached[0],
        len(market.close), market, wishes, terms[0], marks,
    )  # fmt: skip
