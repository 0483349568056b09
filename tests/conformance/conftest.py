"""Show what an assertion of a card saw, and write the results down when somebody asks for them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

_PARTS = "stage asking changing connecting failing protecting refusing resting streaming trading"
pytest.register_assert_rewrite(*(f"tests.conformance.{part}" for part in _PARTS.split()))

from tests.conformance.cards import Card, cards_of  # noqa: E402 (rewritten first)
from tests.conformance.venue_contract import VenueContract  # noqa: E402

_RESULTS = pytest.StashKey[dict[type, dict[str, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep results by venue and card."""
    config.stash[_RESULTS] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Note how a card ended: passed, failed, or why it was not played."""
    report = yield
    owner = getattr(item, "cls", None)
    if owner is not None and getattr(owner, "on_page", False) and (call.when == "call" or report.failed):
        said = report.outcome
        if report.skipped:
            said = str(report.longrepr[2]).removeprefix("Skipped: ")
        item.config.stash[_RESULTS].setdefault(owner, {})[item.name] = said
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was noted to the file that ``tools/conformance.py`` names, if it does."""
    target = os.environ.get("TRADELAB_CONFORMANCE_RESULTS")
    if target and not hasattr(session.config, "workerinput"):
        told = {
            "cards": [_as_text(card) for card in cards_of(VenueContract).values()],
            "venues": [
                {
                    "title": owner.title,
                    "provider": owner.provider,
                    "evidence": owner.evidence.value if hasattr(owner, "evidence") else "unverified",
                    "results": results,
                }
                for owner, results in session.config.stash[_RESULTS].items()
            ],
        }
        Path(target).write_text(json.dumps(told, indent=1), encoding="utf-8")


def _as_text(card: Card) -> dict[str, str]:
    words = ("name", "prerequisite", "action", "expects", "passes", "skips_when")
    return {word: getattr(card, word) for word in words}
