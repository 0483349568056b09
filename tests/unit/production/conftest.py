"""Make small notebooks, and run each kind of ending once for all tests that ask about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = 'symbol = "EURUSD"  # which series\nfast: int = 20\nfees = 0.001\nlive = False\nlots = [1.0]\nend = None\n'

Maker = Callable[..., Path]


@pytest.fixture(scope="session")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Return a function that writes a notebook: a title, a parameters cell, and the given code cells."""

    def make(*code: str, parameters: str = PARAMETERS, name: str = "try") -> Path:
        cells = [
            new_markdown_cell("# A small notebook\n\nWords."),
            new_code_cell(parameters, metadata={"tags": ["parameters"]}),
            *map(new_code_cell, code),
        ]
        path = tmp_path_factory.mktemp("notebook") / f"{name}.ipynb"
        nbformat.write(new_notebook(cells=cells), path)
        return path

    return make
