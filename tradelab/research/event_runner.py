"""Compute a batch of combinations by the event kernel: what is shared once, then all of them tile by tile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tradelab.engine.events import Tape as Strip
from tradelab.engine.events import fresh_state, sweep
from tradelab.engine.tally import index_blocks
from tradelab.engine.terms import TERMS, WISH
from tradelab.research.checks import is_single
from tradelab.research.inputs import Tape
from tradelab.research.settings import Settings
from tradelab.research.tallies import benchmark_of, figures_of
from tradelab.research.wishes import allowed_bits, make_market, make_wishes
from tradelab.strategy.registry import is_built_in
from tradelab.strategy.spec import Strategy
from tradelab.strategy.trace_batch import compile_batch

TILE = 2048  # bars; the same for every batch, for where a sum is begun decides its last digit


def run_events(
    tape: Tape, strategy: Strategy, settings: Sequence[Settings], which: np.ndarray,
    points: Mapping[str, Sequence[Any]], edges: np.ndarray,
) -> tuple[dict[str, np.ndarray], np.ndarray]:  # fmt: skip
    """Run every point on its terms over the bars of one instrument.

    Parameters
    ----------
    tape
        Bars of one instrument.
    settings, which
        Distinct terms, and which of them each point trades on, shape (points,); all of one kind as `kind_of` says.
    points
        Strategy parameters as columns of equal length.
    edges
        Shape (parts + 1,): bars at which parts of history begin, and the number of bars; one edge for none.

    Returns
    -------
    figures
        As `tallies.figures_of` returns them.
    parts
        Rows of ``tally.PART``, shape (points, parts); sums are from the first bar on.
    """
    frame = next(iter(tape.frames.values()))
    seen = ("watched", strategy)  # a few points of one batch are held to what the function decides: enough for all
    checked = not (is_built_in(strategy) or seen in tape.kept)  # and of ours our tests hold every one
    batch = compile_batch(strategy, frame, points or [{}] * len(which), threads=1, checked=checked)
    if batch.road == "program":
        tape.kept[seen] = True
    program = batch.program
    rows = np.concatenate([s.row() for s in settings]).astype(TERMS)
    cash = np.array([s.init_cash for s in settings], dtype=float)[which]
    flags = np.array([int(allowed_bits(s.direction)) for s in settings], np.int64)[which]
    rows["latency"] = np.minimum(rows["latency"], len(frame))  # later than the last bar is never
    state = fresh_state(len(which), len(edges) - 1, cash, int(rows["latency"].max()))
    wishes = make_wishes(tape, settings[0], tape.once("silence", lambda: np.zeros((len(frame), 1), np.uint8)))
    strip = _strip_once(tape, settings[0])
    given = np.ascontiguousarray(wishes.rows[:, 0]) if len(wishes.rows) else _no_wish()
    sweep(
        program.tables, program.space(TILE), strip, given, wishes.given, rows, which, flags, state, edges, 0, len(which)
    )
    market = tape.once("benchmark", lambda: benchmark_of(strip.close))
    return figures_of(state, len(frame), cash, tape.year.periods_per_year, market), state.parts


def kind_of(settings: Settings) -> tuple[Any, ...]:
    """What terms must share to run in one go: all that is read bar by bar, and what the calendar must say."""
    exits = settings.exits
    unit = ("volatility",) if settings.size_type == "volatility" else ()
    if exits.in_atr or settings.size_type == "atr":
        unit = ("atr",)
    price = settings.entry_price if is_single(settings.entry_price) else None
    trails = settings.trails and not is_single(settings.sl_stop)  # the same distances, of another stop
    return (*unit, exits.atr_window if unit else 0, *_calendar_of(settings), price, trails)


def _calendar_of(settings: Settings) -> tuple[Any, ...]:
    """What is asked of the calendar, and what is paid for holding: a strip is made for each."""
    nights = bool(settings.borrow or settings.interest or settings.swap_long or settings.swap_short)
    funding = settings.funding if is_single(settings.funding) else None
    return (nights, settings.exits.session_close, settings.session, funding)


def _strip_once(tape: Tape, settings: Settings) -> Strip:
    """The bars as the event kernel takes them, kept for the next batch unless funding is given bar by bar."""
    if not is_single(settings.funding):
        return strip_of(tape, settings)
    strip: Strip = tape.once(("strip", *_calendar_of(settings)), lambda: strip_of(tape, settings))
    return strip


def strip_of(tape: Tape, settings: Settings) -> Strip:
    """The bars of one instrument as the event kernel takes them."""
    market = make_market(tape, settings)
    open_, high, low, close, volume, funding = (_first(column) for column in market[:6])
    ends = np.ascontiguousarray(market.session_end[:, 0]) if len(market.session_end) else np.empty(0, np.uint8)
    hot = np.zeros(len(close), bool)
    for column in (funding, market.nights, ends):
        if len(column):
            hot |= column != 0
    clock = np.empty(0, np.int64)
    if len(funding) or len(market.nights) or len(ends):
        clock = np.where(hot, np.arange(len(close)), 2**62)
        clock = np.ascontiguousarray(np.minimum.accumulate(clock[::-1])[::-1])
    return Strip(open_, high, low, close, volume, index_blocks(high, low, close), funding, market.nights, ends, clock)


def _first(column: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(column[:, 0]) if len(column) else np.empty(0)


def _no_wish() -> np.ndarray:
    row = np.zeros(1, WISH)
    for name in WISH.names or ():
        row[name] = np.nan
    return row
