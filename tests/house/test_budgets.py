"""Keep files and functions small, captioned and silent."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house.tree import sources

FILE_LINES = 450
FUNCTION_LINES = 60  # without the docstring
_MAY_PRINT = ("bench/", "tools/")


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first, last = function.body[0], function.end_lineno or function.lineno
    has_docstring = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if has_docstring else 0
    return last - function.lineno + 1 - docstring


def test_no_source_file_outgrows_its_budget() -> None:
    sizes = {name: len(text.splitlines()) for name, text, _ in sources()}
    assert {name: size for name, size in sizes.items() if size > FILE_LINES} == {}


def test_no_function_outgrows_its_budget() -> None:
    sizes = {f"{name}:{f.lineno} {f.name}": _length(f) for name, _, tree in sources() for f in _functions(tree)}
    assert {name: size for name, size in sizes.items() if size > FUNCTION_LINES} == {}


def test_every_source_file_opens_with_its_caption() -> None:
    uncaptioned = []
    for name, text, tree in sources():
        caption = (ast.get_docstring(tree) or "").partition("\n")[0]
        if text.strip() and not (caption.endswith(".") and not caption.lower().startswith(("this module", "module "))):
            uncaptioned.append(f"{name}: {caption!r}")
    assert uncaptioned == []


def test_no_library_code_prints() -> None:
    printing = [
        f"{name}:{node.lineno}"
        for name, _, tree in sources()
        if not name.startswith(_MAY_PRINT)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"print", "breakpoint"}
    ]
    assert printing == []


def test_no_failure_is_swallowed_whole() -> None:
    swallowed = [
        f"{name}:{node.lineno}"
        for name, _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
        and all(isinstance(statement, ast.Pass) for statement in node.body)
    ]
    assert swallowed == []
