"""Begin and end the process of a daemon: detached from the terminal, waited for, and never two of one name."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tradelab.app.handle import Handle
from tradelab.app.run_folder import Address, RunFolder
from tradelab.model.credentials import Secret
from tradelab.model.errors import ConfigError, ConnectivityError, LeaseError, RunError, StorageError

PROGRAM: tuple[str, ...] = (sys.executable, "-m", "tradelab")
_LOOK_S = 0.1
_STOPPED_S = 15.0


def begin_detached(config: Path, folder: RunFolder, *, wait_s: float, passphrase: Secret | None = None) -> Address:
    """Start a daemon that outlives this terminal, and return where it listens once its engine works.

    Parameters
    ----------
    passphrase
        What its secrets open with; it is handed over on a pipe, which only the two processes hold.

    Raises
    ------
    ConfigError
        One of this name lives.
    RunError
        It ended at once; what it said is repeated.
    ConnectivityError
        It still recovers after ``wait_s`` seconds; it goes on.
    """
    folder.make()
    require_free(folder)
    file = os.open(folder.console, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        process = subprocess.Popen(
            [*PROGRAM, "up", str(config), "--quiet", *([] if passphrase is None else ["--passphrase-stdin"])],
            stdin=subprocess.DEVNULL if passphrase is None else subprocess.PIPE, stdout=file, stderr=file,
            start_new_session=True, close_fds=True,
        )  # fmt: skip
    finally:
        os.close(file)
    _hand_over(process, passphrase)
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        if process.poll() is not None:
            said = folder.console.read_text(encoding="utf-8", errors="replace").strip()
            raise RunError(f"the daemon ended with {process.returncode}: {said or 'it said nothing'}")
        if _works(folder, process.pid):
            address = folder.address()
            if address is not None:
                return address
        time.sleep(_LOOK_S)
    raise ConnectivityError(
        f"node {folder.node!r} still recovers after {wait_s:g} s.", fix=f"It goes on: tradelab status {folder.node}"
    )


def require_free(folder: RunFolder) -> None:
    """Refuse to start a second daemon of one name."""
    if folder.is_held:
        raise ConfigError(f"node {folder.node!r} runs already.", fix=f"Look at it: tradelab status {folder.node}")


def _hand_over(process: subprocess.Popen[bytes], passphrase: Secret | None) -> None:
    if passphrase is None or process.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:  # one that has ended at once says why itself
        pipe.write(passphrase.reveal().encode() + b"\n")


def end(folder: RunFolder, policy: str | None, *, kill: bool = False) -> str:
    """End a daemon and wait until it is gone; return in words how.

    Raises
    ------
    ConfigError
        None of this name lives.
    RunError
        It did not end in time.
    """
    address = folder.address() if folder.is_held else None
    if address is None:
        raise ConfigError(f"node {folder.node!r} does not run.")
    how = "stopped"
    if kill:
        os.kill(address.pid, signal.SIGKILL)
        how = "killed; what it meant is in its journal, and the next start goes on from there"
    else:
        try:
            Handle(folder.node).stop(policy)
        except ConnectivityError:
            if policy is not None:
                raise
            os.kill(address.pid, signal.SIGTERM)
    until = time.monotonic() + _STOPPED_S
    while folder.is_held:
        if time.monotonic() > until:
            raise RunError(
                f"process {address.pid} did not end within {_STOPPED_S:g} s.",
                fix=f"End it for good: tradelab down {folder.node} --kill; nothing that it meant is lost.",
            )
        time.sleep(_LOOK_S)
    return how


def _works(folder: RunFolder, pid: int) -> bool:
    try:
        address = folder.address()
        return (
            address is not None
            and address.pid == pid
            and Handle(folder.node).health(timeout_s=2.0)["phase"] == "running"
        )
    except (ConnectivityError, ConfigError, StorageError, LeaseError):
        return False
