"""Show connections as a table, in a terminal and in a notebook; never a secret, for none is in reach."""

from __future__ import annotations

import datetime as dt
import html
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, overload

from tradelab.app.connections import evidence_of

if TYPE_CHECKING:
    from tradelab.store.connections import Connections
    from tradelab.store.records import Connection

_COLOURS = {"healthy": "#1a7f37", "stale": "#9a6700", "error": "#cf222e", "inactive": "#656d76"}


@dataclass(frozen=True, slots=True)
class Line:
    """One connection as people read it; latencies in milliseconds, ``-`` where there is nothing to say."""

    name: str
    provider: str
    proved: str
    purposes: str
    account: str
    status: str
    health: str
    p50_ms: str
    p95_ms: str
    tested: str


class ConnectionTable(Sequence[Line]):
    """Connections, one a line: what it is, how far its adapter is proved, how it is."""

    def __init__(self, lines: Iterable[Line], details: Iterable[str] = ()) -> None:
        self._lines = tuple(lines)
        self._details = tuple(details)

    @overload
    def __getitem__(self, place: int) -> Line: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Line, ...]: ...
    def __getitem__(self, place: int | slice) -> Line | tuple[Line, ...]:
        return self._lines[place]

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines)

    def __repr__(self) -> str:
        if not self._lines:
            return "no connections; make one: tradelab connections add --help"
        rows = [_HEADS, *(astuple(line) for line in self._lines)]
        widths = [max(len(row[k]) for row in rows) for k in range(len(_HEADS))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *self._details])

    def _repr_html_(self) -> str:
        if not self._lines:
            return f"<p>{html.escape(repr(self))}</p>"
        heads = "".join(f"<th style='text-align:left'>{html.escape(head)}</th>" for head in _HEADS)
        rows = "".join(f"<tr>{''.join(_cell(n, v) for n, v in _cells(line))}</tr>" for line in self._lines)
        notes = "".join(f"<p>{html.escape(said)}</p>" for said in self._details)
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{notes}"


def table(kept: Connections, *, now_ns: int | None = None) -> ConnectionTable:
    """Return all connections as a table; what is wrong with those in error stands below it."""
    from tradelab.store.health import Condition, health

    now = time.time_ns() if now_ns is None else now_ns
    known = kept.list()
    wrong = [(c.name, h) for c in known if (h := health(c, now)).condition in (Condition.ERROR, Condition.STALE)]
    return ConnectionTable([line(kept, c, now) for c in known], [f"{name}: {h.says}" for name, h in wrong])


def line(kept: Connections, connection: Connection, now_ns: int) -> Line:
    """Return one connection as people read it."""
    from tradelab.store.health import health, latency

    measured = latency(kept.tests(connection.name))
    evidence = evidence_of(connection.provider)
    return Line(
        name=connection.name,
        provider=connection.provider,
        proved="not installed here" if evidence is None else evidence.value,
        purposes=", ".join(connection.purposes),
        account=str(connection.account_kind),
        status=str(connection.status),
        health=str(health(connection, now_ns).condition),
        p50_ms=_ms(measured.p50_ms),
        p95_ms=_ms(measured.p95_ms),
        tested=moment(connection.tested_ns),
    )


def moment(ns: int | None) -> str:
    """Write a time for people, UTC; ``-`` for never.

    >>> moment(1_704_067_200_000_000_000), moment(None)
    ('2024-01-01 00:00', '-')
    """
    return "-" if ns is None else f"{dt.datetime.fromtimestamp(ns / 1e9, dt.UTC):%Y-%m-%d %H:%M}"


_NAMES = tuple(f.name for f in fields(Line))
_HEADS = ("name", "provider", "proved", "for", "account", "status", "health", "p50 ms", "p95 ms", "tested (UTC)")


def _cells(one: Line) -> Iterator[tuple[str, str]]:
    return zip(_NAMES, astuple(one), strict=True)


def _cell(name: str, value: str) -> str:
    colour = _COLOURS.get(value, "") if name == "health" else ""
    style = f" style='text-align:left;color:{colour}'" if colour else " style='text-align:left'"
    return f"<td{style}>{html.escape(value)}</td>"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"
