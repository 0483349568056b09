"""Judge a connection by its record and the time: healthy, stale, in error or inactive; how fast it answers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tradelab.model.units import NS_PER_HOUR, NS_PER_MIN
from tradelab.store.records import Connection, PastTest, Status

STALE_AFTER_NS = 24 * NS_PER_HOUR


class Condition(StrEnum):
    """What a connection is worth at a moment."""

    HEALTHY = "healthy"
    STALE = "stale"
    ERROR = "error"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class Health:
    """The condition of a connection, and why, in one sentence."""

    condition: Condition
    says: str


@dataclass(frozen=True, slots=True)
class Latency:
    """Round trips of the passing tests in a history, in milliseconds; ``None`` where there is none."""

    p50_ms: float | None
    p95_ms: float | None
    count: int


def health(connection: Connection, now_ns: int, *, stale_after_ns: int = STALE_AFTER_NS) -> Health:
    """Return the condition of a connection at ``now_ns``.

    An active connection is healthy while its last passing test is not older than ``stale_after_ns``, then stale. The
    clock may have been set back: a test of the future counts as one of this moment.
    """
    if connection.status is Status.ERROR:
        says = connection.error or "it failed, and did not say why"
        return Health(Condition.ERROR, f"{says} (in use again once a test passes)" if connection.resumes else says)
    if connection.status is Status.TESTING:
        return Health(Condition.INACTIVE, "it is being tested")
    if connection.status is Status.INACTIVE:
        ready = "ready to be activated" if connection.passed else "test it, then activate it"
        return Health(Condition.INACTIVE, ready)
    age_ns = max(0, now_ns - (connection.passed_ns or 0))
    says = f"last passed a test {_ago(age_ns)} ago"
    return Health(Condition.STALE if age_ns > stale_after_ns else Condition.HEALTHY, says)


def latency(tests: Iterable[PastTest]) -> Latency:
    """Return the median and the 95th percentile of the passing tests' latency.

    The quantile is the nearest rank, the ceil(q·n)-th smallest: always a latency that was measured (Hyndman and Fan
    1996, "Sample Quantiles in Statistical Packages", definition 1).

    >>> latency(PastTest(0, True, ms, "") for ms in (40.0, 10.0, 30.0, 20.0))
    Latency(p50_ms=20.0, p95_ms=40.0, count=4)
    """
    measured = sorted(test.latency_ms for test in tests if test.passed and test.latency_ms is not None)
    if not measured:
        return Latency(None, None, 0)
    p50, p95 = (measured[math.ceil(percent * len(measured) / 100) - 1] for percent in (50, 95))
    return Latency(p50, p95, len(measured))


def _ago(age_ns: int) -> str:
    minutes = age_ns // NS_PER_MIN
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
