"""A thousand disconnects and two hundred silent stalls under the real ccxt client: no bar and no fill is lost.

The truth is the venue's own: the tape it replays, its list of fills, its ledger. Beside disconnects and stalls, frames
are lost, repeated, late and mixed, requests fail in every way, and orders fill all the while.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from tests.property.gap_world import PLAYS, Play, Told, play_through
from tradelab.model.feed_events import FeedGap, FeedPolling, FeedResumed, FeedStale
from tradelab.model.orders import Fill
from tradelab.rehearsal.ledger_perp import PerpLedger
from tradelab.rehearsal.orders import SimFill

D = Decimal


def test_the_plays_have_a_thousand_disconnects_and_two_hundred_stalls_in_all() -> None:
    assert sum(p.disconnects for p in PLAYS) == 1_000
    assert sum(p.stalls for p in PLAYS) == 200


@pytest.mark.slow
@pytest.mark.parametrize("play", PLAYS, ids=lambda p: f"{p.dialect}-{p.seed}")
def test_bars_are_those_of_the_run_without_gaps_and_each_fill_is_booked_once(play: Play, tmp_path: Path) -> None:
    told = asyncio.run(play_through(play, tmp_path))

    assert (told.done["disconnect"], told.done["stall"]) == (play.disconnects, play.stalls)
    assert told.bars == told.true_bars
    assert told.stored == told.true_bars
    assert len(told.bars) >= int(told.minutes) - 1

    assert len(told.fills) > 2 * play.stalls, "there was something to lose"
    assert len({(f.symbol, f.trade_id) for f in told.fills}) == len(told.fills), "double-booked"
    assert Counter(map(facts, told.fills)) == Counter(map(facts, told.true_fills)), "missed"
    assert money_missing(told) == 0

    kinds = Counter(type(alarm) for alarm in told.alarms)
    assert kinds[FeedStale] >= play.stalls // 2
    assert kinds[FeedPolling] and kinds[FeedGap] and kinds[FeedResumed]
    assert told.complaints == [], "an error that nobody looked at"
    assert told.left == [], "a task that outlived the connection"


def facts(fill: Fill | SimFill) -> tuple[object, ...]:
    """What both sides know of a fill; not every list of Binance's tells our id of the order."""
    return fill.side, fill.qty, fill.price, fill.fee, fill.fee_currency, fill.ts_ns // 1_000_000


def money_missing(told: Told) -> Decimal:
    """Return by how much the venue's money differs from what the booked fills made of the money at the start."""
    if isinstance(told.ledger, PerpLedger):
        position = told.ledger.position("BTCUSDT")
        paid = sum((f.side.sign * f.qty * f.price + (f.fee or D(0)) for f in told.fills), D(0))
        assert sum(f.side.sign * f.qty for f in told.fills) == position.qty
        expected = told.funds["USDT"] - paid + position.qty * position.avg_price + told.funding
        return (told.ledger.wallet - expected).quantize(D("0.0001"))  # the average price is rounded
    expected_of = dict(told.funds)
    for f in told.fills:
        assert f.fee is not None and f.fee_currency is not None
        expected_of["BTC"] += f.side.sign * f.qty
        expected_of["USDT"] -= f.side.sign * f.qty * f.price
        expected_of[f.fee_currency] -= f.fee
    held = {c: told.ledger.free.get(c, D(0)) + told.ledger.held.get(c, D(0)) for c in told.funds}
    return sum((abs(held[c] - expected_of[c]) for c in told.funds), D(0))
