"""Lead each signal through the gates that are on, one after the other; what no gate lets through comes to nothing.

Signals that leave a position pass the gates that only judge (filter, AI): who wants out is not asked twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradelab.model.errors import InvariantError
from tradelab.model.messages import (
    DataFiltered,
    Message,
    Recorded,
    SignalAnalyzed,
    SignalDropped,
    SignalRaised,
)
from tradelab.model.signal import Drop, DropCode, Resize, Signal, Verdict
from tradelab.spine.bus import Bus
from tradelab.spine.desk import Gate
from tradelab.spine.tasks import Tasks
from tradelab.spine.view import View


@dataclass(frozen=True, slots=True)
class Gated:
    """A gate as it stands in the chain: its module, what it tells, and whether it judges those who leave, too."""

    module: str
    gate: Gate
    tells: type[DataFiltered] | type[SignalAnalyzed]


class Judges:
    """The gates that only judge, in their order; behind them comes risk management, which hears what they let pass.

    Parameters
    ----------
    view
        Makes what a signal is judged on.
    passed
        Called with a signal that all have let pass, and the factor that its size was cut to.
    """

    def __init__(
        self,
        bus: Bus,
        gates: tuple[Gated, ...],
        view: Callable[[Signal], View],
        passed: Callable[[Signal, Decimal], None],
        tasks: Tasks,
    ) -> None:
        self._bus = bus
        self._gates = gates
        self._view = view
        self._passed = passed
        self._tasks = tasks
        self._under_way: dict[str, tuple[Signal, int, Decimal]] = {}
        bus.hear(SignalRaised, self._raised)
        bus.hear(DataFiltered, self._told)
        bus.hear(SignalAnalyzed, self._told)

    @property
    def pending(self) -> Mapping[str, Any]:
        """Signals that a gate still thinks about."""
        return dict(self._under_way)

    def begin(self, signal: Signal) -> None:
        """Lead a signal through the gates, from the first on."""
        if signal.id in self._under_way:
            return
        self._under_way[signal.id] = (signal, 0, Decimal(1))
        self._next(signal.id)

    def _raised(self, recorded: Recorded[SignalRaised]) -> None:
        self.begin(recorded.message.signal)

    def _next(self, signal_id: str) -> None:
        signal, place, factor = self._under_way[signal_id]
        if place == len(self._gates) or not signal.action.enters:
            del self._under_way[signal_id]
            self._passed(signal, factor)
            return
        gated = self._gates[place]
        verdict = self._asked(gated, signal)
        if inspect.iscoroutine(verdict):
            self._bus.then(lambda: self._begin_waiting(gated, signal, verdict))
        else:
            self._say(gated, signal, verdict)

    def _asked(self, gated: Gated, signal: Signal) -> Any:
        try:
            return gated.gate.review(signal, self._view(signal))
        except Exception as error:  # noqa: BLE001 (a gate that fails is a gate that is shut)
            return _failed(gated.module, error)

    def _begin_waiting(self, gated: Gated, signal: Signal, answer: Coroutine[Any, Any, Verdict]) -> None:
        self._tasks.begin(self._wait(gated, signal, answer), f"{gated.module} on {signal.id}")

    async def _wait(self, gated: Gated, signal: Signal, answer: Coroutine[Any, Any, Verdict]) -> None:
        try:
            verdict = await answer
        except Exception as error:  # noqa: BLE001
            verdict = _failed(gated.module, error)
        self._say(gated, signal, verdict)

    def _say(self, gated: Gated, signal: Signal, verdict: Verdict) -> None:
        told: Message = gated.tells(bot=signal.bot, signal_id=signal.id, verdict=verdict)
        self._bus.say(told)

    def _told(self, recorded: Recorded[DataFiltered] | Recorded[SignalAnalyzed]) -> None:
        told = recorded.message
        if told.signal_id not in self._under_way:
            return  # folded at a start, or answered after the signal was given up
        signal, place, factor = self._under_way[told.signal_id]
        verdict = told.verdict
        if isinstance(verdict, Drop):
            del self._under_way[signal.id]
            by = self._gates[place].module
            self._bus.say(drop(signal, by, verdict))
            return
        if isinstance(verdict, Resize):
            factor *= verdict.factor
        self._under_way[signal.id] = (signal, place + 1, factor)
        self._next(signal.id)


def drop(signal: Signal, by: str, verdict: Drop) -> SignalDropped:
    """Say that a signal came to nothing."""
    return SignalDropped(
        bot=signal.bot, signal_id=signal.id, by=by, code=verdict.code, says=verdict.says, inputs=verdict.inputs
    )


def _failed(module: str, error: Exception) -> Drop:
    if isinstance(error, InvariantError):
        raise error
    return Drop(DropCode.GATE_FAILED, f"{module} failed: {type(error).__name__}: {error}")
