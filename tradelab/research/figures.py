"""Lay the figures of one combination out as one row of an array, and rows of it as columns of a table.

A sweep of a million combinations keeps a million rows of ``row_dtype``: every number of ``Summary`` that differs from
one combination to the next. What is the same for all of them (the first bar, the calendar) is kept once an account, and
the grade, which four figures give, is worked out when a table is looked at.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from tradelab.metrics.grade import grades
from tradelab.metrics.summary import Summary
from tradelab.research.inputs import Tape
from tradelab.research.record import Record

SUMMARY = tuple(field.name for field in dataclasses.fields(Summary))
OF_TAPE = ("start_ns", "end_ns", "bars", "periods_per_year", "calendar", "annualisation")
_WORKED_OUT = ("grade",)
_MARKED = ("win_rate", "profit_factor", "max_drawdown", "total_return")
_OF_ALL_RETURNS = ("value_at_risk", "cvar")  # quantiles: a sweep keeps sums; ``Sweep.result(row)`` has them
_KINDS = {"float": "<f8", "int": "<i4"}

#: One field a number of ``Summary``; a float that is undefined is NaN, an integer always is defined.
FIGURES = np.dtype(
    [
        (f.name, _KINDS[str(f.type)])
        for f in dataclasses.fields(Summary)
        if f.name not in (*OF_TAPE, *_WORKED_OUT, *_OF_ALL_RETURNS)
    ]
)
#: One block of bars: how many returns, their sum, the sum of their squares, the deepest drawdown inside it (≤ 0).
BLOCK = np.dtype([("n", "<i8"), ("sum", "<f8"), ("sum_sq", "<f8"), ("drawdown", "<f8")])


def row_dtype(blocks: int) -> np.dtype:
    """Return the type of one combination's row: ``FIGURES``, then ``blocks`` of ``BLOCK`` where there are any."""
    fields = [(name, FIGURES[name]) for name in FIGURES.names or ()]
    return np.dtype([*fields, ("blocks", BLOCK, (blocks,))] if blocks else fields)


def block_edges(bars: int, blocks: int) -> np.ndarray:
    """Return shape (blocks + 1,): block ``k`` is the bars from ``edges[k]`` up to ``edges[k + 1]``, all ± 1 alike.

    >>> block_edges(10, 4).tolist()
    [0, 2, 5, 7, 10]
    """
    return np.arange(blocks + 1, dtype=np.int64) * bars // blocks


def block_sums(returns: np.ndarray, blocks: int) -> np.ndarray:
    """Sum one return a bar up over equal blocks of bars.

    Parameters
    ----------
    returns
        Shape (bars,): fractions a bar; NaN where the account has nothing left to return anything on, which counts for
        nothing.
    blocks
        How many; where there are fewer bars, some blocks are empty: no returns, sums and drawdown of 0.

    Returns
    -------
    ndarray
        Shape (blocks,) of ``BLOCK``. The drawdown is that of the block alone, as if it began at a new height.
    """
    sums = np.zeros(blocks, BLOCK)
    edges = block_edges(len(returns), blocks)
    for k, (first, end) in enumerate(itertools.pairwise(edges.tolist())):
        known = returns[first:end][~np.isnan(returns[first:end])]
        wealth = np.concatenate(([1.0], np.cumprod(1.0 + known)))
        deepest = float((wealth / np.maximum.accumulate(wealth)).min()) - 1.0
        sums[k] = (len(known), known.sum(), np.square(known).sum(), deepest)
    return sums


def row_of(result: Record, blocks: int) -> tuple[Any, ...]:
    """Return the figures of one backtest in the order of ``row_dtype(blocks)``."""
    summary = result.summary
    row = tuple(getattr(summary, name) for name in FIGURES.names or ())
    return (*row, block_sums(result.returns.to_numpy(), blocks)) if blocks else row


def empty_rows(count: int, dtype: np.dtype) -> np.ndarray:
    """Return rows in which every float is NaN and every integer 0: of a combination that failed, nothing is known."""
    rows = np.zeros(count, dtype)
    for name in FIGURES.names or ():
        if FIGURES[name].kind == "f":
            rows[name] = np.nan
    return rows


def facts_of(tape: Tape) -> dict[str, Any]:
    """Return the figures of ``Summary`` that every backtest over these bars shares."""
    stamps, year = tape.ts_ns, tape.year
    said = (int(stamps[0]), int(stamps[-1]), len(stamps), year.periods_per_year, year.calendar, year.says)
    return dict(zip(OF_TAPE, said, strict=True))


def figure_columns(rows: np.ndarray, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return every field of ``Summary`` as a column, in order; ``facts`` are the columns that the bars give."""
    columns: dict[str, Any] = {}
    for name in SUMMARY:
        if name in _OF_ALL_RETURNS:
            continue
        if name in facts:
            columns[name] = facts[name]
        elif name in _WORKED_OUT:
            columns[name] = grades(*(rows[marked] for marked in _MARKED)).tolist()
        else:
            columns[name] = rows[name].astype(np.int64 if rows[name].dtype.kind == "i" else np.float64)
    return columns
