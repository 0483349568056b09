"""Whatever is written, appended, compacted and vacuumed, in whatever order: the catalog equals a dict."""

from __future__ import annotations

import tempfile

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tradelab.catalog.bars import BarRow, Catalog
from tradelab.catalog.block import Block
from tradelab.catalog.frame import from_arrays, time_ns
from tradelab.catalog.segments import decode, encode
from tradelab.model.units import NS_PER_HOUR, Timeframe

HOURS = 24 * 40  # around New Year: two segments
START = 1_703_980_800_000_000_000  # 2023-12-31 00:00 UTC
SYMBOLS = ("A", "B")

hours = st.integers(-30, 30)
prices = st.one_of(
    st.integers(1, 10**6).map(lambda n: n / 100),
    st.floats(1e-9, 1e12, allow_nan=False),
    st.just(float("nan")),
)
appended = st.tuples(
    st.just("append"), st.lists(st.tuples(st.sampled_from(SYMBOLS), hours, prices, st.booleans()), max_size=8)
)
written = st.tuples(
    st.just("write"), st.tuples(st.sampled_from(SYMBOLS), st.dictionaries(hours, prices, min_size=1, max_size=12))
)
kept = st.tuples(st.sampled_from(["compact", "vacuum", "reopen"]), st.none())
Model = dict[tuple[str, int], tuple[float, bool]]


def apply(catalog: Catalog, model: Model, job: str, what: object) -> Catalog:
    """Do one job to the catalog and, by the rules as docs/catalog.md says them, to the dict."""
    if job == "append":
        catalog.append([BarRow("s", s, Timeframe.H1, START + h * NS_PER_HOUR, p, p, p, p, p, c) for s, h, p, c in what])
        for symbol, hour, price, closed in what:
            if closed or not model.get((symbol, hour), (0.0, False))[1]:
                model[symbol, hour] = (price, closed)
    elif job == "write":
        symbol, bars = what
        stamps = sorted(bars)
        values = np.array([bars[h] for h in stamps])
        time = START + np.array(stamps) * NS_PER_HOUR
        catalog.write(
            "s", symbol, "1h", from_arrays(time, dict.fromkeys(("open", "high", "low", "close", "volume"), values))
        )
        model.update({(symbol, h): (p, True) for h, p in bars.items()})
    elif job == "compact":
        catalog.compact()
    elif job == "vacuum":
        catalog.vacuum(grace_s=0)
    else:
        catalog.close()
        return Catalog(catalog.root)
    return catalog


def stored(catalog: Catalog, symbol: str, *, include_open: bool) -> dict[int, float]:
    bars = catalog.read("s", symbol, "1h", include_open=include_open)
    assert bars.index.is_monotonic_increasing
    values = bars.to_numpy()
    assert ((values == values[:, :1]) | np.isnan(values)).all()
    return dict(zip(((time_ns(bars) - START) // NS_PER_HOUR).tolist(), bars["close"].tolist(), strict=True))


@settings(max_examples=60)
@given(st.lists(st.one_of(appended, written, kept), max_size=12))
def test_any_sequence_of_jobs_equals_a_dict(jobs: list[tuple[str, object]]) -> None:
    model: Model = {}
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog(folder)
        for job, what in jobs:
            catalog = apply(catalog, model, job, what)
        for symbol in SYMBOLS:
            if any(s == symbol for s, _ in model):
                for include_open in (False, True):
                    expected = {h: p for (s, h), (p, c) in sorted(model.items()) if s == symbol and (c or include_open)}
                    np.testing.assert_equal(stored(catalog, symbol, include_open=include_open), expected)
        assert catalog.damaged() == ()
        catalog.close()


@given(st.lists(st.tuples(*[prices] * 5), min_size=1, max_size=50), st.data())
def test_a_segment_gives_back_every_bit(rows: list[tuple[float, ...]], data: st.DataObject) -> None:
    stamps = data.draw(
        st.lists(st.integers(-(2**62), 2**62), min_size=len(rows), max_size=len(rows), unique=True).map(sorted)
    )
    block = Block(np.array(stamps, np.int64), np.ascontiguousarray(np.array(rows).T))
    back = decode(encode(block, {"symbol": "X"}))
    assert np.array_equal(back.time, block.time)
    assert np.array_equal(back.values, block.values, equal_nan=True)
