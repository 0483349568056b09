"""Say what scrutiny needs to know of a sweep, so that it works with any that shows as much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pandas as pd

from tradelab.research.result import Result
from tradelab.strategy.spec import Strategy


class Swept(Protocol):
    """What ``tradelab.research.sweep.Sweep`` shows of itself to whoever judges it."""

    @property
    def table(self) -> pd.DataFrame:
        """One row a combination: its parameters, then the fields of ``Summary``."""

    @property
    def axes(self) -> tuple[str, ...]:
        """The columns of the swept parameters."""

    @property
    def points(self) -> Sequence[Mapping[str, Any]]:
        """The parameters of each row as they were given."""

    @property
    def fixed(self) -> Mapping[str, Any]:
        """Parameters and terms that were the same for all."""

    @property
    def strategy(self) -> Strategy:
        """What was swept."""

    def __len__(self) -> int:
        """How many combinations ran."""

    def ranked(self, by: str = "sharpe", *, min_trades: int = 1) -> pd.DataFrame:
        """The table from best to worst by one figure, without undefined ones."""

    def result(self, row: int) -> Result:
        """Run the combination of one row again."""
