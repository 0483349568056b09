"""Show what a daemon told, in a terminal and in a notebook: as it was told, with nothing computed here."""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_RED, _GREEN, _AMBER, _GREY = "#cf222e", "#1a7f37", "#9a6700", "#656d76"
_COLOURS = {
    "live": _RED, "LIVE": _RED, "halted": _RED, "reducing": _AMBER, "paused": _AMBER, "active": _GREEN,
    "running": _GREEN, "paper": _GREY, "stopped": _GREY,
}  # fmt: skip
_BOTS = (
    "name", "mode", "status", "state", "strategy", "symbols", "timeframe", "account", "pnl_today", "drift_bps_today",
    "not_compared_today",
)  # fmt: skip
_POSITIONS = (
    "account", "bot", "symbol", "qty", "entry_price", "price", "pnl", "r", "stop_price", "target_price", "protection",
)  # fmt: skip
_ORDERS = ("account", "bot", "symbol", "side", "type", "qty", "filled_qty", "price", "stop_price", "leg", "phase")


class Told(Mapping[str, Any]):
    """What a daemon answered: a mapping, read-only."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = dict(told)

    def __getitem__(self, name: str) -> Any:
        return self._told[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._told)

    def __len__(self) -> int:
        return len(self._told)


class LiveSnapshot(Told):
    """All that is true in an engine after message ``seq``: accounts, bots, positions, orders."""

    def __repr__(self) -> str:
        parts = [self._title()]
        for name, columns in (("bots", _BOTS), ("positions", _POSITIONS), ("orders", _ORDERS)):
            parts += ["", f"{name}:" if self[name] else f"{name}: none"]
            parts += [f"  {line}" for line in text_table(columns, self[name])]
            parts += [f"  {line}" for line in self._not_compared()] if name == "bots" else []
        parts += ["", "accounts:", *(f"  {line}" for line in text_table(_ACCOUNTS, self._accounts()))]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        title = self._title().removeprefix(f"{self['node']} ({self._mode()}): ")
        parts = [f"<p><b>{html.escape(self['node'])}</b> ({_html(self._mode())}): {html.escape(title)}</p>"]
        for name, columns in (("bots", _BOTS), ("positions", _POSITIONS), ("orders", _ORDERS)):
            parts.append(html_table(name, columns, self[name]))
            parts += [f"<p>{html.escape(line)}</p>" for line in self._not_compared()] if name == "bots" else []
        parts.append(html_table("accounts", _ACCOUNTS, self._accounts()))
        return "".join(parts)

    def _not_compared(self) -> list[str]:
        return [
            f"{bot['name']}: {bot['not_compared_today']} trade(s) of today are not compared with the shadow book, for "
            f"{bot['not_compared_why_today']}"
            for bot in self["bots"]
            if bot.get("not_compared_today")
        ]

    def _mode(self) -> str:
        return "LIVE" if self["is_live"] else "paper"

    def _title(self) -> str:
        shut = [f"{scope} is {state}" for scope, state in self["states"].items() if state != "active"]
        says = "; ".join(shut) or "active"
        return f"{self['node']} ({self._mode()}): {says}; message {self['seq']}, {moment(self['ts_ns'])} UTC"

    def _accounts(self) -> list[dict[str, Any]]:
        return [
            {"name": name, **told, **{key: (told.get("info") or {}).get(key) for key in ("equity", "currency")}}
            for name, told in self["accounts"].items()
        ]


_ACCOUNTS = ("name", "kind", "state", "equity", "currency", "reconciling")


class LiveHealth(Told):
    """How a daemon is; what a person should look at stands in ``faults``."""

    def __repr__(self) -> str:
        word = "well" if self["ok"] else "NOT WELL"
        lines = [
            f"{self['node']}: {word}, {self['phase']}, {self['state']}, up {self['up_s']:.0f} s, process {self['pid']}"
        ]
        return "\n".join([*lines, *(f"  {fault}" for fault in self["faults"]), *self._standing()])

    def _standing(self) -> list[str]:
        """Return how streams, clocks and leases stand, where an engine runs that has some."""
        streams = [{**one, "state": _stream_word(one)} for one in self["engine"].get("streams", ())]
        lines = [f"  {line}" for line in text_table(("of", "what", "symbol", "state", "age_s", "reconnects"), streams)]
        for name, one in self["engine"].get("clocks", {}).items():
            told = "not measured yet" if one["offset_ms"] is None else f"{one['offset_ms']:+.0f} ms from ours"
            lines.append(f"  clock of {name}: {told}" + (f" ({one['trouble']})" if one["trouble"] else ""))
        for one in self.get("leases", ()):
            whose = "ours" if one["ours"] else f"of {one['holder']}"
            lines.append(f"  lease of {one['account']}: {whose}, {one['left_s']:.0f} s left")
        return lines

    def _repr_html_(self) -> str:
        colour = _GREEN if self["ok"] else _RED
        lines = "<br>".join(html.escape(line) for line in repr(self).splitlines())
        return f"<p style='border-left:4px solid {colour};padding-left:8px'>{lines}</p>"


def _stream_word(one: Mapping[str, Any]) -> str:
    return "open" if one["connected"] else "polled" if one["polled"] else "LOST" if one["lost"] else "not open yet"


@dataclass(frozen=True, slots=True)
class Event:
    """One message of the journal as it was told, or something of the moment, which has no number (``seq`` is None)."""

    seq: int | None
    kind: str
    body: Mapping[str, Any]
    ts_event_ns: int | None = None
    ts_init_ns: int | None = None
    cause: int | None = None

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value}" for name, value in self.body.items() if value is not None)
        return f"{'' if self.seq is None else f'{self.seq} '}{self.kind}({said})"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a command; ``done`` is whether it was carried out."""

    id: str
    done: bool
    says: str

    def __bool__(self) -> bool:
        return self.done

    def _repr_html_(self) -> str:
        colour = _GREEN if self.done else _RED
        word = "done" if self.done else "not done"
        return f"<p><b style='color:{colour}'>{word}</b>: {html.escape(self.says)}</p>"


def text_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return rows as aligned lines under their heads; nothing where there is no row.

    >>> text_table(("bot", "qty"), [{"bot": "eurusd", "qty": "0.10"}, {"bot": None, "qty": "12"}])
    ['bot     qty', 'eurusd  0.10', '-       12']
    """
    cells = [[_text(row.get(name)) for name in columns] for row in rows]
    if not cells:
        return []
    table = [[name.replace("_", " ") for name in columns], *cells]
    widths = [max(len(row[k]) for row in table) for k in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def html_table(title: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as a table of a notebook."""
    rows = list(rows)
    if not rows:
        return f"<p>{title}: none</p>"
    left = "style='text-align:left'"
    heads = "".join(f"<th {left}>{html.escape(name.replace('_', ' '))}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td {left}>{_html(row.get(name))}</td>' for name in columns)}</tr>" for row in rows)
    return f"<p>{title}</p><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def moment(ns: int | None) -> str:
    """Write a time for people, UTC; ``-`` for never.

    >>> moment(1_704_067_200_000_000_000)
    '2024-01-01 00:00:00'
    """
    return "-" if not ns else f"{dt.datetime.fromtimestamp(ns / 1e9, dt.UTC):%Y-%m-%d %H:%M:%S}"


def shown(value: Any) -> str:
    """Return a number as people read it: at most eight decimals, no zeros behind them; anything else as it is.

    >>> shown("0.10"), shown("-1.2085015704000001"), shown("10000.00000000"), shown("risk")
    ('0.10', '-1.20850157', '10000', 'risk')
    """
    text = str(value)
    whole, _, decimals = text.partition(".")
    if len(decimals) < _DECIMALS or not (whole.lstrip("-") + decimals).isdigit():
        return text
    return f"{Decimal(text):.{_DECIMALS}f}".rstrip("0").rstrip(".")


_DECIMALS = 8  # the finest coin there is; what is shown is rounded, what is held is not


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else shown(value)


def _html(value: Any) -> str:
    text = html.escape(_text(value))
    colour = _COLOURS.get(text)
    return f"<span style='color:{colour}'>{text}</span>" if colour else text
