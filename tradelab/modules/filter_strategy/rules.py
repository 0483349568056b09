"""Read a condition such as ``rsi(14) < 70``, and say whether it holds on the newest bar of a window.

This is the simplest filter that is one: two values and a comparison. A rule grammar with crossings, groups and other
timeframes is not here yet.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tradelab.model.errors import ConfigError, ParameterError, UnknownNameError
from tradelab.model.signal import Drop, DropCode, Pass, Verdict
from tradelab.spine.view import COLUMNS, Window
from tradelab.strategy import indicators as ta

Arrays = dict[str, np.ndarray]

_COMPARED: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
# Each with its windows: how many there are, and how they and the bars make a line.
_LINES: dict[str, tuple[int, Callable[..., np.ndarray]]] = {
    "sma": (1, lambda b, n: ta.sma(b["close"], n)),
    "ema": (1, lambda b, n: ta.ema(b["close"], n)),
    "rsi": (1, lambda b, n: ta.rsi(b["close"], n)),
    "roc": (1, lambda b, n: ta.roc(b["close"], n)),
    "atr": (1, lambda b, n: ta.atr(b["high"], b["low"], b["close"], n)),
    "adx": (1, lambda b, n: ta.adx(b["high"], b["low"], b["close"], n).adx),
    "highest": (1, lambda b, n: ta.highest(b["high"], n)),
    "lowest": (1, lambda b, n: ta.lowest(b["low"], n)),
    "volume_sma": (1, lambda b, n: ta.sma(b["volume"], n)),
    "macd": (3, lambda b, fast, slow, signal: ta.macd(b["close"], fast, slow, signal).line),
    "macd_signal": (3, lambda b, fast, slow, signal: ta.macd(b["close"], fast, slow, signal).signal),
}
_CALL = re.compile(r"([a-z_]+)\(([\d\s,]*)\)")
_FIX = 'Write two values and a comparison, such as "rsi(14) < 70" or "close > sma(200)".'


@dataclass(frozen=True, slots=True)
class Value:
    """One side of a condition: a number, a column of the bars, or an indicator with its windows."""

    name: str
    number: float | None = None
    windows: tuple[int, ...] = ()

    def of(self, bars: Arrays) -> float:
        """Return what it is on the newest bar; NaN while that cannot be told."""
        if self.number is not None:
            return self.number
        if self.name in COLUMNS:
            return float(bars[self.name][-1])
        return float(_LINES[self.name][1](bars, *self.windows)[-1])


@dataclass(frozen=True, slots=True)
class Condition:
    """Two values and a comparison; ``text`` is how it was written."""

    text: str
    left: Value
    compared: str
    right: Value


def parse(text: str) -> Condition:
    """Return the condition that a text is.

    Raises
    ------
    ConfigError
        It is none, or a word in it is not known.

    Examples
    --------
    >>> parse("close > sma(200)").right
    Value(name='sma', number=None, windows=(200,))
    """
    found = re.fullmatch(r"\s*([^<>=]+?)\s*(>=|<=|>|<)\s*([^<>=]+?)\s*", text)
    if found is None:
        raise ConfigError(f"{text!r} is no condition.", fix=_FIX)
    left, compared, right = found.groups()
    return Condition(text, _value(left, text), compared, _value(right, text))


def _value(word: str, text: str) -> Value:
    try:
        return Value(word, number=float(Decimal(word)))
    except ArithmeticError:
        pass
    if word in COLUMNS:
        return Value(word)
    call = _CALL.fullmatch(word)
    name = call.group(1) if call else word
    if name not in _LINES:
        raise UnknownNameError.of(f"value in {text!r}", name, [*COLUMNS, *(f"{line}(…)" for line in _LINES)], fix=_FIX)
    windows = tuple(int(each) for each in call.group(2).split(",") if each.strip()) if call else ()
    wanted = _LINES[name][0]
    if len(windows) != wanted or 0 in windows:
        raise ParameterError(f"{text!r}: {name} takes {wanted} whole numbers above zero.", fix=_FIX)
    return Value(name, windows=windows)


def judge(conditions: tuple[Condition, ...], window: Window | None) -> Verdict:
    """Return whether all conditions hold on the newest bar; what cannot be told does not hold."""
    if not conditions:
        return Drop(DropCode.FILTER, "the filter has no conditions for this side")
    if window is None or not len(window):
        return Drop(DropCode.FILTER, "there are no bars to judge the signal on")
    bars = {name: np.ascontiguousarray(column) for name, column in zip(COLUMNS, window.values.T, strict=True)}
    inputs: list[tuple[str, str]] = []
    for each in conditions:
        left, right = each.left.of(bars), each.right.of(bars)
        inputs += [(side.name, repr(value)) for side, value in ((each.left, left), (each.right, right))]
        if math.isnan(left) or math.isnan(right):
            return Drop(DropCode.FILTER, f"{each.text} cannot be told on {len(window)} bars", tuple(inputs))
        if not _COMPARED[each.compared](left, right):
            says = f"{each.text} does not hold: {left:.6g} and {right:.6g}"
            return Drop(DropCode.FILTER, says, tuple(inputs))
    return Pass(f"{' and '.join(each.text for each in conditions)}", tuple(inputs))
