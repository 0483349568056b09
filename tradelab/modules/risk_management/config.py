"""Read the table ``[modules.risk_management]``."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from tradelab.spine.tables import Seconds, Table


class Config(Table):
    """How days are counted, and how far clocks may differ; what limits there are stands in each bot's preset.

    Parameters
    ----------
    timezone
        Whose clock says when a day of the guards begins.
    day_starts
        When it does, by that clock: 17:00 in New York for who trades foreign exchange.
    week_starts
        The day with which a week begins, 1 (Monday) to 7.
    max_clock_skew_s
        How far in the future a quote, a balance or a decision may lie before a clock must be wrong.
    """

    timezone: str = "UTC"
    day_starts: dt.time = dt.time(0)
    week_starts: Annotated[int, Field(ge=1, le=7)] = 1
    max_clock_skew_s: Seconds = 1.0

    @field_validator("timezone")
    @classmethod
    def _known(cls, given: str) -> str:
        try:
            ZoneInfo(given)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{given!r} is no time zone, such as America/New_York") from None
        return given
