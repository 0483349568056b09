"""Hold what each day of trading came to, in facts that add up: rounds, fills, waits, drifts; what accounts were worth.

A day is one of UTC: a round belongs to the one in which it closed, a fill to the one in which it traded, both as the
venue tells; an order's wait and an account's worth to the one in which we came to know. A day can be written as JSON
and read back, and figures of any stretch are made of the same facts as those of one day.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from tradelab.model.units import NS_PER_DAY

_EPOCH = dt.date(1970, 1, 1)
_ZERO = Decimal(0)


class Cell(NamedTuple):
    """Whose facts they are, of which day (ISO, UTC); ``symbol`` is empty on the row of what an account was worth."""

    day: str
    account: str
    bot: str | None
    symbol: str


class Ended(NamedTuple):
    """A round that is over: its profit after fees (``None``: nobody knows), and the same in R."""

    opened_ns: int
    closed_ns: int
    pnl: Decimal | None
    r: Decimal | None
    fees: Decimal


class Apart(NamedTuple):
    """How far a round came from its shadow, in money and of what was entered; above zero is worse than the shadow."""

    closed_ns: int
    money: Decimal
    value: Decimal


@dataclass(slots=True)
class Facts:
    """What was traded in one cell.

    ``slip_value`` is what was traded against a price it had been weighed by, ``slip_cost`` what that cost beside it;
    both, and the money of rounds, are in ``currency``, which prices are said in (``None`` until it is known).
    """

    currency: str | None = None
    rounds: list[Ended] = field(default_factory=list)
    apart: list[Apart] = field(default_factory=list)
    not_compared: dict[str, int] = field(default_factory=dict)  # rounds without a shadow, by why
    slip_value: Decimal = _ZERO
    slip_cost: Decimal = _ZERO
    waits_ms: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Worth:
    """What an account was worth in a day, as its venue said: first, highest, lowest, last; and its deepest fall.

    ``fall`` is at or below zero, a fraction of the highest it had been that day.
    """

    currency: str | None
    first: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    fall: float = 0.0

    def told(self, equity: Decimal) -> None:
        """Take in what it is worth now."""
        self.high, self.low, self.last = max(self.high, equity), min(self.low, equity), equity
        self.fall = min(self.fall, fall(equity, self.high))


def fall(equity: Decimal, peak: Decimal) -> float:
    """Return how far below a peak something is, at or below zero; from nothing there is no fall."""
    return float(equity / peak) - 1.0 if peak > 0 else 0.0


class Days:
    """All days, by cell; ``changed`` are those that something was added to since it was emptied last."""

    def __init__(self) -> None:
        self.facts: dict[Cell, Facts] = {}
        self.worth: dict[tuple[str, str], Worth] = {}  # by day and account
        self.changed: set[Cell] = set()
        self._of_day: defaultdict[str, set[Cell]] = defaultdict(set)

    def only(self, day: str) -> Days:
        """Return what one day came to, in a moment however many there are."""
        found = Days()
        for cell in self._of_day.get(day, ()):
            if cell.symbol:
                found.facts[cell] = self.facts[cell]
            else:
                found.worth[day, cell.account] = self.worth[day, cell.account]
        return found

    def cell(self, cell: Cell, currency: str | None) -> Facts:
        """Return a cell's facts, to be added to."""
        self.changed.add(cell)
        self._of_day[cell.day].add(cell)
        facts = self.facts.setdefault(cell, Facts())
        facts.currency = currency or facts.currency
        return facts

    def equity(self, day: str, account: str, equity: Decimal, currency: str | None) -> None:
        """Take in what an account is worth."""
        cell = Cell(day, account, None, "")
        self.changed.add(cell)
        self._of_day[day].add(cell)
        worth = self.worth.setdefault((day, account), Worth(currency, equity, equity, equity, equity))
        worth.currency = currency or worth.currency
        worth.told(equity)

    def written(self, cell: Cell) -> str:
        """Return a cell as JSON: money as text, nothing lost."""
        told: Any = self.worth[cell.day, cell.account] if not cell.symbol else self.facts[cell]
        return json.dumps({name: _plain(getattr(told, name)) for name in type(told).__slots__}, separators=(",", ":"))

    def read(self, cell: Cell, body: str) -> None:
        """Take in a cell that was written."""
        told = json.loads(body)
        self._of_day[cell.day].add(cell)
        if not cell.symbol:
            money = {name: Decimal(told[name]) for name in ("first", "high", "low", "last")}
            self.worth[cell.day, cell.account] = Worth(told["currency"], **money, fall=told["fall"])
            return
        self.facts[cell] = Facts(
            currency=told["currency"],
            rounds=[Ended(a, b, _money(p), _money(r), Decimal(f)) for a, b, p, r, f in told["rounds"]],
            apart=[Apart(at, Decimal(money), Decimal(value)) for at, money, value in told["apart"]],
            not_compared=told["not_compared"],
            slip_value=Decimal(told["slip_value"]),
            slip_cost=Decimal(told["slip_cost"]),
            waits_ms=told["waits_ms"],
        )


def day_of(ts_ns: int) -> str:
    """Return the day of UTC that a time lies in.

    >>> day_of(1_704_067_200_000_000_000 - 1), day_of(1_704_067_200_000_000_000)
    ('2023-12-31', '2024-01-01')
    """
    return (_EPOCH + dt.timedelta(days=ts_ns // NS_PER_DAY)).isoformat()


def days_between(first: str, last: str) -> list[str]:
    """Return all days from the first to the last, both among them.

    >>> days_between("2024-02-28", "2024-03-01")
    ['2024-02-28', '2024-02-29', '2024-03-01']
    """
    begin = dt.date.fromisoformat(first)
    count = (dt.date.fromisoformat(last) - begin).days + 1
    return [(begin + dt.timedelta(days=n)).isoformat() for n in range(count)]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _money(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
