"""Ask how much of a backtest is owed to what its costs and its speed were assumed to be."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from tradelab.model.errors import MissingExtraError, ParameterError
from tradelab.research.checks import whole
from tradelab.research.rerun import Setup, setup_of
from tradelab.research.result import Result
from tradelab.research.settings import Settings

if TYPE_CHECKING:
    import plotly.graph_objects as go

MULTIPLES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
BASIS_POINTS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
DELAYS = (0, 1, 2, 3)

_COSTS = (
    "fees", "maker_fees", "fixed_fees", "per_unit_fees", "min_fees", "spread", "slippage", "slippage_range", "impact",
)  # fmt: skip
_FIGURES = ("total_return", "sharpe", "max_drawdown", "trades", "fees")
_HALVINGS = 12
_FURTHEST = 64.0


@dataclass(frozen=True, eq=False)
class CostSensitivity:
    """What a backtest comes to at other costs.

    Parameters
    ----------
    table
        By how much was paid: total return, Sharpe ratio, drawdown, trades, fees.
    unit
        What the index counts: ``"times the costs set"``, or ``"basis points a fill"`` where none were set.
    break_even
        Where the total return is 0, in that unit; 0 where it already is without costs, NaN where it is not reached at
        64 times the costs or at 640 basis points.
    strategy
        Its name.
    """

    table: pd.DataFrame
    unit: str
    break_even: float
    strategy: str

    def plot(self) -> go.Figure:
        """Draw the total return over the costs, with the point where nothing is left."""
        MissingExtraError.unless("plotly", "report", "drawing")
        from tradelab.research import plots_sensitivity

        return plots_sensitivity.costs(self.table["total_return"], self.unit, self.break_even, self.strategy)

    def __str__(self) -> str:
        at = "not reached" if math.isnan(self.break_even) else f"{self.break_even:.2f} {self.unit}"
        return f"Costs of {self.strategy}: break-even {at}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _page(str(self), self.table)


@dataclass(frozen=True, eq=False)
class DelaySensitivity:
    """What a backtest comes to when its orders go out later.

    Parameters
    ----------
    table
        By bars of delay: total return, Sharpe ratio, drawdown, trades, fees.
    kept
        Share of the Sharpe ratio that a delay of one bar (or the shortest asked for) leaves; NaN where it was not
        above 0.
    strategy
        Its name.
    """

    table: pd.DataFrame
    kept: float
    strategy: str

    def plot(self) -> go.Figure:
        """Draw the Sharpe ratio over the delay."""
        MissingExtraError.unless("plotly", "report", "drawing")
        from tradelab.research import plots_sensitivity

        return plots_sensitivity.delays(self.table["sharpe"], self.strategy)

    def __str__(self) -> str:
        left = (
            "cannot be said: the Sharpe ratio at once is not above 0" if math.isnan(self.kept) else f"{self.kept:.0%}"
        )
        return f"Delay of {self.strategy}: what one bar leaves of the Sharpe ratio: {left}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _page(str(self), self.table)


def cost_sensitivity(result: Result | Setup, *, at: tuple[float, ...] | None = None, **terms: Any) -> CostSensitivity:
    """Backtest again at multiples of every cost that was set, and find where nothing is left.

    Fees, spread and slippage of every kind are multiplied together. Where none was set, fees are tried in basis points
    of each fill instead.

    Parameters
    ----------
    result
        Of a strategy.
    at
        Multiples (or basis points) to try; ``None``: 0 to 5 times (0 to 50 basis points).
    **terms
        Terms a result knows only by name: those given bar by bar, and an ``ExitPlan``.

    Examples
    --------
    >>> import tradelab as tl
    >>> result = tl.backtest(tl.samples.load("GOOG-1d"), "sma_cross", fast=10, slow=30, fees=0.001)
    >>> cost_sensitivity(result).unit
    'times the costs set'
    """
    setup = result if isinstance(result, Setup) else setup_of(result, **terms)
    own = setup.terms
    set_costs = {name: float(getattr(own, name)) for name in _COSTS if getattr(own, name, None)}
    if own.fee_tiers is not None:
        set_costs["fee_tiers"] = math.nan  # scaled below, tier by tier
    unit = "times the costs set" if set_costs else "basis points a fill"
    points = at or (MULTIPLES if set_costs else BASIS_POINTS)
    if min(points) < 0:
        raise ParameterError(f"costs of {min(points)} {unit} are none.", allowed=["0 or more"])

    def run(level: float) -> Mapping[str, Any]:
        changed = _scaled(own, set_costs, level) if set_costs else {"fees": min(level * 1e-4, 0.99)}
        return setup.run(**changed).summary.to_dict()

    table = _table([(level, run(level)) for level in points], unit)
    far = _FURTHEST if set_costs else 10.0 * _FURTHEST
    even = _break_even(lambda level: float(run(level)["total_return"]), far)
    return CostSensitivity(table, unit, even, setup.strategy.name)


def delay_sensitivity(result: Result | Setup, *, delays: tuple[int, ...] = DELAYS, **terms: Any) -> DelaySensitivity:
    """Backtest again with every order sent so many bars later.

    What pays only if it is done at once is paid by whoever is faster. A delay of one bar is what a machine off for a
    bar, or a person, takes.

    Parameters
    ----------
    result
        Of a strategy.
    delays
        Bars on top of the ``latency`` it ran with.
    **terms
        As for `cost_sensitivity`.
    """
    if not isinstance(delays, (list, tuple)) or not delays:
        raise ParameterError(f"delays={delays!r} is not allowed.", allowed=["several whole numbers from 0"])
    for delay in delays:
        whole("delays", delay, least=0)
    setup = result if isinstance(result, Setup) else setup_of(result, **terms)
    base = int(setup.terms.latency)
    every = sorted({0, *delays})
    table = _table([(bars, setup.run(latency=base + bars).summary.to_dict()) for bars in every], "bars later")
    at_once, later = (float(table["sharpe"].iloc[place]) for place in (0, min(1, len(every) - 1)))
    return DelaySensitivity(table, later / at_once if at_once > 0.0 else math.nan, setup.strategy.name)


def _scaled(own: Settings, costs: Mapping[str, float], by: float) -> dict[str, Any]:
    changed: dict[str, Any] = {name: value * by for name, value in costs.items() if name != "fee_tiers"}
    if "fee_tiers" in costs:
        changed["fee_tiers"] = tuple((float(volume), float(fee) * by) for volume, fee in own.fee_tiers)
    for name in ("fees", "maker_fees", "spread", "slippage", "slippage_range"):
        if name in changed:
            changed[name] = min(changed[name], 0.49)  # a fill cannot cost all of itself
    return changed


def _break_even(growth: Callable[[float], float], furthest: float) -> float:
    """The level at which growth crosses 0, to 1/4096 of the furthest."""
    if growth(0.0) <= 0.0:
        return 0.0
    low, high = 0.0, 1.0
    while growth(high) > 0.0:
        low, high = high, 2.0 * high
        if low >= furthest:
            return math.nan
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if growth(middle) > 0.0 else (low, middle)
    return (low + high) / 2.0


def _table(rows: list[tuple[float, Mapping[str, Any]]], unit: str) -> pd.DataFrame:
    index = pd.Index([level for level, _ in rows], name=unit)
    return pd.DataFrame([{name: said[name] for name in _FIGURES} for _, said in rows], index=index)


def _page(says: str, table: pd.DataFrame) -> str:
    percent = dict.fromkeys(("total_return", "max_drawdown"), "{:.1%}".format)
    return (
        f"<p><b>{html.escape(says)}</b></p>{table.to_html(formatters=percent, float_format='{:.2f}'.format, border=0)}"
    )
