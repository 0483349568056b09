"""Fetch machine code that was made ahead of time: no compiler, and no numba, between a fresh process and its answer.

A file holds the object code of every function of `tradelab.engine.far` that is worth it, for one kind of processor and
for one version of the kernels' sources: its name carries a hash of them, so it is never out of step. It is looked for
beside this file (a wheel may bring some) and in the cache of kernels (``make setup`` makes one for this machine). Where
there is none, the just-in-time compiler does what it always did.

``TRADELAB_AHEAD=0`` looks for nothing.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tradelab.engine.cache import cache_root, source_stamp

SYMBOLS = "symbols.json"
BROUGHT = Path(__file__).parent / "objects"  # what a wheel brings

# What a processor must have for the levels of x86-64 (its psABI, 2020) beyond the second.
_LEVELS = {
    "x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx2", "bmi2", "fma"),
    "x86-64-v3": ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"),
    "x86-64-v2": ("sse4.2", "popcnt", "ssse3"),
}


def address_of(name: str) -> int | None:
    """Where a function lies that was made ahead of time; ``None``: it was not."""
    library = _library()
    return library.address_of(name) if library else None


def made_for() -> str:
    """The file in use, for people who want to know; empty: none."""
    library = _library()
    return library.path.name if library else ""


def host() -> str:
    """This machine's processor in one word: its name, and a hash of all it can do."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features().flatten()
    return f"{llvm.get_host_cpu_name()}-{hashlib.sha256(features.encode()).hexdigest()[:8]}"


def file_name(target: str) -> str:
    """Name of the file for a kind of processor, of this version of the kernels."""
    system = f"{sys.platform}-{platform.machine().lower()}"
    return f"{source_stamp()}-{system}-{target}.zip"


class Library:
    """One file of object code; a function is loaded when it is asked for."""

    def __init__(self, path: Path) -> None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.path = path
        self._archive = zipfile.ZipFile(path)
        self._symbols: Mapping[str, str] = json.loads(self._archive.read(SYMBOLS))
        self._llvm: Any = llvm
        for name, stub in _stubs().items():
            if llvm.address_of_symbol(name) is None:  # numba, where it is at work, has put its own there
                llvm.add_symbol(name, stub)
        self._engines: list[Any] = []

    def address_of(self, name: str) -> int | None:
        """Load a function and say where it lies; ``None``: it is not in here.

        Each is loaded by itself: they were made in different processes, which may have given the same name to helpers
        that are not the same, and one of two names would be taken for both.
        """
        if name not in self._symbols:
            return None
        machine = self._llvm.Target.from_default_triple().create_target_machine(jit=True)
        engine = self._llvm.create_mcjit_compiler(self._llvm.parse_assembly(""), machine)
        self._engines.append(engine)
        engine.add_object_file(self._llvm.ObjectFileRef.from_data(self._archive.read(f"{name}.o")))
        engine.finalize_object()
        return int(engine.get_function_address(self._symbols[name])) or None


# What numba's library does for a kernel that raises. Kernels here never do, but the names must lead somewhere.
_HELPERS = (
    "numba_do_raise", "numba_gil_ensure", "numba_gil_release", "numba_runtime_build_excinfo_struct", "numba_unpickle",
)  # fmt: skip


def _stubs() -> Mapping[str, int]:
    """Where those names lead: to the end of the process, loudly."""
    import ctypes

    end = ctypes.cast(ctypes.pythonapi.Py_FatalError, ctypes.c_void_p).value or 0
    return dict.fromkeys(_HELPERS, end)


@functools.cache
def _library() -> Library | None:
    if os.environ.get("TRADELAB_AHEAD", "1") == "0":
        return None
    for path in _candidates():
        if path.exists():
            try:
                return Library(path)
            except (OSError, KeyError, ValueError, zipfile.BadZipFile):
                continue  # a file that is damaged is one that is not there: what it spares is compiled
    return None


def _candidates() -> Iterator[Path]:
    """Where a file may lie, the best first."""
    yield cache_root() / file_name(host())
    yield BROUGHT / file_name(host())
    import llvmlite.binding as llvm

    can = llvm.get_host_cpu_features()
    for level, needs in _LEVELS.items():
        if all(can.get(need, False) for need in needs):
            yield BROUGHT / file_name(level)
