"""Write rows and parameters of a sweep as Arrow columns that any tool can read, and read them back exactly."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa

from tradelab.research.figures import BLOCK, FIGURES
from tradelab.research.space import Axis

_TYPES = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "str": pa.string(), "json": pa.string()}


def figures_to(rows: np.ndarray) -> dict[str, pa.Array]:
    """Return one column a figure; block sums are lists of the blocks' length, one column a sum."""
    columns = {name: pa.array(np.ascontiguousarray(rows[name])) for name in FIGURES.names or ()}
    if "blocks" in (rows.dtype.names or ()):
        count = rows.dtype["blocks"].shape[0]
        for name in BLOCK.names or ():
            flat = pa.array(np.ascontiguousarray(rows["blocks"][name]).ravel())
            columns[f"block_{name}"] = pa.FixedSizeListArray.from_arrays(flat, count)
    return columns


def figures_from(table: pa.Table, dtype: np.dtype) -> np.ndarray:
    """Return the rows that ``figures_to`` wrote."""
    rows = np.empty(len(table), dtype)
    for name in FIGURES.names or ():
        rows[name] = table[name].to_numpy()
    if "blocks" in (dtype.names or ()):
        for name in BLOCK.names or ():
            flat = table[f"block_{name}"].combine_chunks().flatten().to_numpy()
            rows["blocks"][name] = flat.reshape(len(table), -1)
    return rows


def encode_axis(axis: Axis, kind: str) -> pa.Array:
    """Return the values of one swept parameter, one a combination, as ``kind`` (see ``space.kind_of``) asks.

    A value that JSON has no word for (a fill policy) is written as its text, and is text when it is read back.
    """
    values = [value.item() if isinstance(value, np.generic) else value for value in axis.values]
    if kind == "json":
        values = [json.dumps(value, default=lambda other: {"text": str(other)}) for value in values]
    return pa.array(values, _TYPES[kind]).take(pa.array(axis.codes))


def decode_axis(name: str, column: pa.ChunkedArray, kind: str) -> Axis:
    """Return the parameter that ``encode_axis`` wrote."""
    values: list[Any] = column.to_pylist()
    return Axis.of(name, [_read(value) for value in values] if kind == "json" else values)


def _read(text: str) -> Any:
    value = json.loads(text)
    return Unread(value["text"]) if isinstance(value, dict) else value


class Unread(str):
    """The text of a value that a file cannot hold; a combination that has one cannot be run again from the file."""
