"""Let tests of a sweep's front run over the reference, one combination at a time, where they must step in between."""

from __future__ import annotations

import pytest

from tradelab.research import runner


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run no batch on the event kernel."""
    monkeypatch.setattr(runner, "can_leap", lambda _: False)
