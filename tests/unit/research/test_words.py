"""Parameters and grids as text mean what they say, or are refused by name."""

from __future__ import annotations

import pytest

from tradelab.model.errors import ParameterError
from tradelab.research.words import grid_around, read_grid, read_parameters


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fast", ["'fast'", "name=value"]),
        ("fast=", ["'fast='"]),
        ("fst=3", ["'fst'", "did you mean 'fast'"]),
        ("fast=ten", ["fast='ten'", "int"]),
        ("fast=2.5", ["fast='2.5'"]),
        ("fast=3 fast=4", ["fast is given twice"]),
        ("fast=9999", ["out of range", "1 … 500"]),
    ],
)
def test_text_that_is_no_parameters_is_refused(text, words):
    with pytest.raises(ParameterError) as caught:
        read_parameters("sma_cross", text)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fast=1:2", ["first:last:step"]),
        ("fast=9:1:1", ["from 9 to 1"]),
        ("fast=1:9:0", ["by 0"]),
        ("fast=1:x:2", ["not numbers"]),
        ("fast=1:2:0.5", ["fast='1.5'"]),
    ],
)
def test_text_that_is_no_grid_is_refused(text, words):
    with pytest.raises(ParameterError) as caught:
        read_grid("sma_cross", text)
    for word in words:
        assert word in str(caught.value)


def test_fractions_are_counted_without_drift():
    assert read_grid("bollinger_reversion", "width=1:2:0.1")["width"][-1] == 2.0


def test_a_grid_around_stays_in_range_and_has_no_value_twice():
    assert grid_around("sma_cross", {"fast": 1, "slow": 1000}) == {"fast": [1, 2, 3], "slow": [500, 750, 1000]}
    assert grid_around("buy_and_hold", {}) == {}


def test_no_text_is_no_parameters():
    assert read_parameters("sma_cross", "") == {} == read_grid("sma_cross", "  ")
