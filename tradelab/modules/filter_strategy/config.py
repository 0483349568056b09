"""Read the tables ``[filters.<name>]``: conditions under which a bot may enter."""

from __future__ import annotations

from pydantic import field_validator, model_validator

from tradelab.model.errors import ConfigError
from tradelab.modules.filter_strategy.rules import parse
from tradelab.spine.tables import Table


class Filter(Table):
    """A filter.

    Parameters
    ----------
    long, short
        Conditions on the bars behind a signal, such as ``"rsi(14) < 70"`` or ``"close > sma(200)"``: all of a side's
        must hold for an entry on that side. A side without conditions lets nothing through.
    """

    long: tuple[str, ...] = ()
    short: tuple[str, ...] = ()

    @field_validator("long", "short")
    @classmethod
    def _readable(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for text in given:
                parse(text)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return given

    @model_validator(mode="after")
    def _says_something(self) -> Filter:
        if not self.long and not self.short:
            raise ValueError("conditions are needed for long, short or both: without any, nothing ever passes")
        return self
