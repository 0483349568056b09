"""What is taken over from a venue, and from whom, worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.modules.execution.venue import instrument
from tradelab.model.account import Balance, Position
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.messages import PositionAdjusted
from tradelab.modules.execution.rules import adjustments
from tradelab.spine.positions import Round
from tradelab.spine.snapshot import PositionKey

D = Decimal
PERP = instrument()
BTC, ETH = (instrument(base, InstrumentKind.SPOT) for base in ("BTC", "ETH"))
OTHER = instrument("BTC", InstrumentKind.SPOT, symbol="BTC/USDC", quote="USDC")


def adjusted(
    ours: dict[tuple[str | None, str], str], *, positions: dict[str, str] | None = None,
    money: dict[str, str] | None = None, markets: tuple[Instrument, ...] = (PERP,),
) -> list[tuple[str | None, str, Decimal]]:  # fmt: skip
    """Who is adjusted by how much, from who holds what and what the venue says."""
    return [(each.bot, each.symbol, each.qty) for each in told(ours, positions, money, markets)]


def told(
    ours: dict[tuple[str | None, str], str], positions: dict[str, str] | None, money: dict[str, str] | None,
    markets: tuple[Instrument, ...],
) -> list[PositionAdjusted]:  # fmt: skip
    held = {PositionKey("acc", bot, symbol): Round(qty=D(qty)) for (bot, symbol), qty in ours.items()}
    there = [Position(symbol=s, qty=D(q), avg_price=D(50)) for s, q in (positions or {}).items()]
    balances = [Balance(c, D(q), D(0)) for c, q in (money or {}).items()]
    listed = {each.symbol: each for each in markets}
    return adjustments("acc", held, listed, there, balances, has_positions=money is None)


S = "BTC/USDT"
NETTED: dict[str, tuple[dict[Any, str], str, list[Any]]] = {
    "nothing differs": ({("a", S): "1"}, "1", []),
    "less than a step differs": ({("a", S): "1"}, "1.009", []),
    "somebody opened": ({}, "2", [(None, S, D(2))]),
    "somebody added": ({("a", S): "1"}, "3", [(None, S, D(2))]),
    "somebody closed a part": ({("a", S): "3"}, "1", [("a", S, D(-2))]),
    "somebody closed all": ({("a", S): "3"}, "0", [("a", S, D(-3))]),
    "somebody turned it round": ({("a", S): "1"}, "-2", [("a", S, D(-1)), (None, S, D(-2))]),
    "a short was closed": ({("a", S): "-3"}, "-1", [("a", S, D(2))]),
    "what is nobody's goes first": ({("a", S): "2", (None, S): "1"}, "1.5", [(None, S, D(-1)), ("a", S, D("-0.5"))]),
    "then the largest": ({("a", S): "1", ("b", S): "2"}, "0.5", [("b", S, D(-2)), ("a", S, D("-0.5"))]),
    "two bots against each other": ({("a", S): "3", ("b", S): "-2"}, "1", []),
    "two against each other, and less": ({("a", S): "3", ("b", S): "-2"}, "0", [("a", S, D(-1))]),
    "a fill that was nobody's closed a bot's": (
        {("a", S): "1", (None, S): "-1"}, "0", [("a", S, D(-1)), (None, S, D(1))]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETTED)
def test_a_netted_position_is_taken_over(name: str) -> None:
    ours, theirs, expected = NETTED[name]
    assert adjusted(ours, positions={S: theirs}) == expected


C = "BTC/USDC"
SPOT: dict[str, tuple[dict[Any, str], str, list[Any]]] = {
    "ours alone": ({("a", S): "1"}, "1", []),
    "somebody has some, too": ({("a", S): "1"}, "5", []),
    "dust is missing": ({("a", S): "1"}, "0.999", []),
    "a part was sold": ({("a", S): "3"}, "1", [("a", S, D(-2))]),
    "all was sold": ({("a", S): "3"}, "0", [("a", S, D(-3))]),
    "the largest goes first": ({("a", S): "1", ("b", S): "2"}, "1", [("b", S, D(-2))]),
    "two markets of one currency share what is missing": ({("a", S): "1", ("a", C): "1"}, "1.5", [("a", C, D("-0.5"))]),
    "somebody sold his own": ({("a", S): "1", (None, S): "-3"}, "2", [(None, S, D(3))]),
    "somebody bought": ({("a", S): "1", (None, S): "3"}, "4", [(None, S, D(-3))]),
    "a bot sold more than it had": ({("a", S): "-0.5"}, "7", [("a", S, D("0.5"))]),
}


@pytest.mark.parametrize("name", SPOT)
def test_what_is_held_of_a_currency_is_taken_over(name: str) -> None:
    ours, total, expected = SPOT[name]
    assert adjusted(ours, money={"BTC": total}, markets=(BTC, OTHER)) == expected


def test_currencies_are_compared_one_by_one() -> None:
    found = adjusted({("a", S): "1", ("a", "ETH/USDT"): "2"}, money={"BTC": "1", "ETH": "1"}, markets=(BTC, ETH))
    assert found == [("a", "ETH/USDT", D(-1))]


def test_a_price_is_told_where_the_venue_tells_one() -> None:
    (one,) = told({}, {S: "1"}, None, (PERP,))
    assert one.price == D(50)


def test_another_accounts_positions_are_left_alone() -> None:
    held = {PositionKey("other", "a", S): Round(qty=D(1))}
    assert adjustments("acc", held, {S: PERP}, [], [], has_positions=True) == []


_QTY = st.integers(-300, 300).map(lambda n: D(n) / 100)
_OURS = st.dictionaries(st.sampled_from([(None, S), ("a", S), ("b", S), ("c", S)]), _QTY.filter(bool))


@given(ours=_OURS, theirs=_QTY)
def test_afterwards_ours_are_the_venues_and_a_second_pass_says_nothing(
    ours: dict[Any, Decimal], theirs: Decimal
) -> None:
    texts = {key: str(qty) for key, qty in ours.items()}
    after = dict(ours)
    for bot, symbol, qty in adjusted(texts, positions={S: str(theirs)}):
        after[bot, symbol] = after.get((bot, symbol), D(0)) + qty
        assert bot is None or abs(after[bot, symbol]) < abs(ours[bot, symbol])  # no bot is given more than it had
    assert sum(after.values(), D(0)) == theirs
    again = {key: str(qty) for key, qty in after.items() if qty}
    assert adjusted(again, positions={S: str(theirs)}) == []


@given(ours=_OURS, total=st.integers(0, 600).map(lambda n: D(n) / 100))
def test_on_spot_bots_never_hold_more_than_there_is_and_a_second_pass_says_nothing(
    ours: dict[Any, Decimal], total: Decimal
) -> None:
    texts = {key: str(qty) for key, qty in ours.items()}
    after = dict(ours)
    for bot, symbol, qty in adjusted(texts, money={"BTC": str(total)}, markets=(BTC,)):
        after[bot, symbol] += qty
    assert sum(after.values(), D(0)) == min(total, sum((q for (b, _), q in ours.items() if b and q > 0), D(0)))
    assert all(qty >= 0 for qty in after.values())
    assert adjusted({k: str(q) for k, q in after.items() if q}, money={"BTC": str(total)}, markets=(BTC,)) == []
