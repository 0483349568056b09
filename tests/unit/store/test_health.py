"""What a connection is worth, and how fast it answers, from its record and the time alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradelab.model.units import NS_PER_HOUR, NS_PER_MIN
from tradelab.store.health import Condition, Latency, health, latency
from tradelab.store.records import AccountKind, Connection, PastTest, Status
from tradelab.store.settings import ConnectionSettings, Purpose

NOW = 1_700_000_000 * 10**9
ACTIVE = Connection(
    id="1",
    name="main",
    provider="files",
    purposes=(Purpose.DATA,),
    owner="ada",
    settings=ConnectionSettings(),
    credential_fields=(),
    account_kind=AccountKind.PAPER,
    armed_at_ns=None,
    armed_by=None,
    status=Status.ACTIVE,
    passed=True,
    version=1,
    created_ns=0,
    updated_ns=0,
    tested_ns=NOW,
    passed_ns=NOW,
    used_ns=None,
    error_ns=None,
    error=None,
)


@pytest.mark.parametrize(
    ("age_ns", "condition", "says"),
    [
        (0, Condition.HEALTHY, "last passed a test 0 min ago"),
        (119 * NS_PER_MIN, Condition.HEALTHY, "last passed a test 119 min ago"),
        (24 * NS_PER_HOUR, Condition.HEALTHY, "last passed a test 24 h ago"),
        (24 * NS_PER_HOUR + 1, Condition.STALE, "last passed a test 24 h ago"),
        (50 * NS_PER_HOUR, Condition.STALE, "last passed a test 50 h ago"),
        (-NS_PER_HOUR, Condition.HEALTHY, "last passed a test 0 min ago"),
    ],
)
def test_an_active_connection_is_stale_a_day_after_its_last_passing_test(
    age_ns: int, condition: Condition, says: str
) -> None:
    found = health(ACTIVE, NOW + age_ns)
    assert (found.condition, found.says) == (condition, says)


def test_how_long_a_test_lasts_can_be_chosen() -> None:
    assert health(ACTIVE, NOW + 2, stale_after_ns=1).condition is Condition.STALE
    assert health(ACTIVE, NOW + 1, stale_after_ns=1).condition is Condition.HEALTHY


@pytest.mark.parametrize(
    ("change", "condition", "says"),
    [
        ({"status": Status.ERROR, "error": "no such key"}, Condition.ERROR, "no such key"),
        (
            {"status": Status.ERROR, "error": "no answer", "resumes": True},
            Condition.ERROR,
            "no answer (in use again once a test passes)",
        ),
        ({"status": Status.ERROR}, Condition.ERROR, "it failed, and did not say why"),
        ({"status": Status.INACTIVE}, Condition.INACTIVE, "ready to be activated"),
        ({"status": Status.INACTIVE, "passed": False}, Condition.INACTIVE, "test it, then activate it"),
        ({"status": Status.TESTING}, Condition.INACTIVE, "it is being tested"),
    ],
)
def test_another_status_says_why_it_is_not_used(change: dict[str, object], condition: Condition, says: str) -> None:
    found = health(dataclasses.replace(ACTIVE, **change), NOW)  # type: ignore[arg-type]
    assert (found.condition, found.says) == (condition, says)


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=60))
def test_quantiles_are_those_of_numpys_inverted_cdf(measured: list[float]) -> None:
    found = latency(PastTest(0, True, ms, "") for ms in measured)
    assert found.p50_ms == np.quantile(measured, 0.5, method="inverted_cdf")
    assert found.p95_ms == np.quantile(measured, 0.95, method="inverted_cdf")
    assert found.count == len(measured)


def test_only_passing_tests_that_were_measured_count() -> None:
    tests = [PastTest(0, True, 10.0, ""), PastTest(0, False, 9_000.0, "timeout"), PastTest(0, True, None, "")]
    assert latency(tests) == Latency(10.0, 10.0, 1)
    assert latency(tests[1:]) == Latency(None, None, 0)
