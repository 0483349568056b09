"""Read the table ``[modules.market_data]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from tradelab.spine.tables import Table

Days = Annotated[float, Field(gt=0)]


class Retention(Table):
    """How long the bars of some series are kept; names are globs, and a time that is left out removes nothing."""

    source: str = "*"
    symbol: str = "*"
    timeframe: str = "*"
    keep_days: Days | None = None
    unused_days: Days | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Retention:
        if self.keep_days is None and self.unused_days is None:
            raise ValueError("keep_days or unused_days is needed: without both nothing ever goes")
        return self


class Config(Table):
    """Where bars are kept, when they are put in order, and how long they stay.

    Parameters
    ----------
    catalog
        The folder of the bars; by default that of ``tradelab data``.
    upkeep_every_h
        How often live bars are put into segments, and what may go goes.
    retention
        By default everything stays. Policies of the catalogue that this list does not name are left as they are.
    """

    catalog: str | None = None
    upkeep_every_h: Annotated[float, Field(gt=0)] = 24.0
    retention: tuple[Retention, ...] = ()
