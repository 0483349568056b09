"""An order that was decided on something too old does not pass, and one that grew too old meanwhile says so."""

from __future__ import annotations

import ast
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import tradelab
from tradelab.model.approval import DecidedOn, OrderApproved, approve, intent_of
from tradelab.model.errors import InvariantError, ParameterError
from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.model.outcome import RefusalCode, Refused

S = 1_000_000_000
NOW = 1_704_067_200 * S
MARKET = Instrument(symbol="X", venue="v", quote="USD", tick_size=Decimal("0.01"), qty_step=Decimal(1))
ORDER = OrderIntent(symbol="X", side=Side.BUY, type=OrderType.MARKET, qty=Decimal(1), client_order_id="tl1")


def passed(*decided_on: DecidedOn) -> OrderApproved | Refused:
    return approve(
        ORDER, MARKET, reference_price=Decimal(10), by=("person",), at_ns=NOW, decided_on=decided_on
    )  # fmt: skip


@pytest.mark.parametrize(
    ("age_s", "passes"), [(0.0, True), (5.0, True), (5.001, False), (600.0, False), (-1.0, True), (-1.001, False)]
)
def test_an_order_passes_while_its_input_is_young_enough_and_not_from_the_future(age_s: float, passes: bool) -> None:
    told = passed(DecidedOn(what="quote", ts_ns=NOW - int(age_s * S), max_age_s=5.0))
    if passes:
        assert isinstance(told, OrderApproved)
    else:
        assert isinstance(told, Refused)
        assert told.code is RefusalCode.STALE_INPUT
        assert not told.code.may_pass_later, "it is to be decided anew, not sent again"


def test_one_stale_input_among_fresh_ones_is_named() -> None:
    told = passed(
        DecidedOn(what="quote", ts_ns=NOW, max_age_s=1.0), DecidedOn(what="AI answer", ts_ns=NOW - 61 * S, max_age_s=60)
    )
    assert isinstance(told, Refused)
    assert told.says == "the AI answer is 61.0 s old; the limit is 60.0 s"


def test_an_order_that_waited_grows_stale() -> None:
    told = passed(DecidedOn(what="bar", ts_ns=NOW, max_age_s=5.0))
    assert isinstance(told, OrderApproved)
    assert told.stale_at(NOW + 5 * S) is None
    late = told.stale_at(NOW + 6 * S)
    assert late is not None
    assert late.code is RefusalCode.STALE_INPUT


def test_an_order_decided_on_nothing_with_a_limit_never_grows_stale() -> None:
    told = passed()
    assert isinstance(told, OrderApproved)
    assert told.stale_at(NOW + 10**6 * S) is None


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(ParameterError, match="age limit of a quote"):
        DecidedOn(what="quote", ts_ns=0, max_age_s=limit)


@pytest.mark.parametrize(
    "more",
    [
        {"intent": replace(ORDER, qty=Decimal(1000))},
        {"decided_on": ()},
        {"decided_on": (DecidedOn(what="bar", ts_ns=NOW, max_age_s=5000.0),)},
        {"approved_by": ("risk",)},
        {"reference_price": Decimal(9)},
    ],
    ids=lambda more: next(iter(more)),
)
def test_nothing_of_what_was_approved_can_be_replaced(more: dict[str, Any]) -> None:
    told = passed(DecidedOn(what="bar", ts_ns=NOW, max_age_s=5.0))
    assert isinstance(told, OrderApproved)
    with pytest.raises(InvariantError, match="nothing of it is replaced"):
        replace(told, **more)
    assert replace(told) == told


def test_a_venue_is_told_nothing_that_nobody_approved() -> None:
    approved = passed()
    assert isinstance(approved, OrderApproved)
    assert intent_of(approved) == approved.intent
    refused = passed(DecidedOn(what="quote", ts_ns=NOW - 9 * S, max_age_s=5.0))
    with pytest.raises(ParameterError, match=r"nothing to submit: the quote is 9\.0 s old"):
        intent_of(refused)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"approved order only, not OrderIntent\. Let it pass first: approve\("):
        intent_of(ORDER)  # type: ignore[arg-type]


@pytest.mark.parametrize("room", ["ccxt_venue", "metaapi_venue", "mtapi_venue", "paper_venue"])
def test_each_of_our_venues_asks_for_the_approval_first(room: str) -> None:
    source = (Path(tradelab.__file__).parent / "adapters" / f"{room}.py").read_text(encoding="utf-8")
    (submit,) = [node for node in ast.walk(ast.parse(source)) if getattr(node, "name", "") == "submit"]
    assert "intent_of(order)" in ast.unparse(submit.body[1])  # after the docstring
