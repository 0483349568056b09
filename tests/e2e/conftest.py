"""Give each module of browser tests a Chromium: the system's, else playwright's own, else skip and say why."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

collect_ignore = ["jupyterlab.py"]  # a plugin: collected for doctests it would be imported before pytest can rewrite it
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium (a playwright ``Browser``), closed before other modules: while it is open a loop is running.

    Whoever calls ``asyncio.run`` on this thread meanwhile would be refused.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    system = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with playwright.sync_playwright() as session:
        try:
            launched = session.chromium.launch(executable_path=system, args=_FLAGS)
        except playwright.Error as error:
            pytest.skip(f"no Chromium here: {str(error).splitlines()[0]}")
        yield launched
        launched.close()
