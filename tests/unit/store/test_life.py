"""Whatever is done to a connection, in whatever order, it is where a simple model says, on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.store_fixtures import BACKENDS
from tests.unit.store.world import Clock, find_provider
from tradelab.model.errors import TradelabError
from tradelab.model.ports import ConnectionTest
from tradelab.store.connections import Connections
from tradelab.store.database import Database
from tradelab.store.records import Lease, Status
from tradelab.store.sealing import Key

SECRETS = [{"api_key": f"k-{n}00000", "secret": f"s-{n}00000"} for n in range(3)]


class Life(RuleBasedStateMachine):
    """One connection, and beside it what we believe of it: five plain fields."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.all = Connections(self.database, find_provider, who="ada", clock=self.clock)
        for left in self.all.list():
            self.all.deactivate(left.name)
            self.all.delete(left.name)
        self.exists = False
        self.status, self.good, self.login = "", False, SECRETS[0]
        self.wanted = False  # a person let it be used, and nobody has taken that back
        self.sandbox = False
        self.until: int | None = None
        self.leases: list[Lease] = []
        self.live: Lease | None = None
        self.audited = 0

    # what we believe happens by itself
    def settle(self) -> None:
        if self.until is not None and self.clock.ns >= self.until:
            if self.status == "testing":
                self.status, self.good = "error", False
            self.until = self.live = None

    def attempt(self, expected: bool, act: Callable[[], object]) -> None:
        """Do it, and compare whether it was allowed."""
        try:
            act()
            allowed = True
        except TradelabError:
            allowed = False
        assert allowed == expected

    def stop(self) -> None:
        self.status, self.good, self.until, self.live, self.wanted = "inactive", False, None, None, False

    @rule(login=st.sampled_from(SECRETS))
    def create(self, login: dict[str, str]) -> None:
        self.settle()
        act = lambda: self.all.create("main", "ccxt:binance", purposes=["data"], credentials=login)  # noqa: E731
        self.attempt(not self.exists, act)
        if not self.exists:
            self.exists, self.login, self.sandbox = True, login, False
            self.stop()

    @rule(seconds=st.sampled_from([1, 59, 61, 200]))
    def wait(self, seconds: int) -> None:
        self.clock.pass_s(seconds)

    @rule(lease_s=st.sampled_from([60, 120]))
    def begin_test(self, lease_s: int) -> None:
        self.settle()
        expected = self.exists and self.until is None
        self.attempt(expected, lambda: self.leases.append(self.all.begin_test("main", lease_s=lease_s)))
        if expected:
            self.live, self.until = self.leases[-1], self.clock.ns + lease_s * 10**9
            self.status = "active" if self.status == "active" else "testing"

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), passed=st.booleans(), refused=st.booleans())
    def end_test(self, data: st.DataObject, passed: bool, refused: bool) -> None:
        self.settle()
        lease = data.draw(st.sampled_from(self.leases))
        expected = self.exists and lease is self.live
        result = ConnectionTest(passed, "said", 1.0, refused=refused and not passed)
        self.attempt(expected, lambda: self.all.end_test(lease, result))
        if expected:
            self.until = self.live = None
            self.good = passed
            self.wanted = self.wanted and not result.refused
            self.status = "error" if not passed else "active" if self.wanted else "inactive"

    @rule()
    def activate(self) -> None:
        self.settle()
        expected = self.exists and self.good and self.status != "testing"
        self.attempt(expected, lambda: self.all.activate("main"))
        if expected:
            self.status, self.wanted = "active", True

    @rule()
    def deactivate(self) -> None:
        self.settle()
        self.attempt(self.exists, lambda: self.all.deactivate("main"))
        if self.exists:
            self.status, self.until, self.live, self.wanted = "inactive", None, None, False

    @rule(login=st.sampled_from(SECRETS))
    def set_credentials(self, login: dict[str, str]) -> None:
        self.settle()
        self.attempt(self.exists, lambda: self.all.set_credentials("main", login))
        if self.exists:
            self.login = login
            self.stop()

    @rule(sandbox=st.booleans(), symbols=st.sampled_from([[], ["A"], ["A", "B"]]))
    def update(self, sandbox: bool, symbols: list[str]) -> None:
        self.settle()
        act = lambda: self.all.update("main", settings={"sandbox": sandbox, "symbols": symbols})  # noqa: E731
        self.attempt(self.exists, act)
        if self.exists and sandbox != self.sandbox:
            self.sandbox = sandbox
            self.stop()

    @rule(refused=st.booleans())
    def mark_error(self, refused: bool) -> None:
        self.settle()
        self.attempt(self.exists, lambda: self.all.mark_error("main", "gone", refused=refused))
        if self.exists:
            self.status, self.good = "error", False
            self.wanted = self.wanted and not refused

    @rule()
    def delete(self) -> None:
        self.settle()
        expected = self.exists and self.status != "active"
        self.attempt(expected, lambda: self.all.delete("main"))
        if expected:
            self.exists, self.until, self.live = False, None, None

    @invariant()
    def it_is_where_we_believe(self) -> None:
        self.settle()
        known = {connection.name: connection for connection in self.all.list()}
        assert list(known) == (["main"] if self.exists else [])
        if self.exists:
            here = known["main"]
            assert (here.status.value, here.passed) == (self.status, self.good)
            assert here.resumes == (self.wanted and self.status != "active")
            assert not (here.status is Status.ACTIVE and not here.passed)
            opened = self.all.credentials("main")
            assert {name: opened.reveal(name) for name in opened} == self.login

    @invariant()
    def the_audit_only_grows_and_holds_no_secret(self) -> None:
        rows = self.all.audit(limit=10_000)
        assert len(rows) >= self.audited
        self.audited = len(rows)
        for row in rows[:3]:
            assert "00000" not in row.old + row.new
            assert isinstance(json.loads(row.new), dict)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_life_in_any_order(backend: str, new_url: Callable[[str], str], key: Key) -> None:
    with Database(new_url(backend)) as database:
        machine = type("LifeHere", (Life,), {"database": database})
        run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=25, deadline=None))
