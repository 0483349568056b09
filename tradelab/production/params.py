"""Hold a run's parameters against the notebook's own, before a kernel starts.

papermill only warns about a name it does not know and runs with the default: `symbl="BTC"` would trade another symbol.
"""

from __future__ import annotations

import ast
import difflib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradelab.model.errors import ParameterError
from tradelab.production.files import read_notebook, source_of, tags_of
from tradelab.report.safety import known_secrets

_SECRET_NAME = re.compile(r"secret|token|password|key$", re.IGNORECASE)
_KINDS = ("bool", "int", "float", "str", "list", "dict")
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One line of the cell tagged ``parameters``.

    Attributes
    ----------
    name
        As written.
    default
        Its literal value, None when it is not a literal.
    kind
        ``bool``, ``int``, ``float``, ``str``, ``list``, ``dict``, or ``any`` when neither default nor annotation says.
    optional
        None is allowed.
    help
        The comment behind the line.
    literal
        The default is a literal, so its value is known without running the notebook.
    """

    name: str
    default: Any
    kind: str
    optional: bool
    help: str
    literal: bool = True


def declared(notebook: Path) -> tuple[Parameter, ...]:
    """Read the parameters a notebook declares.

    Raises
    ------
    CorruptFileError
        The file is not a notebook.
    ParameterError
        The parameters cell is not plain Python.
    """
    cells = [cell for cell in read_notebook(notebook)["cells"] if "parameters" in tags_of(cell)]
    return _read_cell(source_of(cells[0]), notebook.name) if cells else ()


def effective(notebook: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the notebook runs with: its literal defaults, and over them ``given`` as `checked` returned it.

    A default that JSON cannot hold, such as a set, stands there as its Python text.
    """
    defaults = {
        parameter.name: parameter.default if _is_json(parameter.default) else repr(parameter.default)
        for parameter in declared(notebook)
        if parameter.literal and not _SECRET_NAME.search(parameter.name)
    }
    return defaults | dict(given)


def checked(notebook: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``given`` with every value turned into the type its default has.

    Raises
    ------
    ParameterError
        An unknown name, a value of the wrong type, or a secret.
    """
    known = {parameter.name: parameter for parameter in declared(notebook)}
    if given and not known:
        raise ParameterError(
            f"{notebook.name} has no cell tagged 'parameters', so it takes none; given: {', '.join(sorted(given))}.",
            fix="Tag the cell that holds the defaults 'parameters' (JupyterLab: property inspector).",
        )
    secrets = known_secrets()
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ParameterError(f"{notebook.name} has no parameter {name!r}.{hint}", allowed=sorted(known))
        _refuse_secret(name, value, secrets)
    values = {name: converted(known[name], value) for name, value in given.items()}
    for name, value in values.items():
        if not _is_json(value):
            raise ParameterError(
                f"parameter {name!r} cannot be kept in params.json: {_shown(value)}.",
                fix="Give finite numbers, Unicode text, or lists and dicts of them.",
            )
    return values


def converted(parameter: Parameter, value: Any) -> Any:
    """Turn a value, or its text from a command line, into the parameter's type.

    >>> converted(Parameter("fast", 10, "int", False, ""), "20")
    20
    >>> converted(Parameter("lots", [1.0], "list", False, ""), "0.5, 2")
    [0.5, 2.0]
    """
    if value is None or (isinstance(value, str) and parameter.optional and value.lower() in ("none", "null")):
        if parameter.optional:
            return None
        raise _wrong(parameter, value)
    if parameter.kind == "any":
        return _guess(value)
    try:
        return _CONVERT[parameter.kind](value, parameter)
    except (TypeError, ValueError, SyntaxError, OverflowError, RecursionError, MemoryError) as error:
        raise _wrong(parameter, value) from error


def _bool(value: Any, _: Parameter) -> bool:
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    if isinstance(value, bool):
        return value
    raise ValueError(value)


def _int(value: Any, _: Parameter) -> int:
    if isinstance(value, str):
        return int(value)
    if isinstance(value, bool) or value != int(value):
        raise ValueError(value)
    return int(value)


def _float(value: Any, _: Parameter) -> float:
    if isinstance(value, bool) or not math.isfinite(float(value)):
        raise ValueError(value)
    return float(value)


def _str(value: Any, _: Parameter) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _list(value: Any, parameter: Parameter) -> list[Any]:
    if isinstance(value, str):
        text = value.strip()
        value = (
            ast.literal_eval(text)
            if text[:1] in ("[", "(")
            else [part.strip() for part in text.split(",") if part.strip()]
        )
    if not isinstance(value, list | tuple):
        raise TypeError(value)
    first = parameter.default[0] if parameter.default else None
    kind = type(first).__name__
    if kind not in ("bool", "int", "float", "str"):
        return [_guess(item) for item in value]
    return [_CONVERT[kind](item, parameter) for item in value]


def _dict(value: Any, _: Parameter) -> dict[str, Any]:
    parsed = json.loads(value) if isinstance(value, str) else value
    if not isinstance(parsed, dict):
        raise TypeError(value)
    return parsed


_CONVERT = {"bool": _bool, "int": _int, "float": _float, "str": _str, "list": _list, "dict": _dict}


def _guess(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return value


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _shown(value: Any) -> str:
    text = ascii(value) if not _is_json(value) else repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


def _wrong(parameter: Parameter, value: Any) -> ParameterError:
    kind = parameter.kind
    if kind == "list" and parameter.default:
        kind = f"list of {type(parameter.default[0]).__name__}"
    wanted = f"{kind} or none" if parameter.optional else kind
    example = "" if parameter.default is None else f" Its default is {parameter.default!r}."
    return ParameterError(
        f"parameter {parameter.name!r} takes {wanted}, not {_shown(value)} ({type(value).__name__}).{example}",
        fix="Give a value of that type.",
    )


def _refuse_secret(name: str, value: Any, secrets: tuple[str, ...]) -> None:
    fix = "A run keeps its parameters in plain text: read the value in the notebook, with os.environ."
    if _SECRET_NAME.search(name):
        raise ParameterError(f"parameter {name!r} looks like a secret by its name; it is refused.", fix=fix)
    if any(secret in str(value) for secret in secrets):
        raise ParameterError(f"the value of parameter {name!r} holds a known secret; it is refused.", fix=fix)


def _read_cell(source: str, where: str) -> tuple[Parameter, ...]:
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]
    try:
        tree = ast.parse("\n".join(lines))
    except SyntaxError as error:
        raise ParameterError(
            f"the parameters cell of {where} is not plain Python (line {error.lineno}: {error.msg}).",
            fix="Keep to lines of the form `name = value  # what it is`.",
        ) from error
    found: dict[str, Parameter] = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, annotation, value = node.target.id, ast.unparse(node.annotation), node.value
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name, annotation, value = node.targets[0].id, "", node.value
        else:
            continue
        comment = _comment(lines[(node.end_lineno or 1) - 1][node.end_col_offset or 0 :])
        found[name] = _parameter(name, annotation, value, comment)
    return tuple(found.values())


def _parameter(name: str, annotation: str, value: ast.expr | None, comment: str) -> Parameter:
    literal = True
    default = None
    try:
        default = ast.literal_eval(value) if value is not None else None
    except ValueError:
        literal = False
    optional = bool(re.search(r"\bNone\b|\bOptional\b", annotation)) or (literal and default is None)
    stated = re.search(rf"\b({'|'.join(_KINDS)}|tuple)\b", annotation)
    kind = stated[1] if stated else type(default).__name__ if literal else "any"
    kind = {"tuple": "list", "List": "list"}.get(kind, kind)
    return Parameter(name, default, kind if kind in _KINDS else "any", optional, comment, literal)


def _comment(rest: str) -> str:
    return rest.partition("#")[2].strip()
