"""Size an entry as its preset says, in Decimal; distances of stops are the engine's, so live is what was tested.

The engine's function is called as the plain Python it is written in (``py_func``), as on paper: the same source, the
same IEEE numbers. A float becomes the shortest ``Decimal`` that names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from types import SimpleNamespace

from tradelab.engine.exits import beyond
from tradelab.engine.terms import UNITS
from tradelab.model.exits import Distance, ExitPlan
from tradelab.model.rounding import exact
from tradelab.model.signal import Drop, DropCode, Inputs, Signal
from tradelab.modules.risk_management.money import equity, other_currency
from tradelab.modules.risk_management.scene import Scene, drop, written

_NEARLY = Decimal("1e-9")  # of a step: as the engine rounds


@dataclass(frozen=True, slots=True)
class Size:
    """How much, and what it was worked out from."""

    qty: Decimal
    inputs: Inputs


def stop_level(signal: Signal, plan: ExitPlan, entry: Decimal) -> Decimal | Drop | None:
    """Return where the first stop of an entry lies: the signal's own level, else the plan's distance from the entry.

    ``None`` where neither says; a drop where it cannot be told, or lies on the wrong side.
    """
    if signal.unit is None and plan.in_atr:
        return drop(DropCode.NO_UNIT, "the exit plan is measured in ATR, and the signal brings none")
    level = signal.stop_loss
    if level is None and isinstance(plan.stop, Distance):
        line = SimpleNamespace(unit=float(signal.unit or 0), r=float("nan"))
        said = beyond.py_func(
            float(entry), -signal.action.direction, plan.stop.value, UNITS.index(plan.stop.unit), line
        )
        level = exact(said)
    if level is not None and not signal.action.direction * (entry - level) > 0:
        side = "long" if signal.action.direction > 0 else "short"
        says = f"a stop at {level:f} protects no {side} position entered at {entry:f}"
        return drop(DropCode.NO_STOP, says, entry_price=entry, stop_price=level)
    if level is not None and level <= 0:
        return drop(DropCode.NO_STOP, f"a stop at {level:f} is never reached", entry_price=entry, stop_price=level)
    return level


def size(scene: Scene) -> Size | Drop:
    """Return how much to enter: what the origin asks for, else what the preset says, times what the gates cut it to."""
    signal, instrument, entry = scene.signal, scene.instrument, scene.entry_price
    stop = stop_level(signal, scene.preset.exits, entry)
    if isinstance(stop, Drop):
        return stop
    wished = asked(scene) if signal.qty is not None else sized(scene, entry, stop)
    if isinstance(wished, Drop):
        return wished
    qty = _stepped(wished.qty * scene.factor, instrument.qty_step)
    base = written(
        entry_price=entry, stop_price=stop, contract_size=instrument.contract_size, factor=scene.factor,
        wished_qty=wished.qty, qty=qty,
    )  # fmt: skip
    if instrument.floor_qty(qty) <= 0:
        says = f"{qty:f} rounds to nothing: {instrument.symbol} is traded in steps of {instrument.qty_step:f}"
        return Drop(DropCode.SIZE_ZERO, says, base + wished.inputs)
    return Size(qty, base + wished.inputs)


def asked(scene: Scene) -> Size:
    """Return what the origin asks for."""
    qty = scene.signal.qty
    assert qty is not None, "size() asks only then"
    return Size(qty, written(sized_by=scene.signal.origin.value))


def sized(scene: Scene, entry: Decimal, stop: Decimal | None) -> Size | Drop:
    """Return what the preset comes to; ``stop`` is the level of the first stop.

    ``qty``: so many units. ``notional``: value / (price × contract size). ``equity``: the same, of that fraction of
    the equity. ``risk``: equity × value / (distance to the stop × contract size). ``volatility``: the same, one unit
    (ATR) of the strategy taken for the distance.
    """
    sizing, instrument = scene.preset.sizing, scene.instrument
    a_lot = instrument.contract_size
    if sizing.by == "qty":
        return Size(sizing.value, written(sized_by=sizing.by, sizing_qty=sizing.value))
    if sizing.by == "notional":
        refused = other_currency(scene, instrument, "sizing by notional")
        money = written(sized_by=sizing.by, sizing_notional=sizing.value)
        return refused or Size(sizing.value / (entry * a_lot), money)
    worth = equity(scene, instrument)
    if isinstance(worth, Drop):
        return worth
    told = written(sized_by=sizing.by, sizing_fraction=sizing.value, equity=worth)
    if worth <= 0:
        return Drop(DropCode.SIZE_ZERO, f"the account is worth {worth:f}: a fraction of that buys nothing", told)
    if sizing.by == "equity":
        return Size(worth * sizing.value / (entry * a_lot), told)
    distance = _distance(scene, entry, stop)
    if isinstance(distance, Drop):
        return distance
    return Size(worth * sizing.value / (distance * a_lot), told + written(distance=distance))


def _distance(scene: Scene, entry: Decimal, stop: Decimal | None) -> Decimal | Drop:
    if scene.preset.sizing.by == "volatility":
        unit = scene.signal.unit
        return unit or drop(DropCode.NO_UNIT, "sizing by volatility needs the strategy's unit (its ATR)")
    if stop is None:
        return drop(DropCode.NO_STOP, "sizing by risk needs a stop, which says what is risked", entry_price=entry)
    return abs(entry - stop)


def _stepped(qty: Decimal, step: Decimal) -> Decimal:
    """Count a quantity within a billionth of the next step as that step, as a backtest does; else leave it."""
    up = (qty / step + _NEARLY).to_integral_value(ROUND_FLOOR) * step
    return max(qty, up)
