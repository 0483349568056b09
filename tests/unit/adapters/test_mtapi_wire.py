"""Hold all knowledge of mtapi.io's wire to one table: nowhere else a name of it, and of every row where it is from."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tradelab.adapters import mtapi_wire as wire
from tradelab.adapters.mtapi_answers import meaning
from tradelab.model.orders import OrderType, Side
from tradelab.model.outcome import RefusalCode

ADAPTER = sorted((ROOT / "tradelab" / "adapters").glob("mtapi_*.py"))
PAGE = ROOT / "docs" / "mtapi.md"
KNOWN = {wire.README, wire.HOSTED, wire.TSCOPIER, wire.CLIENTS, wire.METAQUOTES, wire.ASSUMED}


def _strings(path: Path) -> Iterator[tuple[int, str]]:
    """Every text in a file but for what documents it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.lineno, node.value


def _wire_names() -> set[str]:
    """Every name of the wire that is not also the plain word that we use for the thing."""
    names = {path for call in wire.CALLS.values() for path in call.paths.values()}
    names |= {p.wire for call in wire.CALLS.values() for p in call.params if p.wire != p.ours}
    names |= {step for shape in wire.SHAPES.values() for f in shape.fields for step in f.wire if f.wire != (f.ours,)}
    names |= set(wire.OPERATIONS) | set(wire.DEAL_SIDES) | set(wire.STATES) | set(wire.CODES)
    names |= {wire.UNTIL_TIME, wire.UNTIL_CANCELLED, wire.NETTING, wire.ALIVE, wire.QUOTE_FRAME, wire.ORDER_FRAME}
    return names | {wire.API_KEY_HEADER}


def test_no_name_of_the_wire_is_written_outside_the_table() -> None:
    names = _wire_names()
    found = [
        (path.name, line, text)
        for path in ADAPTER
        if path.name != "mtapi_wire.py"
        for line, text in _strings(path)
        if text in names or any(text.startswith(p) for p in names if p.startswith("/"))
    ]
    assert found == []


def test_the_search_would_find_one() -> None:
    tree = "PATH = '/OrderSend'\n"
    assert any(isinstance(n, ast.Constant) and n.value in _wire_names() for n in ast.walk(ast.parse(tree)))
    assert {"/OrderSend", "stoploss", "openPrice", "dealInternalIn", "BuyStopLimit", "INVALID_STOPS"} <= _wire_names()


def test_the_rehearsal_venue_does_not_know_the_table() -> None:
    for path in (ROOT / "tradelab" / "rehearsal").rglob("mtapi*.py"):
        assert "tradelab.adapters" not in path.read_text(encoding="utf-8"), path


def test_every_row_says_where_it_is_known_from() -> None:
    told = [call.evidence for call in wire.CALLS.values()]
    told += [param.evidence for call in wire.CALLS.values() for param in call.params]
    told += [field.evidence for shape in wire.SHAPES.values() for field in shape.fields]
    told += [said.evidence for said in wire.CODES.values()]
    assert set(told) <= KNOWN
    assert wire.ASSUMED in told, "nobody knows all of it"


def test_what_the_readme_says_is_in_the_table_as_it_says_it() -> None:
    # mt5.mtapi.io/readme, as seed-features §22.1 carries it: these requests, these parameters
    said = {
        "/Connect": {"user", "password", "host", "port"}, "/AccountSummary": {"id"}, "/Symbols": {"id"},
        "/SymbolParams": {"id", "symbol"}, "/OpenedOrders": {"id"}, "/OrderHistory": {"id", "from", "to"},
    }  # fmt: skip
    for path, names in said.items():
        (call,) = [c for c in wire.CALLS.values() if c.paths[wire.MT5] == path]
        assert {p.wire for p in call.params if wire.MT5 in p.platforms} == names
        assert call.evidence == wire.README
    sent = {p.wire for p in wire.SEND.params if wire.MT5 in p.platforms}
    assert sent == {  # the sister documentation's; its placedType is not used
        "id", "symbol", "operation", "volume", "price", "slippage", "stoploss", "takeprofit", "comment", "expertID",
        "stopLimitPrice", "expiration", "expirationType",
    }  # fmt: skip


def test_every_shape_fills_its_record() -> None:
    for name, shape in wire.SHAPES.items():
        known = {field.ours for field in shape.fields}
        assert known <= {f.name for f in fields(shape.record)}, name


def test_every_operation_has_a_type_and_a_side_and_both_have_an_operation() -> None:
    assert set(wire.OPERATIONS.values()) == {(kind, side) for kind in OrderType for side in Side}


@pytest.mark.parametrize(("code", "meant"), [
    ("NO_MONEY", RefusalCode.MARGIN), ("10019", RefusalCode.MARGIN), ("INVALID_STOPS", RefusalCode.PROTECTION),
    ("10016", RefusalCode.PROTECTION), ("MARKET_CLOSED", RefusalCode.MARKET_CLOSED), ("10012", None), ("TIMEOUT", None),
    ("INTERNAL_ERROR", None),
])  # fmt: skip
def test_a_code_is_known_by_name_and_by_metatraders_number(code: str, meant: RefusalCode | None) -> None:
    said = meaning(code)
    assert said is not None
    assert said.code is meant


def test_a_code_nobody_knows_means_nothing() -> None:
    assert meaning("SOMETHING_NEW") is None


def table() -> str:
    """Write the table of the wire as the page shows it."""
    lines = ["| what | path (MT5; MT4 where it differs) | parameters | known from |", "|---|---|---|---|"]
    for name, call in wire.CALLS.items():
        paths = sorted(set(call.paths.values()), key=lambda p: p != call.paths[wire.MT5])
        params = ", ".join(f"`{p.wire}` ({_short(p)})" for p in call.params)
        lines.append(f"| {name} | {' · '.join(f'`{p}`' for p in paths)} | {params or 'none'} | {call.evidence} |")
    lines += ["", "| object | fields | known from |", "|---|---|---|"]
    for name, shape in wire.SHAPES.items():
        for source in sorted({f.evidence for f in shape.fields}):
            told = ", ".join(f"`{'.'.join(f.wire)}`" for f in shape.fields if f.evidence == source)
            lines.append(f"| {name} | {told} | {source} |")
    lines += ["", "| code | MetaTrader's number | means | known from |", "|---|---|---|---|"]
    for code, said in wire.CODES.items():
        meant = "unknown" if said.code is None else said.code.value
        lines.append(f"| `{code}` | {said.number or ''} | {meant} | {said.evidence} |")
    return "\n".join(lines)


def _short(param: wire.Param) -> str:
    only = "" if len(param.platforms) == 2 else f", {param.platforms[0].name}"
    return re.sub(r"third-party client .*", "TScopier", param.evidence) + only


def test_the_page_shows_the_table_as_it_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    begin, end = "<!-- the table begins -->\n", "\n<!-- the table ends -->"
    shown = text.partition(begin)[2].partition(end)[0]
    assert shown.strip() == table(), "write docs/mtapi.md anew: tests.unit.adapters.test_mtapi_wire.table()"
