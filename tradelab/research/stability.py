"""Look at the neighbours of a sweep's best point: a plateau is a finding, a lone peak is an accident."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tradelab.model.errors import MissingExtraError, ParameterError
from tradelab.research.checks import require_sweep
from tradelab.research.ranking import LOW_IS_GOOD

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tradelab.research.sweep_view import Swept

_CROWDED = 4.0  # a full grid has at most so many places for each combination that ran; else it was drawn at random
_NEAREST = 4  # neighbours a parameter, where combinations were drawn at random
_CHUNK = 512
_PAIRS = 200_000_000


@dataclass(frozen=True, eq=False)
class Stability:
    """How a sweep's figure changes around each of its points.

    Parameters
    ----------
    table
        One row a combination: its parameters, the figure, and of its neighbours' figures the mean, the least and how
        many there are (an undefined one counts as the worst of the sweep). Of more than 14 000 combinations only the
        better ones are looked at; the others have no neighbours here.
    axes, by
        The columns of the parameters, and the figure.
    best
        Row of the best combination.
    score
        Plateau score: mean of the neighbours of the best over the best. 1: a plateau; 0: nothing around it. NaN where
        it has no neighbours, or the best is not above 0.
    worst
        The same of the worst neighbour.
    smooth
        Row whose neighbourhood, itself counted in, has the best mean: what a careful trader would take.
    """

    table: pd.DataFrame
    axes: tuple[str, ...]
    by: str
    best: int
    score: float
    worst: float
    smooth: int

    def plot(self) -> go.Figure:
        """Draw the neighbours' mean over the first two parameters: a map of plateaus."""
        MissingExtraError.unless("plotly", "report", "drawing")
        from tradelab.research import plots_sensitivity

        return plots_sensitivity.plateaus(self.table, self.axes, self.by)

    def __str__(self) -> str:
        point = ", ".join(f"{axis}={self.table[axis][self.best]}" for axis in self.axes)
        smooth = ", ".join(f"{axis}={self.table[axis][self.smooth]}" for axis in self.axes)
        share = f"its neighbours have {self.score:.0%} of it on average, the worst {self.worst:.0%}"
        if math.isnan(self.score):
            share = "what its neighbours have of it cannot be said, for it is not above 0 or has none"
        return f"Around the best {self.by} at {point}: {share}; the best neighbourhood is that of {smooth}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        shown = self.table.loc[[*dict.fromkeys((self.best, self.smooth))]]
        return f"<p><b>{html.escape(str(self))}</b></p>{shown.to_html(float_format='{:.3f}'.format, border=0)}"


def stability(sweep: Swept, by: str = "sharpe", *, min_trades: int = 1) -> Stability:
    """Compare every combination of a sweep with its neighbours.

    Neighbours differ by one step at most in each parameter (words and switches: by any other value). Where the
    combinations are no grid, they are the nearest few (four a parameter) by rank in each parameter. In a sweep over
    several accounts the same combination elsewhere is a neighbour too.

    Parameters
    ----------
    sweep
        Of at least two combinations.
    by
        A field of ``Summary``.
    min_trades
        The best must have closed as many; as for ``Sweep.best``.

    Examples
    --------
    >>> import tradelab as tl
    >>> found = tl.sweep(tl.samples.load("GOOG-1d"), "sma_cross", fast=[5, 10, 15], slow=[30, 60], progress=False)
    >>> around = stability(found)
    >>> len(around.table), int(around.table["neighbours"].max())
    (6, 5)
    """
    require_sweep(sweep)
    ranked = sweep.ranked(by, min_trades=min_trades)
    table = sweep.table
    if len(table) < 2:
        raise ParameterError("one combination has no neighbours.", fix="Sweep at least two.")
    sign = -1.0 if by in LOW_IS_GOOD else 1.0
    figure = sign * table[by].to_numpy(dtype=float)
    filled = np.where(np.isnan(figure), np.nanmin(figure), figure)
    best = int(ranked.index[0])
    # Everybody's neighbours are a matter of rows squared; of a great sweep only the better part is looked at.
    looked_at = np.sort(np.argsort(-filled, kind="stable")[: max(_PAIRS // len(table), 1)])
    mean, least, count = _around(_places(table, sweep.axes), filled, np.union1d(looked_at, [best]))
    own = pd.DataFrame(
        {by: table[by], "around_mean": sign * mean, "around_worst": sign * least, "neighbours": count},
        index=table.index,
    )
    whole = np.where(count > 0, (np.nan_to_num(mean) * count + filled) / (count + 1), -np.inf)
    share = figure[best] > 0.0 and count[best] > 0
    return Stability(
        table=pd.concat([table[list(sweep.axes)], own], axis=1),
        axes=tuple(sweep.axes),
        by=by,
        best=best,
        score=float(mean[best] / figure[best]) if share else math.nan,
        worst=float(least[best] / figure[best]) if share else math.nan,
        smooth=int(np.argmax(np.where(np.isnan(figure), -np.inf, whole))) if count.any() else best,
    )


def _places(table: pd.DataFrame, axes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of each parameter's values, shape (rows, axes), and which parameters are numbers."""
    ranks, ordered = [], []
    for axis in axes:
        column = table[axis]
        numeric = pd.api.types.is_numeric_dtype(column) and column.dtype != bool
        codes = pd.factorize(column, sort=numeric, use_na_sentinel=False)[0]
        ranks.append(codes)
        ordered.append(numeric)
    return np.column_stack(ranks), np.array(ordered)


def _around(
    places: tuple[np.ndarray, np.ndarray], figure: np.ndarray, looked_at: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and least figure of the neighbours of some points, and how many; NaN and 0 for the others."""
    ranks, ordered = places
    count = len(ranks)
    sizes = ranks.max(axis=0) + 1
    grid = float(np.prod(sizes.astype(float))) <= _CROWDED * count
    mean, least, found = np.full(count, np.nan), np.full(count, np.nan), np.zeros(count, dtype=int)
    for first in range(0, len(looked_at), _CHUNK):
        rows = looked_at[first : first + _CHUNK]
        apart = np.zeros((len(rows), count))
        for k in range(ranks.shape[1]):
            step = np.abs(ranks[rows, k][:, None] - ranks[:, k])
            scaled = step if grid else step / max(sizes[k] - 1, 1)
            apart = np.maximum(apart, scaled if ordered[k] else (step > 0).astype(float))
        apart[np.arange(len(rows)), rows] = np.inf
        if grid:
            near = apart <= 1.0
        else:
            most = min(_NEAREST * ranks.shape[1], count - 1)
            near = apart <= np.partition(apart, most - 1, axis=1)[:, most - 1 : most]
        found[rows] = near.sum(axis=1)
        has = found[rows] > 0
        mean[rows[has]] = (near @ figure)[has] / found[rows][has]
        least[rows[has]] = np.where(near, figure, np.inf).min(axis=1)[has]
    return mean, least, found
