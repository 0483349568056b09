"""Windows put together of stretches, against the scheme written out for one window at a time; quotients to the bit."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradelab.engine import rounding, windows
from tradelab.engine.jit import kernel


def stretch(values):
    """Sum of 1, 2, 4, … values: that of two halves."""
    half = len(values) // 2
    return values[0] if half == 0 else stretch(values[:half]) + stretch(values[half:])


def in_order(sums):
    total = sums[0]
    for one in sums[1:]:
        total = total + one
    return total


def window_sum(values):
    """The digits of a window's length, each the bits of that digit, from the oldest value to the newest."""
    digits, at = [], 0
    for place in reversed(range(len(f"{len(values):x}"))):
        bits = []
        for bit in (8, 4, 2, 1):
            if (len(values) >> 4 * place) & bit:
                span = bit << 4 * place
                bits.append(stretch(values[at : at + span]))
                at += span
        if bits:
            digits.append(in_order(bits))
    return in_order(digits)


@pytest.mark.parametrize("window", [*range(1, 70), 0xFF, 0x100, 0x101, 0x10B, 0x2B7, 0x1234])
def test_a_mean_is_the_sum_of_its_digits_and_of_nothing_else(window):
    values = np.round(np.random.default_rng(window).normal(100, 5, window + 1200), 2)
    found = windows.sma(values, window)
    for last in (window, window + 1, window + 1024, window + 1199):
        assert found[last - 1] == window_sum([float(x) for x in values[last - window : last]]) / window


ORDINARY = st.floats(-1e200, 1e200).filter(lambda x: x == 0 or abs(x) > 1e-200)


@given(total=ORDINARY, count=st.one_of(st.integers(1, 5000), st.integers(1, 2**50 - 1)))
def test_a_quotient_is_the_division_to_the_last_bit(total, count):
    assert rounding_quotient(total, float(count)) == total / count


@kernel
def rounding_quotient(total, count):
    return rounding.quotient(total, count, 1.0 / count)


def test_an_infinite_total_stays_infinite_and_an_unknown_one_unknown():
    assert rounding_quotient(np.inf, 3.0) == np.inf
    assert rounding_quotient(-np.inf, 3.0) == -np.inf
    assert np.isnan(rounding_quotient(np.nan, 3.0))


@kernel
def fused(a, b, c):
    return rounding.fma(a, b, c)


SMALL = st.floats(-1e60, 1e60).filter(lambda x: x == 0 or abs(x) > 1e-60)


@given(a=SMALL, b=SMALL, c=SMALL)
def test_a_fused_product_and_sum_is_rounded_once(a, b, c):
    assert fused(a, b, c) == float(Fraction(a) * Fraction(b) + Fraction(c))


def test_a_flat_market_has_its_price_for_an_average():
    for price in (0.1, 1.1, 49.0, 1.08345):
        still = np.full(300, price)
        for window in (2, 3, 5, 10, 49, 50, 100, 200):
            np.testing.assert_allclose(windows.sma(still, window)[window - 1 :], price, rtol=3e-16)
            assert (windows.rolling_std(still, window, 0)[window - 1 :] == 0.0).all()
