"""Keep what may be sent as one: in the records, where everybody can change it, and in the journal, as a fact."""

from __future__ import annotations

from tradelab.model.messages import Recorded, TradingStateChanged
from tradelab.model.states import TradingState
from tradelab.spine.bus import Bus
from tradelab.spine.ledger import Ledger
from tradelab.store.states import TradingStates


class Standings:
    """Joins an engine's bus with the trading states of the records."""

    def __init__(self, states: TradingStates) -> None:
        self._states = states
        self._bus: Bus | None = None

    def join(self, bus: Bus) -> None:
        """Write down in the records, in the same transaction, what is said about them."""
        self._bus = bus
        bus.hear(TradingStateChanged, self._changed)

    def catch_up(self, bus: Bus, ledger: Ledger) -> None:
        """Say what somebody has changed past the engine."""
        known = ledger.snapshot().states
        for scope, told in self._states.read().items():
            if known.get(scope, TradingState.ACTIVE) is not told.state:
                bus.say(TradingStateChanged(scope=scope, state=told.state, by=told.by, says=told.says))

    def _changed(self, recorded: Recorded[TradingStateChanged]) -> None:
        it = recorded.message
        assert self._bus is not None, "joined before"
        self._states.write(self._bus.transaction, it.scope, it.state, by=it.by, says=it.says)
