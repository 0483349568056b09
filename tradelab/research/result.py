"""Give a backtest its face: pictures, a report, a file, a vectorbt portfolio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from tradelab.model.errors import MissingExtraError
from tradelab.research import archive
from tradelab.research.checks import as_path
from tradelab.research.record import Record

if TYPE_CHECKING:
    import plotly.graph_objects as go


class Result(Record):
    """One backtest, complete: what went in, what was ordered, what it came to, and how to show it.

    Its tables and figures are those of ``Record``: ``trades``, ``orders``, ``equity``, ``drawdown``, ``returns``,
    ``positions``, ``summary``, ``monthly``.
    """

    def plot(self, picture: str = "overview", *, symbol: str | None = None) -> go.Figure:
        """Draw one picture of the result (plotly).

        Parameters
        ----------
        picture
            ``"overview"`` (price with trades, equity, drawdown), ``"monthly"`` (heatmap of returns), ``"yearly"``,
            ``"rolling"`` (Sharpe ratio), ``"trades"`` (scatter) or ``"distribution"`` of returns.
        symbol
            The instrument whose price the overview shows; the first by default.
        """
        MissingExtraError.unless("plotly", "report", "drawing")
        from tradelab.research import plots

        return plots.draw(self, picture, symbol)

    def figures(self) -> dict[str, go.Figure]:
        """Every picture by name, in the order in which a report shows them."""
        MissingExtraError.unless("plotly", "report", "drawing")
        from tradelab.research import plots

        return plots.all_figures(self)

    @overload
    def to_html(self) -> str: ...
    @overload
    def to_html(self, path: str | Path) -> Path: ...
    def to_html(self, path: str | Path | None = None) -> str | Path:
        """Write one HTML file with figures and tables that opens offline; without a path, return its text.

        Raises
        ------
        StorageError
            The file cannot be written; what was there before is still there.
        """
        MissingExtraError.unless("plotly", "report", "a report")
        from tradelab.research import tearsheet

        page = tearsheet.write(self, path)
        return page if path is None else Path(path)

    def to_vectorbt(self) -> Any:
        """Return the same orders as a ``vectorbt.Portfolio`` (needs the ``interop`` extra; slow to import)."""
        from tradelab.research import interop

        return interop.to_vectorbt(self)

    def save(self, path: str | Path) -> Path:
        """Write everything to one file, bars included; ``tl.load`` reads it back."""
        return archive.save(self, Path(path))

    def __repr__(self) -> str:
        return f"{self.title}\n{self.summary}"

    def _repr_html_(self) -> str:
        from tradelab.research.tearsheet_card import card

        return card(self)


def load(path: str | Path) -> Result:
    """Read a result that ``Result.save`` wrote.

    Raises
    ------
    CorruptFileError
        There is no such file, or it is not one of ours, whole.
    """
    return Result(**archive.read(as_path(path)))
