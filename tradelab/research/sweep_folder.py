"""Say what a sweep is, so that it can be told from any other, and open the folder of one that was kept."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tradelab.engine.cache import kernel_stamp
from tradelab.model.errors import ConfigError, UnknownNameError
from tradelab.research.checks import as_path
from tradelab.research.columns import Unread
from tradelab.research.figures import row_dtype
from tradelab.research.fingerprint import fingerprint
from tradelab.research.job import Job
from tradelab.research.search import Plan
from tradelab.research.space import kind_of
from tradelab.research.sweep_result import Sweep, column_of
from tradelab.research.sweep_store import bars_from, read_done, read_manifest
from tradelab.strategy.registry import find
from tradelab.strategy.spec import Signals, Strategy

_FORM = 1
_ARITHMETIC = ("engine", "metrics", "strategy")


def manifest_of(job: Job, plan: Plan, bars: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what tells this sweep from any other, as JSON-ready values.

    ``engine`` stands for the arithmetic itself: rows of two versions of it do not belong in one table.
    """
    search: dict[str, Any] = {"how": plan.says}
    if plan.says != "grid":
        search |= {"samples": plan.count, "seed": plan.seed}
    if plan.adaptive is None:
        search["combinations"] = fingerprint(job.space.axes)
    else:
        search |= {"by": plan.by, "per_round": plan.adaptive.per_round}
    return {
        "form": _FORM,
        "tradelab": version("tradelab"),
        "engine": _engine(),
        "strategy": {"name": job.strategy.name, "code": _code(job.strategy)},
        "fixed": {name: _fixed(value) for name, value in sorted(job.fixed.items())},
        "swept": {
            name: {
                "says": str(domain),
                "print": fingerprint(domain),
                "kind": kind_of(domain),
                "column": column_of(name),
            }
            for name, domain in plan.domains.items()
        },
        "search": search,
        "blocks": job.blocks,
        "bars": bars,
        "size": job.size,
        "total": job.space.total if plan.adaptive is None else plan.count,
        "left_out": job.space.left_out,
    }


@functools.cache
def _engine() -> str:
    """The sources of the arithmetic, as they are when this process first asks."""
    house = Path(__file__).parents[1]
    return kernel_stamp(*(house / room for room in _ARITHMETIC))


def _code(strategy: Strategy) -> str:
    return fingerprint((strategy.function, strategy.warmup, strategy.requires, list(strategy.parameters.values())))


def _fixed(value: Any) -> dict[str, Any]:
    value = value.item() if isinstance(value, np.generic) else value
    said = {"says": repr(value)[:80], "print": fingerprint(value)}
    return said | {"value": value} if isinstance(value, (bool, int, float, str, type(None))) else said


def load_sweep(path: str | Path, strategy: str | Strategy | None = None, **terms: Any) -> Sweep:
    """Open the folder that ``tl.sweep(..., path=…)`` keeps or kept, finished or not.

    Parameters
    ----------
    path
        The folder.
    strategy
        Needed to run a combination again; found by the name it had by default.
    **terms
        Fixed parameters that JSON cannot hold (a Series of sizes, a fill policy), to run a combination again.

    Raises
    ------
    CorruptFileError
        It is no such folder, or a part is damaged.
    ConfigError
        ``strategy`` or a term is not the one that was swept.
    """
    folder = as_path(path)
    manifest = read_manifest(folder)
    rows, figures, space, errors = read_done(folder, manifest, row_dtype(manifest["blocks"]))
    accounts, combinations = np.divmod(rows, manifest["size"])
    known, first, places = np.unique(combinations, return_index=True, return_inverse=True)
    chosen, stale = _strategy(manifest["strategy"], strategy)
    job = Job(
        sources=bars_from(manifest["bars"], folder / "bars"),
        strategy=chosen,
        fixed={name: _term(name, said, terms) for name, said in manifest["fixed"].items()},
        space=space.take(first),
        blocks=manifest["blocks"],
        size=max(len(known), 1),
    )
    counts = manifest["finished"] or manifest
    said = {at: error for at, error in enumerate(errors) if error is not None}
    return Sweep(
        job=job,
        rows=accounts * job.size + places,
        figures=figures,
        total=counts["total"],
        left_out=counts["left_out"],
        complete=len(rows) == counts.get("combinations", manifest["size"]) * len(job.sources),
        errors=said,
        shows_errors=bool(said),
        stale=stale,
    )


def _strategy(said: Mapping[str, str], given: str | Strategy | None) -> tuple[Strategy, str]:
    """The strategy that was swept, and why it cannot be run again where it cannot."""
    name = said["name"]
    try:
        found = find(given if given is not None else name)
    except UnknownNameError:
        if given is not None:
            raise
        return Strategy(name, "", _absent, {}, lambda **_: 0), f"no strategy named {name!r} is defined here"
    if _code(found) == said["code"]:
        return found, ""
    if given is not None:
        raise ConfigError(f"{found.name} is not the strategy that was swept: its code or parameters differ.")
    return found, f"{name} is not what it was when it was swept: its code or parameters differ"


def _absent(bars: Any) -> Signals:
    return Signals()


def _term(name: str, said: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    if name in given:
        if fingerprint(given[name]) != said["print"]:
            raise ConfigError(f"{name} is not what was swept; that was {said['says']}.")
        return given[name]
    return said["value"] if "value" in said else Unread(said["says"])
