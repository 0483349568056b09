"""Ask ten times as much of each venue as it allows, for an hour of its time, and print who got what and when."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.property.soak_world import LIMITS, Soak, Told, soak

_BANS_S = {"binance": (120, 600), "binanceusdm": (120, 600), "bybit": (600,)}  # Bybit names no end: ten minutes
_KINDS = ("stop placed", "stop cancelled", "exit", "entry", "account", "open_orders", "fills", "trades", "klines")


async def measure(venue: str, seconds: float) -> None:
    """Run one venue and print its figures; seconds are the venue's."""
    async with soak(venue) as on:
        await on.weigh()
        began = time.perf_counter()
        await on.run(seconds)
        demand(on, time.perf_counter() - began)
        latencies(on.told)
        await bans(on)


def demand(on: Soak, wall_s: float) -> None:
    """Print what was asked for, and what the venue's meter says."""
    told, meter = on.told, on.at.server.meter
    times = ", ".join(f"{told.demand(scope) / limit:.1f} × {scope}" for scope, limit in LIMITS[on.name].items())
    asked, answered = sum(told.asked.values()), sum(told.answered.values())
    print(f"{on.name}: {told.seconds:,.0f} s of the venue in {wall_s:.0f} s; asked for {times}")
    print(f"  {asked:,} asked, {answered:,} answered; 429: {meter.limited}, requests inside a ban: {meter.in_ban}")


def latencies(told: Told) -> None:
    """Print how long each kind waited, and the longest time in which none of its kind was answered."""
    print(f"  {'':<16}{'answered':>9}{'p50 s':>8}{'p99 s':>8}{'max s':>8}{'gap s':>8}")
    for kind in _KINDS:
        p50, p99, most = (told.quantile(kind, q) for q in (0.5, 0.99, 1.0))
        gap = told.gap_s.get("protect" if kind.startswith("stop") else kind, 0.0)
        print(f"  {kind:<16}{len(told.latency_s[kind]):>9,}{p50:>8.2f}{p99:>8.2f}{most:>8.2f}{gap:>8.1f}")


async def bans(on: Soak) -> None:
    """Print what happened in bans and after them."""
    meter = on.at.server.meter
    for seconds in _BANS_S[on.name]:
        before = meter.in_ban
        went_on_s = await on.banned_at_rest(seconds)
        inside = meter.in_ban - before
        print(f"  ban of {seconds} s: {inside} requests inside, all kinds answered {went_on_s:.1f} s after it")
    print(f"  ban of 30 s amid it all: {await on.banned_at_work(30)} requests left after it was known")


def main() -> None:
    """Measure every venue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="of the venue's time; 3600 is the hour")
    parser.add_argument("venues", nargs="*", default=list(LIMITS), help=f"of {', '.join(LIMITS)}; all by default")
    asked = parser.parse_args()
    for venue in asked.venues:
        asyncio.run(measure(venue, asked.seconds))


if __name__ == "__main__":
    main()
