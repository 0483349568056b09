"""Keep the start cheap: importing tradelab, or asking it for help, loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

_HEAVY = {
    "ccxt", "vectorbt", "plotly", "openai", "IPython", "ipykernel", "ipywidgets", "jupyter_client", "jupyter_core",
    "jupyterlab", "nbclient", "nbconvert", "nbformat", "papermill", "pandas", "numpy", "numba", "pyarrow", "matplotlib",
    "scipy", "pydantic", "requests", "aiohttp",
}  # fmt: skip
_STARTS = {
    "import tradelab": "import tradelab",
    "the command line": "import tradelab.app.cli",
    "tradelab --help": "from tradelab.app.cli import main; main(['--help'], standalone_mode=False)",
    "dir(tradelab)": "import tradelab; dir(tradelab); tradelab.__version__",
    "an error of ours": "import tradelab; tradelab.TradelabError; tradelab.Timeframe; tradelab.Instrument",
}


@pytest.mark.parametrize("start", _STARTS)
def test_nothing_heavy_is_loaded_by(start: str) -> None:
    program = _STARTS[start] + "\nimport sys; print('LOADED', *sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    loaded = {module.partition(".")[0] for module in told.rpartition("LOADED")[2].split()}
    assert not loaded & _HEAVY
    assert "tradelab" in loaded


def test_the_probe_would_see_a_heavy_module() -> None:
    program = "import tradelab, numpy, sys; print('LOADED', *sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "numpy" in told.rpartition("LOADED")[2].split()
