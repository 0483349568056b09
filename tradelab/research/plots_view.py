"""Say what a picture needs to know of a backtest, so that pictures and results need not import each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import pandas as pd

from tradelab.metrics.summary import Summary


class Backtested(Protocol):
    """What ``tradelab.research.result.Result`` shows of itself to whoever draws or prints it."""

    @property
    def frames(self) -> Mapping[str, pd.DataFrame]:
        """Canonical bars by symbol."""

    @property
    def index(self) -> pd.DatetimeIndex:
        """Time axis of the account."""

    @property
    def symbols(self) -> list[str]:
        """The instruments."""

    @property
    def title(self) -> str:
        """Strategy, parameters and instruments in one line."""

    @property
    def strategy(self) -> str:
        """Name of the strategy."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Parameters of the strategy."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Terms of the backtest."""

    @property
    def trades(self) -> pd.DataFrame:
        """One row a trade."""

    @property
    def equity(self) -> pd.Series:
        """Account value at each bar's close."""

    @property
    def drawdown(self) -> pd.Series:
        """Fall below the highest equity so far, ≤ 0."""

    @property
    def returns(self) -> pd.Series:
        """Fraction a bar."""

    @property
    def monthly(self) -> pd.DataFrame:
        """Return of each month, one row a year, and of the year."""

    @property
    def benchmark(self) -> np.ndarray:
        """Returns a bar of what the account is measured against."""

    @property
    def init_cash(self) -> float:
        """Money at the start."""

    @property
    def ruined(self) -> bool:
        """Whether equity fell to zero."""

    @property
    def summary(self) -> Summary:
        """All figures."""

    @property
    def data_hash(self) -> str:
        """Content hash of the bars."""


class Walked(Protocol):
    """What a ``WalkForward`` shows of itself to whoever draws it."""

    @property
    def windows(self) -> pd.DataFrame:
        """One row a window."""

    @property
    def result(self) -> Backtested:
        """The account over all test windows."""

    @property
    def equity(self) -> pd.Series:
        """Its value at each bar's close."""

    @property
    def axes(self) -> tuple[str, ...]:
        """The columns of the chosen parameters."""

    @property
    def efficiency(self) -> float:
        """Growth in the tests over growth in training."""

    @property
    def winning_windows(self) -> float:
        """Share of the windows that gained."""
