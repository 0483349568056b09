"""Give every test the same world: fixed seeds, folders of its own, and a way to call noisy oracles."""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

# What an assertion of a card saw is shown, whoever imports the cards first.
_CARDS = "stage asking changing connecting failing protecting refusing resting streaming trading"
pytest.register_assert_rewrite(*(f"tests.conformance.{part}" for part in _CARDS.split()))

from tests.canary import Canary  # noqa: E402
from tests.store_fixtures import any_url, database, new_url, postgresql, url  # noqa: E402, F401 (fixtures)

ROOT = Path(__file__).parents[1]

# The same examples on every machine and every day; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("house", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


def pytest_configure(config: pytest.Config) -> None:
    """Point bars, runs and Jupyter at throw-away folders; compiled kernels stay in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("TRADELAB_KERNEL_CACHE", str(cache / "tradelab" / "kernels"))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    world = Path(tempfile.mkdtemp(prefix="tradelab-tests-"))  # one each for pytest and for every xdist worker
    config.add_cleanup(lambda: shutil.rmtree(world, ignore_errors=True))
    for name, folder in {
        "TRADELAB_HOME": "home",
        "TRADELAB_RUNS": "runs",
        "JUPYTER_CONFIG_DIR": "jupyter/config",
        "JUPYTER_DATA_DIR": "jupyter/data",
        "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
        "IPYTHONDIR": "ipython",
        "MPLCONFIGDIR": "matplotlib",
    }.items():
        (world / folder).mkdir(parents=True)
        os.environ[name] = str(world / folder)
    os.environ["MPLBACKEND"] = "agg"
    kept = () if hasattr(config, "workerinput") else (ROOT / "notebooks", ROOT / "runs")
    config.pluginmanager.register(Canary(config, world, *kept), "canary")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which source files are the largest, on every run, so that growth is seen."""
    lines = {path: len(path.read_bytes().splitlines()) for path in (ROOT / "tradelab").rglob("*.py")}
    largest = sorted(lines, key=lines.__getitem__, reverse=True)[:5]
    shown = " · ".join(f"{path.relative_to(ROOT / 'tradelab').as_posix()} {lines[path]}" for path in largest)
    terminalreporter.write_line(f"largest source files (budget 450 lines): {shown}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of study material beside the clone; a test that needs it skips where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("../shared is not beside this clone")
    return folder


@pytest.fixture(scope="session")
def canary(pytestconfig: pytest.Config) -> str:
    """The secret of a connection in a test: the session fails if it is found in anything that the session leaves."""
    plugin: Canary | None = pytestconfig.pluginmanager.get_plugin("canary")
    assert plugin is not None
    return plugin.text


@pytest.fixture(scope="session")
def oracle() -> Callable[[str], ModuleType]:
    """Import another library to check ourselves against, without its warnings (ours stay errors).

    Its calls may warn too: mark such a test with ``@pytest.mark.filterwarnings("ignore")``.
    """

    def load(name: str) -> ModuleType:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)

    return load
