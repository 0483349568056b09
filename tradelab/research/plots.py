"""Draw a backtest and a sweep with plotly, in colours that read on light and on dark pages.

`overview` is the whole story on one time axis; `all_figures` is every picture of a report; `heatmap` and `sweep_lines`
are for sweeps. Where there is nothing to draw (no trades, less than a month of bars) the figure says so in words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradelab.research import plots_returns, plots_trades
from tradelab.research.plots_overview import overview
from tradelab.research.plots_sweep import heatmap, sweep_lines

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tradelab.research.plots_view import Backtested

__all__ = ["all_figures", "heatmap", "overview", "sweep_lines"]


def all_figures(result: Backtested) -> dict[str, go.Figure]:
    """Return every picture of a backtest by name, in the order in which a report shows them.

    Names are ``overview``, ``monthly``, ``yearly``, ``rolling``, ``trades`` and ``distribution``.

    Examples
    --------
    >>> import tradelab as tl
    >>> list(tl.backtest(tl.samples.load("GOOG-1d"), "buy_and_hold").figures())
    ['overview', 'monthly', 'yearly', 'rolling', 'trades', 'distribution']
    """
    return {
        "overview": overview(result),
        "monthly": plots_returns.monthly(result),
        "yearly": plots_returns.yearly(result),
        "rolling": plots_returns.rolling(result),
        "trades": plots_trades.scatter(result),
        "distribution": plots_trades.distribution(result),
    }
