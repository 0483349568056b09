"""Every message comes back from the journal's text as it was, and nothing else is taken for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.spine import world
from tests.unit.spine.world import D
from tradelab.model.errors import CorruptFileError
from tradelab.model.market import Candle
from tradelab.model.messages import KINDS, BotStatusChanged, DataFiltered, DataReceived
from tradelab.model.signal import Drop, DropCode, Pass, Resize, Verdict
from tradelab.model.states import BotStatus
from tradelab.model.units import Timeframe
from tradelab.spine.codec import decode, encode


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=50)
@given(data=st.data())
def test_a_message_comes_back_as_it_was(kind: str, data: st.DataObject) -> None:
    message = data.draw(world.any_message(kind))
    name, body = encode(message)
    assert name == kind
    assert world.same(decode(name, body), message)
    assert encode(decode(name, body)) == (name, body)


def test_every_kind_of_message_is_known_by_its_name() -> None:
    assert {"SignalRaised", "OrderIntended", "TradeExecuted", "NodeStarted"} <= set(KINDS)
    assert all(name == kind.__name__ for name, kind in KINDS.items())


def test_a_bar_without_volume_is_json_that_any_reader_takes() -> None:
    bar = Candle(0, 1.0, 2.0, 0.5, 1.5, float("nan"), True)
    body = encode(DataReceived(source="x", symbol="y", timeframe=Timeframe.MN, candle=bar))[1]
    told = json.loads(body, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert told["candle"]["volume"] == "NaN"


@pytest.mark.parametrize(
    "verdict",
    [Pass(), Pass("", (("a", "b"),)), Resize(D("0.50"), ""), Drop(DropCode.FILTER, ""), Drop(DropCode.MARGIN, "x", ())],
    ids=repr,
)
def test_a_verdict_stays_what_it_was(verdict: Verdict) -> None:
    told = decode(*encode(DataFiltered(bot="b", signal_id="s", verdict=verdict)))
    assert isinstance(told, DataFiltered)
    assert world.same(told.verdict, verdict)


def test_half_a_surrogate_pair_of_a_venue_does_not_stop_the_journal() -> None:
    odd = BotStatusChanged(bot="a\udc80", status=BotStatus.PAUSED, by="é", says="\\ud800")
    body = encode(odd)[1]
    assert body.isascii()
    assert decode("BotStatusChanged", body) == odd


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("OrderDreamt", "{}", "'OrderDreamt', which this tradelab does not know"),
        ("BotStatusChanged", "{", "BotStatusChanged whose body is wrong: Invalid JSON"),
        ("BotStatusChanged", "[]", "whose body is wrong"),
        ("BotStatusChanged", '{"bot":"b","by":"p"}', "whose status is wrong: Field required"),
        ("BotStatusChanged", '{"bot":"b","status":"asleep","by":"p"}', "whose status is wrong"),
        ("BotStatusChanged", '{"bot":"b","status":"paused","by":"p","more":1}', "whose more is wrong"),
        ("BotStatusChanged", '{"bot":"\\ud8', "that cannot be"),
        ("DataFiltered", '{"bot":"b","signal_id":"s","verdict":{"code":"new","says":""}}', "whose verdict"),
        ("DataFiltered", '{"bot":"b","signal_id":"s","verdict":{"factor":"2","says":""}}', "factor=2 is not allowed"),
        ("DataFiltered", '{"bot":"b","signal_id":"s","verdict":{"says":"","seen":1}}', "whose verdict"),
    ],
)
def test_what_is_no_message_is_refused_with_its_kind_and_field(kind: str, body: str, says: str) -> None:
    with pytest.raises(CorruptFileError) as refused:
        decode(kind, body)
    assert says in str(refused.value)
    assert "tradelab audit verify" in str(refused.value)
