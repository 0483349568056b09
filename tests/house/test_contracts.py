"""Hold the floors: the import contracts are kept, and each of them bites."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from tests.house.tree import ROOT

_SINS = {
    "kernels": ("tradelab/engine/sin.py", "import pandas\n"),
    "words": ("tradelab/model/sin.py", "import numpy\n"),
    "vendors": ("tradelab/research/sin.py", "import ccxt\n"),
    "glass": ("tradelab/report/sin.py", "import tradelab_widgets\n"),
    "acyclic": ("tradelab/catalog/sin.py", "from tradelab.catalog.sin2 import b\na = 1\n"),
    "a lower floor": ("tradelab/model/sin.py", "import tradelab.catalog\n"),
    "a sibling": ("tradelab/research/sin.py", "import tradelab.production\n"),
    "only for typing": (
        "tradelab/engine/sin.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tradelab.research\n",
    ),
    "a room without a floor": ("tradelab/attic/__init__.py", ""),
}
_CONTRACT_OF = {
    "a lower floor": "floors",
    "a sibling": "floors",
    "only for typing": "floors",
    "a room without a floor": "attic",
}


def test_every_contract_is_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    status = lint_imports(no_cache=True, no_logo=True)
    assert status == 0, capsys.readouterr().out


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages as they are, laid out so that the copy is imported and not the original."""
    folder = tmp_path_factory.mktemp("house")
    ignore = shutil.ignore_patterns("__pycache__", "*.parquet", "*.csv*", "*.js")
    shutil.copytree(ROOT / "tradelab", folder / "tradelab", ignore=ignore)
    shutil.copytree(ROOT / "widgets" / "tradelab_widgets", folder / "tradelab_widgets", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    )
    env = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def test_the_copy_without_a_sin_is_clean(copy: Path) -> None:
    told = _lint(copy)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("sin", _SINS)
def test_a_contract_bites(copy: Path, sin: str) -> None:
    name, text = _SINS[sin]
    path = copy / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    other = copy / "tradelab/catalog/sin2.py"
    other.write_text("from tradelab.catalog.sin import a\nb = 1\n")
    if sin != "acyclic":
        other.unlink()
    told = _lint(copy)
    path.unlink()
    other.unlink(missing_ok=True)
    if path.name == "__init__.py":
        shutil.rmtree(path.parent)
    assert told.returncode == 1
    assert any(_CONTRACT_OF.get(sin, sin) in line for line in told.stdout.splitlines() if "KEPT" not in line)
