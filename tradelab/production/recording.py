"""Let a notebook state its results, so that a run can list, compare and show them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tradelab.model.errors import ConfigError

RESULT_MIME = "application/vnd.tradelab.result+json"


def record(results: Mapping[str, Any], *, data: Mapping[str, str] | None = None) -> None:
    """Display results as tiles and keep them in the run's ``result.json``.

    Call it as often as you like; of two values with one name the later stands. Outside a notebook it only checks.

    Parameters
    ----------
    results
        Name to value: numbers, text, booleans, None, dates, or lists of those. NaN and infinity are kept as None.
    data
        Name of each series the results were computed from, to its content hash.

    Raises
    ------
    ConfigError
        A value that cannot be written as JSON.
    """
    said: dict[str, Any] = {
        "results": {str(name): _plain(str(name), value) for name, value in results.items()},
        "order": [str(name) for name in results],  # a saved notebook sorts its keys
        "data": {str(name): str(value) for name, value in (data or {}).items()},
    }
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        return
    if get_ipython() is not None:
        from tradelab.report.page import tiles

        words = ", ".join(f"{name}={value}" for name, value in said["results"].items())
        display({RESULT_MIME: said, "text/html": tiles(said["results"]), "text/plain": words}, raw=True)


def recorded(notebook: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what an executed notebook recorded: its results and its data hashes."""
    results: dict[str, Any] = {}
    data: dict[str, str] = {}
    for said in _records(notebook):
        results |= in_order(said)
        data |= said.get("data", {})
    return results, data


def in_order(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results of one record in the order they were given."""
    results = said.get("results", {})
    return {name: results[name] for name in said.get("order", results) if name in results}


def _records(notebook: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if RESULT_MIME in output.get("data", {}):
                yield output["data"][RESULT_MIME]


def _plain(name: str, value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if hasattr(value, "isoformat"):
        return None if value != value else value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(name, item) for item in value]
    raise ConfigError(
        f"result {name!r} is a {type(value).__name__}, which result.json cannot hold.",
        allowed=("number", "text", "bool", "None", "date", "list of those"),
        fix="Record the figures of it that matter, one by one.",
    )
