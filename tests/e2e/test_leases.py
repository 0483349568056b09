"""Ten engines want one account; whoever is not its holder writes no intent, whenever it was stopped and woken again.

The thousand rounds on each database of docs/reliability.md are ``make acceptance ARGS="--only leases"``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.leasing import Judge, a_world, engines, prepared, stop_and_wake
from tests.store_fixtures import BACKENDS

ROUNDS = 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_of_ten_engines_none_writes_an_intent_that_does_not_hold_the_account(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    server = request.getfixturevalue("postgresql") if backend == "postgresql" else ""
    world = a_world(server, tmp_path, ROUNDS)
    assert (world.wrong, world.let_in) == (0, 0)
    assert world.fences > world.rounds == ROUNDS
    assert world.is_right


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_judge_would_see_an_engine_that_does_not_ask(backend: str, new_url: Callable[[str], str]) -> None:
    url = new_url(backend)
    with prepared(url) as database, engines(url, 2, "careless") as pids:
        judge = Judge(database)
        for _ in range(20):
            stop_and_wake(judge, pids)
            if judge.wrong():
                return
    pytest.fail("a careless engine was stopped twenty times past its lease, and nothing was seen")
