"""Research and live trading in JupyterLab: one strategy from a notebook cell to a real account.

``import tradelab as tl`` is cheap: a name loads what it needs when it is first used.
"""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "Catalog": "tradelab.catalog.bars",
    "FillPolicy": "tradelab.engine.fills",
    "Instrument": "tradelab.model.instrument",
    "Range": "tradelab.strategy.spec",
    "Result": "tradelab.research.result",
    "Signals": "tradelab.strategy.spec",
    "Timeframe": "tradelab.model.units",
    "TradelabError": "tradelab.model.errors",
    "backtest": "tradelab.research.backtest",
    "bars": "tradelab.catalog.find",
    "check": "tradelab.research.lookahead",
    "load": "tradelab.research.result",
    "record": "tradelab.production.recording",
    "run_notebook": "tradelab.production.run",
    "runs": "tradelab.production.query",
    "sweep": "tradelab.research.sweep",
}
_MODULES = {
    "indicators": "tradelab.strategy.indicators",
    "samples": "tradelab.catalog.samples",
    "strategies": "tradelab.strategy.builtin",
    "strategy": "tradelab.strategy",
}

__all__ = sorted([*_HOME, *_MODULES, "__version__"])


def __getattr__(name: str) -> object:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name in _MODULES:
        value = import_module(_MODULES[name])
    else:
        raise AttributeError(f"tradelab has no {name!r}; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
