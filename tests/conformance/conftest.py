"""Show what an assertion of a card saw, and write the results down when somebody asks for them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cards import Card, cards_of
from tests.conformance.venue_contract import VenueContract

_TARGET = "TRADELAB_CONFORMANCE_RESULTS"
_RESULTS: dict[str, dict[str, Any]] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Note on the report how a card ended (or why it was not played), for the process that gathers them."""
    report = yield
    owner = getattr(item, "cls", None)
    if getattr(owner, "on_page", False) and (call.when == "call" or report.failed):
        said = report.outcome
        if report.skipped:
            said = str(report.longrepr[2]).removeprefix("Skipped: ")
        evidence = owner.evidence.value if hasattr(owner, "evidence") else "unverified"
        report.played = [owner.title, owner.provider, evidence, item.name, said]
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Gather what was noted."""
    if hasattr(report, "played"):
        title, provider, evidence, name, said = report.played
        blank = {"title": title, "provider": provider, "evidence": evidence, "results": {}}
        _RESULTS.setdefault(title, blank)["results"][name] = said


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was gathered to the file that ``tools/conformance.py`` names, if it does."""
    target = os.environ.get(_TARGET)
    if target and not hasattr(session.config, "workerinput"):
        cards = [_as_text(card) for card in cards_of(VenueContract).values()]
        told = {"cards": cards, "venues": list(_RESULTS.values())}
        Path(target).write_text(json.dumps(told, indent=1), encoding="utf-8")


def _as_text(card: Card) -> dict[str, str]:
    words = ("name", "prerequisite", "action", "expects", "passes", "skips_when")
    return {word: getattr(card, word) for word in words}
