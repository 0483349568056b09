"""Say which names a node's file may give: they become names of files, scopes of commands, parts of orders' names."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tradelab.model.errors import ParameterError

NODE_NAME = re.compile(r"\w[\w.-]{0,39}")  # it is a folder, and stands in the path of a socket


def checked_node(name: str) -> str:
    """Return the name of a node, if it can be one.

    >>> checked_node("paper-2")
    'paper-2'
    """
    if not NODE_NAME.fullmatch(name):
        raise ParameterError(
            f"a node cannot be called {name!r}.", allowed=["letters, digits, '_', '-' and '.', at most 40"]
        )
    return name


def check_names(what: str, names: Iterable[str]) -> None:
    """Require that each can be the name of a bot, an account, a preset: what a saved connection may be called, too.

    >>> check_names("account", ["my pocket"])
    >>> check_names("account", ["../zz"])
    Traceback (most recent call last):
    ...
    tradelab.model.errors.ParameterError: account: name '../zz' is not one: at most 64 letters, digits, ...
    """
    from tradelab.store.checks import checked_name  # here: who only looks for a daemon's folder needs no records

    for name in names:
        try:
            checked_name(name)
        except ParameterError as error:
            raise ParameterError(f"{what}: {error.problem}") from None


def require_apart(what: str, names: Iterable[str]) -> None:
    """Require that names differ in more than large and small letters: not every disk tells those apart."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise ParameterError(f"{what} {other!r} and {name!r} differ in large and small letters alone: rename one.")
