"""Make an environment for each peer under ``bench/.envs``, on demand, or say why it cannot be made.

Standard library only. A second call finds its stamp and leaves at once. Everything is compiled to bytecode, for an
import that compiles first costs three times as much and says nothing about the peer.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1]
ROOT = BENCH.parent
HOME = BENCH / ".envs"
INSTALL_S = 1200
OURS = "ours"
_SHOWN = ("numpy", "pandas", "numba")
_ASK_VERSIONS = (
    "import importlib.metadata as m, json, platform; "
    "print(json.dumps({'python': platform.python_version(),"
    " **{(d.metadata['Name'] or '?').lower().replace('_', '-'): d.version for d in m.distributions()}}))"
)


@dataclass(frozen=True)
class Environment:
    """An interpreter that has one peer installed, or the reason why there is none.

    Parameters
    ----------
    name, title
        The peer's key in ``versions.toml``, and what a row calls it.
    python
        Path of the interpreter, ``None`` when the peer could not be installed.
    versions
        The peer's version and those of what it computes with, by name.
    reason
        Why it could not be installed; empty when it could.
    """

    name: str
    title: str
    python: Path | None
    versions: dict[str, str]
    reason: str = ""


def table() -> dict[str, dict]:
    """Return the pinned peers, by name, as ``versions.toml`` has them."""
    return tomllib.loads((Path(__file__).parent / "versions.toml").read_text(encoding="utf-8"))


def clean(env: dict[str, str] | None = None) -> dict[str, str]:
    """Return environment variables for a child: bytecode allowed, no Python path of ours."""
    leave = {"PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in leave} | (env or {})


def ours() -> Environment:
    """Return the environment this very process runs in."""
    return Environment(OURS, "tradelab", Path(sys.executable), _versions(Path(sys.executable), ["tradelab"]))


def get(name: str, *, install: bool = True) -> Environment:
    """Return the environment of one peer, made now if it must and may be.

    Parameters
    ----------
    name
        A key of ``versions.toml``.
    install
        ``False`` takes only what an earlier call has installed.
    """
    peer = table()[name]
    folder = HOME / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    recipe = hashlib.sha256(json.dumps([sys.version, peer["requires"]]).encode()).hexdigest()
    stamp, failed = folder / "bench.stamp", HOME / f"{name}.failed"
    if not (python.exists() and stamp.exists() and stamp.read_text() == recipe):
        if not install:
            return Environment(name, peer["title"], None, {}, "not installed yet (a full run installs it)")
        reason = _install(folder, python, peer["requires"])
        if reason:
            failed.write_text(reason, encoding="utf-8")
            return Environment(name, peer["title"], None, {}, reason)
        failed.unlink(missing_ok=True)
        stamp.write_text(recipe)
    names = [re.split(r"[=<>\[]", requirement)[0] for requirement in peer["requires"]]
    return Environment(name, peer["title"], python, _versions(python, names))


def _install(folder: Path, python: Path, requires: list[str]) -> str:
    """Install into ``folder``; return an empty string, or why it failed."""
    HOME.mkdir(exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv")
    if uv:
        steps = [
            [uv, "venv", "-q", "--no-python-downloads", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "-q", "--python", str(python), *requires],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", "-q", "--no-compile", "--progress-bar", "off", *requires],
        ]
    for step in steps:
        try:
            done = subprocess.run(
                step, cwd=BENCH, env=clean(), capture_output=True, text=True, timeout=INSTALL_S, check=False
            )
        except subprocess.TimeoutExpired:
            return f"the installation took longer than {INSTALL_S / 60:.0f} minutes"
        if done.returncode:
            return _why(done.stderr + done.stdout)
    packages = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(packages, capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(
        [str(python), "-m", "compileall", "-q", "-j", "0", site], env=clean(), capture_output=True, check=False
    )  # a package may ship a file for another Python; what does not compile is not imported either
    return ""


def _why(words: str) -> str:
    """The last thing an installer called an error, without addresses and paths."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(?i)(error|× |.*no matching|.*conflict)", line)]
    chosen = (errors or lines or ["no message"])[-1]
    chosen = re.sub(r"https?://\S+", "(address)", chosen)
    return re.sub(r"(?<![\w.])/[\w./-]+", "(path)", chosen).removeprefix("ERROR: ")[:200]


def _versions(python: Path, names: list[str]) -> dict[str, str]:
    told = subprocess.run([str(python), "-c", _ASK_VERSIONS], env=clean(), capture_output=True, text=True, check=True)
    known = json.loads(told.stdout)
    wanted = dict.fromkeys([*(n.lower().replace("_", "-") for n in names), *_SHOWN, "python"])
    return {name: known[name] for name in wanted if name in known}
