"""Ask how much of a backtest is owed to what a fill was taken to mean: the same decisions under every fill policy."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tradelab.engine.ambiguity import doubtful_exits
from tradelab.engine.exits import REASONS
from tradelab.engine.fills import POLICIES, FillPolicy
from tradelab.model.errors import ConfigError, MissingExtraError, ParameterError
from tradelab.research.backtest import Case, make_case
from tradelab.research.inputs import read_bars, with_finer
from tradelab.research.result import Result
from tradelab.research.wishes import make_market
from tradelab.strategy.spec import Strategy

if TYPE_CHECKING:
    import plotly.graph_objects as go

FILLS = (
    "tradelab", "optimistic", "ohlc", "olhc", "colour", "close", "vectorbt", "backtesting.py", "freqtrade",
)  # fmt: skip
FINER = "finer"  # the row of the first policy, walked along finer bars
_FIGURES = ("total_return", "sharpe", "max_drawdown", "trades")


@dataclass(frozen=True, eq=False)
class FillComparison:
    """One set of decisions, traded under several fill policies.

    Parameters
    ----------
    results
        The backtests, by the name of their policy; ``"finer"`` is the first policy along finer bars, where given.
    table
        By policy: total return, Sharpe ratio, drawdown, closed trades; closed trades by reason of their exit, one
        column a reason (``exits_stop``); ``inside``, the bars in which a stop, a trail or a target left a position;
        ``doubtful``, those of them in which other orders would have come out had the price gone another way through the
        bar (stop and target both touched, or a trail pulled tight first); ``ambiguous``, their share, NaN without any.
        A bar that a policy sits through counts for nothing, even if another would have left in it.
    spread
        By figure: the lowest, the highest, their difference, and under which policies, ``"finer"`` left out. NaN counts
        for nothing.
    paths
        Those policies that differ from the first in nothing but the way of the price inside a bar, that one among them.
    strategy
        What decided.
    """

    results: Mapping[str, Result]
    table: pd.DataFrame
    spread: pd.DataFrame
    paths: tuple[str, ...]
    strategy: str

    @property
    def says(self) -> str:
        """How much depends on the choice, in words."""
        first = self.table.iloc[0]
        doubtful, inside = int(first["doubtful"]), int(first["inside"])
        table = _policies_of(self.table, self.results)
        if len(self.paths) > 1:
            said = f"{_path_words(doubtful, inside)}: {_range(table.loc[list(self.paths), 'total_return'])}"
        else:
            said = f"{doubtful:,} of {inside:,} exits inside a bar are in doubt"
        if len(self.paths) < len(table):
            said = f"{said}. Under all {len(table)} policies, {_range(table['total_return'])}"
        return f"{said}.{_finer_words(self.table, self.results)}"

    def plot(self) -> go.Figure:
        """Draw the equity under each policy."""
        MissingExtraError.unless("plotly", "report", "drawing")
        from tradelab.research import plots_fills

        return plots_fills.equities({name: result.equity for name, result in self.results.items()}, self.strategy)

    def __str__(self) -> str:
        percent = dict.fromkeys(("total_return", "max_drawdown", "ambiguous"), "{:.1%}".format)
        table = self.table.to_string(formatters=percent, float_format="{:.2f}".format, na_rep="–")
        return f"Fills of {self.strategy}: {self.says}\n{table}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        percent = dict.fromkeys(("total_return", "max_drawdown", "ambiguous"), "{:.1%}".format)
        table = self.table.to_html(formatters=percent, float_format="{:.2f}".format, na_rep="–", border=0)
        return f"<p><b>Fills of {html.escape(self.strategy)}</b></p><p>{html.escape(self.says)}</p>{table}"


def compare_fills(
    bars: pd.DataFrame | Mapping[str, pd.DataFrame],
    strategy: str | Strategy | None = None,
    *,
    fills: Sequence[str] | Mapping[str, str | FillPolicy] = FILLS,
    entries: Any = None,
    exits: Any = None,
    short_entries: Any = None,
    short_exits: Any = None,
    weights: Any = None,
    finer: Any = None,
    calendar: str | None = None,
    **parameters: Any,
) -> FillComparison:
    """Trade the same decisions under several fill policies, and say how far the results lie apart.

    Bars do not tell which way the price went inside them, and tools answer differently. Where the answers lie far
    apart, the backtest has measured the assumption more than the strategy; ``finer`` bars settle it.

    Parameters
    ----------
    bars, strategy, entries, exits, short_entries, short_exits, weights, calendar
        As for ``tl.backtest``; the strategy decides once.
    fills
        Names of fill policies, or policies of your own by name. The first is the one the others are held against. By
        default all ways through a bar (``"tradelab"``, ``"optimistic"``, ``"ohlc"``, ``"olhc"``, ``"colour"``), fills
        at the close, and what vectorbt, backtesting.py and freqtrade mean.
    finer
        Shorter bars, as for ``tl.backtest``: one more row, the first policy walked along them.
    **parameters
        Parameters of the strategy and the terms, but ``fill``.

    Raises
    ------
    ConfigError
        A ``fill`` beside ``fills``.
    ParameterError
        An unknown policy, or none.

    Examples
    --------
    >>> import tradelab as tl
    >>> from tradelab.research.compare_fills import compare_fills
    >>> goog = tl.samples.load("GOOG-1d")
    >>> told = compare_fills(goog, "sma_cross", sl_stop=0.01, tp_stop=0.01, fills=("tradelab", "optimistic"))
    >>> bool(told.table.loc["optimistic", "total_return"] > told.table.loc["tradelab", "total_return"])
    True
    """
    if "fill" in parameters:
        raise ConfigError("both fill and fills were given.", fix="Put it first among the fills.")
    policies = _policies(fills)
    given = {"entries": entries, "exits": exits, "short_entries": short_entries, "short_exits": short_exits}
    case = make_case(read_bars(bars), strategy, {**given, "weights": weights}, parameters, None, calendar)
    results: dict[str, Result] = {}
    rows: dict[str, dict[str, Any]] = {}
    for name, fill in policies.items():
        chosen = replace(case, settings=replace(case.settings, fill=fill))
        results[name] = chosen.run()
        rows[name] = _row(chosen, results[name])
    if finer is not None:
        if FINER in policies:
            raise ConfigError(f"a policy is called {FINER!r}, and finer bars were given.", fix="Call it otherwise.")
        first = next(iter(policies.values()))
        chosen = replace(case, tape=with_finer(case.tape, finer), settings=replace(case.settings, fill=first))
        results[FINER] = chosen.run()
        rows[FINER] = _row(chosen, results[FINER])
    table = _table(rows)
    spread = _spread(_policies_of(table, results))
    return FillComparison(MappingProxyType(results), table, spread, _paths(policies), case.strategy)


def _policies_of(table: pd.DataFrame, results: Mapping[str, Result]) -> pd.DataFrame:
    """The rows of policies alone."""
    return table[[results[name].finer is None for name in table.index]]


def _finer_words(table: pd.DataFrame, results: Mapping[str, Result]) -> str:
    """What finer bars say, where there were any."""
    told = results[FINER].finer if FINER in results else None
    if told is None:
        return ""
    row: Any = table.loc[FINER]
    without = f", though {told['without']:,} bars had none" if told["without"] else ""
    doubt = f"{int(row['doubtful']):,} of {int(row['inside']):,} exits are still in doubt"
    return f" Along the bars of {told['timeframe']} inside{without}: total return {row['total_return']:.1%}, {doubt}."


def _policies(fills: Any) -> dict[str, str | FillPolicy]:
    """Policies by name, the first one first."""
    named = dict(fills) if isinstance(fills, Mapping) else {name: name for name in fills if isinstance(name, str)}
    if isinstance(fills, str) or not named or len(named) < len(fills):
        raise ParameterError(
            f"fills={fills!r} are not names of fill policies, each once.",
            allowed=list(POLICIES),
            fix='Write fills=("tradelab", "optimistic"), or name your own: fills={"mine": tl.FillPolicy(…)}.',
        )
    return named


def _paths(policies: Mapping[str, str | FillPolicy]) -> tuple[str, ...]:
    """Names of the policies that are the first one but for the way inside the bar."""
    full = {name: fill if isinstance(fill, FillPolicy) else POLICIES[fill] for name, fill in policies.items()}
    first = next(iter(full.values()))
    return tuple(name for name, policy in full.items() if policy._replace(path=first.path) == first)


def _row(case: Case, result: Result) -> dict[str, Any]:
    """What one policy came to."""
    summary = result.summary.to_dict()
    closed = result.outcome.trades[~result.outcome.trades["is_open"]]
    reasons = Counter(REASONS[reason] for reason in closed["reason"].tolist())
    market = make_market(case.tape, case.settings)
    counts = doubtful_exits(market, case.wishes, case.settings.row(), float(case.settings.init_cash)).sum(axis=0)
    inside, doubtful = (int(count) for count in counts)
    return {
        **{name: summary[name] for name in _FIGURES},
        **{f"exits_{reason}": reasons[reason] for reason in REASONS if reasons[reason]},
        "inside": inside,
        "doubtful": doubtful,
        "ambiguous": doubtful / inside if inside else np.nan,
    }


def _table(rows: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row a policy; reasons in the order of the engine's, 0 where a policy knows none of them."""
    reasons = [name for name in (f"exits_{r}" for r in REASONS) if any(name in row for row in rows.values())]
    columns = [*_FIGURES, *reasons, "inside", "doubtful", "ambiguous"]
    table = pd.DataFrame([{**dict.fromkeys(reasons, 0), **row} for row in rows.values()], columns=columns)
    return table.set_axis(pd.Index(list(rows), name="fill"))


def _spread(table: pd.DataFrame) -> pd.DataFrame:
    """How far each figure differs."""
    rows = {}
    for name in table.columns:
        known = table[name].dropna()
        low, high = (known.min(), known.max()) if len(known) else (np.nan, np.nan)
        rows[name] = {
            "low": low,
            "high": high,
            "spread": high - low,
            "lowest": known.idxmin() if len(known) else "",
            "highest": known.idxmax() if len(known) else "",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("figure")


def _path_words(doubtful: int, inside: int) -> str:
    if inside == 0:
        return "No position was left inside a bar"
    if doubtful == 0:
        return f"None of the {inside:,} exits inside a bar is in doubt"
    return f"The result depends on what happened inside {doubtful:,} of {inside:,} bars with an exit inside"


def _range(returns: pd.Series) -> str:
    low, high = f"{returns.min():.1%}", f"{returns.max():.1%}"
    return f"total return {low} either way" if low == high else f"total return between {low} and {high}"
