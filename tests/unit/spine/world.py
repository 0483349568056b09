"""Orders, fills and messages that the spine's tests speak of, and strategies that make any of them."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tradelab.model import messages as said
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.messages import KINDS, Message
from tradelab.model.orders import (
    Fill,
    Liquidity,
    Order,
    OrderIntent,
    OrderRef,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from tradelab.model.signal import Action, Origin, Resize, Signal
from tradelab.model.states import Leg

D = Decimal

BTC = Instrument(
    symbol="BTC/USDT", venue="x", base="BTC", quote="USDT", tick_size=D("0.01"), qty_step=D("0.001"),
    kind=InstrumentKind.SPOT,
)  # fmt: skip


def signal(name: str = "s1", **changes: Any) -> Signal:
    """A wish to go long."""
    told = {
        "id": name, "bot": "bot", "symbol": "BTC/USDT", "action": Action.ENTER_LONG, "origin": Origin.STRATEGY,
        "decided_ns": 1, "expires_ns": 2,
    }  # fmt: skip
    return Signal(**{**told, **changes})


def intent(name: str = "o1", qty: str = "1", side: Side = Side.BUY) -> OrderIntent:
    """A market order."""
    return OrderIntent(client_order_id=name, symbol="BTC/USDT", side=side, type=OrderType.MARKET, qty=D(qty))


def intended(name: str = "o1", signal_id: str = "s1", leg: Leg = Leg.ENTRY, **kinds: Any) -> said.OrderIntended:
    """The intent of one, as it is said."""
    return said.OrderIntended(
        account="paper", bot="bot", signal_id=signal_id, leg=leg, intent=intent(name, **kinds), approved_by=("risk",),
        reference_price=D(100), fresh_until_ns=10**18, fence=1,
    )  # fmt: skip


def order(name: str | None = "o1", status: OrderStatus = OrderStatus.NEW, filled: str = "0", **changes: Any) -> Order:
    """What a venue says of one."""
    told = {
        "symbol": "BTC/USDT", "venue_order_id": f"v-{name}", "client_order_id": name, "side": Side.BUY,
        "type": OrderType.MARKET, "status": status, "qty": D(1), "filled_qty": D(filled),
    }  # fmt: skip
    return Order(**{**told, **changes})


def reported(*given: Any, **changes: Any) -> said.OrderReported:
    """The same, as it is said."""
    return said.OrderReported(account="paper", order=order(*given, **changes))


def fill(trade: str, qty: str, price: str, side: Side = Side.BUY, **changes: Any) -> Fill:
    """A trade of the order ``o1``."""
    told = {
        "trade_id": trade, "symbol": "BTC/USDT", "venue_order_id": "v-o1", "client_order_id": "o1", "side": side,
        "qty": D(qty), "price": D(price), "fee": D(0), "fee_currency": "USDT", "liquidity": Liquidity.TAKER,
        "ts_ns": int(trade),
    }  # fmt: skip
    return Fill(**{**told, **changes})


def traded(*given: Any, **changes: Any) -> said.TradeExecuted:
    """The same, as it is said."""
    return said.TradeExecuted(account="paper", bot="bot", signal_id="s1", leg=Leg.ENTRY, fill=fill(*given, **changes))


LISTED = said.InstrumentListed(account="paper", instrument=BTC)

# ── any message at all ───────────────────────────────────────────────────────────────────────────────────────────────

_words = st.text(max_size=12) | st.sampled_from(["é😀", "\x00", '"\\', "\\ud800", "NaN", "null"])
_names = st.text(min_size=1, max_size=8)
_numbers = st.decimals(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [D("1E+3"), D("-0"), D("0.10"), D("1E-30")]
)
_above = st.decimals(min_value=D("1E-12"), max_value=D("1E12"), allow_nan=False, allow_infinity=False)
_times = st.integers(-(2**63), 2**63 - 1)
_inputs = st.lists(st.tuples(_words, _words), max_size=2).map(tuple)
_floats = st.floats(width=64, allow_nan=True, allow_infinity=True)


@st.composite
def _signals(draw: st.DrawFn) -> Signal:
    kind = draw(st.sampled_from(OrderType))
    decided_ns = draw(st.integers(0, 2**62))
    levels = {name: draw(st.none() | _above) for name in ("price", "qty", "stop_loss", "take_profit", "unit")}
    return Signal(
        id=draw(_names), bot=draw(_names), symbol=draw(_names), action=draw(st.sampled_from(Action)),
        origin=draw(st.sampled_from(Origin)), decided_ns=decided_ns, expires_ns=decided_ns + draw(st.integers(1, 9)),
        share=draw(st.decimals(min_value=D("0.001"), max_value=1, places=3)), order_type=kind,
        order_price=None if kind is OrderType.MARKET else draw(_above), says=draw(_words), **levels,
    )  # fmt: skip


@st.composite
def _intents(draw: st.DrawFn) -> OrderIntent:
    kind = draw(st.sampled_from(OrderType))
    lives = draw(st.sampled_from([one for one in TimeInForce if one is not TimeInForce.PO or kind is OrderType.LIMIT]))
    return OrderIntent(
        client_order_id=draw(_names), symbol=draw(_names), side=draw(st.sampled_from(Side)), type=kind,
        qty=draw(_above), price=draw(_above) if kind.needs_price else None,
        stop_price=draw(_above) if kind.needs_stop_price else None, time_in_force=lives,
        expire_ns=draw(_times) if lives is TimeInForce.GTD else None, reduce_only=draw(st.booleans()),
        position_id=draw(st.none() | _words), stop_loss=draw(st.none() | _above),
    )  # fmt: skip


_refs = st.builds(OrderRef, symbol=_names, client_order_id=_names, venue_order_id=st.none() | _names)
_resizes = st.builds(Resize, st.decimals(min_value=D("0.001"), max_value=1, places=3), _words, _inputs)
_instruments = st.builds(
    Instrument, symbol=_names, venue=_names, quote=_names, tick_size=_above, qty_step=_above, contract_size=_above,
    min_qty=st.none() | _above, max_orders=st.none() | st.integers(0, 999), base=st.none() | _names,
)  # fmt: skip

st.register_type_strategy(Decimal, _numbers)
st.register_type_strategy(float, _floats)
st.register_type_strategy(str, _words)
st.register_type_strategy(int, _times)
st.register_type_strategy(Signal, _signals())
st.register_type_strategy(OrderIntent, _intents())
st.register_type_strategy(OrderRef, _refs)
st.register_type_strategy(Resize, _resizes)
st.register_type_strategy(Instrument, _instruments)


def any_message(kind: str) -> st.SearchStrategy[Message]:
    """Any message of a kind, every field of it free."""
    return st.from_type(KINDS[kind])


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same to the last digit and type; NaN is itself, 1.0 is not 1.00."""
    if type(left) is not type(right):
        return False
    if dataclasses.is_dataclass(left):
        return all(same(getattr(left, f.name), getattr(right, f.name)) for f in dataclasses.fields(left))
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, Decimal):
        return left.as_tuple() == right.as_tuple()
    if isinstance(left, float) and math.isnan(left):
        return math.isnan(right)
    return bool(left == right)
