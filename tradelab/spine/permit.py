"""Say whether this engine may send to an account: its lease is held, and nobody has halted it past this engine."""

from __future__ import annotations

import math

from sqlalchemy import select

from tradelab.model.clock import Clock, elapsed_ns
from tradelab.model.errors import LeaseError
from tradelab.model.states import TradingState
from tradelab.model.units import NS_PER_S
from tradelab.spine.bus import Bus
from tradelab.store import schema
from tradelab.store.leases import LENGTH_S, Lease, Leases

RENEW_S = LENGTH_S / 3
_MARGIN_S = LENGTH_S / 5  # a request that leaves later than this before the lease ends does not leave


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


class LeasedPermit:
    """Holds the leases of a node's accounts, and shows them in the transaction that keeps an intent.

    Parameters
    ----------
    leases
        Of the records in which the journal is kept.
    bus
        Gives the transaction.
    node
        Whose trading states are looked at.
    """

    def __init__(self, leases: Leases, bus: Bus, node: str, clock: Clock) -> None:
        self._leases = leases
        self._bus = bus
        self._node = node
        self._clock = clock
        self._held: dict[str, tuple[Lease, int]] = {}  # and when it was renewed, by a clock that is never set

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts whose leases are held, as far as this engine knows."""
        return tuple(self._held)

    def take(self, account: str) -> Lease:
        """Take the lease of an account. Raises :class:`LeaseError` where another engine has it."""
        began_ns = elapsed_ns(self._clock)
        lease = self._leases.acquire(account)
        self._held[account] = (lease, began_ns)
        return lease

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
        lease, _ = self._held[account]
        self._leases.require(self._bus.transaction, lease)
        if not reduces:
            self._require_active(account, bot)
        return lease.fence

    def left_s(self, account: str) -> float:
        """Return for how long an order may still leave under the lease, by a clock that is never set; zero: not now."""
        if account not in self._held:
            return 0.0
        _, renewed_ns = self._held[account]
        gone_s = (elapsed_ns(self._clock) - renewed_ns) / NS_PER_S
        return max(0.0, self._leases.length_s - _MARGIN_S - gone_s)

    def _require_active(self, account: str, bot: str | None) -> None:
        states = schema.trading_states.c
        scopes = ["node", f"account {account}", *([] if bot is None else [f"bot {bot}"])]
        shut = select(states.scope, states.state, states.by, states.says).where(
            states.node == self._node, states.scope.in_(scopes), states.state != TradingState.ACTIVE.value
        )
        found = self._bus.transaction.execute(shut).first()
        if found is not None:
            raise LeaseError(
                f"{found.scope} is {found.state} by {found.by}: {found.says}.", fix="Resume it: tradelab resume"
            )
