"""Drive a real JupyterLab in Chromium: a server in a world of its own, and notebooks opened, run and watched in it.

Use: ``pytest_plugins = ("tests.e2e.jupyterlab",)`` in a test file, then the fixture ``jupyterlab``::

    path = jupyterlab.write("try.ipynb", "6 * 7")
    with jupyterlab.opened(path) as notebook:
        cell = notebook.run(0)
        expect(cell.locator(".jp-OutputArea-output").first).to_have_text("42")
        assert notebook.complaints == []

Look for text inside ``.jp-OutputArea`` only (a cell's source matches too), and take ``.first`` (an ``Output`` widget
nests one area in another).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_START_S = 90.0
_PATIENCE_MS = 60_000
_SETTINGS = {
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false", "checkForUpdates": False},
}


@dataclass
class OpenNotebook:
    """A notebook in the browser: its page, its panel, and what was wrong meanwhile.

    ``complaints`` are uncaught errors of the page; ``foreign`` are the requests that left this machine.
    """

    page: Any
    panel: Any
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def run(self, number: int) -> Any:
        """Run the cell and return it once the kernel has answered."""
        from playwright.sync_api import expect

        cell = self.panel.locator(".jp-Cell").nth(number)
        cell.locator(".cm-content").first.click()
        self.page.keyboard.press("Control+Enter")
        expect(cell.locator(".jp-InputPrompt").first).to_have_text(re.compile(r"\[\d+\]"))
        return cell


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab over the folder ``root``."""

    root: Path
    base: str
    token: str
    browser: Any

    def write(self, name: str, *cells: str) -> str:
        """Make a notebook of these code cells and return its path in the lab."""
        nbformat = pytest.importorskip("nbformat")
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.root / name)
        return name

    @contextlib.contextmanager
    def opened(self, path: str, *, width: int = 1400, height: int = 1000, **context: Any) -> Iterator[OpenNotebook]:
        """Open a notebook in a fresh workspace and wait for its kernel; ``context`` goes to the browser."""
        from playwright.sync_api import expect

        expect.set_options(
            timeout=_PATIENCE_MS
        )  # a kernel that compiles for the first time needs more than the usual 5 s
        window = self.browser.new_context(viewport={"width": width, "height": height}, **context)
        page = window.new_page()
        page.set_default_timeout(_PATIENCE_MS)
        notebook = OpenNotebook(page, page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)"))
        page.on("pageerror", lambda error: notebook.complaints.append(str(error)))
        ours = (self.base, self.base.replace("http", "ws", 1), "data:", "blob:")
        page.on("request", lambda r: None if r.url.startswith(ours) else notebook.foreign.append(r.url))
        try:
            page.goto(f"{self.base}/lab/workspaces/{secrets.token_hex(4)}/tree/{path}?reset&token={self.token}")
            page.locator("#jupyterlab-splash").wait_for(state="detached")
            notebook.panel.locator(".jp-Notebook").wait_for()
            # Not the toolbar's indicator: it says idle while there is no kernel, and what is run then is lost.
            page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
            yield notebook
        finally:
            window.close()
            expect.set_options(timeout=5_000)


@pytest.fixture(scope="module")
def jupyterlab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for the module, with settings, workspaces and runtime files of its own."""
    pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")
    home, root = tmp_path_factory.mktemp("jupyter"), tmp_path_factory.mktemp("notebooks")
    with _serving(home, root) as (base, token):
        yield Lab(root, base, token, browser)


@contextlib.contextmanager
def _serving(home: Path, root: Path) -> Iterator[tuple[str, str]]:
    for name, values in _SETTINGS.items():
        file = home / "settings" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    port, token = _free_port(), secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}", "--ServerApp.port_retries=0"]
    command += ["--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with (home / "lab.log").open("w") as log:
        server = subprocess.Popen(
            command, env=_world(home), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            base = f"http://127.0.0.1:{port}"
            _wait_for(f"{base}/api/status?token={token}", server, home / "lab.log")
            yield base, token
        finally:
            _stop(server)


def _world(home: Path) -> dict[str, str]:
    """This process's environment, its own Python first, with Jupyter's folders moved to ``home``."""
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {name: str(home / folder) for name, folder in folders.items()} | {"PATH": path}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError) as error:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"JupyterLab did not start ({error}):\n{log.read_text()[-3000:]}")
            time.sleep(0.1)


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the server, which ends its kernels."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
