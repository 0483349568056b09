"""Show what an assertion of a card saw, and write the results down when somebody asks for them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

_PARTS = "stage asking changing connecting failing protecting refusing resting streaming trading"
pytest.register_assert_rewrite(*(f"tests.conformance.{part}" for part in _PARTS.split()))

_RESULTS = pytest.StashKey[dict[str, dict[str, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep results by venue and card."""
    config.stash[_RESULTS] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Note how a card ended: passed, failed, or why it was not played."""
    report = yield
    owner = getattr(item, "cls", None)
    if owner is not None and hasattr(owner, "title") and (call.when == "call" or report.failed):
        said = report.outcome
        if report.skipped:
            said = str(report.longrepr[2]).removeprefix("Skipped: ")
        item.config.stash[_RESULTS].setdefault(owner.title, {})[item.name] = said
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was noted to the file that ``tools/conformance.py`` names, if it does."""
    target = os.environ.get("TRADELAB_CONFORMANCE_RESULTS")
    if target and not hasattr(session.config, "workerinput"):
        Path(target).write_text(json.dumps(session.config.stash[_RESULTS], indent=1), encoding="utf-8")
