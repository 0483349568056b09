"""Ask the registry: list runs, find one, compare two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradelab.model.errors import ParameterError, UnknownNameError
from tradelab.production.registry import STATES, Registry, Run
from tradelab.production.run import default_runs_dir

if TYPE_CHECKING:
    import pandas as pd

_SPANS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def select(
    *,
    state: str | None = None,
    name: str | None = None,
    since: str | datetime | None = None,
    parameter: Mapping[str, Any] | None = None,
    limit: int | None = None,
    runs_dir: str | Path | None = None,
) -> list[Run]:
    """Return runs as records, the newest first; the filters are those of `runs`."""
    if state is not None and state not in STATES:
        raise UnknownNameError.of("state", state, STATES)
    earliest = _moment(since) if since is not None else None
    wanted = {key: str(value) for key, value in (parameter or {}).items()}
    if not _folder(runs_dir).is_dir():  # asking makes no folder
        return []
    found = [
        run
        for run in _registry(runs_dir).all()
        if (state is None or run.state == state)
        and (name is None or name.lower() in run.name.lower())
        and (earliest is None or datetime.fromisoformat(run.queued_at) >= earliest)
        and all(key in run.parameters and str(run.parameters[key]) == value for key, value in wanted.items())
    ]
    return found[:limit]


def runs(
    *,
    state: str | None = None,
    name: str | None = None,
    since: str | datetime | None = None,
    parameter: Mapping[str, Any] | None = None,
    limit: int | None = None,
    runs_dir: str | Path | None = None,
) -> pd.DataFrame:
    """Return the runs as a DataFrame, the newest first.

    Parameters
    ----------
    state
        Only runs in this state.
    name
        Only runs whose name holds this, in any case.
    since
        Only runs queued since then: a datetime, an ISO date, or a span such as ``"24h"``. Naive means UTC.
    parameter
        Only runs that were given these values.
    limit
        At most so many.
    runs_dir
        Default: ``TRADELAB_RUNS`` or ``runs``.

    Returns
    -------
    DataFrame, one row a run, index ``id``
        name, state, started (UTC), duration_s (NaN while it runs), attempt, error, folder, and one column
        ``param.<name>`` and ``result.<name>`` for each that any of the runs has (NaN or None where a run has none).

    Raises
    ------
    UnknownNameError
        No such state.
    ParameterError
        ``since`` is not a moment.
    """
    import pandas as pd

    found = select(state=state, name=name, since=since, parameter=parameter, limit=limit, runs_dir=runs_dir)
    rows = [
        {
            "id": run.id,
            "name": run.name,
            "state": run.state,
            "started": run.started_at,
            "duration_s": run.duration_s,
            "attempt": run.attempt,
            "error": f"{run.failure.kind}: {run.failure.message}" if run.failure else "",
            "folder": run.folder.name,
            **{f"param.{key}": value for key, value in run.parameters.items()},
            **{f"result.{key}": value for key, value in run.results.items()},
        }
        for run in found
    ]
    columns = ["id", "name", "state", "started", "duration_s", "attempt", "error", "folder"]
    frame = pd.DataFrame(rows, columns=None if rows else columns).set_index("id")
    frame["started"] = pd.to_datetime(frame["started"], utc=True)
    frame["duration_s"] = frame["duration_s"].astype(float)
    return frame


def find(reference: str, *, runs_dir: str | Path | None = None) -> Run:
    """Return one run by its id, the beginning of it, its folder, or ``latest``.

    Raises
    ------
    UnknownNameError
        No run, or several, are meant.
    """
    return _registry(runs_dir).find(reference)


def compare(first: str, second: str, *, runs_dir: str | Path | None = None) -> pd.DataFrame:
    """Lay two runs side by side.

    Returns
    -------
    DataFrame
        Columns ``group`` (run, parameter, result, data, version), ``field``, ``a``, ``b`` and ``change``: the
        difference b - a where both are numbers, ``"differs"`` where they are not equal, empty where they are.
    """
    import pandas as pd

    registry = _registry(runs_dir)
    a, b = (_facts(registry.find(reference)) for reference in (first, second))
    rows = [(*key, a.get(key), b.get(key), _change(a.get(key), b.get(key))) for key in dict.fromkeys([*a, *b])]
    return pd.DataFrame(rows, columns=["group", "field", "a", "b", "change"], dtype=object)


def _folder(runs_dir: str | Path | None) -> Path:
    return Path(runs_dir).absolute() if runs_dir else default_runs_dir()


def _registry(runs_dir: str | Path | None) -> Registry:
    folder = _folder(runs_dir)
    if not folder.is_dir():
        raise UnknownNameError(
            f"there are no runs: {folder.name!r} is no folder here.", fix="Go where you ran it, or set TRADELAB_RUNS."
        )
    return Registry(folder)


def _facts(run: Run) -> dict[tuple[str, str], Any]:
    git = run.git or {}
    own = {"id": run.id, "state": run.state, "notebook_sha256": run.notebook_sha256[:12], "duration_s": run.duration_s}
    own["git"] = f"{git['revision'][:10]}{'+' if git['dirty'] else ''}" if git else None
    groups: Iterable[tuple[str, Mapping[str, Any]]] = (
        ("run", own),
        ("parameter", run.parameters),
        ("result", run.results),
        ("data", run.data),
        ("version", run.versions),
    )
    return {(group, str(name)): value for group, values in groups for name, value in values.items()}


def _change(a: Any, b: Any) -> Any:
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (a, b))
    if a == b:
        return ""
    return b - a if numeric else "differs"


def _moment(since: str | datetime) -> datetime:
    if isinstance(since, str):
        if since[:-1].isdigit() and since[-1:] in _SPANS:
            return datetime.now(UTC) - timedelta(**{_SPANS[since[-1]]: int(since[:-1])})
        try:
            since = datetime.fromisoformat(since)
        except ValueError as error:
            raise ParameterError(f"since={since!r} is not a moment.", allowed=("2026-01-31", "24h", "7d")) from error
    return since if since.tzinfo else since.replace(tzinfo=UTC)
