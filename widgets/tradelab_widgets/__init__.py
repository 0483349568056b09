"""Control panels for JupyterLab: glass over tradelab, holding no number of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradelab.model.errors import MissingExtraError

if TYPE_CHECKING:
    from tradelab_widgets.backtest_lab import BacktestLab as BacktestLab

__all__ = ["BacktestLab"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"tradelab_widgets has no {name!r}; it has {', '.join(__all__)}")
    try:
        from tradelab_widgets import backtest_lab
    except ModuleNotFoundError as error:
        if error.name != "ipywidgets":
            raise
        raise MissingExtraError("a panel needs ipywidgets.", fix="Install tradelab[lab].") from error
    return backtest_lab.BacktestLab


def __dir__() -> list[str]:
    return __all__
