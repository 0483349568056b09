"""A leader's entry and its close become a follower's signals, in proportion, once, and nothing goes in circles."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.unit.modules.desk import World, node_of
from tests.unit.spine import world as spine
from tests.unit.spine.world import D
from tradelab.model import messages as said
from tradelab.model.errors import ConfigError
from tradelab.model.messages import Message, SignalRaised
from tradelab.model.orders import Side
from tradelab.model.signal import Action, Origin
from tradelab.model.states import Leg
from tradelab.model.units import NS_PER_S
from tradelab.modules.copy_trading.stage import Stage
from tradelab.spine.keeping import MemoryKeeper

BOTS = ({"name": "bot"}, {"name": "follower", "execution": "second"})
LINK = {"leader": "bot", "follower": "follower", "ratio": 0.5}
LISTED_TOO = said.InstrumentListed(account="second", instrument=spine.BTC)


def standing(*links: Any, bots: Any = BOTS, keeper: MemoryKeeper | None = None) -> World:
    world = World(node_of(*bots), {"links": list(links or (LINK,))}, keeper=keeper)
    world.add(Stage)
    if keeper is None:
        world.say(spine.LISTED, LISTED_TOO)
    return world


def entered(origin: Origin = Origin.STRATEGY, qty: str = "2", side: Side = Side.BUY) -> list[Message]:
    return [SignalRaised(spine.signal(origin=origin)), spine.intended(qty=qty, side=side)]


def trade(number: str, qty: str, side: Side = Side.BUY, **changes: Any) -> said.TradeExecuted:
    return dataclasses.replace(spine.traded(number, qty, "100", side, ts_ns=900), **changes)


def closed(bot: str = "bot", symbol: str = "BTC/USDT") -> said.PositionClosed:
    return said.PositionClosed(
        account="paper", bot=bot, symbol=symbol, opened_ns=1, closed_ns=950, qty=D(2), entry_price=D(100),
        exit_price=D(110), realized_pnl=D(20), fees=D(0), reason="target",
    )  # fmt: skip


def copies(world: World) -> list[Any]:
    return [m.signal for m in world.said(SignalRaised) if m.signal.origin is Origin.COPY]


def test_a_followers_entry_is_the_leaders_whole_order_in_proportion_as_of_its_first_fill() -> None:
    world = standing()
    world.say(*entered(), trade("1", "0.5"))
    (copy,) = copies(world)
    assert (copy.bot, copy.action, copy.qty, copy.price) == ("follower", Action.ENTER_LONG, D(1), D(100))
    assert (copy.decided_ns, copy.expires_ns) == (900, 900 + 10 * NS_PER_S)
    assert (copy.stop_loss, copy.timeframe) == (None, None)


def test_a_short_is_copied_as_one() -> None:
    world = standing()
    world.say(*entered(side=Side.SELL), trade("1", "2", Side.SELL))
    assert copies(world)[0].action is Action.ENTER_SHORT


def test_an_order_that_fills_in_pieces_is_copied_once() -> None:
    world = standing()
    world.say(*entered(), trade("1", "0.5"), trade("2", "0.5"), trade("3", "1"))
    assert len(copies(world)) == 1


def test_a_copy_follows_from_the_trade_in_the_same_transaction() -> None:
    world = standing()
    world.say(*entered(), trade("1", "2"))
    raised = world.keeper.said[-1]
    assert isinstance(raised.message, SignalRaised)
    assert raised.cause == raised.seq - 1


def test_a_leaders_close_closes_all_that_the_follower_holds() -> None:
    world = standing()
    held = dataclasses.replace(trade("9", "1"), account="second", bot="follower", signal_id=None)
    world.say(*entered(), trade("1", "2"), held, closed())
    copy = copies(world)[-1]
    assert (copy.bot, copy.action, copy.share, copy.says) == ("follower", Action.EXIT_LONG, D(1), "bot is flat: target")


def test_two_rounds_of_a_leader_that_close_in_the_same_nanosecond_are_two_reasons_to_leave() -> None:
    world = standing()
    held = dataclasses.replace(trade("9", "1"), account="second", bot="follower", signal_id=None)
    world.say(*entered(), trade("1", "2"), held, closed(), closed())
    first, second = (copy for copy in copies(world) if copy.action is Action.EXIT_LONG)
    assert first.id != second.id
    assert dataclasses.replace(first, id=second.id) == second, "alike to the last digit"


def test_a_close_that_was_copied_before_it_had_a_number_keeps_its_name() -> None:
    old = spine.signal(id="follower copies bot close BTC/USDT 950", origin=Origin.COPY)
    before = standing()
    before.say(SignalRaised(old))
    again = standing(keeper=before.keeper)
    assert [copy.id for copy in copies(again)] == ["follower copies bot close BTC/USDT 950"]
    assert again.ledger.signal(old.id) is not None


def test_a_follower_that_holds_nothing_is_told_nothing() -> None:
    world = standing()
    world.say(closed())
    assert copies(world) == []


@pytest.mark.parametrize("leg", [Leg.STOP, Leg.TARGET, Leg.EXIT, Leg.FLATTEN, Leg.HAND, None])
def test_nothing_but_an_entry_is_copied_from_a_trade(leg: Leg | None) -> None:
    world = standing()
    world.say(*entered(), trade("1", "2", leg=leg))
    assert copies(world) == []


def test_what_was_copied_is_not_copied_on_so_nothing_goes_round_in_circles() -> None:
    back = {"leader": "follower", "follower": "bot", "ratio": 1}
    world = standing(LINK, back)
    world.say(*entered(Origin.COPY), trade("1", "2"))
    assert copies(world) == [world.said(SignalRaised)[0].signal]  # only the one that was there


@pytest.mark.parametrize(
    "changes", [{"bot": "somebody"}, {"bot": None}, {"signal_id": None}, {"signal_id": "never raised"}], ids=str
)
def test_a_trade_that_is_no_leaders_own_is_not_copied(changes: Any) -> None:
    world = standing()
    world.say(*entered(), trade("1", "2", **changes))
    assert copies(world) == []


def test_a_symbol_that_the_follower_does_not_trade_is_not_copied() -> None:
    bots = ({"name": "bot", "symbols": ["BTC/USDT", "ETH/USDT"]}, {"name": "follower", "symbols": ["ETH/USDT"]})
    world = standing(bots=bots)
    world.say(*entered(), trade("1", "2"))
    assert copies(world) == []


def test_two_followers_each_get_their_share() -> None:
    bots = (*BOTS, {"name": "third"})
    world = standing(LINK, {"leader": "bot", "follower": "third", "ratio": 3}, bots=bots)
    world.say(*entered(), trade("1", "2"))
    assert {copy.bot: copy.qty for copy in copies(world)} == {"follower": D(1), "third": D(6)}


def test_started_again_nothing_is_copied_a_second_time() -> None:
    first = standing()
    first.say(*entered(), trade("1", "0.5"))
    again = standing(keeper=first.keeper)
    again.say(trade("2", "1.5"), closed())
    assert len(copies(again)) == 1


@pytest.mark.parametrize(
    ("links", "says"),
    [
        ([{**LINK, "follower": "bot"}], "'bot' cannot follow itself"),
        ([{**LINK, "ratio": 0}], "links.0.ratio=0 is wrong: input should be greater than 0"),
        ([{**LINK, "leader": "bott"}], "no bot as a leader named 'bott'; did you mean 'bot'"),
        ([LINK, LINK], "a follower has one leader, and follower has several"),
        ([{**LINK, "copies": 1}], "no field of links.0 named 'copies'"),
    ],
)
def test_a_link_that_cannot_be_is_refused_by_name(links: Any, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        standing(*links)
    assert says in str(refused.value)


def test_who_trades_nothing_that_the_leader_trades_cannot_follow_it() -> None:
    with pytest.raises(ConfigError, match="'follower' trades nothing that its leader 'bot' trades"):
        standing(bots=({"name": "bot"}, {"name": "follower", "symbols": ["ETH/USDT"]}))
