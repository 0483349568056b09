"""Trade bars the slow way: plain Python from the prose of docs/semantics.md, sharing no line with the engine.

One dictionary a bar, one object a position, no arrays: what is said once in prose is said once here. Bars are
``{symbol: {time: (open, high, low, close)}}`` and decisions ``{symbol: {time: Decision}}``; times are any integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from tradelab import FillPolicy


class Decision(NamedTuple):
    """What was decided on one closed bar, with the size and the exits that were given for it."""

    long_entry: bool = False
    long_exit: bool = False
    short_entry: bool = False
    short_exit: bool = False
    size: float | None = None  # None: all free cash
    stop: float | None = None
    trail: float | None = None
    target: float | None = None


class Order(NamedTuple):
    time: int
    symbol: str
    side: int
    qty: float
    price: float
    fees: float
    when: str
    reason: str


class Trade(NamedTuple):
    symbol: str
    side: int
    entry_time: int
    entry_price: float
    exit_time: int
    exit_price: float
    qty: float
    fees: float
    pnl: float
    r: float
    mfe: float
    mae: float
    reason: str


@dataclass
class Position:
    side: int
    qty: float
    price: float
    time: int
    fees: float
    anchor: float
    stop: float | None
    trail: float | None
    target: float | None
    best: float
    top: float  # highest and lowest price seen while held
    bottom: float
    risk: float = math.nan  # money the first stop put at stake

    def __post_init__(self) -> None:
        if self.levels():
            nearest = max(self.levels(), key=lambda found: self.side * found[0])[0]
            self.risk = self.qty * self.side * (self.price - nearest)

    def levels(self) -> list[tuple[float, str]]:
        """Prices at which it would be stopped."""
        found = [(self.anchor * (1 - self.side * self.stop), "stop")] if self.stop is not None else []
        return found + ([(self.best * (1 - self.side * self.trail), "trail")] if self.trail is not None else [])

    def see(self, high: float, low: float) -> None:
        self.top, self.bottom = max(self.top, high), min(self.bottom, low)

    def learn(self, high: float, low: float) -> None:
        """Live through a whole bar: the trailing stop follows its extreme from now on."""
        self.see(high, low)
        self.best = max(self.best, high) if self.side > 0 else min(self.best, low)


@dataclass
class Account:
    """An account under ``policy``; ``run`` trades it through history."""

    bars: dict[str, dict[int, tuple[float, float, float, float]]]
    decisions: dict[str, dict[int, Decision]]
    policy: FillPolicy
    cash: float
    fees: float = 0.0
    fixed_fees: float = 0.0
    slippage: float = 0.0
    size_type: str = "amount"
    step: float = 0.0
    orders: list[Order] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    equity: dict[int, float] = field(default_factory=dict)
    held: dict[str, Position] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    ruined: bool = False

    def __post_init__(self) -> None:
        self.dust = 1e-9 * self.cash  # what float arithmetic leaves of spent cash opens nothing

    def run(self) -> Account:
        waiting: dict[str, Decision] = {}
        for now in sorted({t for bars in self.bars.values() for t in bars}):
            here = {s: bars[now] for s, bars in self.bars.items() if now in bars}
            if not self.policy.enter_at_close:
                due = {s: waiting.pop(s) for s in here if s in waiting}
                self.act(now, due, {s: bar[0] for s, bar in here.items()}, "open")
            stopped = [s for s, bar in here.items() if s in self.held and self.stopped(now, s, bar)]
            for s, bar in here.items():
                if s in self.held:
                    self.held[s].learn(bar[1], bar[2])
                self.last[s] = bar[3]
            decided = {s: d for s in here if (d := self.decisions[s].get(now)) is not None}
            if self.policy.enter_at_close:
                deaf = set() if self.policy.signals_after_exit else set(stopped)
                self.act(now, {s: d for s, d in decided.items() if s not in deaf}, self.last, "close")
            elif not self.ruined:
                waiting.update(decided)
            self.equity[now] = self.worth()
            if self.equity[now] <= 0 and not self.ruined:
                self.ruined = True
                for s in [s for s in self.bars if s in self.held]:
                    self.fill(now, s, self.last[s], "close", "ruin")
                self.equity[now] = self.worth()
                waiting = {}
        for s, p in sorted(self.held.items(), key=lambda item: (item[1].time, list(self.bars).index(item[0]))):
            self.end(max(self.bars[s]), s, p, self.last[s], 0.0, "still open")
        return self

    def worth(self) -> float:
        return self.cash + sum(p.side * p.qty * self.last[s] for s, p in self.held.items())

    def free(self, released: float) -> float:
        free = self.cash - 2 * sum(p.qty * p.price for p in self.held.values() if p.side < 0) + released
        return free if free > self.dust else 0.0

    def act(self, now: int, decided: dict[str, Decision], quotes: dict[str, float], when: str) -> None:
        """Exits, then entries, each in the order of the columns."""
        if self.ruined:
            return
        wanted = {}
        for s, d in decided.items():
            long_entry, long_exit = d.long_entry and not d.long_exit, d.long_exit and not d.long_entry
            short_entry, short_exit = d.short_entry and not d.short_exit, d.short_exit and not d.short_entry
            if not (long_entry and short_entry):
                wanted[s] = 1 if long_entry else -1 if short_entry else 0
            side = self.held[s].side if s in self.held else 0
            if wanted.get(s, 0) != -side and ((side > 0 and long_exit) or (side < 0 and short_exit)):
                self.fill(now, s, quotes[s], when, "signal")
        for s, side in wanted.items():
            if side and (s not in self.held or self.held[s].side == -side):
                self.enter(now, s, side, decided[s], quotes[s], when)

    def enter(self, now: int, s: str, side: int, d: Decision, quote: float, when: str) -> None:
        old = self.held.get(s)
        price = quote * (1 + side * self.slippage)
        released = 0.0
        if old is not None:  # what closing leaves free; the fixed fee is the one order's, and taken off below
            proceeds = old.side * old.qty * price - old.qty * price * self.fees
            released = proceeds + (2 * old.qty * old.price if old.side < 0 else 0)
        free = self.free(released)
        most = (free - self.fixed_fees) / (price * (1 + self.fees))
        if d.size is None:
            qty = most
        elif self.size_type == "amount":
            qty = d.size
        elif self.size_type == "value":
            qty = d.size / quote
        else:
            qty = (d.size * free - self.fixed_fees) / (price * (1 + self.fees))
        qty = min(qty, most)
        if self.step and qty > 0:
            qty = math.floor(qty / self.step + 1e-9) * self.step
        if not qty > 0:
            if old is not None:
                self.fill(now, s, quote, when, "signal")
            return
        total = qty + (old.qty if old is not None else 0)
        fees = total * price * self.fees + self.fixed_fees
        self.order(now, s, side, total, price, fees, when, "reversal" if old is not None else "entry")
        if old is not None:
            self.end(now, s, self.held.pop(s), price, fees * old.qty / total, "reversal")
        anchor = price if self.policy.anchor_at_fill else quote
        self.held[s] = Position(
            side, qty, price, now, fees * qty / total, anchor, d.stop, d.trail, d.target, anchor, price, price
        )

    def stopped(self, now: int, s: str, bar: tuple[float, float, float, float]) -> bool:
        """Whether stop, trail or target of a position closes it inside this bar."""
        p, (open_, high, low, _) = self.held[s], bar
        if p.time == now and not self.policy.exits_on_entry_bar:
            return False
        worst, best = (low, high) if p.side > 0 else (high, low)
        target = None if p.target is None else p.anchor * (1 + p.side * p.target)
        reached = target is not None and p.side * (best - target) >= 0
        if reached and self.policy.gap_beats_stop and p.side * (open_ - target) >= 0:
            self.fill(now, s, open_, "intrabar", "target")
            return True
        if p.levels():
            level, name = max(p.levels(), key=lambda found: p.side * found[0])
            if p.side * (worst - level) <= 0:
                price = open_ if p.side * (open_ - level) <= 0 else level
                self.fill(now, s, price, "intrabar", name)
                return True
        if reached:
            self.fill(now, s, open_ if p.side * (open_ - target) >= 0 else target, "intrabar", "target")
        return reached

    def fill(self, now: int, s: str, quote: float, when: str, reason: str) -> None:
        """Close a position in full."""
        p = self.held.pop(s)
        slips = reason != "target" and (reason not in ("stop", "trail") or self.policy.slip_stops)
        price = quote * (1 - p.side * self.slippage) if slips else quote
        fees = p.qty * price * self.fees + self.fixed_fees
        self.order(now, s, -p.side, p.qty, price, fees, when, reason)
        self.end(now, s, p, price, fees, reason)

    def order(self, now: int, s: str, side: int, qty: float, price: float, fees: float, when: str, reason: str) -> None:
        self.cash -= side * qty * price + fees
        self.orders.append(Order(now, s, side, qty, price, fees, when, reason))

    def end(self, now: int, s: str, p: Position, price: float, fees: float, reason: str) -> None:
        p.see(price, price)
        pnl = p.side * p.qty * (price - p.price) - p.fees - fees
        up, down = p.top / p.price - 1, p.bottom / p.price - 1
        mfe, mae = (up, down) if p.side > 0 else (-down, -up)
        r = pnl / p.risk if p.risk > 0 else math.nan
        self.trades.append(
            Trade(s, p.side, p.time, p.price, now, price, p.qty, p.fees + fees, pnl, r, mfe, mae, reason)
        )
