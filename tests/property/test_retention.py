"""Whatever is stored and whenever policies are applied: what stays and what went are what was there, bar for bar."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from tradelab.catalog.bars import BarRow, Catalog
from tradelab.catalog.frame import from_arrays
from tradelab.catalog.retention import RetentionPolicy
from tradelab.model.units import NS_PER_DAY, Timeframe

KEY = ("s", "X", "1h")
DAY_S = 86_400
START = pd.Timestamp("2023-11-20", tz="UTC")
_HOUR = st.integers(0, 39).map(lambda n: n * 54)  # 90 days over two years' segments, few enough to meet one another
_HOURS = st.sets(_HOUR, max_size=30)


def marks(root: Path) -> list[Path]:
    return [path for path in (root / "used").rglob("*") if path.is_file()]


def frame(hours: list[int], price: float) -> pd.DataFrame:
    stamps = START.value + np.array(hours, np.int64) * Timeframe.H1.ns
    made = np.arange(len(hours)) + price
    return from_arrays(stamps, dict.fromkeys(("open", "high", "low", "close", "volume"), made))


def row(hour: int, price: float, closed: bool) -> BarRow:
    return BarRow("s", "X", Timeframe.H1, START.value + hour * Timeframe.H1.ns, price, price, price, price, 1.0, closed)


@given(
    stored=_HOURS, live=_HOURS, forming=st.none() | _HOUR, is_hidden=st.booleans(), days=st.integers(1, 100),
    at=st.integers(0, 200), idle=st.none() | st.integers(0, 60), unused=st.none() | st.integers(1, 50),
)  # fmt: skip
def test_what_was_retained_and_what_was_removed_are_what_there_was(
    stored: set[int], live: set[int], forming: int | None, is_hidden: bool, days: int, at: int, idle: int | None,
    unused: int | None,
) -> None:  # fmt: skip
    if is_hidden and stored - live:
        forming = min(stored - live)  # a forming bar that came late lies hidden under the closed one
    now = START + pd.Timedelta(days=at)
    with tempfile.TemporaryDirectory() as folder, Catalog(folder) as catalog:
        if stored:
            catalog.write(*KEY, frame(sorted(stored), 100.0))
        closed = [row(h, 500.0 + h, True) for h in sorted(live)]
        catalog.append(closed + ([row(forming, 9.0, False)] if forming is not None and forming not in live else []))
        if catalog.list().empty:
            return
        catalog.add_retention_policy(RetentionPolicy(source="s", keep_days=days, unused_days=unused))
        before = catalog.read(*KEY, include_open=True)
        for mark in marks(Path(folder)):  # the last use: some days before now, or never noted
            mark.unlink()
            if idle is not None:
                mark.touch()
                os.utime(mark, (now.timestamp() - idle * DAY_S,) * 2)
        is_open = ~before.index.isin(catalog._read(("s", "X", Timeframe.H1)).index)
        all_goes = idle is not None and unused is not None and idle >= unused
        goes = ~is_open & (all_goes | (before.index.as_unit("ns").asi8 < now.value - days * NS_PER_DAY))

        plan = catalog.plan_retention(now)
        done = catalog.retain(now)

        assert plan.removals == done.removals
        assert done.bars == goes.sum()
        if (~goes).any():
            after = catalog.read(*KEY, include_open=True)
            pd.testing.assert_frame_equal(after, before[~goes], check_exact=True)
        else:
            assert catalog.list().empty
        if goes.any():
            (removal,) = done.removals
            assert (removal.first, removal.last) == (before.index[goes][0], before.index[goes][-1])
            assert removal.left == (~goes & ~is_open).sum()
        assert catalog.retain(now).removals == ()
        assert catalog.damaged() == ()
