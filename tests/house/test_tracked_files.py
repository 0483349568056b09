"""Keep the machine we were written on, and any index, out of what we publish."""

from __future__ import annotations

import re

import pytest

from tests.house.tree import ROOT, texts, tracked

# Written in halves, so that this file does not find itself.
_FOREIGN = re.compile(
    "|".join(
        [
            "py" + r"pi\.org",
            "files.python" + "hosted",
            "registry.npm" + "js",
            "deb.debian" + r"\.org",
            r"(?<![\w.~-])/wo" + "rk/",
            r"(?<![\w.~-])/ro" + "ot/",
            "/opt/wh" + "eels",
        ]
    )
)


def test_no_file_names_a_registry_or_a_path_of_this_machine() -> None:
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if _FOREIGN.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("line", ["cd /wo" + "rk/main", "see https://py" + "pi.org/x", "'/ro" + "ot/.cache'"])
def test_the_search_would_find_one(line: str) -> None:
    assert _FOREIGN.search(line)


def test_a_relative_path_is_not_taken_for_one_of_this_machine() -> None:
    assert not _FOREIGN.search("docs/wo" + "rk/in-progress, ~/ro" + "ot/x")


def test_no_lock_that_records_its_index_is_kept() -> None:
    assert [path.name for path in tracked() if path.name in {"uv.lock", "poetry.lock", "Pipfile.lock"}] == []


def test_nothing_a_run_leaves_is_kept() -> None:
    kept = [path.relative_to(ROOT).as_posix() for path in tracked() if path.relative_to(ROOT).parts[0] == "runs"]
    assert kept == ["runs/README.md"]
