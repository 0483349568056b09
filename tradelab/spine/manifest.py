"""Declare what a module is: its shape, what it needs, what it hears and says; and join modules, or say why not."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from tradelab.model.errors import ConfigError, UnknownNameError
from tradelab.model.messages import Message


class Shape(enum.Enum):
    """What a module may do; one of five, learnt in a minute."""

    SOURCE = "source"  # says what happened, or what somebody wants
    GATE = "gate"  # lets a signal pass, makes it smaller, or drops it
    EXECUTOR = "executor"  # makes orders of what has passed
    SINK = "sink"  # looks on, and cannot influence
    OFFLINE = "offline"  # runs the same gates over history


class OnError(enum.Enum):
    """What a mistake inside a module leads to; none of these lets a signal through."""

    HALT = "halt"  # nothing is sent any more until a person says so
    DROP = "drop"  # the signal at hand comes to nothing
    ISOLATE = "isolate"  # the module is left out, an alarm is raised, the others go on


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a module is, known without importing it.

    Parameters
    ----------
    name
        Its folder, and its table in a node's TOML file.
    requires
        Modules that must be on.
    after
        Modules that come before it where they are on.
    live_requires
        Modules that must be on where any bot trades a live account.
    hears, tells
        Messages that it reacts to, and those it says.
    stage
        Where its stage is, ``"package.module:Class"``: imported only where the module is on. ``None`` for an offline
        module, which has none.
    """

    name: str
    shape: Shape
    says: str
    on_error: OnError
    requires: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    live_requires: tuple[str, ...] = ()
    hears: tuple[type[Message], ...] = ()
    tells: tuple[type[Message], ...] = ()
    stage: str | None = None


def assemble(known: Iterable[Manifest], on: Iterable[str], *, live: bool = False) -> tuple[Manifest, ...]:
    """Return the modules that are on, in the order in which they hear; or refuse the combination.

    Raises
    ------
    UnknownNameError
        No module is called that.
    ConfigError
        Nothing is on, or a module lacks one that it requires; the sentence names both.
    """
    by_name = {manifest.name: manifest for manifest in known}
    wanted = dict.fromkeys(on)
    for name in wanted:
        if name not in by_name:
            raise UnknownNameError.of("module", name, by_name)
    if not wanted:
        raise ConfigError("no module is on: there is nothing to run.", allowed=by_name, fix="Switch one on.")
    for manifest in by_name.values():
        if manifest.name not in wanted:
            continue
        needed = manifest.requires + (manifest.live_requires if live else ())
        for missing in (name for name in needed if name not in wanted):
            why = " of a live account" if missing in manifest.live_requires and missing not in manifest.requires else ""
            raise ConfigError(
                f"module {manifest.name!r}{why} requires {missing!r}, which is off.",
                fix=f"Switch {missing} on, or {manifest.name} off.",
            )
    return _in_order([manifest for manifest in by_name.values() if manifest.name in wanted])


def _in_order(on: list[Manifest]) -> tuple[Manifest, ...]:
    """Sort so that each comes after what it requires and follows; else as they were declared."""
    placed: list[Manifest] = []
    left = list(on)
    names = {manifest.name for manifest in on}
    while left:
        done = {manifest.name for manifest in placed}
        ready = [m for m in left if {*m.requires, *m.after} & names <= done]
        if not ready:
            raise ConfigError(f"modules wait for each other: {', '.join(m.name for m in left)}.")
        placed.append(ready[0])
        left.remove(ready[0])
    return tuple(placed)
