"""Measure the engine: from a bar that closes to the request that leaves, with one bot and with a hundred.

The node, its journal in SQLite (every message kept on disk before anything is sent), risk management, execution and the
real ccxt client are the product's; the venue is a rehearsal on loopback in this process. Each bot runs a moving average
crossing on 500 bars and turns its position at every bar. Two moments are taken: when the order is handed to the
client, and when its signed request is handed to the socket; with a hundred bots the second is what the venue's own
limit of orders makes it (300 in ten seconds).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.acceptance.kills import MARKETS, records, venue_of
from tests.conformance.ccxt_stage import KEY, SECRET
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.app.build import parts_of
from tradelab.model.clock import SystemClock
from tradelab.model.market import Candle, Quote
from tradelab.model.messages import DataReceived
from tradelab.model.units import NS_PER_MIN, Timeframe
from tradelab.spine.config import parse_node
from tradelab.spine.keeping import JournalKeeper
from tradelab.spine.node import Node
from tradelab.spine.permit import LeasedPermit
from tradelab.spine.view import SeenQuote, Window
from tradelab.store.database import Database
from tradelab.store.journal import Journal
from tradelab.store.leases import Leases
from tradelab.store.states import TradingStates
from tradelab.strategy.define import strategy
from tradelab.strategy.spec import Signals

VENUE, SYMBOL = "binanceusdm", "BTC/USDT:USDT"


@strategy(name="bench_turns", warmup=lambda window: window + 1)
def turns(bars: Any, window: int = 20) -> Signals:
    """Cross an average, and turn round at every bar whatever it says."""
    average = bars["close"].rolling(window).mean()
    up = np.asarray(bars["close"] > average) | True
    odd = (np.arange(len(bars)) + bars.index[0].minute) % 2 == 1
    return Signals(long_entry=up & odd, short_entry=~odd)


def config(bots: int) -> Any:
    """So many bots of one account."""
    each = {"strategy": "bench_turns", "symbols": [SYMBOL], "timeframe": "1m", "source": "venue", "execution": "venue",
            "preset": "plain", "signal_ttl_s": 86400}  # fmt: skip
    limits = {"max_quote_age_s": 3600, "max_balance_age_s": 3600}
    return parse_node(
        {
            "name": "bench",
            "modules": {"risk_management": {}, "execution": {"reconcile_s": 3600, "account_s": 3600}},
            "bots": {f"bot{number}": each for number in range(bots)},
            "presets": {
                "plain": {"sizing": {"by": "qty", "value": "0.003"}, "limits": limits | {"max_positions_symbol": 1000}}
            },
        }
    )


async def measure(bots: int, bars: int) -> None:
    """Run it, and print what was seen."""
    handed: list[float] = []
    sent: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with venue_of(VENUE) as at:
            with Database(records(Path(folder))) as database:
                node, venue = make(bots, at.url, database)
                _watch(venue, handed, sent)
                await node.start()
                while node.ledger.snapshot().accounts["venue"].reconciling:
                    await asyncio.sleep(0.05)
                if not node.ledger.snapshot().bots:
                    raise SystemExit("no bot runs")
                waits = [await _bar(node, number, handed, sent, bots) for number in range(bars)]
                await node.stop("keep")
    for what, place in (("handed to the client", 0), ("request on the wire", 1)):
        seen = np.concatenate([each[place] for each in waits if len(each[place])])
        p50, p99 = np.percentile(seen, [50, 99])
        print(f"{bots:>4} bot(s)  {what:<22} p50 {p50:8.1f} ms  p99 {p99:8.1f} ms  ({len(seen)} orders)")


def make(bots: int, url: str, database: Database) -> tuple[Node, CcxtVenue]:
    """Put it together."""
    clock = SystemClock()
    settings = config(bots)
    market = MARKETS[VENUE]
    venue = CcxtVenue(
        market.exchange, market=market.market, base_url=url, timeout_s=10.0, symbols=[SYMBOL],
        credentials={"api_key": KEY, "api_secret": SECRET},
    )  # fmt: skip
    states, leases = TradingStates(database, "bench"), Leases(database, "bench")
    node = Node(
        settings, list(parts_of(settings)), JournalKeeper(Journal(database, "bench")), clock=clock,
        permit=lambda bus: LeasedPermit(leases, bus, states, clock), venues={"venue": venue}, providers={},
    )  # fmt: skip
    return node, venue


def _watch(venue: CcxtVenue, handed: list[float], sent: list[float]) -> None:
    submit, raw = venue.submit, venue._client.raw
    fetch = raw.fetch

    names: set[str] = set()

    async def submitted(order: Any) -> Any:
        if order.intent.client_order_id not in names:  # one that the request budget sends later is counted once
            names.add(order.intent.client_order_id)
            handed.append(time.perf_counter())
        return await submit(order)

    async def fetched(url: str, method: str = "GET", *args: Any, **more: Any) -> Any:
        if method == "POST" and "order" in url:
            sent.append(time.perf_counter())
        return await fetch(url, method, *args, **more)

    venue.submit, raw.fetch = submitted, fetched  # type: ignore[method-assign]


async def _bar(
    node: Node, number: int, handed: list[float], sent: list[float], bots: int
) -> tuple[np.ndarray, np.ndarray]:
    """Close a bar, and return how long after it each order was handed on, and left, in milliseconds."""
    key = ("venue", SYMBOL, Timeframe.M1)
    window = node.market.windows.get(key)
    base_ns = (node.clock.now_ns() // NS_PER_MIN - 600) * NS_PER_MIN
    if window is None:
        window = node.market.windows[key] = Window(500)
        for place in range(500):
            window.add(_candle(base_ns + place * NS_PER_MIN))
    candle = _candle(int(window.ts_ns[-1]) + NS_PER_MIN)
    window.add(candle)
    now_ns = node.clock.now_ns()
    quote = Quote(symbol=SYMBOL, bid=Decimal("41999.9"), ask=Decimal("42000.1"), ts_ns=now_ns)
    node.market.quotes["venue", SYMBOL] = SeenQuote(quote, now_ns)
    handed.clear()
    sent.clear()
    began = time.perf_counter()
    node.bus.say(DataReceived(source="venue", symbol=SYMBOL, timeframe=Timeframe.M1, candle=candle))
    quiet = 0
    while quiet < 40:
        before = len(sent), node.ledger.seq
        await asyncio.sleep(0.02)
        quiet = quiet + 1 if before == (len(sent), node.ledger.seq) else 0
    return (np.array(handed) - began) * 1e3, (np.array(sent) - began) * 1e3


def _candle(open_ns: int) -> Candle:
    return Candle(open_ns, 42000.0, 42001.0, 41999.0, 42000.0, 1.0, closed=True)


def main() -> None:
    """Measure one bot and many."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bots", type=int, nargs="*", default=[1, 100])
    parser.add_argument("--bars", type=int, default=30)
    asked = parser.parse_args()
    for bots in asked.bots:
        asyncio.run(measure(bots, asked.bars if bots == 1 else max(2, asked.bars // 15)))


if __name__ == "__main__":
    main()
