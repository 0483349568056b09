"""A window holds the newest closed bars, and no gate can change what another sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradelab.model.market import Candle
from tradelab.spine.view import Window


def bar(number: int, *, closed: bool = True) -> Candle:
    return Candle(number, number + 0.1, number + 0.4, number - 0.5, number + 0.2, float("nan"), closed)


@settings(max_examples=200)
@given(length=st.integers(1, 7), times=st.lists(st.integers(0, 40), max_size=60))
def test_it_holds_the_newest_in_order_whatever_comes(length: int, times: list[int]) -> None:
    window, kept = Window(length), []
    for number in times:
        is_newer = not kept or number > kept[-1]
        assert window.add(bar(number)) == is_newer
        kept += [number] if is_newer else []
        assert window.ts_ns.tolist() == kept[-length:]
        assert window.values[:, 3].tolist() == [each + 0.2 for each in kept[-length:]]
        assert len(window) == min(len(kept), length)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_even_the_shortest_window_goes_on_for_ever(length: int) -> None:
    window = Window(length)
    for number in range(50):
        assert window.add(bar(number))
    assert window.ts_ns.tolist() == list(range(50 - length, 50))


def test_a_bar_that_still_forms_is_never_in_it() -> None:
    window = Window(3)
    assert not window.add(bar(1, closed=False))
    assert len(window) == 0


def test_what_is_read_is_a_copy() -> None:
    window = Window(3)
    window.add(bar(1))
    window.values[:] = 0
    window.ts_ns[:] = 0
    assert window.ts_ns.tolist() == [1]
    assert np.isnan(window.values[0, 4])
    assert window.values[0, 0] == 1.1
