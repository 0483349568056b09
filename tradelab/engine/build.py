"""Make machine code ahead of time, for this machine or for a kind of processor.

    python -m tradelab.engine.build                              # for this machine, into the cache of kernels
    python -m tradelab.engine.build x86-64-v2 x86-64-v3 x86-64-v4    # for a wheel, beside the package

numba compiles each function of `tradelab.engine.far` whole, LLVM writes object code, and a file gets all of it.
Nothing is linked, so the machine needs no compiler of its own. A process a function, as many at once as there are
processors.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tradelab.engine import native
from tradelab.engine.cache import cache_root
from tradelab.engine.far import Far, compiled_object

# What numba must know of a processor to compile for it on another one.
_FEATURES = {
    "x86-64-v2": "+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+sahf",
    "x86-64-v3": "+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sse4.2,+cx16,+sahf,+xsave",
    "x86-64-v4": (
        "+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl,+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+popcnt,"
        "+sse4.2,+cx16,+sahf,+xsave"
    ),
}


def functions() -> dict[str, Far]:
    """All functions that are made ahead, by name."""
    from tradelab.engine import events, histories, program, program_frame, program_rows, simulate, tally, trades

    all_ = (
        *events.LANES, simulate.live_far, program_rows.draw_figures, program_rows.draw_averages, histories.figure_far,
        histories.average_far, program_frame.execute_far, program.words_far, trades.pair_far, tally.blocks_far,
    )  # fmt: skip
    return {function.__name__: function for function in all_}


def build(target: str = "", said: Callable[[int, int], None] = lambda done, all_: None) -> Path:
    """Make the file for ``target``, or for this machine, unless it is there; return where it is.

    Parameters
    ----------
    target
        A level of x86-64, such as ``"x86-64-v3"``; empty: this machine.
    said
        Told how many functions are done, of how many.

    Raises
    ------
    RuntimeError
        A function could not be compiled; carries what its process said.
    """
    folder = native.BROUGHT if target else cache_root()
    path = folder / native.file_name(target or native.host())
    names = list(functions())
    if path.exists():
        said(len(names), len(names))
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as room, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        made = []
        for symbol in pool.map(lambda name: _made_apart(name, target, Path(room)), names):
            made.append(symbol)
            said(len(made), len(names))
        part = Path(room) / "part.zip"
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(native.SYMBOLS, json.dumps(dict(zip(names, made, strict=True))))
            for name in names:
                archive.write(Path(room) / f"{name}.o", f"{name}.o")
        part.replace(path)
    return path


def _made_apart(name: str, target: str, room: Path) -> str:
    """Compile one function in a process of its own, which alone can be told of another processor."""
    environment = {**os.environ, "TRADELAB_AHEAD": "0"}
    if target:
        environment |= {"NUMBA_CPU_NAME": target, "NUMBA_CPU_FEATURES": _FEATURES[target]}
    command = [sys.executable, "-m", "tradelab.engine.build", "--one", name, str(room / f"{name}.o")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} could not be compiled for {target or 'this machine'}:\n{done.stderr[-2000:]}")
    return done.stdout.strip()


def _tell(done: int, all_: int) -> None:
    sys.stderr.write(f"\rmaking kernels ahead: {done} of {all_}")


def main() -> None:
    """Make what the command line asks for."""
    if sys.argv[1:2] == ["--one"]:
        symbol, code = compiled_object(functions()[sys.argv[2]])
        Path(sys.argv[3]).write_bytes(code)
        sys.stdout.write(symbol)
        return
    for target in sys.argv[1:] or [""]:
        begun = time.monotonic()
        path = build(target, _tell)
        sys.stderr.write(f", {time.monotonic() - begun:.0f} s: {path.name}\n")


if __name__ == "__main__":
    main()
