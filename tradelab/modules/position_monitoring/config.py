"""Read how positions are watched: how often, on how old a quote, and when a person is told."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from tradelab.spine.tables import Seconds, Table

Rate = Annotated[float, Field(ge=0, lt=1)]
Amount = Annotated[float, Field(ge=0)]


class Costs(Table):
    """What an account's trades cost, for a stop at break-even; the words of a backtest.

    ``fees``, ``slippage`` and ``spread`` are fractions of the price, ``per_unit_fees`` money a unit, ``fixed_fees``
    money an order.
    """

    fees: Rate = 0.0
    slippage: Rate = 0.0
    spread: Rate = 0.0
    per_unit_fees: Amount = 0.0
    fixed_fees: Amount = 0.0


class Config(Table):
    """The table ``[modules.position_monitoring]``.

    Parameters
    ----------
    look_every_s
        How often levels that the venue does not hold are compared with the quote.
    max_quote_age_s
        How old a quote may be for a level that is watched here to count as watched.
    fresh_s
        How long an order that protects may be sent after it was wished for; after that it is wished for anew.
    retry_s
        How long an unanswered cancel or change is waited for before it is asked again, and the first pause after a
        refusal, which doubles with each one up to a minute.
    trigger_grace_s
        How long the market may have been beyond a stop that the venue holds before we leave by ourselves.
    max_unprotected_ms
        A position that nothing protects for longer raises an alarm.
    near_r, near_atr
        How near to its stop or target a position is told of: in R, or in ATR where it has no R.
    alarm_every_s
        The same alarm about the same thing is raised once in so many seconds.
    drift_alarm_bps
        A trade that came out worse than its shadow by more raises an alarm: of what was entered, both ways together.
    session
        Time zone whose midnight ends a session, for ``session_close``.
    session_lead_s
        How long before the last bar of a session closes its positions are left: an order sent at the close itself
        would meet the next session.
    costs
        By account; where one is missing, the fees of the entry's own fills are taken for both ways, and the shadow
        book trades without slippage and spread.
    """

    look_every_s: Seconds = 0.2
    max_quote_age_s: Seconds = 10.0
    fresh_s: Seconds = 5.0
    retry_s: Seconds = 2.0
    trigger_grace_s: Seconds = 3.0
    max_unprotected_ms: Seconds = 1000.0
    near_r: Amount = 0.1
    near_atr: Amount = 0.25
    alarm_every_s: Seconds = 300.0
    drift_alarm_bps: Amount = 50.0
    session: str = "UTC"
    session_lead_s: Seconds = 5.0
    costs: dict[str, Costs] = Field(default_factory=dict)

    @field_validator("session")
    @classmethod
    def _known(cls, given: str) -> str:
        try:
            ZoneInfo(given)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{given!r} is no time zone, such as America/New_York") from None
        return given
