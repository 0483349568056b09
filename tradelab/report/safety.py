"""Keep secrets and this machine's folders out of what we write for others."""

from __future__ import annotations

import html
import json
import os
import re
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tradelab.model.errors import ConfigError

SECRET_NAME = re.compile(r"secret|token|password|passwd|api_?key|private_?key", re.IGNORECASE)
REDACTED = "[redacted]"
_SHORTEST_SECRET = 8
_REGISTERED: set[str] = set()
# An absolute path whose first folder belongs to people or machines, not to the web: /home/ana/x.py, C:\Users\Ana\x.py.
_BEFORE = r"(?:(?<=\dm)|(?<![\w.~/-]))"  # not inside a word or an address; a terminal's colour code may stand before
_UNIX_PATH = re.compile(_BEFORE + r"/(?:home|root|Users|tmp|var|private|usr|opt|mnt|media|srv|etc)(?:/[\w.@+\-]+)+")
_WINDOWS_PATH = re.compile(r"\b[A-Za-z]:\\(?:[^\\/:*?\"<>|\r\n]+\\)+[^\\/:*?\"<>|\s]+")


def register_secret(value: str) -> None:
    """Remember a value for the rest of this process as one that no file may hold."""
    if len(value) >= _SHORTEST_SECRET:
        _REGISTERED.add(value)


def known_secrets(extra: Iterable[str] = (), environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Every value that must not be written: registered ones, ``extra``, and environment variables named like a secret.

    Values shorter than eight characters are left out: they would redact ordinary words.
    """
    environ = os.environ if environ is None else environ
    named = (value for name, value in environ.items() if SECRET_NAME.search(name))
    found = {value.strip() for value in (*_REGISTERED, *extra, *named)}
    return tuple(sorted((value for value in found if len(value) >= _SHORTEST_SECRET), key=lambda v: (-len(v), v)))


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace each secret, also as JSON, HTML or a URL would spell it.

    >>> redact('key=correct-horse, "correct-horse"', ["correct-horse"])
    'key=[redacted], "[redacted]"'
    """
    for secret in secrets:
        for spelling in _spellings(secret):
            text = text.replace(spelling, REDACTED)
    return text


def refuse_secrets(text: str, secrets: Iterable[str]) -> None:
    """Refuse a text that holds a known secret.

    Raises
    ------
    ConfigError
        The message says where the first one stands, never what it is.
    """
    for secret in secrets:
        for spelling in _spellings(secret):
            at = text.find(spelling)
            if at >= 0:
                raise ConfigError(
                    f"the report would hold a secret, {len(secret)} characters long, at character {at} of its text.",
                    fix="Take it out of the cell that shows it, or pass the text through report.safety.redact.",
                )


def strip_paths(text: str, replacements: Iterable[tuple[str, str]] | None = None) -> str:
    """Shorten local paths to what a stranger can read: the working folder to '.', the home folder to '~'.

    Parameters
    ----------
    replacements
        Pairs (folder, what to write for it), tried in order before the general rule; default: `local_folders`.

    >>> strip_paths("File /home/ana/lab/x.py, line 3", [("/home/ana/lab", ".")])
    'File ./x.py, line 3'
    >>> strip_paths("see https://example.org/home/ana and /home/ana/notes/a.txt", [])
    'see https://example.org/home/ana and …/a.txt'
    """
    if "/" not in text and "\\" not in text:
        return text  # most strings of a chart are dates, by the ten thousand
    text = text.replace("file:///", "/")
    for folder, short in local_folders() if replacements is None else replacements:
        text = re.sub(rf"{_BEFORE}{re.escape(folder)}(?![\w.-])", short, text)
    text = _UNIX_PATH.sub(lambda path: "…/" + path[0].rsplit("/", 1)[1], text)
    return _WINDOWS_PATH.sub(lambda path: "…\\" + path[0].rsplit("\\", 1)[1], text)


def local_folders() -> tuple[tuple[str, str], ...]:
    """Folders of this machine with the short words that stand for them, longest first."""
    folders = {
        sysconfig.get_path("purelib"): "site-packages",
        sysconfig.get_path("stdlib"): "python",
        sys.prefix: "env",
        sys.base_prefix: "python",
        tempfile.gettempdir(): "tmp",
        str(Path.home()): "~",
        str(Path.cwd()): ".",
    }
    real = {os.path.realpath(folder): short for folder, short in folders.items()}
    useful = ((folder, short) for folder, short in {**real, **folders}.items() if len(folder) > len("/usr"))
    return tuple(sorted(useful, key=lambda pair: -len(pair[0])))


def over_strings(value: Any, change: Callable[[str], str], skip: Iterable[str] = ("bdata",)) -> Any:
    """Apply ``change`` to every string inside lists and mappings; keys in ``skip`` keep their value."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list | tuple):
        return [over_strings(item, change, skip) for item in value]
    if isinstance(value, Mapping):
        return {key: item if key in skip else over_strings(item, change, skip) for key, item in value.items()}
    return value


@cache
def _spellings(secret: str) -> tuple[str, ...]:
    as_json = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
    twice = json.dumps(as_json[0])[1:-1]
    return tuple(dict.fromkeys((secret, *as_json, twice, html.escape(secret), quote(secret, safe=""), quote(secret))))
