"""Read what a bot trades on: how large, how it leaves, how much at most, and when."""

from __future__ import annotations

import datetime as dt
from dataclasses import MISSING, fields
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from tradelab.model.errors import ConfigError, UnknownNameError
from tradelab.model.exits import BreakEven, ExitPlan, Trail
from tradelab.spine.tables import Above, Fraction, Seconds, Table, holds_truth

Count = Annotated[int, Field(gt=0)]
Bps = Annotated[Decimal, Field(ge=0)]


class Sizing(Table):
    """How large an entry is.

    Parameters
    ----------
    by
        ``"qty"``: so many units; ``"notional"``: for so much money; ``"equity"``: this fraction of the account's worth;
        ``"risk"``: what this fraction of it may lose at the stop; ``"volatility"``: the same, one unit of the
        strategy's (its ATR) taken for the stop.
    value
        Units, money or a fraction, as ``by`` says.
    """

    by: Literal["qty", "notional", "equity", "risk", "volatility"]
    value: Above

    @model_validator(mode="after")
    def _sane(self) -> Sizing:
        if self.by in ("risk", "volatility") and self.value > 1:
            raise ValueError(f"value={self.value} risks more than everything: 0.01 is one hundredth of the account")
        return self


class Limits(Table):
    """How much at most; ``None`` sets no limit of this kind. Money is in the account's currency.

    Parameters
    ----------
    max_order_notional, max_symbol_notional, max_bot_notional, max_account_notional, max_group_notional
        Of one order, and of all that is held and may still be bought in one instrument, by this bot, on the account,
        and in a group of instruments that move together.
    max_positions, max_positions_symbol
        How many positions the account, and one instrument on it, may have.
    max_daily_loss, max_weekly_loss, max_drawdown
        Fractions of the equity at the day's start, at the week's start, and at its highest; open profit, fees and
        funding included. Reached, the account halts until a person says otherwise.
    max_spread_bps, max_slippage_bps, max_deviation_bps
        Of a quote; of the worst price an order may get against what it was decided on; between the price a signal was
        raised at and the quote now.
    max_orders_per_minute
        Entries of the account.
    max_quote_age_s, max_bar_age_s, max_balance_age_s
        How old an input may be.
    """

    max_order_notional: Above | None = None
    max_symbol_notional: Above | None = None
    max_bot_notional: Above | None = None
    max_account_notional: Above | None = None
    max_group_notional: Above | None = None
    max_positions: Count | None = None
    max_positions_symbol: Count | None = 1
    max_daily_loss: Fraction | None = None
    max_weekly_loss: Fraction | None = None
    max_drawdown: Fraction | None = None
    max_spread_bps: Bps | None = None
    max_slippage_bps: Bps | None = None
    max_deviation_bps: Bps | None = None
    max_orders_per_minute: Count | None = None
    max_quote_age_s: Seconds = 10.0
    max_bar_age_s: Seconds | None = None
    max_balance_age_s: Seconds = 60.0


class Schedule(Table):
    """When a bot may enter; leaving is always allowed.

    ``start`` after ``end`` is a window over midnight; the day is that on which it began. ``days`` are 1 (Monday) to 7.
    """

    start: dt.time | None = None
    end: dt.time | None = None
    timezone: str = "UTC"
    days: tuple[Annotated[int, Field(ge=1, le=7)], ...] = (1, 2, 3, 4, 5, 6, 7)

    @field_validator("timezone")
    @classmethod
    def _known(cls, given: str) -> str:
        try:
            ZoneInfo(given)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{given!r} is no time zone, such as Europe/London") from None
        return given

    @model_validator(mode="after")
    def _both(self) -> Schedule:
        if (self.start is None) != (self.end is None):
            raise ValueError("start and end belong together")
        return self


class Preset(Table):
    """What a bot trades on; ``exits`` is written as the arguments of :class:`~tradelab.model.exits.ExitPlan`."""

    model_config = Table.model_config | {"arbitrary_types_allowed": True}

    sizing: Sizing
    exits: ExitPlan = ExitPlan()
    limits: Limits = Limits()
    schedule: Schedule = Schedule()

    @field_validator("exits", mode="before")
    @classmethod
    def _plan(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        told = dict(given)
        known = [field.name for field in fields(ExitPlan)]
        if unknown := next((name for name in told if name not in known), None):
            raise ValueError(str(UnknownNameError.of("exit", unknown, known)))
        if truth := next((name for name in ("targets", "roi") if holds_truth(told.get(name))), None):
            raise ValueError(f"{truth}: true and false are no numbers, and a number belongs here")
        for name, kind in (("trail", Trail), ("break_even", BreakEven)):
            if isinstance(told.get(name), dict):
                told[name] = _part(name, kind, told[name])
        if isinstance(targets := told.get("targets"), list):
            told["targets"] = tuple(tuple(each) if isinstance(each, list) else each for each in targets)
        if isinstance(roi := told.get("roi"), dict):
            told["roi"] = {int(bars): fraction for bars, fraction in roi.items()}
        try:
            return ExitPlan(**told)
        except ConfigError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _complete(self) -> Preset:
        if self.sizing.by == "risk" and self.exits.stop is None:
            raise ValueError('sizing by "risk" needs exits.stop, which says what is risked')
        return self


def _part(name: str, kind: type[Trail] | type[BreakEven], told: dict[str, Any]) -> Trail | BreakEven:
    """Read a part of a plan that is a table of its own: ``trail = { distance = "3 atr", chandelier = true }``."""
    known = {field.name: field.default is MISSING for field in fields(kind)}
    if unknown := next((word for word in told if word not in known), None):
        raise ValueError(str(UnknownNameError.of(f"word of {name}", unknown, known)))
    if missing := next((word for word, needed in known.items() if needed and word not in told), None):
        raise ValueError(f"{name} needs {missing}")
    try:
        return kind(**told)
    except ConfigError as error:
        raise ValueError(str(error)) from None
