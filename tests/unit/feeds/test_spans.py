"""A set of stretches behaves as the set of the moments in it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tradelab.feeds.spans import Spans

jobs = st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 40)), max_size=30)


@given(jobs=jobs, look=st.tuples(st.integers(0, 40), st.integers(0, 40)))
def test_spans_equal_a_set_of_moments(jobs: list[tuple[bool, int, int]], look: tuple[int, int]) -> None:
    spans, moments = Spans(), set()
    for adds, start, end in jobs:
        (spans.add if adds else spans.remove)(start, end)
        moments = moments | set(range(start, end)) if adds else moments - set(range(start, end))
    told = list(spans)
    assert {t for a, b in told for t in range(a, b)} == moments
    assert all(a < b for a, b in told)
    assert all(left[1] < right[0] for left, right in pairwise(told)), "sorted, and apart"
    assert {t for a, b in spans.within(*look) for t in range(a, b)} == moments & set(range(*look))
    assert [t for t in range(41) if spans.covers(t)] == sorted(moments)
    assert len(spans) == len(told)
    if told:
        assert spans.first == told[0]
