"""Keep one daemon of a name: a lock that ends with the process that holds it, and a file that says where it listens."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tradelab.model.errors import ConfigError, StorageError
from tradelab.spine.names import checked_node
from tradelab.store.home import home

_LONGEST_SOCKET = 100  # bytes of a unix socket's path; Linux takes 107, macOS 103
_PATIENCE_S = 2.0  # somebody may be looking whether the lock is held
HAS_UNIX_SOCKETS = hasattr(socket, "AF_UNIX")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a daemon listens: at a unix socket, or on loopback with a token; the file that holds it is 0600."""

    node: str
    pid: int
    socket: str | None
    url: str | None = None
    token: str | None = None
    webhook: str | None = None
    config: str | None = None
    started_ns: int = 0
    version: str = ""

    def __repr__(self) -> str:
        return f"Address({self.node!r}, pid {self.pid}, {self.socket or self.url})"


class RunFolder:
    """What a running daemon keeps beside the records, in ``run/<node>`` of tradelab's home; the folder is 0700."""

    def __init__(self, node: str, root: Path | None = None) -> None:
        self.node = checked_node(node)
        self.path = (root or home() / "run") / node

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @property
    def log(self) -> Path:
        """The file of what the daemon has to say, JSON by the line."""
        return self.path / "daemon.log"

    @property
    def console(self) -> Path:
        """What a detached daemon writes to its terminal; empty while all is well."""
        return self.path / "console.log"

    @property
    def socket(self) -> Path:
        """Where the socket is: in the folder, or, where its path would be too long for one, in a short one."""
        here = self.path / "api.sock"
        if len(os.fsencode(here)) <= _LONGEST_SOCKET:
            return here
        name = hashlib.sha256(os.fsencode(here)).hexdigest()[:16]
        short = [Path(root) / f"tradelab-{os.getuid()}" / f"{name}.sock" for root in (tempfile.gettempdir(), "/tmp")]
        return next((path for path in short if len(os.fsencode(path)) <= _LONGEST_SOCKET), short[-1])

    def make(self) -> None:
        """Make the folder, for its user alone.

        Raises
        ------
        StorageError
            It cannot be made.
        ConfigError
            The folder of the socket is somebody else's.
        """
        try:
            for folder in (self.path.parent, self.path, self.socket.parent):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if os.name == "posix":
                self.path.chmod(0o700)
                _require_ours(self.socket.parent)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be made: {error.strerror}.", fix="Make it writable.") from None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the name until the block, or the process, ends.

        Raises
        ------
        ConfigError
            Another process holds it.
        """
        self.make()
        file = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        until = time.monotonic() + _PATIENCE_S
        try:
            while not _lock(file):
                if time.monotonic() > until:
                    raise self._is_taken()
                time.sleep(0.05)
            self.forget()
            try:
                yield
            finally:
                self.forget()
        finally:
            os.close(file)

    @property
    def is_held(self) -> bool:
        """Whether a daemon of this name lives; one that was killed holds nothing."""
        try:
            file = os.open(self.path / "lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return not _lock(file, only_look=True)
        finally:
            os.close(file)

    def tell(self, address: Address) -> None:
        """Say where the daemon listens; whoever reads it sees the old file or the new one, whole."""
        partial = self.path / "daemon.json.part"
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(address), file)
        partial.replace(self.path / "daemon.json")

    def address(self) -> Address | None:
        """Return where the daemon listens; ``None`` where none has said so, or it is gone."""
        try:
            told: dict[str, Any] = json.loads((self.path / "daemon.json").read_text(encoding="utf-8"))
            return Address(**told)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise StorageError(
                f"{self.path}/daemon.json cannot be read: {error}.", fix="Start the daemon again."
            ) from None

    def forget(self) -> None:
        """Take away what a daemon left that was killed: its address and its socket."""
        for left in (self.path / "daemon.json", self.socket):
            left.unlink(missing_ok=True)

    def _is_taken(self) -> ConfigError:
        address = self.address()
        who = "" if address is None else f" (process {address.pid})"
        return ConfigError(
            f"node {self.node!r} runs already{who}.",
            fix=f"Look at it: tradelab status {self.node}; end it: tradelab down {self.node}; "
            "or give the new one another name in its file.",
        )


def nodes(root: Path | None = None) -> tuple[RunFolder, ...]:
    """Return the folders of all nodes that ever ran here."""
    folder = root or home() / "run"
    if not folder.is_dir():
        return ()
    return tuple(RunFolder(path.name, folder) for path in sorted(folder.iterdir()) if (path / "lock").exists())


def listen(path: Path) -> socket.socket:
    """Return a socket at ``path`` that its user alone can reach, from the first moment on."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(128)
    listener.setblocking(False)
    return listener


def _require_ours(folder: Path) -> None:
    told = folder.stat()
    if told.st_uid != os.getuid() or told.st_mode & 0o077:
        raise ConfigError(
            f"{folder} can be used by others, and a socket in it would be theirs too.",
            fix="Remove it, or chmod 700 it.",
        )


if os.name == "posix":
    import fcntl

    def _lock(file: int, *, only_look: bool = False) -> bool:
        """Take the lock of an open file, or say that somebody has it; it ends with the file, and lookers share it."""
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if only_look else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

else:
    import msvcrt

    def _lock(file: int, *, only_look: bool = False) -> bool:
        """Take the lock of an open file, or say that somebody has it; it ends with the file."""
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        except OSError:
            return False
        return True
