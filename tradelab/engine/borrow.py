"""Lend arrays to kernels without counting who holds them.

numba counts the holders of an array whenever it is handed from one kernel to another, with atomic instructions that
cost more than a bar does. A borrowed array is the same memory without a counter; whoever borrows it must see to it that
the lender lives longer, as a kernel does for its own arguments.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic


def _borrowed(_typing: Any, array: types.Array) -> Any:
    """Return the same array without its counter."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        lent = context.make_array(array)(context, builder, value=args[0])
        lent.meminfo = ir.Constant(lent.meminfo.type, None)
        lent.parent = ir.Constant(lent.parent.type, None)
        return lent._getvalue()

    return array(array), generate


borrowed: Any = intrinsic(_borrowed)
