"""The maker of environments knows when it is needed, and says plainly why it cannot."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools import environment


def _pretend_made(folder: Path, stamp: str) -> Path:
    python = environment.python_of(folder)
    python.parent.mkdir(parents=True)
    python.touch()
    (folder / "tradelab.stamp").write_text(stamp, encoding="utf-8")
    return folder


def test_an_environment_of_the_same_recipe_is_ready(tmp_path: Path) -> None:
    folder = _pretend_made(tmp_path / "venv", environment.recipe())
    assert environment.is_ready(folder, environment.recipe())


def test_an_environment_of_another_recipe_or_half_made_is_not_ready(tmp_path: Path) -> None:
    folder = _pretend_made(tmp_path / "venv", "another")
    assert not environment.is_ready(folder, environment.recipe())
    (folder / "tradelab.stamp").unlink()
    assert not environment.is_ready(folder, environment.recipe())


def test_the_recipe_changes_with_the_lock_and_with_the_project(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    for name in ("requirements.lock", "pyproject.toml", "tools/environment.py"):
        (tmp_path / name).write_text("one")
    recipes = {environment.recipe(tmp_path)}
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text("two")
        recipes.add(environment.recipe(tmp_path))
    assert len(recipes) == 3


def test_an_old_python_is_refused_with_what_to_type_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 12, "final", 0))
    with pytest.raises(environment.SetupError, match=r"3\.11 or newer; this is 3\.10\.12\. Try: make setup PYTHON="):
        environment.make(tmp_path / "venv")
    assert not (tmp_path / "venv").exists()
