"""Hold what many draws of chance came to, beside what really happened."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tradelab.metrics.summary import LABELS
from tradelab.model.errors import MissingExtraError, UnknownNameError
from tradelab.research.checks import whole

if TYPE_CHECKING:
    import plotly.graph_objects as go

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_OWN_WORDS = {"mean_trade": "Mean return of a trade"}
_PLAIN = ("sharpe", "trades")


@dataclass(frozen=True, eq=False)
class MonteCarlo:
    """Figures of every draw, and of the backtest itself measured in the same way.

    Parameters
    ----------
    method, says
        What was drawn, in a word and in a sentence.
    actual
        The backtest's own figures; drawdowns ≤ 0, so that higher is better for all of them.
    draws
        One row a draw, one column a figure; NaN where it is undefined.
    """

    method: str
    says: str
    actual: Mapping[str, float]
    draws: pd.DataFrame

    def quantiles(self, levels: tuple[float, ...] = QUANTILES) -> pd.DataFrame:
        """Quantiles of each figure, one column a level, beside the backtest's own."""
        table = self.draws.quantile(list(levels)).T
        table.insert(0, "actual", pd.Series(dict(self.actual)))
        return table

    def p_value(self, figure: str | None = None) -> float:
        """Share of draws at least as good as the backtest, itself counted in; the first figure by default.

        Small: chance seldom does as well. NaN where the backtest's own figure is undefined.
        """
        name = self._known(figure)
        actual = self.actual[name]
        if np.isnan(actual):
            return float("nan")
        return float((1 + (self.draws[name] >= actual).sum()) / (1 + len(self.draws)))

    def chance_below(self, figure: str, value: float) -> float:
        """Share of draws in which a figure is below a value; undefined ones count as below."""
        return float(1.0 - (self.draws[self._known(figure)] >= value).mean())

    def plot(self, figure: str | None = None) -> go.Figure:
        """Draw how often chance gave what, with the backtest's own figure marked."""
        MissingExtraError.unless("plotly", "report", "drawing")
        from tradelab.research import plots_montecarlo

        name = self._known(figure)
        return plots_montecarlo.histogram(
            self.draws[name].to_numpy(dtype=float),
            self.actual[name],
            title=f"{words(name)}, {self.method}",
            axis=words(name),
            note=f"{self.says}; p = {self.p_value(name):.3f}",
            percent=name not in _PLAIN,
        )

    def _known(self, figure: str | None) -> str:
        name = next(iter(self.actual)) if figure is None else figure
        if name not in self.actual:
            raise UnknownNameError.of("figure of these draws", name, self.actual)
        return name

    def __str__(self) -> str:
        told = []
        for name in self.actual:
            low, high = self.draws[name].quantile([0.05, 0.95])
            span = f"5 % to 95 % of draws: {shown(name, low)} … {shown(name, high)}"
            told.append(f"  {words(name)}: {shown(name, self.actual[name])}; {span}; p = {self.p_value(name):.3f}")
        return "\n".join([f"Monte Carlo, {self.method}: {self.says}", *told])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = self.quantiles()
        cells = pd.DataFrame({c: [shown(str(n), v) for n, v in table[c].items()] for c in table.columns})
        cells.index = pd.Index([words(name) for name in table.index])
        cells.columns = ["actual", *(f"{100 * level:g} %" for level in QUANTILES)]
        cells["p"] = [f"{self.p_value(name):.3f}" for name in table.index]
        says = html.escape(f"Monte Carlo, {self.method}: {self.says}")
        return f"<p><b>{says}</b></p>{cells.to_html(border=0)}"


def words(figure: str) -> str:
    """A figure's name for a reader."""
    return LABELS[figure].text if figure in LABELS else _OWN_WORDS.get(figure, figure.replace("_", " "))


def shown(figure: str, value: float) -> str:
    """A figure's value for a reader."""
    if np.isnan(value):
        return "–"
    return f"{value:.2f}" if figure in _PLAIN else f"{value:.2%}"


def generator(runs: int, seed: int | np.random.Generator) -> np.random.Generator:
    """The stream of chance of one method; it shares no numbers with bars that somebody made from the same seed.

    Raises
    ------
    ParameterError
        ``runs`` is no number of runs.
    """
    whole("runs", runs, least=1)
    if isinstance(seed, np.random.Generator):
        return seed
    whole("seed", seed, least=0, most=2**63 - 1)
    return np.random.default_rng([int(seed), 0x7AB1E])
