"""Read the table ``[daemon]`` of a node's file: its doors, and whom it tells what."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from tradelab.model.errors import ConfigError
from tradelab.spine.config import NodeConfig, parse_node
from tradelab.spine.tables import Seconds, Table

About = Literal["fills", "stops", "guards", "errors", "disconnects", "states"]
ALL_ABOUT: tuple[About, ...] = ("fills", "stops", "guards", "errors", "disconnects", "states")


class NotifyTable(Table):
    """Whom to tell, about what, how often.

    Parameters
    ----------
    to
        Names under which addresses are sealed: ``tradelab notify add phone``.
    about
        ``fills``, ``stops`` (positions that closed), ``guards`` (limits reached, entries refused by them), ``errors``,
        ``disconnects``, ``states`` (halted, resumed, started, stopped).
    most_per_minute
        What is more waits, and is told together.
    """

    to: tuple[str, ...] = ()
    about: tuple[About, ...] = ALL_ABOUT
    most_per_minute: Annotated[int, Field(gt=0, le=600)] = 6


class DaemonTable(Table):
    """The doors of a daemon.

    Parameters
    ----------
    api
        ``"socket"``: a unix socket that only its user can open; ``"loopback"``: 127.0.0.1 with a token, for systems
        without.
    webhook
        ``"HOST:PORT"`` at which signed signals are taken; ``None`` takes none.
    webhook_window_s
        How old a signed request may be.
    drop
        A folder from which files with signals are taken; ``None`` takes none.
    log_mb, log_files
        When the log is put aside, and how many of those are kept.
    """

    api: Literal["socket", "loopback"] = "socket"
    webhook: str | None = None
    webhook_window_s: Seconds = 60.0
    drop: Path | None = None
    log_mb: Annotated[float, Field(gt=0)] = 20.0
    log_files: Annotated[int, Field(ge=1, le=100)] = 5
    notify: NotifyTable = NotifyTable()

    @field_validator("webhook")
    @classmethod
    def _host_and_port(cls, given: str | None) -> str | None:
        if given is not None:
            _split(given)
        return given

    @field_validator("drop", mode="before")
    @classmethod
    def _a_folder(cls, given: object) -> object:
        if isinstance(given, str) and not given.strip():
            raise ValueError("an empty name is the folder that the daemon was started in, and all its files: name one")
        return given

    @property
    def webhook_at(self) -> tuple[str, int] | None:
        """Host and port of the webhook."""
        return None if self.webhook is None else _split(self.webhook)


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """A node's file: what runs, and how it is reached."""

    path: Path
    node: NodeConfig
    daemon: DaemonTable


def read_live(path: str | Path) -> LiveConfig:
    """Return what a node's file says.

    Raises
    ------
    ConfigError
        It cannot be read, or something in it is unknown, missing or wrong: the message names the field.
    """
    path = Path(path).absolute()
    try:
        told: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", fix="See configs/paper.toml for one that can.") from None
    daemon = told.pop("daemon", {})
    try:
        table = DaemonTable.model_validate(daemon)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(["daemon", *map(str, first["loc"])])
        raise ConfigError(
            f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}.", allowed=sorted(DaemonTable.model_fields)
        ) from None
    return LiveConfig(path, parse_node(told, str(path)), table)


def _split(given: str) -> tuple[str, int]:
    found = re.fullmatch(r"(.+):(\d{1,5})", given)
    if found is None or int(found[2]) > 65_535:
        raise ValueError(f'{given!r} is no address: write "127.0.0.1:8787"')
    return found[1].strip("[]"), int(found[2])
