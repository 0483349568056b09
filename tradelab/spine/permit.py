"""Say whether this engine may send to an account: its lease is held, and nobody has halted it past this engine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tradelab.model.clock import Clock, elapsed_ns
from tradelab.model.errors import LeaseError
from tradelab.model.messages import Recorded, TradingStateChanged
from tradelab.model.states import TradingState
from tradelab.model.units import NS_PER_S
from tradelab.spine.bus import Bus
from tradelab.store.leases import Lease, Leases
from tradelab.store.states import Standing, TradingStates

_RENEWED = 1 / 3  # of its length, after which a lease is renewed
_MARGIN = 1 / 5  # of its length: nothing leaves so near its end


class FreePermit:
    """Lets everything through: for a replay of history and a paper account in memory, which nobody else can trade.

    >>> FreePermit().fence("paper", bot=None, reduces=False)
    0
    """

    def fence(self, account: str, *, bot: str | None, reduces: bool) -> int:
        """Return zero."""
        return 0

    def left_s(self, account: str) -> float:
        """Return for how long an order may still leave: for ever."""
        return math.inf

    @property
    def renew_s(self) -> float:
        """How often there is something to renew: never."""
        return math.inf

    def take(self, account: str) -> None:
        """Take nothing."""

    def renew(self) -> None:
        """Renew nothing."""

    def release(self) -> None:
        """Give nothing back."""


class LeasedPermit:
    """Holds the leases of a node's accounts, and shows them in the transaction that keeps an intent.

    Parameters
    ----------
    leases
        Of the records in which the journal is kept.
    bus
        Gives the transaction.
    states
        What may be sent, as everybody can change it.
    """

    def __init__(self, leases: Leases, bus: Bus, states: TradingStates, clock: Clock) -> None:
        self._leases = leases
        self._bus = bus
        self._states = states
        self._clock = clock
        bus.hear(TradingStateChanged, self._changed)
        self._looked_in: Any = None
        self._shown: set[str] = set()
        self._standing: Mapping[str, Standing] | None = None
        self._held: dict[str, tuple[Lease, int]] = {}  # and when it was renewed, by a clock that is never set

    @property
    def renew_s(self) -> float:
        """How often leases are to be renewed."""
        return self._leases.length_s * _RENEWED

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts whose leases are held, as far as this engine knows."""
        return tuple(self._held)

    def take(self, account: str) -> None:
        """Take the lease of an account. Raises :class:`LeaseError` where another engine has it."""
        began_ns = elapsed_ns(self._clock)
        lease = self._leases.acquire(account)
        self._held[account] = (lease, began_ns)

    def renew(self) -> None:
        """Prolong all leases; one that was lost is held no more.

        Raises
        ------
        LeaseError
            One was lost: nothing of its account may be sent, and nothing is.
        """
        for account, (lease, _) in list(self._held.items()):
            began_ns = elapsed_ns(self._clock)
            try:
                self._held[account] = (self._leases.renew(lease), began_ns)
            except LeaseError:
                del self._held[account]
                raise

    def release(self) -> None:
        """Give all leases back."""
        for lease, _ in self._held.values():
            self._leases.release(lease)
        self._held.clear()

    def fence(self, account: str, *, bot: str | None, reduces: bool) -> int:
        """Return the number under which an intent is written now.

        Raises
        ------
        LeaseError
            The lease is lost or over, or, for what takes on risk, somebody has halted the account past this engine.
        """
        if account not in self._held:
            raise LeaseError(f"this engine does not hold the lease of account {account!r}.", fix="Start it again.")
        transaction = self._bus.transaction
        if self._looked_in is not transaction:  # once each: what was read in it is locked until it is kept
            self._looked_in, self._shown, self._standing = transaction, set(), None
        if account not in self._shown:
            self._show(account)
            self._shown.add(account)
        if not reduces:
            if self._standing is None:
                self._standing = self._states.read(transaction)
            self._require_active(self._standing, account, bot)
        return self._held[account][0].fence

    def _changed(self, _: Recorded[TradingStateChanged]) -> None:
        """Read again what may be sent: it was changed in this very transaction."""
        self._standing = None

    def _show(self, account: str) -> None:
        lease, _ = self._held[account]
        began_ns = elapsed_ns(self._clock)
        shown = self._leases.require(self._bus.transaction, lease)
        if shown.until_ns > lease.until_ns:
            self._held[account] = (shown, began_ns)

    def left_s(self, account: str) -> float:
        """Return for how long an order may still leave under the lease, by a clock that is never set; zero: not now."""
        if account not in self._held:
            return 0.0
        _, renewed_ns = self._held[account]
        gone_s = (elapsed_ns(self._clock) - renewed_ns) / NS_PER_S
        return max(0.0, self._leases.length_s * (1 - _MARGIN) - gone_s)

    def _require_active(self, standing: Mapping[str, Standing], account: str, bot: str | None) -> None:
        for scope in ("node", f"account {account}", f"bot {bot}"):
            told = standing.get(scope)
            if told is not None and told.state is not TradingState.ACTIVE:
                says = f"{scope} is {told.state.value} by {told.by}: {told.says}."
                raise LeaseError(says, fix="Resume it: tradelab resume")
