"""Hold docs/feeds.md to its word: every test it names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_guarantee_names_a_test_that_exists() -> None:
    page, default, named = (ROOT / "docs" / "feeds.md").read_text(encoding="utf-8"), "", []
    for line in page.splitlines():
        if told := re.search(r"Tests without a path are in `([^`]+)`", line):
            default = told[1]
        named += [(path or default, name) for path, name in re.findall(r"`(?:(tests/[\w/]+\.py)::)?(test_\w+)`", line)]
    assert len(named) > 35
    missing = [n for path, n in named if f"def {n}(" not in (ROOT / path).read_text(encoding="utf-8")]
    assert missing == []
