"""Take signals from files: a program writes one under another name and renames it to ``NAME.json`` when it is whole.

A file that was taken is moved to ``taken``, one that is no signal to ``refused`` with the reason beside it. A signal is
known by its id, so a file that is found again after a kill is the same signal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from tradelab.app.webhook import LARGEST, read_signal
from tradelab.model.errors import ConfigError, StorageError
from tradelab.model.messages import CommandDone

POLL_S = 0.5
_log = logging.getLogger(__name__)

Do = Callable[[dict[str, str]], Awaitable[CommandDone]]


class DropFolder:
    """A folder of signals.

    Parameters
    ----------
    do
        Carries a signal out; what it refuses (:class:`ConfigError`) is the file's fault.

    Raises
    ------
    StorageError
        The folder cannot be made or written to.
    """

    def __init__(self, path: Path, do: Do) -> None:
        self.path = path
        self._do = do
        try:
            for folder in (path, path / "taken", path / "refused"):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageError(
                f"signals cannot be dropped in {path}: {error.strerror}.",
                fix="Make it writable, or change daemon.drop.",
            ) from None

    async def sweep(self) -> int:
        """Take every file that is there, oldest name first, and return how many were."""
        found = await asyncio.to_thread(lambda: sorted(p for p in self.path.glob("*.json") if _is_whole(p)))
        for path in found:
            await self._take(path)
        return len(found)

    async def _take(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                raw = file.read(LARGEST + 1)  # a byte too many is refused, however many more there are
            done = await self._do(read_signal(raw, "file"))
        except FileNotFoundError:
            return  # taken back by who wrote it
        except (ConfigError, OSError) as error:
            self._set_aside(path, str(error))
            return
        if done.done:
            _move(path, self.path / "taken")
            _log.info("%s was taken: %s", path.name, done.says)
        else:
            self._set_aside(path, done.says)

    def _set_aside(self, path: Path, why: str) -> None:
        _log.warning("%s was set aside: %s", path.name, why)
        moved = _move(path, self.path / "refused")
        if moved is not None:
            moved.with_name(f"{moved.name}.reason.txt").write_text(f"{why}\n", encoding="utf-8")


def _is_whole(path: Path) -> bool:
    """Whether a file is one of ours to take: no link, and not named as one that is still written."""
    return path.is_file() and not path.is_symlink() and not path.name.startswith((".", "~"))


def _move(path: Path, folder: Path) -> Path | None:
    """Move a file without putting it in the place of another one."""
    for number in range(10_000):
        to = folder / (path.name if number == 0 else f"{path.stem}-{number}{path.suffix}")
        if not to.exists():
            try:
                return path.rename(to)
            except FileNotFoundError:
                return None
    raise StorageError(f"{folder} is full of files named {path.name}.", fix="Empty it.")
