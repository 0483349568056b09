"""Write what is true in the engine as JSON: money as text, times as UTC nanoseconds, what nobody knows as null."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tradelab.app.engine_port import Engine
from tradelab.app.left_alone import monitoring, nobody_keeps
from tradelab.spine.desk import Market
from tradelab.spine.positions import Round
from tradelab.spine.snapshot import AccountState, OrderState, PositionKey, SignalState

_RECENT = 50
WORST_OFFSET_MS = 1_000.0  # venues refuse requests that are seconds off, and bars close by the clock


def snapshot_view(engine: Engine, *, recent: int = _RECENT) -> dict[str, Any]:
    """Return all that is true now, and the newest of what is over."""
    now = engine.ledger.snapshot()
    orders = [_order(order) for order in now.orders.values()]
    over = [order for order in orders if not order["open"]][-recent:]
    signals, today = list(now.signals.values()), _today(engine)
    return {
        "node": engine.name,
        "seq": now.seq,
        "ts_ns": now.ts_ns,
        "is_live": engine.config.is_live,
        "state": now.state().value,
        "states": {scope: state.value for scope, state in now.states.items()},
        "accounts": {name: _account(engine, name, state) for name, state in _accounts(engine).items()},
        "bots": [{**_bot(engine, bot.name), **today.get(bot.name, _NOTHING)} for bot in engine.config.bots],
        "positions": [_position(engine, key, held) for key, held in now.positions.items()],
        "orders": [order for order in orders if order["open"]],
        "recent_orders": over,
        "foreign_orders": [{"account": key[0], **plain(order)} for key, order in now.foreign_orders.items()],
        "pending_signals": [_signal(state) for state in signals if state.is_pending],
        "recent_signals": [_signal(state) for state in signals if not state.is_pending][-recent:],
        "closed": [_closed(engine, key, one) for key, ended in now.closed_rounds.items() for one in ended][-recent:],
    }


def plain(value: Any) -> Any:
    """Return a record as JSON has it.

    >>> plain({"qty": Decimal("0.10"), "when": None})
    {'qty': '0.10', 'when': None}
    """
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() else None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def quotes_view(market: Market) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the newest quotes, by source and symbol."""
    return {
        key: {"source": key[0], "symbol": key[1], **plain(seen.quote), "seen_ns": seen.seen_ns}
        for key, seen in market.quotes.items()
    }


def faults_of(health: Mapping[str, Any]) -> list[str]:
    """Return, in words, what of an engine's health a person should look at.

    >>> faults_of({"broken": False, "modules": {"ai_analysis": "left out"}, "leases": {"paper": 0.0}})
    ['module ai_analysis failed and was left out', "the lease of account 'paper' is not held"]
    >>> faults_of({"streams": [{"what": "orders", "of": "main", "symbol": None, "lost": True}]})
    ['the stream of orders of main is lost, and is tried again']
    >>> faults_of({"clocks": {"main": {"offset_ms": -2400.0, "trouble": None}}})
    ['our clock is 2400 ms ahead of that of main: let a time service set it']

    A rehearsal's market may run faster than the clock on the wall, by which answers are late:

    >>> faults_of({"clocks": {"main": {"offset_ms": 2400.0, "trouble": None, "speed": 60.0}}})
    []
    """
    found = ["the bus has stopped: start the engine again"] if health.get("broken") else []
    found += [str(fault) for fault in health.get("faults", ())]
    found += [f"module {name} failed and was {how}" for name, how in health.get("modules", {}).items() if how != "on"]
    found += [
        f"the lease of account {name!r} is not held" for name, left in health.get("leases", {}).items() if left == 0
    ]
    found += [
        f"the stream of {one['what']} of {one['of']}{_in(one['symbol'])} is lost, and is tried again"
        for one in health.get("streams", ())
        if one["lost"]
    ]
    return found + [fault for name, one in health.get("clocks", {}).items() for fault in _clock_faults(name, one)]


def _in(symbol: str | None) -> str:
    return "" if symbol is None else f" in {symbol}"


def _clock_faults(name: str, told: Mapping[str, Any]) -> list[str]:
    offset_ms = told["offset_ms"]
    if offset_ms is None or abs(offset_ms) <= WORST_OFFSET_MS * max(1.0, told.get("speed", 1.0)):
        return []
    side = "behind" if offset_ms > 0 else "ahead of"
    return [f"our clock is {abs(offset_ms):.0f} ms {side} that of {name}: let a time service set it"]


def _accounts(engine: Engine) -> dict[str, AccountState]:
    """Return every account of the file, and those that the journal knows."""
    told = engine.ledger.snapshot().accounts
    names = dict.fromkeys([*engine.config.accounts, *(bot.execution for bot in engine.config.bots), *told])
    return {name: told.get(name, AccountState()) for name in names}


def _account(engine: Engine, name: str, state: AccountState) -> dict[str, Any]:
    table = engine.config.accounts.get(name)
    trades_live = any(bot.execution == name and bot.mode.value == "live" for bot in engine.config.bots)
    return {
        "kind": "live" if trades_live else "paper" if table is None else table.kind,
        "state": engine.ledger.snapshot().state(f"account {name}").value,
        **plain(state),
    }


def _bot(engine: Engine, name: str) -> dict[str, Any]:
    now, bot = engine.ledger.snapshot(), engine.config.bot(name)
    status = now.bots.get(name)
    return {
        "name": name,
        "mode": bot.mode.value,
        "status": "stopped" if status is None else status.value,
        "state": now.state(f"account {bot.execution}", f"bot {name}").value,
        "strategy": bot.strategy,
        "symbols": list(bot.symbols),
        "timeframe": bot.timeframe.alias,
        "source": bot.source,
        "account": bot.execution,
        "preset": bot.preset,
    }


_TODAY = (
    "trades",
    "pnl",
    "slippage_bps",
    "drift_bps",
    "not_compared",
    "not_compared_why",
)  # of a bot's figures of this day of UTC
_NOTHING: dict[str, Any] = {f"{name}_today": None for name in _TODAY}


def _today(engine: Engine) -> dict[str, dict[str, Any]]:
    """Return how today went, by bot, where that is counted."""
    stage = monitoring(engine)
    rows = () if stage is None else stage.today()
    return {row.group: {f"{name}_today": plain(getattr(row, name)) for name in _TODAY} for row in rows}


def _position(engine: Engine, key: PositionKey, held: Round) -> dict[str, Any]:
    price = _closing_price(engine, key, held.qty)
    stage = monitoring(engine)
    return {
        **key._asdict(),
        "qty": plain(held.qty),
        "entry_price": plain(held.entry_price),
        "price": plain(price),
        "pnl": plain(held.pnl(price)),
        "fees": plain(held.fees),
        "opened_ns": held.opened_ns,
        "adjusted": held.adjusted,
        **({} if stage is None else plain(stage.shown(key, price))),
        **({} if nobody_keeps(engine, key) is None else {"protection": "nobody", "unprotected_ms": None}),
    }


def _closing_price(engine: Engine, key: PositionKey, qty: Decimal) -> Decimal | None:
    """Return what a position could be left at now, by the quote of its account, else of where its bot's bars come from.

    Another venue's price of a symbol of the same name is none of it.
    """
    quotes = engine.market.quotes
    sources = [bot.source for bot in engine.config.bots if bot.execution == key.account and key.bot in (None, bot.name)]
    seen = [quotes[source, key.symbol] for source in (key.account, *sources) if (source, key.symbol) in quotes]
    if not seen:
        return None
    return seen[0].quote.bid if qty > 0 else seen[0].quote.ask


def _closed(engine: Engine, key: PositionKey, one: Round) -> dict[str, Any]:
    stage = monitoring(engine)
    return {
        **key._asdict(),
        "entry_price": plain(one.entry_price),
        "exit_price": plain(one.exit_price),
        "qty": plain(one.entered),
        "pnl": plain(one.pnl()),
        "fees": plain(one.fees),
        "opened_ns": one.opened_ns,
        "closed_ns": one.updated_ns,
        **({} if stage is None else plain(stage.closings.of(key, one))),
    }


def _order(order: OrderState) -> dict[str, Any]:
    intent, told = order.intended.intent, order.told
    qty = intent.qty if told is None else told.qty
    price = intent.price if told is None or told.price is None else told.price
    stop_price = intent.stop_price if told is None or told.stop_price is None else told.stop_price
    return {
        "client_order_id": order.client_order_id,
        "venue_order_id": order.venue_order_id,
        "account": order.intended.account,
        "bot": order.intended.bot,
        "leg": order.intended.leg.value,
        "symbol": intent.symbol,
        "side": intent.side.value,
        "type": intent.type.value,
        "qty": plain(qty),
        "filled_qty": plain(order.filled_qty),
        "leaves_qty": plain(order.leaves_qty),
        "price": plain(price),
        "stop_price": plain(stop_price),
        "phase": order.phase.value,
        "open": order.phase.may_trade,
        "refused": plain(order.refused),
        "cancelling": order.cancelling,
        "asked_ns": order.asked_ns,
    }


def _signal(state: SignalState) -> dict[str, Any]:
    signal = state.signal
    return {
        "id": signal.id,
        "bot": signal.bot,
        "symbol": signal.symbol,
        "action": signal.action.value,
        "origin": signal.origin.value,
        "decided_ns": signal.decided_ns,
        "dropped": plain(state.dropped),
        "client_order_id": state.client_order_id,
    }
