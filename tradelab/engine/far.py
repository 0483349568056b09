"""Call machine code by its address: what is reached so is compiled once, and may be made ahead of time.

numba compiles into every kernel all that it calls, and all that those call. For a large part that few callers need,
that is minutes, not seconds. A part that takes five whole numbers and returns nothing is a C function: kernels call it
by its address, which is data, Python calls it through ctypes, and its machine code needs nothing of numba's when it
runs. What does not fit into five numbers lies in a *frame*, a row of whole numbers that say where everything lies; its
address is the first of the five.
"""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tradelab.engine import native
from tradelab.engine.cache import stamped_numba
from tradelab.engine.jit import Primitive

Far = Callable[[int, int, int, int, int], None]

call: Any = Primitive("call")
row_at: Any = Primitive("row_at")
grid_at: Any = Primitive("grid_at")
cube_at: Any = Primitive("cube_at")
number_at: Any = Primitive("number_at")
table_at: Any = Primitive("table_at")

_C = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 5)
_made: dict[Far, int] = {}
_kept: list[Any] = []
_making = threading.Lock()
_LOG = logging.getLogger("tradelab")
_PATIENCE_S = 5.0
_ONCE = (
    "compiling a part of the engine for this processor, which takes up to minutes and is done once; "
    "`make setup`, or python -m tradelab.engine.build, does it ahead of time"
)


def address_of(function: Far) -> int:
    """Where the machine code of ``function`` lies: made ahead of time, else compiled now or fetched from disk."""
    with _making:
        if function not in _made:
            _made[function] = native.address_of(function.__name__) or _compiled(function)
        return _made[function]


class Frame(NamedTuple):
    """A frame and what it points to, which lives as long as the frame does."""

    words: np.ndarray
    held: tuple[np.ndarray | int, ...]


def run(function: Far, frame: Frame, *numbers: int) -> None:
    """Call ``function`` with the address of a frame and up to four numbers; the GIL is free meanwhile."""
    _C(address_of(function))(frame.words.ctypes.data, *numbers, *[0] * (4 - len(numbers)))


def frame_of(kinds: Sequence[np.dtype | type | None], *parts: np.ndarray | int) -> Frame:
    """Write a frame, four words a slot: for an array where it lies and its shape, for a number (``None``) the number.

    >>> frame_of([np.float64, None], np.zeros((2, 3)), 7).words[1:5].tolist()
    [2, 3, 0, 7]

    Raises
    ------
    TypeError
        A part is not of its kind, or not in C order: it is read by its address, so nothing else would notice.
    """
    frame = np.zeros((len(parts), 4), np.int64)
    for at, (kind, part) in enumerate(zip(kinds, parts, strict=True)):
        if isinstance(part, np.ndarray) and kind is not None and part.dtype == kind and part.flags.c_contiguous:
            frame[at, : part.ndim + 1] = part.ctypes.data, *part.shape
        elif not isinstance(part, np.ndarray) and kind is None:
            frame[at, 0] = part
        else:
            raise TypeError(f"slot {at} of a frame is for {kind or 'a number'}, in C order; got {_said(part)}.")
    return Frame(frame.ravel(), parts)


def _said(part: np.ndarray | int) -> str:
    return f"an array of {part.dtype}, strides {part.strides}" if isinstance(part, np.ndarray) else repr(part)


def compiled_object(function: Far) -> tuple[str, bytes]:
    """Compile ``function`` for the processor that numba was told of; return its symbol and its object code."""
    made = _cfunc(function, cache=False)
    return str(made._wrapper_name), bytes(made._library._get_compiled_object())


def _compiled(function: Far) -> int:
    patience = threading.Timer(_PATIENCE_S, _LOG.warning, [_ONCE])
    patience.daemon = True
    patience.start()
    try:
        made = _cfunc(function, cache=True)
    finally:
        patience.cancel()
    _kept.append(made)
    return int(made.address)


def _cfunc(function: Far, *, cache: bool) -> Any:
    numba = stamped_numba()
    signature: Sequence[Any] = numba.types.void(*[numba.types.int64] * 5)
    return numba.cfunc(signature, cache=cache, error_model="numpy", _nrt=False)(function)
