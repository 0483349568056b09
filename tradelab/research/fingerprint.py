"""Boil a value, a function or bars down to a few hex digits that change when what they mean does.

A sweep that is continued tomorrow must be the sweep that was begun today. A function is described by its code, not its
text: a comment may change; a constant, a default, a helper it calls or a value it closes over may not.
"""

from __future__ import annotations

import dataclasses
import dis
import functools
import hashlib
import inspect
import pickle
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import pandas as pd

from tradelab.model.errors import ConfigError
from tradelab.strategy.spec import Strategy

Seen = dict[int, tuple[int, Any]]  # what was described already: its number, and itself, so that its id stays its own
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
    seen: Seen = {}
    for part in _parts(value, seen):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:16]


def _parts(value: Any, seen: Seen) -> Iterator[bytes]:
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


def _each(values: Any, seen: Seen) -> Iterator[bytes]:
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


def _function(function: FunctionType, seen: Seen) -> Iterator[bytes]:
    """A function's own code, its defaults, what it closes over, and the global names it uses."""
    if id(function) in seen:
        yield _again(function, seen)
        return
    _note(function, seen)
    yield from _code(function.__code__, seen)
    for defaults in (function.__defaults__, function.__kwdefaults__):
        yield from _used(defaults, seen)
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


def _used(value: Any, seen: Seen) -> Iterator[bytes]:
    """Something a function uses: its own content where the user wrote it, its name where it was installed."""
    if isinstance(value, ModuleType):
        source = getattr(value, "__file__", None)
        if _is_installed(value):
            yield _where(value).encode()
        else:
            yield hashlib.sha256(Path(source).read_bytes() if source else value.__name__.encode()).digest()
    elif isinstance(value, _PLAIN):
        yield from _parts(value, seen)
    elif id(value) in seen:
        yield _again(value, seen)
    elif type(value) in (list, tuple, dict, set, frozenset):
        yield from _container(value, seen)
    elif _is_data(value):
        yield from _parts(value, seen)
    elif isinstance(value, (type, FunctionType, BuiltinFunctionType)):
        if _comes_installed(value):
            yield _where(value).encode()
        else:
            yield from _class(value, seen) if isinstance(value, type) else _parts(value, seen)
    else:
        yield from _maker(value, seen)


def _maker(value: Any, seen: Seen) -> Iterator[bytes]:
    """An object that stands for a function: partial, bound, cached, compiled, a strategy; or any other."""
    if isinstance(value, functools.partial):
        for part in (value.func, *value.args, *value.keywords.items()):
            yield from _used(part, seen)
    elif isinstance(value, MethodType):
        for part in (value.__func__, value.__self__):
            yield from _used(part, seen)
    elif isinstance(value, Strategy):
        yield from _parts(value.function, seen)
    elif isinstance(value, functools.cached_property):
        yield from _used(value.func, seen)
    elif isinstance(value, functools._lru_cache_wrapper):
        yield from _used(value.__wrapped__, seen)
    elif isinstance(getattr(value, "py_func", None), FunctionType):  # numba's
        yield from _used(value.py_func, seen)
    else:
        yield from _object(value, seen)


def _note(value: Any, seen: Seen) -> None:
    seen[id(value)] = (len(seen), value)


def _again(value: Any, seen: Seen) -> bytes:
    return f"number {seen[id(value)][0]} again".encode()


def _container(value: Any, seen: Seen) -> Iterator[bytes]:
    """What a container holds, as used: functions and classes in it by their code; a set in an order of its own."""
    yield f"{type(value).__name__} of {len(value)}".encode()
    if isinstance(value, (set, frozenset)):
        yield from sorted(hashlib.sha256(b"".join(_used(item, dict(seen)))).digest() for item in value)
        return
    _note(value, seen)
    for item in value.items() if isinstance(value, dict) else value:
        for part in item if isinstance(value, dict) else (item,):
            yield from _used(part, seen)


def _is_data(value: Any) -> bool:
    """Whether a value is described by what it holds."""
    held = (Mapping, np.ndarray, np.generic, pd.Series, pd.DataFrame)
    record = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return (isinstance(value, held) or record) and _comes_installed(type(value))


def _comes_installed(thing: Any) -> bool:
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    return module is not None and _is_installed(module)


def _class(value: type, seen: Seen) -> Iterator[bytes]:
    """A class that the user wrote: what it is made of, and the classes it is made from."""
    _note(value, seen)
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


def _object(value: Any, seen: Seen) -> Iterator[bytes]:
    """Any other object: its class and what it holds, where the user wrote the class; else its pickle, or its type."""
    if _comes_installed(type(value)):
        try:
            yield _pickled(value)
        except ConfigError:  # a lock, an open file: what it is may matter, what it holds cannot be told
            yield _where(type(value)).encode()
        return
    _note(value, seen)
    yield from _used(type(value), seen)
    kinds: tuple[Any, ...] = (list, tuple, dict, set, frozenset, np.ndarray)
    for kind in kinds:
        if isinstance(value, kind):  # a user's subclass of it
            yield from _parts(np.asarray(value) if kind is np.ndarray else kind(value), seen)
            break
    for name, part in sorted(_fields(value).items()):
        yield name.encode()
        yield from _used(part, seen)


def _fields(value: Any) -> dict[str, Any]:
    """What an object holds, in its ``__dict__`` and its slots."""
    found = dict(getattr(value, "__dict__", {}))
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                found[name] = getattr(value, name)
    return found


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


def _code(code: CodeType, seen: Seen) -> Iterator[bytes]:
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
    """Names that code looks up among the globals; those of attributes are others."""
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    own = {str(step.argval) for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return own.union(*inner)
