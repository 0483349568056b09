"""Hold the meter to venues that ban at once, late, or never."""

from __future__ import annotations

from tradelab.model.units import NS_PER_S
from tradelab.rehearsal.meter import Meter, Scope

NOW = 1_700_000_000 * 1_000_000_000


def test_a_scope_without_patience_bans_with_its_first_refusal() -> None:
    meter, scope = Meter(), Scope("ip", 2, 5, patience=0, ban_s=600.0)
    assert all(meter.charge("a", {scope: 1}, NOW).allowed for _ in range(2))
    verdict = meter.charge("a", {scope: 1}, NOW)
    assert (verdict.banned, verdict.wait_s) == (True, 600.0)
    assert meter.charge("a", {}, NOW + 599_000_000_000).banned
    assert meter.charge("a", {scope: 1}, NOW + 601_000_000_000).allowed


def test_a_scope_with_endless_patience_never_bans() -> None:
    meter, scope = Meter(), Scope("orders", 1, 1, patience=None)
    assert meter.charge("a", {scope: 1}, NOW).allowed
    verdicts = [meter.charge("a", {scope: 1}, NOW) for _ in range(50)]
    assert not any(v.allowed or v.banned for v in verdicts)
    assert verdicts[0].scope is scope
    assert verdicts[0].wait_s == 1.0


def test_by_default_the_sixth_refusal_in_a_row_bans_for_two_minutes_as_binance_does() -> None:
    meter, scope = Meter(), Scope("ip", 1, 60)
    meter.charge("a", {scope: 1}, NOW)
    banned = [meter.charge("a", {scope: 1}, NOW).banned for _ in range(6)]
    assert banned == [False] * 5 + [True]


def test_a_meter_does_not_grow_with_time() -> None:
    meter = Meter()
    minute, second = Scope("weight", 100, 60), Scope("orders", 10, 1)
    for step in range(10_000):
        assert meter.charge("a", {minute: 1, second: 1}, NOW + step * NS_PER_S).allowed
    assert len(meter.used) == 2
    assert meter.used_now("a", second, NOW + 9_999 * NS_PER_S) == 1
    assert meter.used_now("a", second, NOW + 10_000 * NS_PER_S) == 0
