"""Machine code is called by its address, from Python and from kernels, and reads what a frame says."""

from __future__ import annotations

import numpy as np
import pytest

from tradelab.engine.far import address_of, call, cube_at, frame_of, grid_at, number_at, row_at, run, table_at
from tradelab.engine.jit import kernel

KINDS = (np.float64, np.int64, np.float64, None)


def _weigh(frame: int, shift: int, _third: int, _fourth: int, _fifth: int) -> None:
    row, grid, cube = row_at(frame, 0, np.float64), grid_at(frame, 1, np.int64), cube_at(frame, 2, np.float64)
    for i in range(len(row)):
        row[i] += grid[1, i] * cube[0, 1, i] + number_at(frame, 3) + shift
    table_at(row, np.int64(1), np.int64(1), np.int64(2))[0, 1] = -1.0


def _parts() -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    return np.array([1.0, 2.0, 3.0]), np.arange(6).reshape(2, 3), np.arange(12.0).reshape(2, 2, 3), 100


def test_a_part_compiled_apart_reads_its_frame() -> None:
    parts = _parts()
    frame = frame_of(KINDS, *parts)
    run(_weigh, frame, 7)
    # grid[1] is 3 4 5, cube[0, 1] is 3 4 5: 1 + 9 + 107, 2 + 16 + 107, and the last is written over
    assert parts[0].tolist() == [117.0, 125.0, -1.0]
    assert address_of(_weigh) == address_of(_weigh)


@kernel
def _weighed_twice(address: int, frame: int) -> None:
    call(address, frame, 0, 0, 0, 0)
    call(address, frame, 0, 0, 0, 0)


def test_a_kernel_calls_it_by_its_address() -> None:
    parts = _parts()
    frame = frame_of(KINDS, *parts)
    _weighed_twice(address_of(_weigh), frame.words.ctypes.data)
    assert parts[0].tolist() == [1 + 2 * 109, 2 + 2 * 116, -1.0]


@pytest.mark.parametrize(
    "wrong",
    [
        (np.zeros(3, np.float32), *_parts()[1:]),
        (np.zeros(6)[::2], *_parts()[1:]),
        (np.zeros(3), np.zeros((3, 2), np.int64).T, *_parts()[2:]),
        (*_parts()[:3], np.zeros(1)),
        (7, *_parts()[1:]),
    ],
)
def test_what_would_be_misread_is_refused(wrong: tuple[np.ndarray | int, ...]) -> None:
    with pytest.raises(TypeError, match="slot"):
        frame_of(KINDS, *wrong)
