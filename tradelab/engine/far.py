"""Call machine code by its address: a kernel that is reached so is compiled once, and not once more in each caller.

numba compiles into every kernel all that it calls, and all that those call. For a large part that few callers need that
is minutes, not seconds. A part compiled as a C function (``numba.cfunc``) is handed on as a number instead, which is
data, so the caller's own machine code can still be kept on disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import cfunc, types
from numba.extending import intrinsic

_made: dict[Callable[..., None], Any] = {}
_making = threading.Lock()


def address_of(function: Callable[..., None]) -> int:
    """Compile ``function`` of five int64, or fetch it from disk, and say where it lies; it stays there."""
    with _making:
        if function not in _made:
            compiled = cfunc(types.void(*[types.int64] * 5), cache=True, error_model="numpy")
            _made[function] = compiled(function)
        return int(_made[function].address)


def _call(_context: Any, _address: Any, _a: Any, _b: Any, _c: Any, _d: Any, _e: Any) -> Any:
    """Call what lies at an address with five whole numbers: ``call(address, a, b, c, d, e)``."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        number = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [number] * 5)
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return ir.Constant(number, 0)

    return types.int64(*[types.int64] * 6), generate


def _pointer(_context: Any, _address: Any) -> Any:
    """The pointer that a number is: ``pointer(address)``."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


call: Any = intrinsic(_call)
pointer: Any = intrinsic(_pointer)
