"""Ask of the machine itself what Python has no word for; each becomes a few instructions in the kernel that uses it.

Kernels name these by `tradelab.engine.jit.Primitive`, so that numba is imported only when something is compiled.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.core.datamodel import register_default
from numba.core.datamodel.models import PrimitiveModel
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.cpython.unsafe.numbers import trailing_zeros
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from tradelab.engine.known import PLAIN, SIMPLE
from tradelab.engine.terms import TERMS

_NUMBER = ir.IntType(64)

zeros_below: Any = trailing_zeros  # of a uint64 that is not 0: the place of its lowest bit


@intrinsic
def fma(_typing: Any, _a: Any, _b: Any, _c: Any) -> Any:
    """``a · b + c``, rounded once: one instruction, where an average that feeds on itself would wait for two."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


@intrinsic
def call(_typing: Any, _address: Any, _a: Any, _b: Any, _c: Any, _d: Any, _e: Any) -> Any:
    """Call what lies at an address with five whole numbers: ``call(address, a, b, c, d, e)``."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        number = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [number] * 5)
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return ir.Constant(number, 0)

    return types.int64(*[types.int64] * 6), generate


@intrinsic
def fetch(_typing: Any, row: Any) -> Any:
    """Ask for a row of a structured array that will soon be written: it comes nearer while other work is done."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, *[ir.IntType(32)] * 3])
        asked = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        first = builder.bitcast(arguments[0], byte)
        for offset in range(0, row.size, 64):
            place = builder.gep(first, [ir.Constant(_NUMBER, offset)])
            builder.call(asked, [place, *(ir.Constant(ir.IntType(32), n) for n in (1, 3, 1))])
        return target.get_dummy_value()

    return types.none(row), generate


def _array(target: Any, builder: Any, kind: Any, data: Any, shape: list[Any]) -> Any:
    """An array in C order over memory that somebody else holds."""
    itemsize = ir.Constant(_NUMBER, target.get_abi_sizeof(target.get_data_type(kind.dtype)))
    strides = [itemsize]
    for extent in shape[:0:-1]:
        strides.insert(0, builder.mul(strides[0], extent))
    view = target.make_array(kind)(target, builder)
    pointer = builder.inttoptr(data, target.get_data_type(kind.dtype).as_pointer())
    populate_array(view, data=pointer, shape=shape, strides=strides, itemsize=itemsize, meminfo=None)
    return view._getvalue()


def _word(builder: Any, address: Any, slot: Any, offset: int) -> Any:
    """One word of a slot of a frame; a slot has four."""
    place = builder.add(builder.shl(slot, ir.Constant(_NUMBER, 2)), ir.Constant(_NUMBER, offset))
    return builder.load(builder.gep(builder.inttoptr(address, _NUMBER.as_pointer()), [place]))


def _array_in(dimensions: int) -> Any:
    def read(_typing: Any, address: Any, slot: Any, dtype: Any) -> Any:
        kind = types.Array(getattr(dtype, "dtype", None) or dtype.instance_type, dimensions, "C")

        def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            words = [_word(builder, arguments[0], arguments[1], k) for k in range(dimensions + 1)]
            return _array(target, builder, kind, words[0], words[1:])

        return kind(types.int64, types.int64, dtype), generate

    return read


row_at: Any = intrinsic(_array_in(1))  # row_at(frame, slot, dtype): the array of one dimension in a slot of a frame
grid_at: Any = intrinsic(_array_in(2))
cube_at: Any = intrinsic(_array_in(3))


@intrinsic
def table_at(_typing: Any, floats: Any, _place: Any, _rows: Any, _columns: Any) -> Any:
    """A table of so many rows and columns that begins at a place of a row of floats."""
    kind = types.Array(floats.dtype, 2, "C")

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = target.make_array(signature.args[0])(target, builder, value=arguments[0]).data
        begin = builder.ptrtoint(builder.gep(data, [arguments[1]]), _NUMBER)
        return _array(target, builder, kind, begin, [arguments[2], arguments[3]])

    return kind(floats, types.int64, types.int64, types.int64), generate


@intrinsic
def number_at(_typing: Any, _address: Any, _slot: Any) -> Any:
    """The number in a slot of a frame: ``number_at(frame, slot)``."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _word(builder, arguments[0], arguments[1], 0)

    return types.int64(types.int64, types.int64), generate


_RECORD: Any = from_dtype(TERMS)


class Known(types.Type):
    """A row of terms some of whose fields are constants."""

    def __init__(self, name: str, known: dict[str, float]) -> None:
        super().__init__(name=f"terms_{name}")
        self.known = known


@register_default(Known)
class _KnownModel(PrimitiveModel):
    """A pointer to the row, as a row itself is."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, manager.lookup(_RECORD).get_value_type())


@infer_getattr
class _KnownFields(AttributeTemplate):
    key = Known

    def generic_resolve(self, value: Any, attr: str) -> Any:  # type: ignore[override]
        del value  # the fields are the same whatever is known of them
        return _RECORD.typeof(attr)


@lower_getattr_generic(Known)
def _field(context: Any, builder: Any, kind: Any, row: Any, name: str) -> Any:
    if name in kind.known:
        return context.get_constant(_RECORD.typeof(name), kind.known[name])
    return context.get_getattr(_RECORD, name)(context, builder, _RECORD, row, name)


def _declared(kind: Known) -> Any:
    def declare(_typing: Any, row: Any) -> Any:
        return kind(row), lambda _context, _builder, _signature, arguments: arguments[0]

    return intrinsic(declare)


@intrinsic
def as_is(_typing: Any, row: Any) -> Any:
    """A row of terms of which nothing is known."""
    return row(row), lambda _context, _builder, _signature, arguments: arguments[0]


as_simple: Any = _declared(Known("simple", SIMPLE))
as_plain: Any = _declared(Known("plain", PLAIN))
