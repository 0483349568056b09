"""Compile a strategy over many combinations of parameters into one program, by watching it or by asking it each time.

Two roads lead to the same thing, a `Program` whose words are those of `Strategy.decide`, bit for bit:

*program*: the function is watched once (`tradelab.strategy.trace`), and every distinct line and condition of all
combinations becomes an instruction, or, where the engine has none, one whole column;

*arrays*: the function is called with every combination, and its four answers are packed, a bit each.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tradelab.engine import program_ops as ops
from tradelab.engine.bits import pack
from tradelab.engine.program import Program
from tradelab.engine.program_build import Builder
from tradelab.model.errors import ParameterError
from tradelab.strategy.spec import SIGNAL_NAMES, Strategy
from tradelab.strategy.trace import Way, watch
from tradelab.strategy.trace_lower import Lowering
from tradelab.strategy.trace_memory import IndicatorMemory, remembering
from tradelab.strategy.trace_world import Untraceable

Points = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]

WHOLE_BYTES = 1_000_000_000  # whole columns a program may keep before asking each time is the smaller evil
_FEWEST = 3  # combinations worth a watching that is held to the function itself
_CHECKED = 4  # combinations of a watched batch whose words are held to those of the function itself


@dataclass(frozen=True, eq=False)
class Batch:
    """Signals of many combinations of one strategy over one instrument's bars.

    Parameters
    ----------
    program
        What the engine runs; combination ``c`` is the ``c``-th point.
    road
        ``"program"`` or ``"arrays"``.
    why
        What is in it, or why the function could not be watched.
    """

    program: Program
    road: str
    why: str

    def __len__(self) -> int:
        return self.program.combinations

    @property
    def memory(self) -> int:
        """Bytes, with one workspace."""
        return self.program.memory()

    def words(self, begin: int = 0, end: int | None = None) -> np.ndarray:
        """Signals of points ``begin`` up to ``end`` on all bars, uint64 of shape (points, 4, words).

        The four are long entry, long exit, short entry, short exit; bit ``b`` of word ``w`` is bar ``64·w + b``.
        """
        return self.program.words(begin, end)

    def __str__(self) -> str:
        return f"{self.road}: {self.why}"


def compile_batch(
    strategy: Strategy,
    bars: pd.DataFrame,
    points: Points,
    *,
    threads: int | None = None,
    whole_bytes: int = WHOLE_BYTES,
    checked: bool = True,
) -> Batch:
    """Compile ``strategy`` for all ``points`` over ``bars``.

    Parameters
    ----------
    strategy
        Any; one whose function uses nothing but the bars' columns, arithmetic, comparisons, logic, shifts and
        `tradelab.strategy.indicators` becomes small and fast.
    bars
        Canonical bars of one instrument.
    points
        Parameters of each combination, as mappings, or as columns of equal length; what is missing is the default.
    threads
        Of the arrays road; as many as there are processors by default.
    whole_bytes
        Most memory for whole columns before the arrays road is taken.
    checked
        Hold a few combinations of a watched batch to what the function itself decides; of a sweep in many batches, the
        first will do.

    Raises
    ------
    ParameterError
        A point that the strategy refuses.
    Exception
        Whatever the strategy itself raises, with a note that says at which point.
    """
    columns, many = _columns(strategy, points)
    quiet = [max(math.ceil(strategy.warmup(**point)) - 1, 0) for point in _rows(columns, many)]
    reason = f"{many} combinations" if checked and many < _FEWEST else ""
    if not reason:
        try:
            return _watched(strategy, bars, columns, quiet, whole_bytes, checked)
        except Untraceable as told:
            reason = str(told)
    return Batch(_asked(strategy, bars, columns, many, threads), "arrays", reason)


def _point(columns: Mapping[str, list[Any]], c: int) -> dict[str, Any]:
    return {name: values[c] for name, values in columns.items()}


def _rows(columns: Mapping[str, list[Any]], many: int) -> Iterator[dict[str, Any]]:
    """Each combination's parameters."""
    names = tuple(columns)
    rows = zip(*columns.values(), strict=True) if names else [()] * many
    return (dict(zip(names, row, strict=True)) for row in rows)


def _columns(strategy: Strategy, points: Points) -> tuple[dict[str, list[Any]], int]:
    """Each parameter's values, accepted, defaults filled in."""
    if isinstance(points, Mapping):
        given = {name: list(values) for name, values in points.items()}
        many = len(next(iter(given.values()), ()))
        if any(len(values) != many for values in given.values()):
            raise ParameterError("the columns of points have different lengths.", fix="One value a combination.")
    else:
        many = len(points)
        names = {name for point in points for name in point}
        given = {
            name: [point.get(name, getattr(strategy.parameters.get(name), "default", None)) for point in points]
            for name in names
        }
    strategy.resolve({name: values[0] for name, values in given.items() if many})  # an unknown name is refused here
    columns: dict[str, list[Any]] = {}
    for name, parameter in strategy.parameters.items():
        values = given.get(name, [parameter.default] * many)
        accepted: dict[Any, Any] = {}
        for value in values:
            if (type(value), value) not in accepted:
                accepted[type(value), value] = parameter.accept(value, strategy.name)
        columns[name] = [accepted[type(value), value] for value in values]
    for point in _rows(columns, many) if strategy.requires else ():
        if not strategy.allows(point):
            strategy.resolve(point)  # says which rule
    return columns, many


def _watched(
    strategy: Strategy,
    bars: pd.DataFrame,
    columns: dict[str, list[Any]],
    quiet: list[int],
    whole_bytes: int,
    checked: bool,
) -> Batch:
    lowering = Lowering(bars, whole_bytes)
    ways = watch(strategy, bars, columns, len(quiet))
    roots = np.empty((len(quiet), 4), np.int64)
    try:
        for way in ways:
            roots[way.places] = lowering.add(way.roots, len(way.places))
    except RecursionError as error:
        raise Untraceable("takes too many steps, each on the one before") from error
    lowering.builder.combinations(roots, np.array(quiet))
    program = lowering.build()
    if checked:
        _hold_to_function(strategy, bars, columns, program, ways)
    return Batch(program, "program", _said(program, lowering.whole_lines, len(ways)))


def _hold_to_function(
    strategy: Strategy, bars: pd.DataFrame, columns: Mapping[str, list[Any]], program: Program, ways: list[Way]
) -> None:
    """Compare a few combinations, of different ways where there are several, with what the function decides."""
    ends = [int(place) for way in ways for place in (way.places[0], way.places[-1])]
    chosen = sorted({ends[k] for k in np.linspace(0, len(ends) - 1, _CHECKED).astype(int)})
    for c, words in zip(chosen, program.some_words(chosen), strict=True):
        decided = strategy.decide(bars.copy(deep=False), _point(columns, c))
        wrong = [name for k, name in enumerate(SIGNAL_NAMES) if (pack(decided[name]) != words[k]).any()]
        if wrong:
            raise Untraceable(f"decided otherwise when watched ({wrong[0]} at {_point(columns, c)})")


def _said(program: Program, whole: int, ways: int) -> str:
    op = program.tables.code["op"]
    counts = {
        "lines": len(program.windows) + int((op < ops.LINES).sum()),
        "kept whole": whole,
        "crossings": int(np.isin(op, (ops.RISES, ops.CROSSES)).sum()),
        "comparisons": int(np.isin(op, (ops.ABOVE, ops.REACHES, ops.EQUALS)).sum()),
        "ways": ways if ways > 1 else 0,
    }
    return ", ".join(f"{count:,} {name}".replace(",", " ") for name, count in counts.items() if count)


def _asked(
    strategy: Strategy, bars: pd.DataFrame, columns: Mapping[str, list[Any]], many: int, threads: int | None
) -> Program:
    """Call the function with every combination and pack its answers; equal answers are kept once."""
    builder = Builder(len(bars))
    kept: dict[bytes, np.ndarray] = {}

    def answers(c: int) -> list[tuple[bytes, np.ndarray]]:
        point = _point(columns, c)
        try:
            with remembering(memory):
                decided = strategy.decide(bars.copy(deep=False), point)  # writing to it makes a copy of what is written
        except Exception as error:
            error.add_note(f"in {strategy.name} at {', '.join(f'{k}={v!r}' for k, v in point.items())}")
            raise
        packed = [pack(decided[name]) for name in SIGNAL_NAMES]
        return [(hashlib.blake2b(words.tobytes(), digest_size=16).digest(), words) for words in packed]

    memory = IndicatorMemory(bars)
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for four in pool.map(answers, range(many)):
            rows = [kept.setdefault(digest, words) for digest, words in four]
            builder.combination([builder.given(words) if words.any() else None for words in rows])
    return builder.build()
