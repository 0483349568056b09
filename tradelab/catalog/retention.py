"""Let old and unused bars go by written policies: shown first, then removed, one transaction a series.

A policy names series by globs and says how long their bars are kept, and after how long without use a series goes
altogether. The policy whose globs say the most stands for a series; one that says neither keeps it for good. A bar that
is still forming is never removed. Readers are unharmed: a file stays for its grace after the catalogue forgot it.
"""

from __future__ import annotations

import html
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from tradelab.catalog import swap, tail, usage
from tradelab.catalog.series import Key
from tradelab.model.errors import ParameterError, UnknownNameError
from tradelab.model.units import NS_PER_DAY, Timeframe

_ALL_NS = 2**63 - 1
_WILD = "*?["
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """How long the bars of some series are kept.

    Parameters
    ----------
    source, symbol, timeframe
        Globs of a series' names: ``"binance"``, ``"BTC/*"``, ``"1m"``; ``"*"`` is any. Case matters in all three.
    keep_days
        Bars that opened longer ago than this go; ``None``: age alone removes nothing.
    unused_days
        The whole series goes when it was neither read nor written for this long; ``None``: never.
    """

    source: str = "*"
    symbol: str = "*"
    timeframe: str = "*"
    keep_days: float | None = None
    unused_days: float | None = None

    def __post_init__(self) -> None:
        for name in ("source", "symbol", "timeframe"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise ParameterError(f"{name}={getattr(self, name)!r} must be a name or a glob.", fix="'*' is any.")
        if not any(c in self.timeframe for c in _WILD):
            object.__setattr__(self, "timeframe", Timeframe.of(self.timeframe).alias)
        for name in ("keep_days", "unused_days"):
            days = getattr(self, name)
            if days is not None and not (isinstance(days, int | float) and math.isfinite(days) and days > 0):
                raise ParameterError(f"{name}={days!r} must be a number of days above zero, or None.")

    @property
    def globs(self) -> tuple[str, str, str]:
        """Source, symbol and timeframe, which tell one policy from another."""
        return self.source, self.symbol, self.timeframe

    def covers(self, key: Key) -> bool:
        """Say whether a series is among those that the globs name."""
        named = key[0], key[1], key[2].alias
        return all(fnmatchcase(name, glob) for name, glob in zip(named, self.globs, strict=True))

    def __str__(self) -> str:
        terms = [f"bars are kept for {self.keep_days:g} days"] if self.keep_days is not None else []
        if self.unused_days is not None:
            terms.append(f"the series goes after {self.unused_days:g} days without use")
        return f"{' '.join(self.globs)}: {' and '.join(terms) or 'kept for good'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What goes of one series, and what is left of it."""

    source: str
    symbol: str
    timeframe: Timeframe
    policy: RetentionPolicy
    why: str
    bars: int
    left: int
    first: pd.Timestamp
    last: pd.Timestamp

    def __str__(self) -> str:
        return (
            f"{self.source} {self.symbol} {self.timeframe.alias}: {self.bars:,} bars, {self.first:%Y-%m-%d %H:%M} to "
            f"{self.last:%Y-%m-%d %H:%M} ({self.why}); {self.left:,} left"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPlan:
    """What policies remove at a moment, series by series; ``done`` tells whether it has gone."""

    at: pd.Timestamp
    policies: tuple[RetentionPolicy, ...]
    removals: tuple[Removal, ...]
    done: bool

    @property
    def bars(self) -> int:
        """How many bars go, or went, in all."""
        return sum(r.bars for r in self.removals)

    def __str__(self) -> str:
        if not self.policies:
            return "no policy; everything is kept"
        if not self.removals:
            return "nothing to remove"
        verb = "removed" if self.done else "would go"
        head = f"{self.bars:,} bars of {len(self.removals):,} series {verb}"
        return "\n".join([head, *(f"  {r}" for r in self.removals)])

    def _repr_html_(self) -> str:
        head, *lines = str(self).splitlines()
        items = "".join(f"<li>{html.escape(line.strip())}</li>" for line in lines)
        return f"<p>{html.escape(head)}</p>{f'<ul>{items}</ul>' if items else ''}"


def save(connection: sqlite3.Connection, policy: RetentionPolicy) -> None:
    """Insert a policy, or replace the one of the same globs."""
    connection.execute(
        "insert or replace into retention (source, symbol, timeframe, keep_days, unused_days) values (?,?,?,?,?)",
        (*policy.globs, policy.keep_days, policy.unused_days),
    )


def remove(connection: sqlite3.Connection, policy: RetentionPolicy) -> None:
    """Forget the policy of the same globs, or refuse and list those there are."""
    query = "delete from retention where source=? and symbol=? and timeframe=?"
    if not connection.execute(query, policy.globs).rowcount:
        known = [" ".join(p.globs) for p in policies(connection)]
        raise UnknownNameError.of("policy", " ".join(policy.globs), known, fix="`tradelab data retain` lists them.")


def policies(connection: sqlite3.Connection) -> tuple[RetentionPolicy, ...]:
    """Return all policies; for any series the first that covers it stands."""
    rows = connection.execute("select source, symbol, timeframe, keep_days, unused_days from retention").fetchall()
    names = ("source", "symbol", "timeframe", "keep_days", "unused_days")
    found = [RetentionPolicy(**dict(zip(names, row, strict=True))) for row in rows]
    return tuple(sorted(found, key=lambda p: (-_said(p), p.globs)))


def judge(
    connection: sqlite3.Connection,
    root: Path,
    number: int,
    key: Key,
    known: Sequence[RetentionPolicy],
    now: pd.Timestamp,
) -> tuple[Removal, int] | None:
    """Return what goes of a series now and before which stamp, or ``None`` when nothing does."""
    policy = next((p for p in known if p.covers(key)), None)
    verdict = None if policy is None else _cut(policy, usage.last_use(root, key), now)
    if policy is None or verdict is None:
        return None
    cut_ns, why = verdict
    gone = _extent(connection, root, number, cut_ns)
    if not gone.bars:
        return None
    whole = _extent(connection, root, number, _ALL_NS)
    removal = Removal(
        source=key[0],
        symbol=key[1],
        timeframe=key[2],
        policy=policy,
        why=why,
        bars=gone.bars,
        left=whole.bars - gone.bars,
        first=pd.Timestamp(gone.first_ns, unit="ns", tz="UTC"),
        last=pd.Timestamp(gone.last_ns, unit="ns", tz="UTC"),
    )
    return removal, cut_ns


def carry_out(connection: sqlite3.Connection, root: Path, exchange: swap.Swap, number: int, cut_ns: int) -> bool:
    """Remove closed bars before a stamp, in the caller's transaction; return whether nothing is left of the series."""
    tail.clear(connection, number, _hidden(connection, root, number, cut_ns))
    exchange.cut(cut_ns)
    tail.clear_closed(connection, number, cut_ns)
    query = "select exists (select 1 from segments where series=:n) or exists (select 1 from tail where series=:n)"
    if connection.execute(query, {"n": number}).fetchone()[0]:
        return False
    connection.execute("delete from series where id=?", (number,))
    return True


class _Extent(NamedTuple):
    bars: int
    first_ns: int
    last_ns: int


def _cut(policy: RetentionPolicy, used_s: float | None, now: pd.Timestamp) -> tuple[int, str] | None:
    """Return the stamp before which bars go, and why."""
    unused = None if used_s is None or policy.unused_days is None else (now.timestamp() - used_s) / _DAY_S
    if unused is not None and policy.unused_days is not None and unused >= policy.unused_days:
        return _ALL_NS, f"not used for {unused:,.0f} days"
    if policy.keep_days is None:
        return None
    cut = now.as_unit("ns").value - round(policy.keep_days * NS_PER_DAY)
    return cut, f"older than {policy.keep_days:g} days"


def _extent(connection: sqlite3.Connection, root: Path, number: int, cut_ns: int) -> _Extent:
    """Count the closed bars before a stamp; only files that reach across it, or lie under the tail, are opened."""
    waiting = tail.select(connection, number, -_ALL_NS, cut_ns, closed=True).time
    bars, edges = 0, list(waiting[[0, -1]]) if len(waiting) else []
    for segment in swap.find(connection, number, end_ns=cut_ns):
        under = (waiting >= segment.first_ns) & (waiting <= segment.last_ns)
        if segment.last_ns < cut_ns and not under.any():
            bars += segment.rows
            edges += [segment.first_ns, segment.last_ns]
            continue
        stamps = np.union1d(swap.load_named(root, segment).between(segment.first_ns, cut_ns).time, waiting[under])
        bars, waiting = bars + len(stamps), waiting[~under]
        edges += [stamps[0], stamps[-1]]
    bars += len(waiting)
    return _Extent(bars, int(min(edges, default=0)), int(max(edges, default=0)))


def _hidden(connection: sqlite3.Connection, root: Path, number: int, cut_ns: int) -> list[int]:
    """Return forming bars that came after their own close: without the closed one they would come to light again."""
    forming = tail.select(connection, number, -_ALL_NS, cut_ns, closed=False).time
    found: list[int] = []
    for segment in swap.find(connection, number, end_ns=cut_ns) if len(forming) else []:
        if ((forming >= segment.first_ns) & (forming <= segment.last_ns)).any():
            found += np.intersect1d(swap.load_named(root, segment).time, forming).tolist()
    return found


def _said(policy: RetentionPolicy) -> int:
    """Return how much a policy's globs say: the letters that are no wildcards."""
    return sum(c not in _WILD for glob in policy.globs for c in glob)
