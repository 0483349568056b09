"""Keep a venue's dead-man's switch from firing: while this engine lives, its countdown is begun anew.

When the engine dies, or cannot reach the venue for so long, the venue takes back what would open positions; what
protects them stays. Only a venue whose switch does just that has one here (decision 0030).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from tradelab.model.capabilities import DeadMan as Switch
from tradelab.model.errors import ConfigError, VenueError
from tradelab.model.messages import AlarmRaised
from tradelab.model.ports import HasDeadMan
from tradelab.model.states import Severity
from tradelab.model.units import NS_PER_S
from tradelab.spine.desk import Desk

_TIMES = 4  # so often it is begun anew before it would fire
_GOODBYE_S = 2.0  # by the machine's clock: an end does not wait for a venue


class DeadMan:
    """The switch of one account.

    Parameters
    ----------
    seconds
        After which it fires.
    missed
        Called when it has been begun anew after so long that it may have fired: the account is to be compared.
    """

    def __init__(self, desk: Desk, account: str, seconds: int, missed: Callable[[str], None]) -> None:
        self._desk = desk
        self._account = account
        self._seconds = seconds
        self._missed = missed
        self._every_s = max(seconds / _TIMES, _switch(desk, account, seconds).least_gap_s)
        self._venue = cast(HasDeadMan, desk.venue(account))
        self._armed_ns: int | None = None
        self._has_failed = False

    async def run(self) -> None:
        """Begin it anew for ever, as long as the lease of the account is ours."""
        while True:
            if self._desk.permit.left_s(self._account) > 0:
                await self._arm()
            await self._desk.clock.sleep(self._every_s)

    async def disarm(self) -> None:
        """End it: what is left open at an orderly end is left on purpose."""
        if self._armed_ns is None or self._desk.permit.left_s(self._account) <= 0:
            return
        self._armed_ns = None
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self._venue.arm_dead_man(0)
        except (VenueError, TimeoutError) as error:
            self._desk.log.warning(
                "%s: the dead-man's switch could not be ended, and fires within %d s: %s",
                self._account, self._seconds, error,
            )  # fmt: skip

    async def _arm(self) -> None:
        try:
            await self._venue.arm_dead_man(self._seconds)
        except VenueError as error:
            if not self._has_failed:
                self._alarm(
                    f"it could not be begun anew, and fires within {self._seconds} s: {error}", Severity.WARNING
                )
            self._has_failed = True
            return
        now_ns = self._desk.clock.now_ns()
        may_have_fired = self._armed_ns is not None and now_ns - self._armed_ns >= self._seconds * NS_PER_S
        if self._has_failed:
            what = "what would have opened positions may be gone" if may_have_fired else "it did not fire"
            self._alarm(f"it was begun anew: {what}", Severity.INFO)
        self._armed_ns, self._has_failed = now_ns, False
        if may_have_fired:
            self._missed(self._account)

    def _alarm(self, says: str, severity: Severity) -> None:
        self._desk.bus.say(AlarmRaised(kind="dead_man", about=self._account, severity=severity, says=says))


def _switch(desk: Desk, account: str, seconds: int) -> Switch:
    """Return what an account's venue has; raise where it has none that may be used, or not with such a countdown."""
    venue = desk.venue(account)
    switch = venue.capabilities.dead_man
    if switch is None:
        raise ConfigError(
            f"accounts.{account}: dead_man_s is set, and {venue.name} has no dead-man's switch that is known to spare "
            "protective stops.",
            fix="Leave it out: what protects positions would be cancelled with the rest. See decision 0030.",
        )
    if not switch.shortest_s <= seconds <= switch.longest_s:
        allowed = [f"{switch.shortest_s} to {switch.longest_s}"]
        raise ConfigError(f"accounts.{account}: dead_man_s={seconds} is not what {venue.name} takes.", allowed=allowed)
    return switch
