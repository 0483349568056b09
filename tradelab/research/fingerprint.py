"""Boil a value, a function or bars down to a few hex digits that change when what they mean does.

A sweep that is continued tomorrow must be the sweep that was begun today. A function is described by its code, not its
text: a comment may change; a constant, a default, a helper it calls or a value it closes over may not.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import pickle
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import pandas as pd

from tradelab.model.errors import ConfigError

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_INSTALLED = ("site-packages", "dist-packages")


def fingerprint(value: Any) -> str:
    """Return sixteen hex digits of a value.

    Plain values, containers, arrays, Series, frames, frozen records and functions are described by their content; any
    other object by its pickle.

    Raises
    ------
    ConfigError
        It has no description.
    """
    digest = hashlib.sha256()
    seen: set[int] = set()
    for part in _parts(value, seen):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:16]


def _parts(value: Any, seen: set[int]) -> Iterator[bytes]:
    yield type(value).__qualname__.encode()
    if isinstance(value, _PLAIN):
        yield repr(value).encode()
    elif isinstance(value, np.generic):
        yield repr(value.item()).encode()
    elif isinstance(value, FunctionType):
        yield from _function(value, seen)
    elif isinstance(value, CodeType):
        yield from _code(value, seen)
    elif isinstance(value, (ModuleType, type, BuiltinFunctionType)):
        yield _where(value).encode()
    elif isinstance(value, np.ndarray):
        yield str((value.dtype, value.shape)).encode()
        if value.dtype == object:
            yield from _each(value.ravel().tolist(), seen)
        else:
            yield np.ascontiguousarray(value).tobytes()
    elif isinstance(value, (pd.Series, pd.DataFrame)):
        yield pd.util.hash_pandas_object(value, index=True).to_numpy().tobytes()
    elif dataclasses.is_dataclass(value):
        yield from _each([getattr(value, f.name) for f in dataclasses.fields(value)], seen)
    elif isinstance(value, (list, tuple)):
        yield from _each(value, seen)
    elif isinstance(value, (set, frozenset)):
        yield from sorted(fingerprint(item).encode() for item in value)
    elif isinstance(value, Mapping):
        yield from _each([part for item in value.items() for part in item], seen)
    else:
        yield _pickled(value)


def _each(values: Any, seen: set[int]) -> Iterator[bytes]:
    for item in values:
        yield from _parts(item, seen)


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=4)
    except Exception as error:
        raise ConfigError(
            f"{value!r} cannot be described, so nobody could tell whether a sweep is continued with the same.",
            fix="Use numbers, words, arrays or frozen dataclasses, or leave path= out.",
        ) from error


def _function(function: FunctionType, seen: set[int]) -> Iterator[bytes]:
    """A function's own code, its defaults, what it closes over, and the global names it uses."""
    if id(function) in seen:
        return
    seen.add(id(function))
    yield from _code(function.__code__, seen)
    yield from _each([function.__defaults__, function.__kwdefaults__], seen)
    for cell in function.__closure__ or ():
        yield from _used(_content(cell), seen)
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__:
            yield name.encode()
            yield from _used(function.__globals__[name], seen)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return None


def _used(value: Any, seen: set[int]) -> Iterator[bytes]:
    """Something a function uses: its own content where the user wrote it, its name where it was installed."""
    if isinstance(value, ModuleType):
        source = getattr(value, "__file__", None)
        if _is_installed(value):
            yield _where(value).encode()
        else:
            yield hashlib.sha256(Path(source).read_bytes() if source else value.__name__.encode()).digest()
    elif isinstance(value, _PLAIN) or _is_data(value):
        yield from _parts(value, seen)
    elif id(value) in seen:
        return
    elif isinstance(value, functools.partial):
        for part in (value.func, *value.args, *value.keywords.items()):
            yield from _used(part, seen)
    elif callable(getattr(value, "function", None)):  # a strategy that calls another
        yield from _parts(value.function, seen)
    elif isinstance(getattr(value, "py_func", None) or getattr(value, "__wrapped__", None), FunctionType):  # numba's …
        yield from _used(getattr(value, "py_func", None) or value.__wrapped__, seen)
    elif isinstance(value, (type, FunctionType, BuiltinFunctionType)):
        if _comes_installed(value):
            yield _where(value).encode()
        else:
            yield from _class(value, seen) if isinstance(value, type) else _parts(value, seen)
    else:
        yield from _object(value, seen)


def _is_data(value: Any) -> bool:
    """Whether a value is described by what it holds."""
    held = (list, tuple, set, frozenset, Mapping, np.ndarray, np.generic, pd.Series, pd.DataFrame)
    record = dataclasses.is_dataclass(value) and not isinstance(value, type) and _comes_installed(type(value))
    return isinstance(value, held) or record


def _comes_installed(thing: Any) -> bool:
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    return module is not None and _is_installed(module)


def _class(value: type, seen: set[int]) -> Iterator[bytes]:
    """A class that the user wrote: what it is made of, and the classes it is made from."""
    seen.add(id(value))
    yield _where(value).encode()
    for name, part in sorted(vars(value).items()):
        if name.startswith("__") and not isinstance(part, FunctionType):  # what Python itself notes down
            continue
        yield name.encode()
        if isinstance(part, property):
            parts = [part.fget, part.fset]
        else:
            parts = [part.__func__ if isinstance(part, (staticmethod, classmethod)) else part]
        for one in parts:
            yield from _used(one, seen)
    for base in value.__bases__:
        yield from _used(base, seen)


def _object(value: Any, seen: set[int]) -> Iterator[bytes]:
    """Any other object: its class and what it holds, where the user wrote the class; else its pickle."""
    if _comes_installed(type(value)):
        yield _pickled(value)
        return
    seen.add(id(value))
    yield from _used(type(value), seen)
    held = (
        {f.name: getattr(value, f.name) for f in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else {}
    )
    for name, part in sorted((held | getattr(value, "__dict__", {})).items()):
        yield name.encode()
        yield from _used(part, seen)


def _is_installed(module: ModuleType) -> bool:
    """Whether a module is somebody's release (its version stands for it), not a file the user is writing."""
    root = module.__name__.partition(".")[0]
    if root in sys.stdlib_module_names or root == "tradelab":
        return root != "__main__"
    return any(part in _INSTALLED for part in Path(getattr(module, "__file__", None) or "").parts)


def _where(value: Any) -> str:
    if isinstance(value, ModuleType):
        return f"{value.__name__} {getattr(value, '__version__', '')}"
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def _code(code: CodeType, seen: set[int]) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_argcount, code.co_kwonlyargcount)).encode()
    constants = code.co_consts[1:] if _opens_with_words(code) else code.co_consts
    for constant in constants:
        yield from _parts(constant, seen)


def _opens_with_words(code: CodeType) -> bool:
    """Whether the first constant is a docstring, which decides nothing."""
    if sys.version_info >= (3, 14):
        return bool(code.co_flags & inspect.CO_HAS_DOCSTRING)
    return bool(code.co_consts) and isinstance(code.co_consts[0], str) and code.co_name != "<lambda>"


def _names(code: CodeType) -> set[str]:
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)
