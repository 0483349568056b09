"""Bring what rests at a venue to what should rest: one situation each, the answer worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tradelab.model.messages import CancelWanted, ChangeWanted, OrderWanted
from tradelab.model.orders import OrderRef, OrderType
from tradelab.model.states import Leg
from tradelab.modules.position_monitoring.converge import Wanted, converge
from tradelab.modules.position_monitoring.known import Known
from tradelab.modules.position_monitoring.wishes import Venue, Words

D = Decimal
ALL = frozenset({"qty", "price", "stop_price"})


def venue(**changes: Any) -> Venue:
    """A venue that reduces and amends."""
    told: dict[str, Any] = {
        "reduce_only": True, "stops_rest": True, "targets_rest": True, "modify": ALL, "by_ticket": False,
        "step": D("0.01"), "least": D("0.01"), "most": None,
    }  # fmt: skip
    told |= changes
    return Venue(**{"modify_stops": told["modify"]} | told)


SPOT: dict[str, Any] = {"reduce_only": False, "targets_rest": False}


def words(**intended: int) -> Words:
    """Of a long position."""
    return Words(
        account="a", bot="b", symbol="X", signal_id="s", direction=1, intended=intended, reference_price=D(100),
        fresh_until_ns=1, reduce_only=True,
    )  # fmt: skip


def there(qty: str, level: str | None = "98", *, leg: Leg = Leg.STOP, name: str = "o", **changes: Any) -> Known:
    """An order that stands, as the venue's own list shows it."""
    told: dict[str, Any] = {
        "ref": OrderRef(symbol="X", client_order_id=name), "leg": leg, "level": None if level is None else D(level),
        "qty": D(qty), "filled": D(0), "leaves": D(qty), "at_most": D(qty), "stands": True, "shown": D(qty),
        "is_leaving": False,
    }  # fmt: skip
    return Known(**told | changes)


ON_ITS_WAY: dict[str, Any] = {"stands": False, "shown": D(0)}
LEAVING: dict[str, Any] = {"stands": False, "is_leaving": True}


def asked(held: str, stop: str | None, orders: list[Known], at: Venue, *, targets: Any = ()) -> list[tuple[Any, ...]]:
    """What is wished for, in short."""
    wanted = Wanted(
        held=D(held), stop=None if stop is None else D(stop), stop_qty=D(held),
        targets=tuple((D(price), D(qty)) for price, qty in targets),
    )  # fmt: skip
    found: list[tuple[Any, ...]] = []
    for wish in converge(wanted, orders, at, words()):
        if isinstance(wish, OrderWanted):
            level = wish.intent.stop_price or wish.intent.price
            found.append(("place", wish.leg.value, str(wish.intent.qty), str(level)))
        elif isinstance(wish, CancelWanted):
            found.append(("cancel", wish.ref.client_order_id))
        else:
            assert isinstance(wish, ChangeWanted)
            level = wish.stop_price or wish.price
            found.append(("change", wish.ref.client_order_id, str(wish.qty), str(level)))
    return found


def test_the_stop_comes_first_and_the_targets_after() -> None:
    found = asked("1", "98", [], venue(), targets=[("102", "0.5"), ("104", "0.5")])
    assert found == [
        ("place", "stop", "1.00", "98"), ("place", "target", "0.5", "102"), ("place", "target", "0.5", "104"),
    ]  # fmt: skip


def test_nothing_is_asked_when_all_stands_as_it_should() -> None:
    orders = [there("1"), there("1", "104", leg=Leg.TARGET)]
    assert asked("1", "98", orders, venue(), targets=[("104", "1")]) == []


def test_where_nothing_only_reduces_the_stop_rests_alone() -> None:
    assert asked("1", "98", [], venue(**SPOT), targets=[("102", "1")]) == [("place", "stop", "1.00", "98")]


def test_where_no_stop_can_rest_and_nothing_only_reduces_nothing_rests() -> None:
    assert asked("1", "98", [], venue(**SPOT, stops_rest=False), targets=[("102", "1")]) == []


@pytest.mark.parametrize(
    ("orders", "at", "answer"),
    [
        pytest.param([there("1")], venue(), [("change", "o", "2.00", "None")], id="amended"),
        pytest.param([there("1")], venue(modify=frozenset()), [("place", "stop", "1.00", "98")], id="another"),
        pytest.param([there("1")], venue(modify_stops=frozenset()), [("place", "stop", "1.00", "98")], id="no stop"),
        pytest.param([there("1", is_fixed=True)], venue(), [("place", "stop", "1.00", "98")], id="refused before"),
        pytest.param([there("1", **ON_ITS_WAY)], venue(), [], id="until it is answered, nothing"),
        pytest.param([there("1", at_most=D(2))], venue(**SPOT), [("change", "o", "2.00", "None")], id="spot, amended"),
        pytest.param([there("1", at_most=D(2))], venue(**SPOT, modify=frozenset()), [], id="spot: it may be 2 already"),
        pytest.param(
            [there("1"), there("0.6", None, leg=Leg.EXIT, name="x")],
            venue(**SPOT),
            [("change", "o", "1.40", "None")],
            id="spot: what is on its way out is not free",
        ),
    ],
)
def test_a_stop_grows_with_what_fills(orders: list[Known], at: Venue, answer: list[Any]) -> None:
    assert asked("2", "98", orders, at) == answer


@pytest.mark.parametrize(
    ("orders", "at", "answer"),
    [
        pytest.param([there("2")], venue(), [("change", "o", "1.00", "None")], id="amended"),
        pytest.param([there("2")], venue(modify=frozenset()), [("place", "stop", "1.00", "98")], id="new one first"),
        pytest.param(
            [there("2"), there("1", name="n", shown=D(0))], venue(modify=frozenset()), [], id="new one not seen yet"
        ),
        pytest.param(
            [there("2"), there("1", name="n")], venue(modify=frozenset()), [("cancel", "o")], id="then the old"
        ),
        pytest.param([there("2")], venue(**SPOT, modify=frozenset()), [("cancel", "o")], id="spot: old one first"),
        pytest.param([there("2", **LEAVING)], venue(**SPOT, modify=frozenset()), [], id="spot: until it is gone"),
    ],
)
def test_a_stop_shrinks_with_what_leaves(orders: list[Known], at: Venue, answer: list[Any]) -> None:
    assert asked("1", "98", orders, at) == answer


@pytest.mark.parametrize(
    ("orders", "at", "answer"),
    [
        pytest.param([there("1", "97")], venue(), [("change", "o", "None", "98")], id="amended"),
        pytest.param([there("1", "97")], venue(modify=frozenset()), [("place", "stop", "1.00", "98")], id="new first"),
        pytest.param(
            [there("1", "97"), there("1", name="n", shown=D(0))], venue(modify=frozenset()), [], id="new one not seen"
        ),
        pytest.param(
            [there("1", "97"), there("1", name="n")], venue(modify=frozenset()), [("cancel", "o")], id="then old"
        ),
        pytest.param([there("1", "97")], venue(**SPOT, modify=frozenset()), [("cancel", "o")], id="spot: old first"),
        pytest.param([there("1", "97", **LEAVING)], venue(**SPOT, modify=frozenset()), [], id="spot: until it is gone"),
        pytest.param(
            [there("2", "97")], venue(**SPOT), [("change", "o", "1.00", "98")], id="level and quantity in one change"
        ),
    ],
)
def test_a_stop_moves(orders: list[Known], at: Venue, answer: list[Any]) -> None:
    assert asked("1", "98", orders, at) == answer


def test_a_change_names_the_whole_order_what_has_filled_included() -> None:
    order = there("1.5", filled=D("0.5"), leaves=D(1), at_most=D(1), shown=D(1))
    assert asked("2", "98", [order], venue()) == [("change", "o", "2.50", "None")]


def test_a_target_without_a_level_goes_at_once() -> None:
    orders = [there("1"), there("1", "104", leg=Leg.TARGET, name="t")]
    assert asked("1", "98", orders, venue()) == [("cancel", "t")]


def test_nothing_held_leaves_nothing_resting() -> None:
    orders = [there("1"), there("1", "104", leg=Leg.TARGET, name="t"), there("1", name="u", **ON_ITS_WAY)]
    assert asked("0", None, orders, venue()) == [("cancel", "o"), ("cancel", "t")]


def test_what_is_below_the_venues_least_is_not_sent() -> None:
    assert asked("0.05", "98", [], venue(least=D("0.1"))) == []


def test_of_many_stops_one_is_made() -> None:
    orders = [there("1", name=f"o{i}") for i in range(5)]
    at = venue(**SPOT, modify=frozenset())
    assert asked("6", "98", orders, at) == [("cancel", f"o{i}") for i in range(1, 5)]
    assert asked("6", "98", orders, venue(modify=frozenset())) == [("place", "stop", "6.00", "98")]


def test_names_count_what_was_intended_so_the_same_wish_keeps_its_name() -> None:
    first, second, again = (words(stop=n).order(Leg.STOP, D(1), D(98)).intent.client_order_id for n in (0, 1, 0))
    assert first == again != second


def test_only_stops_that_are_market_orders_once_triggered_rest() -> None:
    from tests.unit.modules.position_monitoring.world import offers
    from tradelab.model.instrument import Instrument

    x = Instrument(symbol="X", venue="v", quote="Q", tick_size=D(1), qty_step=D(1))
    types = frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT})
    assert not Venue.of(offers(order_types=types), x).stops_rest
    assert Venue.of(offers(), x).stops_rest
