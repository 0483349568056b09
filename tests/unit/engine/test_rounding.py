"""Quotients, fused products and powers of two, to the bit."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradelab.engine import rounding
from tradelab.engine.jit import kernel

ORDINARY = st.floats(-1e200, 1e200).filter(lambda x: x == 0 or abs(x) > 1e-200)
SMALL = st.floats(-1e60, 1e60).filter(lambda x: x == 0 or abs(x) > 1e-60)


@kernel
def quotient(total, count):
    return rounding.quotient(total, count, 1.0 / count)


@kernel
def fused(a, b, c):
    return rounding.fma(a, b, c)


@given(total=ORDINARY, count=st.one_of(st.integers(1, 5000), st.integers(1, 2**50 - 1)))
def test_a_quotient_is_the_division_to_the_last_bit(total, count):
    assert quotient(total, float(count)) == total / count


@given(a=SMALL, b=SMALL, c=SMALL)
def test_a_fused_product_and_sum_is_rounded_once(a, b, c):
    assert fused(a, b, c) == float(Fraction(a) * Fraction(b) + Fraction(c))


@pytest.mark.parametrize("exponent", [-1022, -1, 0, 1, 52, 1023])
def test_a_power_of_two_is_exact(exponent):
    assert rounding.power_of_two(exponent) == 2.0**exponent


@given(st.floats(allow_nan=False))
def test_a_float_is_its_bits(value):
    assert rounding.float_of(rounding.bits_of(value)) == value
