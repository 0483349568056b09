"""Put a catalogue in order: live bars into segments, and what its policies let go away."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from tradelab.catalog.bars import BarRow, Catalog
from tradelab.catalog.retention import RetentionPolicy
from tradelab.model.messages import DataReceived
from tradelab.modules.market_data.config import Config


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What was done: bars put into segments, and bars that went."""

    compacted: int
    removed: int


def row_of(bar: DataReceived, source: str) -> BarRow:
    """Return a bar as the catalogue keeps it; ``source`` is what its data is filed under there."""
    c = bar.candle
    return BarRow(source, bar.symbol, bar.timeframe, c.open_ns, c.open, c.high, c.low, c.close, c.volume, c.closed)


def policies_of(config: Config) -> tuple[RetentionPolicy, ...]:
    """Return the policies that a table asks for."""
    return tuple(RetentionPolicy(**each.model_dump()) for each in config.retention)


def put_in_order(config: Config, now_ns: int) -> Upkeep:
    """Compact and retain as of ``now_ns`` (UTC), on a catalogue opened for it: it takes its time, in a thread."""
    with Catalog(config.catalog) as catalog:
        for policy in policies_of(config):
            catalog.add_retention_policy(policy)
        compacted = catalog.compact()
        plan = catalog.retain(pd.Timestamp(now_ns, unit="ns", tz="UTC"))
    return Upkeep(compacted, plan.bars)
