"""Say what a venue lets an API key do; what it does not tell is not known, and is never taken for a no."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRights:
    """What one key may do, as the venue itself says.

    Parameters
    ----------
    trades, withdraws
        Whether it may place orders in the market that the connection is for, and take money out of the account;
        ``None`` is what the venue did not say.
    is_bound
        Whether it works from named internet addresses only.
    days_left
        After how many days the venue takes it away; ``None`` where it stays.
    """

    trades: bool | None
    withdraws: bool | None
    is_bound: bool | None = None
    days_left: int | None = None
