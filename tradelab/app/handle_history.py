"""Show what an engine has said as a table: when, what, because of which message, and the gist of it in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

from tradelab.app.handle_views import Event, html_table, moment, shown, text_table

_COLUMNS = ("seq", "time", "cause", "kind", "says")
_MOST = 500  # rows that are drawn; what is older is counted
_PLAIN = ("bot", "symbol", "name", "state", "status", "action", "by", "code", "leg", "reason", "about", "says")


class History(Sequence[Event]):
    """Messages of an engine's journal, oldest first; what they are shown as is the gist, ``event.body`` is all."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = tuple(events)

    @overload
    def __getitem__(self, at: int) -> Event: ...
    @overload
    def __getitem__(self, at: slice) -> History: ...
    def __getitem__(self, at: int | slice) -> Event | History:
        """Return one message, or some as a history."""
        return History(self._events[at]) if isinstance(at, slice) else self._events[at]

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def of(self, *kinds: str) -> History:
        """Return those of some kinds, such as ``"TradeExecuted"``."""
        return History([event for event in self._events if event.kind in kinds])

    def __repr__(self) -> str:
        return "\n".join([*self._left_off(), *text_table(_COLUMNS, self._rows())]) or "nothing was said"

    def _repr_html_(self) -> str:
        if not self._events:
            return "<p>nothing was said</p>"
        title = "; ".join([f"{len(self)} message{'s' * (len(self) != 1)}", *self._left_off()])
        return html_table(title, _COLUMNS, self._rows())

    def _left_off(self) -> list[str]:
        return [f"{len(self) - _MOST} older ones are not shown"] if len(self) > _MOST else []

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {"seq": it.seq, "time": moment(it.ts_init_ns), "cause": it.cause, "kind": it.kind, "says": gist(it)}
            for it in self._events[-_MOST:]
        ]


def gist(event: Event) -> str:
    """Return in a few words what a message says.

    >>> gist(Event(7, "SignalDropped", {"bot": "btc", "by": "risk_management", "code": "halted", "says": "node is"}))
    'btc: halted by risk_management (node is)'
    >>> fill = {"side": "buy", "qty": "0.1", "symbol": "X", "price": "9"}
    >>> gist(Event(8, "TradeExecuted", {"leg": "entry", "fill": fill}))
    'entry: buy 0.1 X at 9'
    """
    write = _WRITERS.get(event.kind)
    if write is not None:
        try:
            return write(event.body)
        except (KeyError, TypeError, ValueError):  # a message of another version: its plain words, below
            pass
    return ", ".join(f"{name} {event.body[name]}" for name in _PLAIN if event.body.get(name))


def order_line(order: Mapping[str, Any]) -> str:
    """Return an order in the words of a ticket.

    >>> order_line({"side": "sell", "type": "stop", "qty": "0.5", "symbol": "X", "stop_price": "90", "price": None})
    'sell 0.5 X stop 90'
    """
    prices = [f"{word} {order[name]}" for name, word in _PRICES if order.get(name) is not None]
    kind = [] if prices else [str(order["type"])]
    return " ".join([str(order["side"]), str(order["qty"]), str(order["symbol"]), *(prices or kind)])


_PRICES = (("stop_price", "stop"), ("price", "limit"))
Body = Mapping[str, Any]


def _signal(body: Body) -> str:
    it = body["signal"]
    return f"{it['bot']}: {it['action']} {it['symbol']}, from {it['origin']}"


def _verdict(body: Body) -> str:
    it = body["verdict"]
    if "code" in it:
        return f"{body['bot']}: dropped, {it['code']} ({it['says']})"
    factor = f"at {it['factor']} of its size" if "factor" in it else "passes"
    intent = body.get("intent")
    return f"{body['bot']}: {factor}" + (f", {order_line(intent)}" if intent else "")


def _dropped(body: Body) -> str:
    return f"{body['bot']}: {body['code']} by {body['by']} ({body['says']})"


def _meant(body: Body) -> str:
    return f"{body['leg']}: {order_line(body['intent'])}"


def _fill(body: Body) -> str:
    it = body["fill"]
    fee = f", fee {shown(it['fee'])} {it.get('fee_currency') or ''}".rstrip() if it.get("fee") is not None else ""
    return f"{body['leg'] or 'none of ours'}: {it['side']} {it['qty']} {it['symbol']} at {shown(it['price'])}{fee}"


def _reported(body: Body) -> str:
    it = body["order"]
    return f"{order_line(it)}: {it['status']}, {it['filled_qty']} filled"


def _modified(body: Body) -> str:
    told = (("stop", body["stop_price"]), ("target", body["target_price"]))
    levels = [f"{word} {shown(price)}" for word, price in told if price]
    return ", ".join([f"{body['says']}: {body['qty']} {body['symbol']} from {shown(body['avg_price'])}", *levels])


def _closed(body: Body) -> str:
    r = "" if body["r_multiple"] is None else f", {float(body['r_multiple']):+.2f} R"
    pnl = "unknown" if body["realized_pnl"] is None else shown(body["realized_pnl"])
    return f"{body['symbol']} by {body['reason']}: {pnl} after fees{r}"


def _account(body: Body) -> str:
    it = body["info"]
    return f"{body['account']}: equity {shown(it['equity'])} {it['currency'] or ''}".rstrip()


def _bar(body: Body) -> str:
    return f"{body['symbol']} closed at {body['candle']['close']}"


def _command(body: Body) -> str:
    given = " ".join(f"{name}={value}" for name, value in body["arguments"])
    return f"{body['name']} {given}, by {body['by']}"


def _compared(body: Body) -> str:
    return f"{body['account']}: " + ("agreed" if body["agreed"] else "; ".join(body["findings"]) or "not agreed")


_BY = {"venue": "an order at the venue", "here": "us, watching quotes", "none": "nothing"}

_WRITERS: dict[str, Callable[[Body], str]] = {
    "SignalRaised": _signal, "DataFiltered": _verdict, "SignalAnalyzed": _verdict, "RiskCalculated": _verdict,
    "SignalDropped": _dropped, "OrderWanted": _meant, "OrderIntended": _meant, "TradeExecuted": _fill,
    "OrderReported": _reported, "PositionModified": _modified, "PositionClosed": _closed, "AccountReported": _account,
    "DataReceived": _bar, "CommandReceived": _command, "ReconcileEnded": _compared,
    "OrderAccepted": lambda body: f"the venue's number {body['venue_order_id']}",
    "ProtectionChanged": lambda body: f"{body['symbol']} is stopped by {_BY.get(body['by'], body['by'])}",
    "CommandDone": lambda body: ("done: " if body["done"] else "not done: ") + body["says"],
    "ReconcileBegan": lambda body: f"{body['account']}: {body['says']}",
    "InstrumentListed": lambda body: f"{body['account']}: {body['instrument']['symbol']}",
    "NodeStarted": lambda body: f"process {body['pid']}: {', '.join(body['modules'])}",
}  # fmt: skip
