"""Research and live trading in JupyterLab: one strategy from a notebook cell to a real account.

``import tradelab as tl`` is cheap: a name loads what it needs when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what an editor reads; a test holds it to the tables below
    from tradelab.app.connections_face import connections as connections
    from tradelab.app.handle import connect as connect
    from tradelab.app.rehearsal_face import rehearse as rehearse
    from tradelab.catalog import samples as samples
    from tradelab.catalog.bars import Catalog as Catalog
    from tradelab.catalog.find import bars as bars
    from tradelab.engine.fills import FillPolicy as FillPolicy
    from tradelab.model.errors import TradelabError as TradelabError
    from tradelab.model.exits import BreakEven as BreakEven
    from tradelab.model.exits import ExitPlan as ExitPlan
    from tradelab.model.exits import Target as Target
    from tradelab.model.exits import Trail as Trail
    from tradelab.model.instrument import Instrument as Instrument
    from tradelab.model.units import Timeframe as Timeframe
    from tradelab.production.query import runs as runs
    from tradelab.production.recording import record as record
    from tradelab.production.run import run_notebook as run_notebook
    from tradelab.research.backtest import backtest as backtest
    from tradelab.research.compare_fills import compare_fills as compare_fills
    from tradelab.research.lookahead import check as check
    from tradelab.research.montecarlo import monte_carlo as monte_carlo
    from tradelab.research.rebalance import rebalance as rebalance
    from tradelab.research.result import Result as Result
    from tradelab.research.result import load as load
    from tradelab.research.scrutiny import scrutinise as scrutinise
    from tradelab.research.sensitivity import cost_sensitivity as cost_sensitivity
    from tradelab.research.sensitivity import delay_sensitivity as delay_sensitivity
    from tradelab.research.stability import stability as stability
    from tradelab.research.sweep import Adaptive as Adaptive
    from tradelab.research.sweep import load_sweep as load_sweep
    from tradelab.research.sweep import sweep as sweep
    from tradelab.research.timeframes import higher as higher
    from tradelab.research.walkforward import walk_forward as walk_forward
    from tradelab.strategy import builtin as strategies  # noqa: F401
    from tradelab.strategy import indicators as indicators
    from tradelab.strategy.define import strategy as strategy
    from tradelab.strategy.spec import Range as Range
    from tradelab.strategy.spec import Signals as Signals

__version__ = "0.1.0"

_HOME = {
    "Adaptive": "tradelab.research.sweep",
    "BreakEven": "tradelab.model.exits",
    "Catalog": "tradelab.catalog.bars",
    "ExitPlan": "tradelab.model.exits",
    "FillPolicy": "tradelab.engine.fills",
    "Instrument": "tradelab.model.instrument",
    "Range": "tradelab.strategy.spec",
    "Result": "tradelab.research.result",
    "Signals": "tradelab.strategy.spec",
    "Target": "tradelab.model.exits",
    "Timeframe": "tradelab.model.units",
    "TradelabError": "tradelab.model.errors",
    "Trail": "tradelab.model.exits",
    "backtest": "tradelab.research.backtest",
    "bars": "tradelab.catalog.find",
    "check": "tradelab.research.lookahead",
    "compare_fills": "tradelab.research.compare_fills",
    "connect": "tradelab.app.handle",
    "connections": "tradelab.app.connections_face",
    "cost_sensitivity": "tradelab.research.sensitivity",
    "delay_sensitivity": "tradelab.research.sensitivity",
    "higher": "tradelab.research.timeframes",
    "load": "tradelab.research.result",
    "load_sweep": "tradelab.research.sweep",
    "monte_carlo": "tradelab.research.montecarlo",
    "rebalance": "tradelab.research.rebalance",
    "record": "tradelab.production.recording",
    "rehearse": "tradelab.app.rehearsal_face",
    "run_notebook": "tradelab.production.run",
    "runs": "tradelab.production.query",
    "scrutinise": "tradelab.research.scrutiny",
    "stability": "tradelab.research.stability",
    "sweep": "tradelab.research.sweep",
    "walk_forward": "tradelab.research.walkforward",
}
_MODULES = {
    "indicators": "tradelab.strategy.indicators",
    "samples": "tradelab.catalog.samples",
    "strategies": "tradelab.strategy.builtin",
    "strategy": "tradelab.strategy",
}

__all__ = sorted([*_HOME, *_MODULES, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value: Any = getattr(import_module(_HOME[name]), name)
    elif name in _MODULES:
        value = import_module(_MODULES[name])
    else:
        raise AttributeError(f"tradelab has no {name!r}; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
