"""Say, for health, what a person should look at: positions that nobody keeps or nothing stops, and halts by a failure.

What a person has halted, or a guard, is as it was meant: it stands in the state, and is no fault. Coins that none of
our bots has bought are nobody's to keep.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tradelab.app.engine_port import Engine
from tradelab.model.clock import speed_of
from tradelab.model.messages import TradingStateChanged
from tradelab.model.signal import DropCode
from tradelab.model.states import Protection, TradingState
from tradelab.spine.snapshot import PositionKey
from tradelab.store.states import UNREADABLE

PAPER = "paper account"  # who halts one that failed
_GUARDS = {code.value for code in (DropCode.DAILY_LOSS, DropCode.WEEKLY_LOSS, DropCode.DRAWDOWN)}


def monitoring(engine: Engine) -> Any | None:
    """Return the stage that watches positions; ``None`` where the module is not on."""
    try:
        return engine.stage("position_monitoring")
    except KeyError:
        return None


def left_alone(engine: Engine) -> Iterator[str]:
    """Yield, in words, each position that should be kept and is not, and each scope that something failed has halted.

    A position should be kept where a bot of ours has it. Its bot may have been renamed or left out of the file; a
    stop that its plan has may not stand, for longer than the alarm of it waits.
    """
    for key, held in engine.ledger.snapshot().positions.items():
        if held.qty and key.bot is not None:
            says = _of_position(engine, key)
            if says is not None:
                yield f"{key.bot} holds {held.qty:f} {key.symbol} on {key.account}: {says}"
    for scope, state in engine.ledger.snapshot().states.items():
        told = engine.ledger.state_said(scope)
        if state is not TradingState.ACTIVE and told is not None and is_failure(told, engine.config.modules_on):
            yield told.says if told.by == PAPER else _of_halt(told)


def nobody_keeps(engine: Engine, key: PositionKey) -> str | None:
    """Return why nobody here keeps a position of a bot, in words; ``None`` where somebody does, or it is no bot's."""
    if key.bot is None:
        return None
    bot = next((bot for bot in engine.config.bots if bot.name == key.bot), None)
    if bot is None:
        return "nobody protects it, for no bot of this name is in this node; put it back into the file, or close it"
    return None


def _of_position(engine: Engine, key: PositionKey) -> str | None:
    nobody = nobody_keeps(engine, key)
    if nobody is not None:
        return nobody
    stage = monitoring(engine)
    if stage is None:
        has_stop = engine.config.presets[engine.config.bot(key.bot or "").preset].exits.stop is not None
        return "its stop is kept by nobody, for position_monitoring is not on" if has_stop else None
    shown = stage.shown(key, None)
    if not shown:
        return "position_monitoring knows nothing of it; look at it at the venue"
    bare_ms = shown["unprotected_ms"]
    most_ms = stage.config.max_unprotected_ms * max(1.0, speed_of(engine.clock))
    if shown["protection"] != Protection.NONE.value or bare_ms is None or bare_ms <= most_ms:
        return None
    return f"nothing has stopped it for {bare_ms / 1000:.1f} s: no stop stands, and no quote is fresh"


def _of_halt(told: TradingStateChanged) -> str:
    kind, _, name = told.scope.partition(" ")
    resume = f"tradelab resume --{kind} {name}" if name else "tradelab resume"
    return f"{told.scope} is {told.state.value} by a failure: {told.by}: {told.says}; look at the log, then: {resume}"


def is_failure(told: TradingStateChanged, modules: tuple[str, ...]) -> bool:
    """Whether a state was made stricter because something failed: by the engine itself, and not by a guard.

    >>> halted = {"scope": "account a", "state": TradingState.HALTED}
    >>> failed = TradingStateChanged(**halted, by="risk_management", says="it failed: KeyError: 'x'")
    >>> guard = TradingStateChanged(**halted, by="risk_management", says="daily_loss: equity 90 is 10 % below ...")
    >>> person = TradingStateChanged(**halted, by="ada", says="it failed me")
    >>> [is_failure(told, ("risk_management",)) for told in (failed, guard, person)]
    [True, False, False]
    """
    if told.by not in (*modules, PAPER, UNREADABLE):
        return False
    word = told.says.replace(",", ":").replace(" ", ":").partition(":")[0]
    return word not in _GUARDS
