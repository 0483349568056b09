"""An instrument rounds to its own steps, exactly, and refuses steps that are none."""

from __future__ import annotations

import dataclasses
import pickle
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradelab.model.errors import ParameterError
from tradelab.model.instrument import Calendar, Instrument, InstrumentKind

_STEPS = st.sampled_from(
    [Decimal("0.00000001"), Decimal("0.01"), Decimal("0.25"), Decimal("0.5"), Decimal(1), Decimal(100)]
)
_AMOUNTS = st.decimals(min_value=0, max_value=10**9, places=10, allow_nan=False, allow_infinity=False)


def _future(**changes: object) -> Instrument:
    terms: dict[str, object] = {"tick_size": Decimal("0.25"), "qty_step": Decimal(1), **changes}
    return Instrument(symbol="ES", venue="sample", quote="USD", **terms)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("price", "down", "up"),  # a quarter-point future, by hand
    [("4500.30", "4500.25", "4500.50"), ("4500.25", "4500.25", "4500.25"), ("0.10", "0.00", "0.25")],
)
def test_a_price_is_rounded_to_its_tick(price: str, down: str, up: str) -> None:
    assert _future().floor_price(Decimal(price)) == Decimal(down)
    assert _future().ceil_price(Decimal(price)) == Decimal(up)


@given(step=_STEPS, qty=_AMOUNTS)
def test_a_quantity_is_never_more_than_asked_for_and_less_by_under_a_step(step: Decimal, qty: Decimal) -> None:
    floored = _future(qty_step=step).floor_qty(qty)
    assert qty - step < floored <= qty
    assert floored % step == 0


@given(step=_STEPS, price=_AMOUNTS)
def test_a_price_lies_between_its_two_ticks(step: Decimal, price: Decimal) -> None:
    instrument = _future(tick_size=step)
    below, above = instrument.floor_price(price), instrument.ceil_price(price)
    assert below <= price <= above
    assert above - below in {Decimal(0), step}


@pytest.mark.parametrize("name", ["tick_size", "qty_step", "contract_size"])
@pytest.mark.parametrize("value", [0.01, 1, "0.01", Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("Infinity"), None])
def test_a_step_that_is_no_decimal_above_zero_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ParameterError, match=rf"ES: {name}=.* must be a Decimal above zero\. Write it as text"):
        _future(**{name: value})


def test_an_instrument_is_frozen_hashable_and_travels() -> None:
    instrument = _future(calendar=Calendar.SESSIONS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        instrument.symbol = "NQ"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(instrument)) == instrument
    assert len({instrument, _future(calendar=Calendar.SESSIONS)}) == 1


@pytest.mark.parametrize(
    "name",
    [
        "min_qty",
        "max_qty",
        "min_notional",
        "max_notional",
        "min_price",
        "max_price",
        "min_market_qty",
        "max_market_qty",
    ],
)
def test_a_limit_is_none_or_a_decimal_of_zero_or_more(name: str) -> None:
    assert getattr(_future(), name) is None
    assert getattr(_future(**{name: Decimal(0)}), name) == 0
    for wrong in (1.0, "1", Decimal(-1), Decimal("NaN")):
        with pytest.raises(ParameterError, match=rf"ES: {name}=.* must be a Decimal of zero or more, or None"):
            _future(**{name: wrong})


@pytest.mark.parametrize("name", ["market_qty_step", "price_band_up", "price_band_down"])
def test_a_band_or_a_step_of_market_orders_is_none_or_above_zero(name: str) -> None:
    assert getattr(_future(), name) is None
    with pytest.raises(ParameterError, match=rf"ES: {name}=.* must be a Decimal above zero"):
        _future(**{name: Decimal(0)})


@pytest.mark.parametrize("name", ["max_orders", "max_trigger_orders"])
def test_a_count_of_orders_is_none_or_a_whole_number(name: str) -> None:
    assert getattr(_future(**{name: 200}), name) == 200
    for wrong in (-1, 1.0, True, "5"):
        with pytest.raises(ParameterError, match=rf"ES: {name}=.* whole number"):
            _future(**{name: wrong})


def test_an_instrument_says_no_more_than_it_was_told() -> None:
    plain = _future()
    assert (plain.kind, plain.base, plain.settle, plain.session) == (InstrumentKind.OTHER, None, None, None)
