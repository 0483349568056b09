"""Notebooks in production: papermill runs, their registry, and the report each leaves."""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "Failure": "tradelab.production.registry",
    "Run": "tradelab.production.registry",
    "RunStopped": "tradelab.production.run",
    "compare": "tradelab.production.query",
    "find": "tradelab.production.query",
    "record": "tradelab.production.recording",
    "run_notebook": "tradelab.production.run",
    "runs": "tradelab.production.query",
    "write_index": "tradelab.production.index",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"tradelab.production has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)
