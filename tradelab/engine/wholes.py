"""Sum the values of a window as whole numbers of any length, and round once: the slow road to the bits of the fast one.

A float64 is a whole number of 53 bits times a power of two. Here it is cut into limbs of 20 bits; a sum is one int64
for each place, the sum of the limbs in that place, and carries nothing. So a value leaves a window as exactly as it
came, whatever the values: of all sizes, of both signs, denormal. Only when a figure is asked for is it carried through,
and rounded to the nearest float64. What exceeds every float64 is infinite, and so is a window that holds an infinity.

`tradelab.engine.exact` comes here with blocks that fit no grid of its own, and with single figures that it cannot round
with certainty. Windows may hold a trillion values, weighted ones four million.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradelab.engine.jit import kernel
from tradelab.engine.rounding import bits_of, power_of_two

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SUM, WEIGHTED, SPREAD = range(3)  # figures: a mean, a mean weighted 1, 2, …, a deviation

ROOM = 1024  # floats of scratch: two numbers as long as all float64, and three as long as their squares
_BITS = 20
_MASK = (1 << _BITS) - 1
_SPARE = 3  # limbs below the last bit of any value, so that four can always be read; as many above, for carries


@kernel
def _taken_apart(value: float) -> tuple[int, int, int]:
    """A finite value as sign, whole number and exponent of two."""
    bits = bits_of(value)
    biased = (bits >> 52) & 0x7FF
    whole = bits & 0xF_FFFF_FFFF_FFFF
    if biased:
        return (-1 if bits < 0 else 1), whole | (1 << 52), biased - 1075
    return (-1 if bits < 0 else 1), whole, -1074


@kernel
def _add(limbs: Ints, whole: int, exponent: int, factor: int) -> None:
    """Add ``factor · whole · 2^exponent``; ``whole`` has up to 55 bits; ``exponent`` counts from the last limb's."""
    at, shift = exponent // _BITS, exponent % _BITS
    limbs[at] += factor * ((whole << shift) & _MASK)
    limbs[at + 1] += factor * ((whole >> (_BITS - shift)) & _MASK)
    limbs[at + 2] += factor * ((whole >> (2 * _BITS - shift)) & _MASK)
    limbs[at + 3] += factor * (whole >> (3 * _BITS - shift))


@kernel
def _carried(limbs: Ints, sign: int, digits: Ints) -> int:
    """Carry limbs times ``sign`` through to digits of 20 bits; what is carried out at the top, −1 if it is negative."""
    carry = 0
    for j in range(len(limbs)):
        total = sign * limbs[j] + carry
        digits[j] = total & _MASK
        carry = total >> _BITS
    return carry


@kernel
def _size(limbs: Ints, digits: Ints) -> int:
    """Write the digits of the number without its sign; return the sign."""
    if _carried(limbs, 1, digits) >= 0:
        return 1
    _carried(limbs, -1, digits)
    return -1


@kernel
def _rounded(limbs: Ints, base: int, digits: Ints) -> float:
    """The float64 nearest to a number whose last limb counts 2^``base``.

    Of its digits from the first on, four have at least 61 bits; if anything is left below them, their last bit says so.
    """
    sign = _size(limbs, digits)
    top = len(digits) - 1
    while top >= _SPARE and digits[top] == 0:
        top -= 1
    if top < _SPARE:
        return 0.0
    high, low = (digits[top] << _BITS) | digits[top - 1], (digits[top - 2] << _BITS) | digits[top - 3]
    for j in range(top - 3):
        if digits[j]:
            low |= 1
            break
    value = sign * (float(high) * power_of_two(2 * _BITS) + float(low))
    exponent = base + _BITS * (top - 3)
    while abs(exponent) > 1000:
        step = 1000 if exponent > 0 else -1000
        value *= power_of_two(step)
        exponent -= step
    return value * power_of_two(exponent)


@kernel
def _apart(window: int, squares: Ints, total: Ints, square_digits: Ints, digits: Ints, out: Ints) -> None:
    """``window`` times a sum of squares, less the square of a sum."""
    _carried(squares, 1, square_digits)
    _size(total, digits)
    for j in range(len(out)):
        out[j] = window * square_digits[j]
    for j in range(len(digits)):
        if digits[j]:
            for k in range(len(digits)):
                if j + k < len(out):
                    out[j + k] -= digits[j] * digits[k]


@kernel
def _take(figure: int, value: float, base: int, weight: int, total: Ints, second: Ints) -> None:
    """Add a value to a sum and ``weight`` times to a weighted one, or its square to the squares; −1 takes it away."""
    sign, whole, exponent = _taken_apart(value)
    place = exponent - base
    _add(total, whole, place, sign if weight > 0 else -sign)
    if figure == WEIGHTED and weight > 0:
        _add(second, whole, place, sign * weight)
    elif figure == SPREAD:
        factor = 1 if weight > 0 else -1
        upper, lower = whole >> 27, whole & 0x7FF_FFFF
        _add(second, lower * lower, 2 * place, factor)
        _add(second, 2 * upper * lower, 2 * place + 27, factor)
        _add(second, upper * upper, 2 * place + 54, factor)


@kernel
def _span(values: Floats) -> tuple[int, int]:
    """Exponents of the last bits of the smallest and of the largest value that is neither 0 nor infinite."""
    low, high = 1024, -1074
    for i in range(len(values)):
        if values[i] != 0.0 and np.isfinite(values[i]):
            exponent = _taken_apart(values[i])[2]
            low, high = min(low, exponent), max(high, exponent)
    return min(low, high), high


@kernel
def draw(figure: int, window: int, ddof: int, values: Floats, scratch: Floats, out: Floats) -> None:
    """Write figures over ``window`` values from each of ``values`` on, where ``out`` is still NaN."""
    first, last = len(out), 0
    for i in range(len(out)):
        if out[i] != out[i]:
            first, last = min(first, i), i + 1
    low, high = _span(values[first : last + window - 1])
    base = low - _SPARE * _BITS
    size = (high - base) // _BITS + 4 + 2 * _SPARE
    double = 2 * (high - base) // _BITS + 8 + 2 * _SPARE
    memory = scratch[: 2 * size + 3 * double].view(np.int64)
    total, digits = memory[:size], memory[size : 2 * size]
    second, square_digits = memory[2 * size : 2 * size + double], memory[2 * size + double : 2 * size + 2 * double]
    apart = memory[2 * size + 2 * double :]
    count = window * (window + 1) // 2 if figure == WEIGHTED else window
    count = window * (window - ddof) if figure == SPREAD else count
    begin = end = 0  # the values summed
    up = down = 0  # infinities among them
    memory[:] = 0
    for i in range(first, last):
        if out[i] == out[i]:
            continue
        if i >= end:
            begin = end = i
            up = down = 0
            total[:] = 0
            second[:] = 0
        while begin < i:
            if figure == WEIGHTED:  # every weight falls by one, the oldest to nothing
                for j in range(size):
                    second[j] -= total[j]
            if np.isfinite(values[begin]):
                _take(figure, values[begin], base, -1, total, second)
            up -= values[begin] == np.inf
            down -= values[begin] == -np.inf
            begin += 1
        while end < i + window:
            if np.isfinite(values[end]):
                _take(figure, values[end], base, end - begin + 1, total, second)
            up += values[end] == np.inf
            down += values[end] == -np.inf
            end += 1
        if figure == SPREAD:
            _apart(window, second, total, square_digits, digits, apart)
            found = _rounded(apart, 2 * base, square_digits)
        elif figure == WEIGHTED:
            found = _rounded(second[:size], base, digits)
        else:
            found = _rounded(total, base, digits)
        if up or down:
            found = np.nan if (up and down) or figure == SPREAD else (np.inf if up else -np.inf)
        out[i] = np.sqrt(found * (1.0 / count)) if figure == SPREAD else found / count
