"""Keep the pages true: links lead somewhere, decisions have their four parts, words are in order, commands exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT, texts

_DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
_PARTS = ["Context", "Decision", "Alternatives refused", "Consequences"]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [path.name[:4] for path in _DECISIONS]
    assert numbers == [f"{n:04}" for n in range(1, len(numbers) + 1)]
    assert len(numbers) >= 9


@pytest.mark.parametrize("path", _DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_four_parts_on_one_page(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(rf"# {path.name[:4]} · .+", lines[0])
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == _PARTS
    assert len(lines) <= 60


def test_the_glossary_is_a_sorted_list_of_words_with_their_meaning() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\*\*(.+?)\*\*: \S", text, flags=re.MULTILINE)
    assert len(words) >= 30
    assert words == sorted(words, key=lambda word: (word.casefold(), word))
    assert len(words) == len(set(words))


def _anchors(text: str) -> set[str]:
    """The anchors a reader's browser gives the headings of a page."""
    headings = re.findall(r"^#+ (.+?)\s*$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_relative_link_leads_to_a_file_and_a_heading() -> None:
    lost = []
    for name, text in texts(".md"):
        for target in _LINK.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            if "://" in target or target.startswith("mailto:"):
                continue
            page, _, anchor = target.partition("#")
            path = (ROOT / name).parent / page if page else ROOT / name
            if not path.exists() or (
                anchor and path.suffix == ".md" and anchor not in _anchors(path.read_text(encoding="utf-8"))
            ):
                lost.append(f"{name}: {target}")
    assert lost == []


def _targets() -> dict[str, str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z]+):(.*)", makefile, flags=re.MULTILINE))


def test_every_make_target_explains_itself_and_help_lists_it() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "setup" in _targets()
    for target, rest in _targets().items():
        assert "## " in rest, f"make {target} has no ## comment"
        assert re.search(rf"make {target} .*{re.escape(rest.partition('## ')[2])}", shown)


def test_every_other_target_makes_the_environment_first() -> None:
    own = {target for target, rest in _targets().items() if "setup" not in rest.partition("##")[0].split()}
    assert own == {"help", "setup", "clean"}


def test_every_make_command_in_the_pages_exists() -> None:
    unknown = [
        f"{name}: make {target}"
        for name, text in texts(".md", ".yml")
        for target in re.findall(r"`make ([a-z]+)|^\s*make ([a-z]+)", text, flags=re.MULTILINE)
        for target in target
        if target and target not in _targets()
    ]
    assert unknown == []


def test_the_readme_shows_the_commands_a_stranger_needs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in ("make demo", "make test", "make lab", "make bench", "make check", "make setup"):
        assert command in readme


def test_every_command_the_readme_gives_tradelab_is_one_it_has() -> None:
    from tradelab.app.cli import main

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\s*(?:\$ )?tradelab ([a-z]+)", readme, flags=re.MULTILINE))
    assert named <= set(main.list_commands(None))  # type: ignore[arg-type]
