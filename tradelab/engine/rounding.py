"""Round once where two roundings are usual: fused multiply-add, and division by a whole number without dividing.

Both give the same bits on every machine, for IEEE 754 fixes what a fused multiply-add returns; the compiler itself
fuses nothing in this house.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tradelab.engine.jit import Primitive, kernel

fma: Any = Primitive("fma")


@kernel
def bits_of(value: float) -> int:
    """The bits of a float64: sign, 11 bits of exponent, 52 of the number; without the sign, in the order of sizes."""
    bits: Any = np.float64(value).view(np.int64)
    return bits


@kernel
def float_of(bits: int) -> float:
    """The float64 that has these bits."""
    return np.int64(bits).view(np.float64)


@kernel
def power_of_two(exponent: int) -> float:
    """2^``exponent``, for exponents from −1022 to 1023."""
    return float_of((exponent + 1023) << 52)


@kernel
def quotient(total: float, count: float, share: float) -> float:
    """``total / count`` to the last bit, for a whole ``count`` below 2⁵⁰ and ``share = 1 / count``; ``total`` finite.

    A vector division takes three times as long as these three steps (Markstein 1990, IBM J. Res. Dev. 34, 111-119).
    ``near`` is off by at most 1.5 units in its last place; what is ``left`` over is a whole number of such units, no
    more than ``1.5 · count`` of them, and therefore exact; and ``total / count`` is at least ``1 / (2 · count)`` units
    away from where rounding would change its mind, much further than the rounding of ``share`` can carry the last step.
    """
    near = total * share
    left = fma(-near, count, total)
    return fma(left, share, near)
