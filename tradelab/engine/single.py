"""Live one bar of one instrument, as ``simulate.live`` does for several: what the event kernel visits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradelab.engine.exits import LAST, RUIN
from tradelab.engine.fills import AT_CLOSE, AT_OPEN
from tradelab.engine.jit import Row, inlined, kernel
from tradelab.engine.simulate import at_close, charge, inside, read_row, written
from tradelab.engine.terms import CLOSED_AT_OPEN, LEFT_OPEN
from tradelab.engine.trading import AT_MARKET, Bar, act, forget_entry, leave


class Day(NamedTuple):
    """What else is known of a bar: ATR, nights it ends, funding due, whether a session or history ends with it."""

    unit: float
    nights: float
    funding: float
    ends: bool
    is_last: bool


@inlined
def stand(account: Row, line: Row, close: float, bar_range: float) -> None:
    """Value a line as it stands after a close, with nothing left of earlier rounding."""
    line.last, line.range = close, bar_range
    line.value = line.qty * close if line.qty != 0.0 else 0.0
    account.net, account.gross = line.value, abs(line.value)


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
