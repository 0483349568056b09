"""Run a backtest again with something changed: other bars, other terms, later orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from tradelab.engine.fills import FillPolicy
from tradelab.model.errors import ConfigError
from tradelab.research.backtest import backtest
from tradelab.research.result import Result
from tradelab.research.settings import Settings
from tradelab.strategy.registry import find
from tradelab.strategy.spec import Strategy

if TYPE_CHECKING:
    from tradelab.research.sweep_view import Swept

_DEFAULTS = Settings().plain()


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything a backtest is made from.

    Parameters
    ----------
    frames
        Bars by symbol.
    strategy
        Whose decisions are traded.
    parameters
        Of the strategy, and the terms of the backtest, together.
    calendar
        As for ``tl.backtest``.
    """

    frames: Mapping[str, pd.DataFrame]
    strategy: Strategy
    parameters: Mapping[str, Any]
    calendar: str | None = None

    @property
    def terms(self) -> Settings:
        """The terms of the backtest."""
        known = Settings.__dataclass_fields__
        return Settings(**{name: value for name, value in self.parameters.items() if name in known})

    @property
    def own(self) -> dict[str, Any]:
        """The parameters of the strategy, as they were given."""
        known = Settings.__dataclass_fields__
        return {name: value for name, value in self.parameters.items() if name not in known}

    def run(self, frames: Mapping[str, pd.DataFrame] | None = None, **changed: Any) -> Result:
        """Backtest it, on other bars or with other parameters and terms where these are given."""
        bars = self.frames if frames is None else frames
        return backtest(dict(bars), self.strategy, calendar=self.calendar, **{**self.parameters, **changed})


def setup_of(result: Result, **terms: Any) -> Setup:
    """Tell from a result how it was made.

    Parameters
    ----------
    result
        Of a strategy, not of signals: those cannot be had again on other bars.
    **terms
        Terms that a result knows only by name, because they were given bar by bar or are an ``ExitPlan``.

    Raises
    ------
    ConfigError
        It was made from signals, or such a term is missing here.
    """
    _require_no_finer(result)
    known = set(Settings.__dataclass_fields__)
    try:
        strategy = find(result.strategy)
    except ConfigError as error:
        raise ConfigError(
            f"{result.strategy!r} is no strategy that could be run again.", fix="Backtest a strategy, not signals."
        ) from error
    said = {name: value for name, value in result.settings.items() if name in known and value != _DEFAULTS.get(name)}
    lost = [name for name, value in said.items() if name not in terms and (value == "per bar" or name == "plan")]
    if lost:
        raise ConfigError(
            f"the result knows only that it had a {' and a '.join(lost)}.",
            fix=f"Give it again: {', '.join(f'{name}=…' for name in lost)}.",
        )
    if isinstance(said.get("fill"), dict):
        said["fill"] = FillPolicy(**said["fill"])
    return Setup(result.frames, strategy, {**result.parameters, **said, **terms}, result.calendar)


def setup_of_row(sweep: Swept, row: int, result: Result) -> Setup:
    """The setup of one row of a sweep, of which ``result`` is the backtest."""
    _require_no_finer(result)
    return Setup(result.frames, sweep.strategy, {**sweep.fixed, **sweep.points[row]}, result.calendar)


def _require_no_finer(result: Result) -> None:
    """Refuse to run again without the finer bars what was run with them: it would be another backtest."""
    if result.finer is not None:
        raise ConfigError(
            f"the result was walked on finer bars ({result.finer['timeframe']}), which it does not keep.",
            fix="Run it again without finer=….",
        )
