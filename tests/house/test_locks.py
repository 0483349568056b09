"""Keep lock, constraints, conda's file and the project's own list in agreement."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.house.tree import ROOT

_LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
_CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def _pins(text: str) -> list[Requirement]:
    lines = [line.removesuffix("\\").strip() for line in text.splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("--hash=")]


def _direct() -> list[Requirement]:
    """What pyproject asks for by name, the extras and the build's own needs included."""
    project = _PROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values(), _PROJECT["build-system"]["requires"]]
    asked = [Requirement(line) for group in groups for line in group]
    return [requirement for requirement in asked if requirement.name != "tradelab"]


def test_lock_and_constraints_pin_the_same() -> None:
    assert [str(pin) for pin in _pins(_LOCK)] == [str(pin) for pin in _pins(_CONSTRAINTS)]


def test_every_pin_is_exact_and_hashed() -> None:
    for block in re.split(r"\n(?=\S)", _LOCK.strip()):
        assert re.match(r"[\w.-]+==\S+", block)
        assert "--hash=sha256:" in block


@pytest.mark.parametrize("asked", _direct(), ids=str)
def test_what_pyproject_asks_for_is_pinned_within_its_range(asked: Requirement) -> None:
    pins = [pin for pin in _pins(_LOCK) if canonicalize_name(pin.name) == canonicalize_name(asked.name)]
    assert pins, f"{asked.name} is not in requirements.lock; run `make lock`"
    for pin in pins:
        (exact,) = pin.specifier
        assert exact.version in asked.specifier, f"{pin} is outside {asked}; run `make lock`"


@pytest.mark.parametrize("name", ["requirements.lock", "constraints.txt", "environment.yml"])
def test_no_lock_names_a_host_or_a_path(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for foreign in ("://", "file:", "--index", "--extra-index", "--find-links", " @ ", "/"):
        assert foreign not in re.sub(r"#.*", "", text)


def test_no_lock_of_uv_is_kept() -> None:
    assert not (ROOT / "uv.lock").exists()


def test_conda_installs_the_same_pins_and_the_editable_project() -> None:
    (pip,) = [item["pip"] for item in _CONDA["dependencies"] if isinstance(item, dict)]
    assert pip == ["--constraint constraints.txt", "--editable .[dev]"]
    assert _CONDA["channels"] == ["conda-forge", "nodefaults"]


def test_conda_brings_a_python_we_support() -> None:
    (python,) = [item for item in _CONDA["dependencies"] if str(item).startswith("python=")]
    assert python.removeprefix("python=") in SpecifierSet(_PROJECT["project"]["requires-python"])
