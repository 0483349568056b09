"""Follow a position's stop and targets bar by bar with the engine's own functions: a backtest's levels, bit for bit.

What is kept is the engine's row of one position (``engine.book.LINE``). Fills and closed bars move it, and nothing else
does: told the same ones again, it stands where it stood.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from tradelab.engine.book import fresh_lines
from tradelab.engine.exits import REASONS, after_target, arm, re_arm, roi_level, target_level
from tradelab.engine.terms import LEVEL, plain_terms
from tradelab.engine.trading import Bar, close_bar, end_inside, target_qty
from tradelab.model.exits import ExitPlan
from tradelab.model.market import Candle
from tradelab.modules.position_monitoring.config import Costs
from tradelab.modules.position_monitoring.plain import plain
from tradelab.research.planning import write_plan

_NONE = math.nan
_LITTLE = 1e-9  # of a quantity: what float arithmetic may leave over
_arm, _re_arm, _after_target = plain(arm), plain(re_arm), plain(after_target)
_end_inside, _close_bar, _roi_level = plain(end_inside), plain(close_bar), plain(roi_level)
_target_level, _target_qty = plain(target_level), plain(target_qty)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured when a position opened; NaN where a plan needs none of it.

    Parameters
    ----------
    unit
        ATR of the bar that decided.
    atr, close
        ATR and close of the newest bar that was closed then: a chandelier goes on from them.
    stop_loss, take_profit
        Prices that the signal gave; they take the place of the plan's stop and first target.
    """

    unit: float = _NONE
    atr: float = _NONE
    close: float = _NONE
    stop_loss: float = _NONE
    take_profit: float = _NONE


@dataclass(frozen=True, slots=True)
class Levels:
    """Where a position is left, as prices; NaN: nowhere. ``targets`` are (price, units), the next one first.

    ``due`` is why it is to be left at once, ``None`` where it is not; ``roi`` the target that falls with time, which
    closes all that the targets before it leave.
    """

    stop: float
    stop_reason: str
    targets: tuple[tuple[float, float], ...]
    roi: float
    due: str | None
    r: float
    unit: float
    at_close_only: bool


class Line:
    """One position's exits, as the engine keeps them.

    Parameters
    ----------
    plan, costs
        How it is left, and what trading costs, for break-even.
    direction
        +1 for a long, -1 for a short.
    rest
        Of an entry that waited: its price, and +1 where it was met from above (a buy limit, a sell stop), else -1.
        Unless the bar opened beyond it, only the close of that bar is taken for later.
    qty_step
        Units that a target's share is rounded down to.

    Examples
    --------
    >>> line = Line(ExitPlan(stop=0.02, targets="2 r"), Costs(), Measured(), direction=1, qty_step=0.1)
    >>> line.opened(100.0, 1.0)
    >>> line.levels().stop, line.levels().targets
    (98.0, ((104.0, 1.0),))
    """

    def __init__(
        self, plan: ExitPlan, costs: Costs, measured: Measured, *, direction: int, qty_step: float,
        rest: tuple[float, int] | None = None,
    ) -> None:  # fmt: skip
        self.direction = direction
        self._rest = rest
        self._window = plan.atr_window
        self._atr, self._close = measured.atr, measured.close
        self._terms = terms_of(plan, costs, measured, qty_step)
        self._row = fresh_row(self._terms, measured)
        self._bars = 0  # closed since it opened, that of the entry among them
        self._is_fresh = True  # no bar closed and nothing left yet: what still fills belongs to the same entry
        self._taken = 0.0  # of the next target
        self._layer = (_NONE, 0.0, 0.0)  # anchor, held and entered before the entry that is filling now

    # ── fills ────────────────────────────────────────────────────────────────────────────────────────────────────

    def opened(self, price: float, entered: float, held: float | None = None) -> None:
        """Take in the entry as far as it has filled: its average price, all its units, and those still held.

        Asked again while the entry fills and nothing else has happened, exits are measured from the new average, R
        among them; later they keep R, and the stop only tightens.
        """
        row = self._row
        row.qty, row.entered = self.direction * (entered if held is None else held), entered
        row.layers = max(row.layers, 1)
        if self._is_fresh:
            _arm(row, self.direction, price, self._terms)
        else:
            _re_arm(row, self.direction, price, self._terms)

    def grew(self, price: float, added: float, *, same_entry: bool) -> None:
        """Take in an entry on top of what is held: its average price so far, and the units it has added so far."""
        row = self._row
        if not same_entry:
            row.layers += 1
            self._layer = (row.anchor, abs(row.qty), row.entered)
        anchor, before, entered = self._layer
        self._is_fresh = False
        row.entered, row.qty = entered + added, self.direction * (before + added)
        _re_arm(row, self.direction, (anchor * before + price * added) / (before + added), self._terms)

    def left(self, qty: float, *, by_target: bool) -> None:
        """Take in that ``qty`` units were closed, by the ladder or by something else."""
        row = self._row
        self._is_fresh = False
        row.qty -= self.direction * qty
        self._layer = (row.anchor, abs(row.qty), row.entered)
        if not by_target or self._roi_comes_first(self._row):
            return
        self._taken += qty
        while row.next_target < self._terms.targets and self._taken > _LITTLE * row.entered:
            due = _target_qty(self._as_ladder_sees_it(), self._terms)
            if self._taken < due * (1.0 - _LITTLE):
                break
            self._taken = max(float(self._taken - due), 0.0)
            _after_target(row, self.direction, self._terms)

    def _as_ladder_sees_it(self) -> Any:
        """The position with what its next target has closed so far still in it."""
        return SimpleNamespace(**vars(self._row) | {"qty": self._row.qty + self.direction * self._taken})

    def holds(self, held: float) -> None:
        """Say what is held after a fill, where more than fills decides: a fee taken in what was bought, say."""
        self._row.qty = self.direction * held

    # ── bars ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def closed(self, candle: Candle, *, session_ends: bool) -> None:
        """Take in a bar that has closed, the one of the entry being the first."""
        row = self._row
        bar = Bar(self._bars, candle.open, candle.high, candle.low, candle.close, candle.volume)
        self._learn_atr(candle)
        row.inside = int(self.was_met_inside(candle))
        _end_inside(row, bar, self._atr, self._terms)
        _close_bar(row, bar, session_ends, self._terms)
        self._bars += 1
        self._is_fresh = False

    def was_met_inside(self, candle: Candle) -> bool:
        """Whether it was entered inside this bar, behind its open, so that its extremes may lie before that."""
        if self._rest is None or self._bars:
            return False
        price, meets = self._rest
        return meets * (candle.open - price) > 0.0

    def _learn_atr(self, candle: Candle) -> None:
        """Let the average know this bar too."""
        self._atr = carried(self._atr, self._close, candle, self._window)
        self._close = candle.close

    # ── what is asked of it ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def r(self) -> float:
        """Distance of the first stop; NaN without one."""
        return float(self._row.r)

    @property
    def bars_held(self) -> int:
        """Bars that have closed since it opened."""
        return self._bars

    def levels(self) -> Levels:
        """Return where it is left from here on."""
        row, terms = self._row, self._terms
        return Levels(
            stop=float(row.stop),
            stop_reason=REASONS[row.stop_reason],
            targets=self._targets(),
            roi=float(_roi_level(row, self.direction, self._bars, terms)),
            due=REASONS[row.due] if row.due else None,
            r=float(row.r),
            unit=float(row.unit),
            at_close_only=bool(terms.stop_at_close),
        )

    def _targets(self) -> tuple[tuple[float, float], ...]:
        """What is left of the ladder, each target with the units that it closes."""
        ahead, found, taken = self._as_ladder_sees_it(), [], self._taken
        while (
            ahead.next_target < self._terms.targets
            and ahead.qty * self.direction > 0.0
            and not self._roi_comes_first(ahead)
        ):
            price = float(_target_level(ahead, self.direction, self._terms))
            qty = float(_target_qty(ahead, self._terms))
            if qty > taken:
                found.append((price, float(qty - taken)))
            ahead.qty -= self.direction * qty
            ahead.next_target += 1
            taken = 0.0
        return tuple(found)

    def _roi_comes_first(self, ahead: Any) -> bool:
        """Whether the target that falls with time is nearer than the ladder's next; then it closes all."""
        roi = _roi_level(self._row, self.direction, self._bars, self._terms)
        if ahead.next_target >= self._terms.targets:
            return not math.isnan(roi)
        return self.direction * (_target_level(ahead, self.direction, self._terms) - roi) > 0.0


def carried(atr: float, close: float, candle: Candle, window: int) -> float:
    """Carry Wilder's average on by one bar, rounded once as the engine's fused multiply-add is; NaN stays NaN."""
    if not (math.isfinite(atr) and math.isfinite(close)):
        return atr
    share = 1.0 / window
    reach = share * (max(candle.high, close) - min(candle.low, close))
    return float(Fraction(1.0 - share) * Fraction(atr) + Fraction(reach))


def terms_of(plan: ExitPlan, costs: Costs, measured: Measured, qty_step: float) -> Any:
    """The engine's row of terms, as plain numbers."""
    rows = plain_terms()
    row = rows[0]
    write_plan(row, plan)
    row["fees"], row["slippage"], row["spread"] = costs.fees, costs.slippage, costs.spread
    row["per_unit"], row["fixed_fees"] = costs.per_unit_fees, costs.fixed_fees
    row["size_step"] = qty_step
    if not math.isnan(measured.stop_loss):
        row["stop"], row["stop_unit"] = measured.stop_loss, LEVEL
    if not math.isnan(measured.take_profit):
        row["target_unit"][0] = LEVEL
        if not plan.targets:
            row["targets"], row["target"][0], row["share"][0] = 1, measured.take_profit, 1.0
    return SimpleNamespace(**{name: row[name].tolist() for name in rows.dtype.names or ()})


def fresh_row(terms: Any, measured: Measured) -> Any:
    """A line that is about to enter on these terms."""
    lines = fresh_lines(1)
    row = SimpleNamespace(**{name: lines[0][name].item() for name in lines.dtype.names or ()})
    row.wish_stop, row.wish_trail, row.wish_target = terms.stop, terms.trail, measured.take_profit
    row.wish_unit, row.wish_price, row.wish_exit = measured.unit, _NONE, 1.0
    row.entry_bar = 0
    return row
