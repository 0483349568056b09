"""Draw a backtest and a sweep with plotly, in colours that read on light and on dark pages.

`overview` is the whole story on one time axis; `all_figures` is every picture of a report; `heatmap` and `sweep_lines`
are for sweeps. Where there is nothing to draw (no trades, less than a month of bars) the figure says so in words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tradelab.model.errors import ParameterError, UnknownNameError
from tradelab.research import plots_returns, plots_trades
from tradelab.research.plots_overview import overview
from tradelab.research.plots_sweep import heatmap, sweep_lines

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tradelab.research.plots_view import Backtested

__all__ = ["all_figures", "draw", "heatmap", "overview", "sweep_lines"]


def draw(result: Backtested, picture: str = "overview", symbol: str | None = None) -> go.Figure:
    """Return one picture by name; ``symbol`` chooses the instrument of the overview, the first by default.

    Raises
    ------
    UnknownNameError
        No such picture, or a symbol that was not traded; the message lists the known ones.
    """
    if picture not in _PICTURES:
        raise UnknownNameError.of("picture", picture, _PICTURES)
    if symbol is None:
        return _PICTURES[picture](result)
    if picture != "overview":
        raise ParameterError(f"symbol={symbol!r} chooses nothing in {picture!r}.", fix="Leave it out.")
    if symbol not in result.frames:
        raise UnknownNameError.of("instrument in this result", symbol, result.frames)
    return overview(result, symbol)


def all_figures(result: Backtested) -> dict[str, go.Figure]:
    """Return every picture of a backtest by name, in the order in which a report shows them.

    Examples
    --------
    >>> import tradelab as tl
    >>> list(tl.backtest(tl.samples.load("GOOG-1d"), "buy_and_hold").figures())
    ['overview', 'monthly', 'yearly', 'rolling', 'trades', 'distribution']
    """
    return {name: picture(result) for name, picture in _PICTURES.items()}


_PICTURES: dict[str, Callable[[Backtested], go.Figure]] = {
    "overview": overview,
    "monthly": plots_returns.monthly,
    "yearly": plots_returns.yearly,
    "rolling": plots_returns.rolling,
    "trades": plots_trades.scatter,
    "distribution": plots_trades.distribution,
}
