"""Write figures of the engine as Prometheus reads them, text format 0.0.4; counted since the daemon's start.

The format is a few lines, so no client library is asked for; a test reads the page with Prometheus' own parser.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tradelab.app.daemon_events import Counts
from tradelab.app.daemon_views import monitoring
from tradelab.app.engine_port import Engine
from tradelab.model.messages import AlarmRaised, OrderRefused, Recorded, SignalDropped
from tradelab.model.states import BotStatus, TradingState
from tradelab.spine.order_life import Phase

Labels = Mapping[str, str]
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Metric(NamedTuple):
    """One figure: its name without ``tradelab_``, whether it only grows, what it is, and its values by labels."""

    name: str
    kind: str  # "counter" or "gauge"
    says: str
    values: Iterable[tuple[Labels, float]]


class Tally:
    """Counts what is said, by its kind and by the reason that it gives."""

    def __init__(self) -> None:
        self.messages: Counter[str] = Counter()
        self.drops: Counter[tuple[str, str]] = Counter()
        self.refusals: Counter[tuple[str, str]] = Counter()
        self.alarms: Counter[tuple[str, str]] = Counter()

    def told(self, recorded: Recorded[Any]) -> None:
        """Count one message."""
        message = recorded.message
        self.messages[type(message).__name__] += 1
        if isinstance(message, SignalDropped):
            self.drops[message.by, message.code.value] += 1
        elif isinstance(message, OrderRefused):
            self.refusals[message.account, message.code.value] += 1
        elif isinstance(message, AlarmRaised):
            self.alarms[message.kind, message.severity.value] += 1


def page(metrics: Iterable[Metric]) -> str:
    r"""Return the page.

    >>> print(page([Metric("up", "gauge", "Whether it runs.", [({}, 1)])]), end="")
    # HELP tradelab_up Whether it runs.
    # TYPE tradelab_up gauge
    tradelab_up 1
    """
    lines: list[str] = []
    for name, kind, says, values in metrics:
        lines += [f"# HELP tradelab_{name} {says}", f"# TYPE tradelab_{name} {kind}"]
        lines += [f"tradelab_{name}{_labels(labels)} {_number(value)}" for labels, value in values]
    return "\n".join(lines) + "\n"


def metrics_of(
    engine: Engine, tally: Tally, counts: Counts, health: Mapping[str, float | None], *, up_s: float
) -> list[Metric]:
    """Return the figures of a running daemon; what is not known has no line.

    Parameters
    ----------
    health
        Figures of the health by name: ``clock_offset_ms``, ``disk_free_bytes``, ``database_ms`` …
    """
    now = engine.ledger.snapshot()
    phases = Counter(order.phase.value for order in now.orders.values())
    return [
        Metric("up_seconds", "gauge", "Since the daemon began.", [({}, up_s)]),
        Metric("journal_seq", "gauge", "Number of the last message in the journal.", [({}, now.seq)]),
        Metric("is_live", "gauge", "Whether any bot trades with real money.", [({}, engine.config.is_live)]),
        Metric("messages_total", "counter", "Messages, by kind.", _by(("kind",), tally.messages)),
        Metric("signals_dropped_total", "counter", "Signals that came to nothing.", _by(("by", "code"), tally.drops)),
        Metric("orders_refused_total", "counter", "Orders refused.", _by(("account", "code"), tally.refusals)),
        Metric("alarms_total", "counter", "Alarms.", _by(("kind", "severity"), tally.alarms)),
        Metric("orders", "gauge", "Orders, by phase.", [({"phase": p.value}, phases[p.value]) for p in Phase]),
        Metric("position_qty", "gauge", "What is held, signed.", _positions(engine)),
        Metric("equity", "gauge", "What an account is worth, in its currency.", _equity(engine)),
        Metric("trading_state", "gauge", "1 for the state that holds, by scope.", _states(engine)),
        Metric("bot_running", "gauge", "Whether a bot looks for trades.", _bots(engine)),
        Metric(
            "reconciling", "gauge", "Whether an account is being compared.",
            [({"account": name}, state.reconciling) for name, state in now.accounts.items()],
        ),
        *_monitored(engine),
        Metric("readers", "gauge", "Readers of events.", [({}, counts.readers)]),
        Metric("readers_cut_total", "counter", "Readers cut off because they were too slow.", [({}, counts.cut)]),
        *(
            Metric(name, "gauge", "Of the health.", [({}, value)])
            for name, value in health.items()
            if value is not None
        ),
    ]  # fmt: skip


def _monitored(engine: Engine) -> list[Metric]:
    """Return how positions are protected, and how today's trading goes, where that is counted."""
    stage = monitoring(engine)
    if stage is None:
        return []
    told = stage.protection()
    bare = [
        ({"account": key.account, "bot": key.bot or "", "symbol": key.symbol}, shown["unprotected_ms"] or 0.0)
        for key in engine.ledger.snapshot().positions
        if (shown := stage.shown(key, None))
    ]
    return [
        Metric("position_unprotected_ms", "gauge", "How long nothing has stopped a position now.", bare),
        *(
            Metric(f"{kind}_ms", "gauge", says, _quantiles(told[kind]))
            for kind, says in (
                ("unprotected", "How long positions stood with nothing to stop them, each time."),
                ("unconfirmed", "From a first fill until the venue showed the stop."),
            )
        ),
        *_today(stage),
    ]


_QUANTILES = {"p50_ms": "0.5", "p99_ms": "0.99", "longest_ms": "1"}


def _quantiles(told: Mapping[str, float | None]) -> list[tuple[Labels, float]]:
    found = ((quantile, told[name]) for name, quantile in _QUANTILES.items())
    return [({"quantile": quantile}, value) for quantile, value in found if value is not None]


_TODAY = {
    "trades": "Rounds that closed today, UTC.",
    "pnl": "What they earned, after fees and before funding.",
    "slippage_bps": "What fills of today cost against the prices their orders were weighed by.",
    "drift_bps": "What rounds of today cost against those of the shadow book, of what was entered.",
    "not_compared": "Rounds of today that have no shadow to be held against.",
    "latency_p99_ms": "From intent to the venue's yes, today.",
}


def _today(stage: Any) -> list[Metric]:
    rows = stage.today()
    found = []
    for name, says in _TODAY.items():
        values = [({"bot": row.group}, float(getattr(row, name))) for row in rows if getattr(row, name) is not None]
        found.append(Metric(f"today_{name}", "gauge", says, values))
    return found


def _positions(engine: Engine) -> list[tuple[Labels, float]]:
    held = engine.ledger.snapshot().positions
    return [
        ({"account": key.account, "bot": key.bot or "", "symbol": key.symbol}, float(one.qty))
        for key, one in held.items()
    ]


def _equity(engine: Engine) -> list[tuple[Labels, float]]:
    found: list[tuple[Labels, float]] = []
    for name, state in engine.ledger.snapshot().accounts.items():
        if state.info is not None and state.info.equity is not None:
            found.append(({"account": name, "currency": state.info.currency or ""}, float(state.info.equity)))
    return found


def _states(engine: Engine) -> list[tuple[Labels, float]]:
    states = {"node": TradingState.ACTIVE, **engine.ledger.snapshot().states}
    return [
        ({"scope": scope, "state": each.value}, each is now) for scope, now in states.items() for each in TradingState
    ]


def _bots(engine: Engine) -> list[tuple[Labels, float]]:
    bots = engine.ledger.snapshot().bots
    return [
        ({"bot": bot.name, "mode": bot.mode.value}, bots.get(bot.name) is BotStatus.RUNNING)
        for bot in engine.config.bots
    ]


def _by(names: tuple[str, ...], counter: Counter[Any]) -> list[tuple[Labels, float]]:
    return [
        (dict(zip(names, key if isinstance(key, tuple) else (key,), strict=True)), count)
        for key, count in sorted(counter.items())
    ]


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    escaped = {
        name: value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
