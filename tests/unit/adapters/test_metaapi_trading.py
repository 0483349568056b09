"""See each order written as MetaApi's documentation has it, and each answer read for what it proves."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.rehearsal.metaapi_world import EURUSD
from tradelab.adapters import metaapi_trading as trading
from tradelab.adapters.metaapi_parse import Specification
from tradelab.adapters.metaapi_parse import order as order_of
from tradelab.adapters.metaapi_settings import MetaApiSettings
from tradelab.adapters.metaapi_wire import Reply
from tradelab.model.account import Position
from tradelab.model.orders import OrderIntent, OrderType, Side, TimeInForce
from tradelab.model.outcome import Accepted, RefusalCode, Refused, Unknown

D = Decimal
NAME = "tl0123456789abcdefghijkl"
PLAIN = MetaApiSettings()
OF = Specification(EURUSD, stops_level=20, may_open=True)  # at least 0.01, at most 100, tick 0.00001


def intent(kind: OrderType = OrderType.MARKET, side: Side = Side.BUY, **rest: Any) -> OrderIntent:
    given = {"client_order_id": NAME, "symbol": "EURUSD", "side": side, "type": kind, "qty": D("0.07")} | rest
    return OrderIntent(**given)


# The bodies of https://metaapi.cloud/docs/client/restApi/api/trade/ ("examples"), with our name for a comment
@pytest.mark.parametrize(
    ("asked", "body"),
    [
        (intent(), {"actionType": "ORDER_TYPE_BUY"}),
        (intent(side=Side.SELL, stop_loss=D("1.2"), take_profit=D("1.1")),
         {"actionType": "ORDER_TYPE_SELL", "stopLoss": D("1.2"), "takeProfit": D("1.1")}),
        (intent(OrderType.LIMIT, price=D("1.15")), {"actionType": "ORDER_TYPE_BUY_LIMIT", "openPrice": D("1.15")}),
        (intent(OrderType.STOP, Side.SELL, stop_price=D("1.15")),
         {"actionType": "ORDER_TYPE_SELL_STOP", "openPrice": D("1.15")}),
        (intent(OrderType.STOP_LIMIT, stop_price=D("1.17"), price=D("1.16")),
         {"actionType": "ORDER_TYPE_BUY_STOP_LIMIT", "openPrice": D("1.17"), "stopLimitPrice": D("1.16")}),
        (intent(OrderType.LIMIT, price=D("1.15"), time_in_force=TimeInForce.GTD, expire_ns=1_789_099_200 * 10**9),
         {"actionType": "ORDER_TYPE_BUY_LIMIT", "openPrice": D("1.15"),
          "expiration": {"type": "ORDER_TIME_SPECIFIED", "time": "2026-09-11T04:00:00.000Z"}}),
    ],
)  # fmt: skip
def test_an_order_is_written_as_the_documentation_has_it(asked: OrderIntent, body: dict[str, Any]) -> None:
    assert trading.entry(asked, PLAIN) == {"symbol": "EURUSD", "volume": D("0.07"), "clientId": NAME, **body}


def test_no_comment_is_sent_as_it_shares_26_characters_with_our_name() -> None:
    assert len(NAME) <= trading.NAME_LENGTH
    assert "comment" not in trading.entry(intent(), PLAIN)


def test_magic_and_slippage_are_sent_where_they_are_set() -> None:
    settings = MetaApiSettings(magic=7, slippage_points=0)
    assert trading.entry(intent(), settings) | {"magic": 7, "slippage": 0} == trading.entry(intent(), settings)
    resting = trading.entry(intent(OrderType.LIMIT, price=D("1.15")), settings)
    assert (resting["magic"], "slippage" in resting) == (7, False)


def held(qty: str) -> Position:
    return Position(symbol="EURUSD", qty=D(qty), avg_price=D("1.16"), position_id="46870472")


@pytest.mark.parametrize(
    ("position", "body"),
    [
        (held("0.07"), {"actionType": "POSITION_CLOSE_ID"}),
        (held("-0.05"), {"actionType": "POSITION_CLOSE_ID"}),  # more than there is closes what there is
        (held("0.10"), {"actionType": "POSITION_PARTIAL", "volume": D("0.07")}),
        (None, {"actionType": "POSITION_PARTIAL", "volume": D("0.07")}),  # not known: never more than was asked
    ],
)
def test_a_position_is_closed_whole_or_by_the_part_that_was_asked(
    position: Position | None, body: dict[str, Any]
) -> None:
    told = trading.closing(intent(position_id="46870472"), position, PLAIN)
    assert told == {"positionId": "46870472", "clientId": NAME, **body}


def test_protection_names_the_levels_that_stay_and_leaves_out_those_that_go() -> None:
    assert trading.protection("1", D("1.1"), None) == {
        "actionType": "POSITION_MODIFY",
        "positionId": "1",
        "stopLoss": D("1.1"),
    }


def test_a_change_keeps_what_an_order_has() -> None:
    """MetaApi takes away what a change does not repeat."""
    raw = {
        "id": "46214692", "type": "ORDER_TYPE_BUY_STOP_LIMIT", "state": "ORDER_STATE_PLACED", "symbol": "EURUSD",
        "time": "2026-09-11T04:00:00.000Z", "openPrice": D("1.17"), "stopLimitPrice": D("1.16"), "volume": D("0.07"),
        "currentVolume": D("0.07"), "stopLoss": D("1.1"), "takeProfit": D("1.2"), "clientId": NAME,
        "expirationType": "ORDER_TIME_SPECIFIED", "expirationTime": "2026-09-12T04:00:00.000Z",
    }  # fmt: skip
    now = order_of(raw)
    assert now is not None
    assert trading.change(now, raw, None, D("1.18")) == {
        "actionType": "ORDER_MODIFY", "orderId": "46214692", "openPrice": D("1.18"), "stopLimitPrice": D("1.16"),
        "stopLoss": D("1.1"), "takeProfit": D("1.2"),
        "expiration": {"type": "ORDER_TIME_SPECIFIED", "time": "2026-09-12T04:00:00.000Z"},
    }  # fmt: skip
    assert trading.change(now, raw, D("1.165"), None)["stopLimitPrice"] == D("1.165")
    assert trading.cancelling("46214692") == {"actionType": "ORDER_CANCEL", "orderId": "46214692"}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (intent(OrderType.LIMIT, price=D("1.15"), position_id="1"), RefusalCode.NOT_SUPPORTED),
        (intent(OrderType.LIMIT, price=D("1.15"), reduce_only=True), RefusalCode.NOT_SUPPORTED),
        (intent(reduce_only=True), RefusalCode.REDUCE_ONLY),
        (intent(client_order_id="x" * 27), RefusalCode.NOT_SUPPORTED),
    ],
)
def test_what_no_terminal_can_do_is_refused_before_anything_is_sent(asked: OrderIntent, code: RefusalCode) -> None:
    told = trading.impossible(asked, is_mt4=False)
    assert told is not None
    assert told.code is code


def test_metatrader_4_has_no_stop_limit_and_the_rest_passes() -> None:
    stop_limit = intent(OrderType.STOP_LIMIT, stop_price=D("1.17"), price=D("1.16"))
    assert trading.impossible(stop_limit, is_mt4=False) is None
    assert trading.impossible(stop_limit, is_mt4=True) is not None
    assert trading.impossible(intent(reduce_only=True, position_id="1"), is_mt4=True) is None


DONE = {"numericCode": 10009, "stringCode": "TRADE_RETCODE_DONE", "message": "Request completed", "orderId": "1"}
ACCEPTED, UNKNOWN = "accepted", "unknown"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(200, DONE, "w"), ACCEPTED),
        (Reply(200, DONE | {"numericCode": 10008, "stringCode": "TRADE_RETCODE_PLACED"}, "w"), ACCEPTED),
        (Reply(200, DONE | {"numericCode": 10010, "stringCode": "TRADE_RETCODE_DONE_PARTIAL"}, "w"), ACCEPTED),
        (Reply(200, DONE | {"orderId": None}, "w"), UNKNOWN),
        (Reply(200, DONE | {"numericCode": 10012, "stringCode": "TRADE_RETCODE_TIMEOUT"}, "w"), UNKNOWN),
        (Reply(200, DONE | {"numericCode": 777, "stringCode": "TRADE_RETCODE_NEW"}, "w"), UNKNOWN),
        (Reply(200, DONE | {"stringCode": "TRADE_RETCODE_REJECT"}, "w"), UNKNOWN),
        (Reply(200, {"numericCode": 10019, "stringCode": "TRADE_RETCODE_NO_MONEY"}, "w"), RefusalCode.MARGIN),
        (Reply(400, {"numericCode": 10019, "stringCode": "TRADE_RETCODE_NO_MONEY"}, "w"), RefusalCode.MARGIN),
        (Reply(200, {}, "w"), UNKNOWN),
        (Reply(200, None, "w"), UNKNOWN),
        (Reply(200, ["?"], "w"), UNKNOWN),
        (Reply(302, None, "w"), UNKNOWN),
        (Reply(400, {"error": "ValidationError"}, "w"), RefusalCode.BAD_REQUEST),
        (Reply(401, {}, "w"), RefusalCode.AUTHENTICATION),
        (Reply(403, {}, "w"), RefusalCode.PERMISSION),
        (Reply(429, {}, "w", retry_after_s=3), RefusalCode.RATE_LIMITED),
        (Reply(409, {}, "w"), UNKNOWN),
        (Reply(500, DONE, "w"), UNKNOWN),
        (Reply(504, {}, "w"), UNKNOWN),
        (Reply(None, None, "w"), UNKNOWN),
        (Reply(None, None, "w", was_sent=False), RefusalCode.NOT_SENT),
    ],
)
def test_a_reply_is_taken_for_what_it_proves_and_no_more(reply: Reply, told: str | RefusalCode) -> None:
    found = trading.outcome(reply, NAME, ("orderId",))
    if told == ACCEPTED:
        assert found == Accepted(NAME, "1")
    elif told == UNKNOWN:
        assert isinstance(found, Unknown)
    else:
        assert isinstance(found, Refused)
        assert (found.code, found.retry_after_s) == (told, reply.retry_after_s)


VOLUME, PRICE = "10014 TRADE_RETCODE_INVALID_VOLUME: no", "10015 TRADE_RETCODE_INVALID_PRICE: no"


@pytest.mark.parametrize(
    ("says", "asked", "code"),
    [
        (VOLUME, intent(qty=D("0.001")), RefusalCode.MIN_QTY),
        (VOLUME, intent(qty=D("100.01")), RefusalCode.MAX_QTY),
        (VOLUME, intent(qty=D("0.015")), RefusalCode.QTY_STEP),
        (VOLUME.replace("10014", "131"), intent(qty=D("0.001")), RefusalCode.MIN_QTY),
        (PRICE, intent(OrderType.LIMIT, price=D("1.150001")), RefusalCode.TICK),
        (PRICE, intent(OrderType.LIMIT, price=D("1.17")), RefusalCode.PRICE_LIMIT),
        (PRICE, intent(OrderType.STOP, stop_price=D("1.15")), RefusalCode.STOP_WOULD_TRIGGER),
    ],
)
def test_where_metatrader_has_one_code_for_several_limits_ours_says_which(
    says: str, asked: OrderIntent, code: RefusalCode
) -> None:
    assert trading.explained(Refused(RefusalCode.OTHER, says), asked, OF) == Refused(code, says)


def test_levels_too_near_are_said_with_how_far_they_must_be_and_the_rest_stays_as_it_is() -> None:
    near = trading.explained(Refused(RefusalCode.PROTECTION, "10016 TRADE_RETCODE_INVALID_STOPS: no"), intent(), OF)
    assert isinstance(near, Refused)
    assert "20 points" in near.says
    for other in (Refused(RefusalCode.MARGIN, "10019 NO_MONEY: no"), Unknown("w"), Accepted(NAME, "1")):
        assert trading.explained(other, intent(), OF) is other
