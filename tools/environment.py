"""Make the environment in ``.venv`` from the hashed lock, with uv where it is installed and with pip where it is not.

Standard library only: this is the first thing a fresh clone runs. A second run finds its stamp and leaves at once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDS = (3, 11)
_MADE_FROM = ("requirements.lock", "pyproject.toml", "tools/environment.py")
_NOT_WORTH_COMPILING = r"[\\/](tests?|lib2to3)[\\/]"


class SetupError(Exception):
    """The environment cannot be made; the message says what to do."""


def recipe(root: Path = ROOT) -> str:
    """Return a hash that changes whenever the environment would have to be made anew."""
    digest = hashlib.sha256(sys.version.encode())
    for name in _MADE_FROM:
        digest.update(name.encode() + b"\0" + (root / name).read_bytes())
    return digest.hexdigest()


def python_of(folder: Path) -> Path:
    """Return where the interpreter of the environment in ``folder`` lies on this system."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def is_ready(folder: Path, wanted: str) -> bool:
    """Say whether the environment in ``folder`` was finished from the recipe ``wanted``."""
    stamp = folder / "tradelab.stamp"
    return python_of(folder).exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted


def make(folder: Path) -> None:
    """Make the environment in ``folder``, or finish one that an interrupted set-up left."""
    if sys.version_info < NEEDS:
        have = ".".join(map(str, sys.version_info[:3]))
        raise SetupError(f"tradelab needs Python 3.11 or newer; this is {have}. Try: make setup PYTHON=python3.12")
    wanted = recipe()
    if is_ready(folder, wanted):
        return
    began = time.monotonic()
    (folder / "tradelab.stamp").unlink(missing_ok=True)
    uv = shutil.which("uv")
    _say(f"making {folder.name}/ with {'uv' if uv else 'pip; uv would take seconds'}")
    install = _with_uv(uv, folder) if uv else _with_pip(folder)
    _run([*install, "--require-hashes", "-r", "requirements.lock"])
    _run([*install, "--no-deps", "--no-build-isolation", "-e", "."])
    _say("compiling to bytecode")
    _compile(folder)
    _run([str(python_of(folder)), "-m", "tradelab.app.warm"])
    (folder / "tradelab.stamp").write_text(wanted, encoding="utf-8")
    _say(f"ready in {time.monotonic() - began:.0f} s")


def _with_uv(uv: str, folder: Path) -> list[str]:
    if not _works(folder):
        shutil.rmtree(folder, ignore_errors=True)
        _run([uv, "venv", "-q", "--no-python-downloads", "--python", sys.executable, str(folder)])
    return [uv, "pip", "install", "-q", "--python", str(python_of(folder))]


def _with_pip(folder: Path) -> list[str]:
    python = str(python_of(folder))
    if not _works(folder) or subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode:
        try:
            venv.create(folder, clear=True, with_pip=True, symlinks=os.name != "nt")
        except subprocess.CalledProcessError as error:
            raise SetupError(
                "this Python cannot make environments (its ensurepip is missing). "
                "On Debian and Ubuntu: apt-get install python3-venv. Or install uv and run `make setup` again."
            ) from error
    quietly = ["-q", "--progress-bar", "off", "--disable-pip-version-check"]
    return [python, "-m", "pip", "install", "--no-compile", *quietly]


def _works(folder: Path) -> bool:
    """Whether the interpreter in ``folder`` starts and is the version we were started with."""
    python = python_of(folder)
    if not python.exists():
        return False
    told = subprocess.run([python, "-c", "import sys; print(sys.version)"], capture_output=True, text=True, check=False)
    return told.stdout.strip() == sys.version.strip()


def _compile(folder: Path) -> None:
    """Compile what was installed, and ourselves: an environment may say PYTHONDONTWRITEBYTECODE, and we start cold."""
    python = str(python_of(folder))
    purelib = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    installed = subprocess.run(purelib, capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(
        [python, "-m", "compileall", "-q", "-j", "0", "-x", _NOT_WORTH_COMPILING, installed, "tradelab", "widgets"],
        cwd=ROOT,
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # a package may ship a file for another Python; what does not compile is not imported either


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        shown = " ".join(Path(word).name if word.startswith("/") else word for word in command)
        raise SetupError(f"`{shown}` failed with exit code {done.returncode}; its own words are above.")


def _say(line: str) -> None:
    sys.stdout.write(f"setup: {line}\n")
    sys.stdout.flush()


def main() -> int:
    """Make ``.venv`` beside this project; return the exit code."""
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"):
        os.environ.pop(name, None)
    try:
        make(ROOT / ".venv")
    except SetupError as error:
        sys.stderr.write(f"setup: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
