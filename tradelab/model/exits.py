"""Say how a position is left: one record, the same in a backtest, in a sweep, on paper and on a venue.

A distance is a number, a fraction of the entry price, or words: ``"2 %"``, ``"2 atr"``, ``"1.5 r"`` (multiples of what
the first stop risks) or ``"15 price"`` (units of price). All distances are above 0; which way they lie follows from
what they are for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from tradelab.model.errors import ParameterError

UNITS = ("fraction", "atr", "r", "price", "level")  # "level": a price itself, given bar by bar
THEN = ("break_even", "trail", "previous")  # or a distance: the stop goes that far from the entry
_WORDS = re.compile(r"\s*([+-]?[0-9.]+(?:e[+-]?[0-9]+)?)\s*(%|[a-z]+)\s*", re.IGNORECASE)
_BARS_A_PLAN = 8  # targets, and steps of a falling target


class Distance(NamedTuple):
    """How far, and in what."""

    value: float
    unit: str

    def __str__(self) -> str:
        return f"{self.value:g}" if self.unit == "fraction" else f"{self.value:g} {self.unit}"


def distance(name: str, said: Any, *, least: float = 0.0) -> Distance:
    """Read a distance.

    Raises
    ------
    ParameterError
        It is neither a number nor words that name a unit, or not above ``least``.

    Examples
    --------
    >>> distance("stop", "2 atr"), distance("stop", 0.02), distance("stop", "2 %")
    (Distance(value=2.0, unit='atr'), Distance(value=0.02, unit='fraction'), Distance(value=0.02, unit='fraction'))
    """
    read = _read(said)
    if read is None or not math.isfinite(read.value):
        raise ParameterError(
            f"{name}={said!r} is no distance.", allowed=["a fraction such as 0.02", '"2 %"', '"2 atr"', '"1.5 r"']
        )
    if not read.value > least:
        raise ParameterError(f"{name}={said!r} is not allowed.", allowed=[f"above {least:g}"])
    return read


def _measured_in(unit: str, name: str, said: Any) -> Distance:
    """Read a distance that has one unit only."""
    read = distance(name, said)
    if read.unit != unit:
        example = "0.02" if unit == "fraction" else f'"2 {unit}"'
        raise ParameterError(f"{name}={said!r} is not measured in {unit}.", allowed=[f"{unit}, such as {example}"])
    return read


def _read(said: Any) -> Distance | None:
    if isinstance(said, Distance):
        return said
    if isinstance(said, str):
        found = _WORDS.fullmatch(said)
        if found is None:
            return None
        value, unit = float(found[1]), found[2].lower()
        if unit == "%":
            return Distance(value / 100.0, "fraction")
        return Distance(value, unit) if unit in UNITS else None
    try:
        return None if isinstance(said, bool) else Distance(float(said), "fraction")
    except (TypeError, ValueError):
        return None


class Written:
    """Shown as it would be written: what is not the default, distances as words."""

    def __repr__(self) -> str:
        named = ((f.name, getattr(self, f.name), f.default) for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(f'{n}={_shown(v)}' for n, v, default in named if v != default)})"


def _shown(value: Any) -> str:
    if isinstance(value, Distance):
        return f"{value.value:g}" if value.unit == "fraction" else repr(str(value))
    if isinstance(value, tuple):
        return f"({', '.join(map(_shown, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


@dataclass(frozen=True, repr=False)
class Target(Written):
    """Take profit on a part of the position.

    Parameters
    ----------
    at
        Distance from the entry.
    fraction
        Of the quantity entered; the last target of a ladder whose fractions add up to 1 closes what is left.
    then
        What happens to the stop: ``"break_even"``, ``"trail"`` (the trail starts), ``"previous"`` (it goes to the
        target before, or the entry), or a distance from the entry in the direction of profit (``"0.5 r"``).
    """

    at: float | str | Distance
    fraction: float = 1.0
    then: str | float | Distance | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", distance("Target.at", self.at))
        if not (isinstance(self.fraction, (int, float)) and 0.0 < self.fraction <= 1.0):
            raise ParameterError(f"Target.fraction={self.fraction!r} is not allowed.", allowed=["above 0 up to 1"])
        if self.then is not None and self.then not in THEN:
            object.__setattr__(self, "then", distance("Target.then", self.then, least=-math.inf))


@dataclass(frozen=True, repr=False)
class Trail(Written):
    """Let the stop follow the best price since entry.

    Parameters
    ----------
    distance
        How far behind.
    start
        Profit at which it starts; ``None``: at once.
    step
        Follow in steps of this fraction of the entry price; ``None``: at every tick.
    before
        How far behind until it starts (freqtrade's ``trailing_stop`` with a positive offset), measured as the distance
        is; ``None``: not at all.
    chandelier
        Measure ``"… atr"`` by the ATR of each bar instead of that of the entry (LeBeau's chandelier exit).
    """

    distance: float | str | Distance
    start: float | str | Distance | None = None
    step: float | str | Distance | None = None
    before: float | str | Distance | None = None
    chandelier: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "distance", distance("Trail.distance", self.distance))
        if self.start is not None:
            object.__setattr__(self, "start", distance("Trail.start", self.start))
        for name, unit in (("step", "fraction"), ("before", self.distance.unit)):  # type: ignore[union-attr]
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _measured_in(unit, f"Trail.{name}", getattr(self, name)))
        if self.chandelier and self.distance.unit != "atr":  # type: ignore[union-attr]
            raise ParameterError("a chandelier is measured in ATR.", fix='Write Trail("3 atr", chandelier=True).')


@dataclass(frozen=True, repr=False)
class BreakEven(Written):
    """Move the stop to where the trade no longer loses.

    Parameters
    ----------
    at
        Profit at which it moves.
    offset
        How far beyond the entry it goes, a fraction of the entry price.
    fees
        Whether the fees and the slippage of both ways are covered too.
    """

    at: float | str | Distance
    offset: float = 0.0
    fees: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", distance("BreakEven.at", self.at))
        if not (isinstance(self.offset, (int, float)) and math.isfinite(self.offset)):
            raise ParameterError(f"BreakEven.offset={self.offset!r} is not allowed.", allowed=["a fraction"])


@dataclass(frozen=True, repr=False)
class ExitPlan(Written):
    """How a position is left, beside the strategy's own exits.

    Parameters
    ----------
    stop
        Distance of the stop from the entry.
    targets
        A ladder of ``Target``, nearest first; a bare distance, or tuples of their arguments, will do. A last one
        without a fraction closes what is left.
    roi
        A target that falls with time (freqtrade's ROI table): ``{0: 0.04, 30: 0.02}`` takes 4 % at once and 2 % from
        the 30th bar on.
    trail
        A ``Trail``, or its distance.
    break_even
        A ``BreakEven``, or the profit at which it moves.
    max_bars
        Leave after so many bars.
    stop_at_close
        The stop looks at closes only, and is done as a market order after it.
    session_close
        Leave at the close of the last bar of a session.
    atr_window
        Bars of the average true range that ``"… atr"`` means.

    Examples
    --------
    >>> plan = ExitPlan(stop="2 atr", targets=[("1 r", 0.5, "break_even"), "3 r"], trail="3 atr")
    >>> plan.targets[0].then, str(plan.trail.distance)
    ('break_even', '3 atr')
    """

    stop: float | str | Distance | None = None
    targets: Iterable[Any] = ()
    roi: Any = ()
    trail: Any = None
    break_even: Any = None
    max_bars: int | None = None
    stop_at_close: bool = False
    session_close: bool = False
    atr_window: int = 14

    def __post_init__(self) -> None:
        said = {
            "stop": None if self.stop is None else distance("stop", self.stop),
            "targets": _ladder(self.targets),
            "roi": _steps(self.roi),
            "trail": self.trail if self.trail is None or isinstance(self.trail, Trail) else Trail(self.trail),
            "break_even": _even(self.break_even),
        }
        for name, value in said.items():
            object.__setattr__(self, name, value)
        _whole("max_bars", self.max_bars)
        _whole("atr_window", self.atr_window)
        if self.stop is not None and self.stop.unit == "r":  # type: ignore[union-attr]
            raise ParameterError("the stop defines R and cannot be measured in it.", fix='Write stop="2 atr" or 0.02.')
        if self.trail is None and any(t.then == "trail" for t in self.targets):
            raise ParameterError("a target starts the trail, and there is none.", fix='Give trail=…, such as "3 atr".')
        if self.in_r and self.stop is None:
            raise ParameterError("distances in R need a stop, which defines R.", fix="Give stop=….")

    @property
    def in_atr(self) -> bool:
        """Whether any distance is measured in ATR."""
        return "atr" in {d.unit for d in self._distances()}

    @property
    def in_r(self) -> bool:
        """Whether any distance is measured in R."""
        return "r" in {d.unit for d in self._distances()}

    def _distances(self) -> list[Distance]:
        found: list[Any] = [self.stop, *(t.at for t in self.targets), *(t.then for t in self.targets)]
        if self.trail is not None:
            found += [self.trail.distance, self.trail.start]
        if self.break_even is not None:
            found.append(self.break_even.at)
        return [d for d in found if isinstance(d, Distance)]


def _ladder(said: Any) -> tuple[Target, ...]:
    if isinstance(said, (int, float, str, Distance, Target)):
        said = (said,)
    ladder = tuple(
        t if isinstance(t, Target) else Target(*t) if isinstance(t, (tuple, list)) and not isinstance(t, Distance)
        else Target(**t) if isinstance(t, Mapping) else Target(t)
        for t in said
    )  # fmt: skip
    if len(ladder) > _BARS_A_PLAN:
        raise ParameterError(f"{len(ladder)} targets are too many.", allowed=[f"up to {_BARS_A_PLAN}"])
    whole = [t for t in ladder[:-1] if t.fraction >= 1.0]
    if whole:
        raise ParameterError(
            f"a target that closes all at {whole[0].at} leaves nothing for those after it.",
            fix="Give fractions: targets=[(0.02, 0.5), (0.04, 0.5)].",
        )
    before = sum(t.fraction for t in ladder[:-1])
    if ladder[1:] and ladder[-1].fraction >= 1.0 and before < 1.0:  # the last one closes what is left
        ladder = (*ladder[:-1], replace(ladder[-1], fraction=1.0 - before))
    if sum(t.fraction for t in ladder) > 1.0 + 1e-9:
        raise ParameterError(
            f"the fractions of the targets add up to {sum(t.fraction for t in ladder):g}.", allowed=["up to 1"]
        )
    for t in ladder:
        if isinstance(t.then, Distance) and t.then.unit == t.at.unit and t.then.value > t.at.value:  # type: ignore[union-attr]
            raise ParameterError(
                f"the target at {t.at} puts the stop to {t.then}, beyond itself.", allowed=[f"then up to {t.at}"]
            )
    units = {t.at.unit for t in ladder}  # type: ignore[union-attr]
    if len(units) == 1 and list(ladder) != sorted(ladder, key=lambda t: t.at.value):  # type: ignore[union-attr]
        raise ParameterError("targets are not in order.", fix="Write the nearest first.")
    return ladder


def _steps(said: Any) -> tuple[tuple[int, float], ...]:
    pairs = sorted(said.items()) if isinstance(said, Mapping) else sorted(tuple(p) for p in said)
    if len(pairs) > _BARS_A_PLAN:
        raise ParameterError(f"{len(pairs)} steps of roi are too many.", allowed=[f"up to {_BARS_A_PLAN}"])
    for bars, fraction in pairs:
        if isinstance(bars, bool) or int(bars) != bars or bars < 0:
            raise ParameterError(f"roi after {bars!r} bars.", allowed=["whole numbers from 0"])
        if not math.isfinite(fraction):
            raise ParameterError(f"roi={fraction!r} after {bars} bars.", allowed=["a fraction"])
    return tuple((int(bars), float(fraction)) for bars, fraction in pairs)


def _even(said: Any) -> BreakEven | None:
    return said if said is None or isinstance(said, BreakEven) else BreakEven(said)


def _whole(name: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ParameterError(f"{name}={value!r} is not allowed.", allowed=["whole numbers from 1"])
