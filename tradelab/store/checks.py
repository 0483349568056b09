"""Refuse what a connection must not be, and say when a change makes its last test worthless."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tradelab.model.errors import ParameterError
from tradelab.store.records import AccountKind, json_text
from tradelab.store.settings import Provider, Purpose


def asks_for_a_test(row: Mapping[str, Any], given: Mapping[str, Any], declared: Provider) -> bool:
    """Whether a test passed before says nothing about the connection after this change."""
    if any(name in given and given[name] != row[name] for name in ("purposes", "account_kind")):
        return True
    if "settings" not in given:
        return False
    was, becomes = json.loads(row["settings"]), json.loads(given["settings"])
    return any(was.get(name) != becomes.get(name) for name in {*was, *becomes} - declared.settings.light)


def purposes_text(given: str | Iterable[str], declared: Provider) -> str:
    """Return the purposes as the records keep them, if there is one and the provider offers all."""
    asked = {given} if isinstance(given, str) else {str(purpose) for purpose in given}
    offered = [purpose.value for purpose in Purpose if purpose in declared.purposes]
    wrong = sorted(asked - set(offered))
    if wrong or not asked:
        says = f"{', '.join(map(repr, wrong))}: not offered" if wrong else "at least one must be given"
        raise ParameterError(f"purposes of a connection to {declared.id}: {says}.", allowed=offered)
    return json_text([purpose for purpose in offered if purpose in asked])


def account_kind_of(given: str) -> str:
    """Return the kind of account, if it is one."""
    if given not in list(AccountKind):
        raise ParameterError(f"account_kind {given!r} is not known.", allowed=list(AccountKind))
    return AccountKind(given).value


def checked_name(name: str) -> str:
    """Return the name, if it can be one."""
    if not re.fullmatch(r"\w(?:[\w .\-]{0,62}[\w.\-])?", name):
        raise ParameterError(
            f"name {name!r} is not one: at most 64 letters, digits, spaces and . _ -, beginning with a letter or digit."
        )
    return name


def checked_person(role: str, name: str) -> str:
    """Return who owns or acts, if that can be a name."""
    if not name.strip() or len(name) > 64 or not name.isprintable():
        raise ParameterError(f"{role} {name[:80]!r} is not a name: 1 to 64 characters.")
    return name


def taken(name: str) -> ParameterError:
    """Return the refusal of a name that another connection has."""
    return ParameterError(
        f"there is a connection {name!r} already.", fix="Choose another name, or delete that one first."
    )
