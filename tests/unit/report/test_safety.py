"""Secrets and local folders are found however they are spelled."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from tradelab.report.safety import known_secrets, over_strings, redact, register_secret, strip_paths


def test_secrets_come_from_names_of_the_environment_and_from_registration():
    register_secret("registered-canary")
    found = known_secrets(
        environ={"API_KEY": "key-canary-1", "MY_TOKEN": "short", "HOME": "/home/somebody", "db_Password": "pass-canary"}
    )
    assert {"registered-canary", "key-canary-1", "pass-canary"} <= set(found)
    assert not {"short", "/home/somebody"} & set(found)


@pytest.mark.parametrize("spell", [str, json.dumps, lambda s: json.dumps(json.dumps(s)), quote])
def test_a_secret_is_redacted_in_every_spelling(spell):
    secret = 'cä"n/ary\\9'
    assert redact(f"a {spell(secret)} b", [secret]).replace('"', "").replace("\\", "") == "a [redacted] b"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("/home/ana/lab/x.py:3", "./x.py:3"),
        ("'/home/ana/lab'", "'.'"),
        ("/home/ana/laboratory/x.py", "…/x.py"),
        ("PATH=/usr/bin:/home/bob/bin", "PATH=…/bin:…/bin"),
        ("file:///home/bob/a.csv", "…/a.csv"),
        ("C:\\Users\\Bob\\notes\\a.csv", "…\\a.csv"),
        ("https://example.org/home/page and 3/4", "https://example.org/home/page and 3/4"),
        ("<td>/home/bob/a.csv</td>", "<td>…/a.csv</td>"),
        ("\x1b[32m/tmp/ipykernel_1/2.py\x1b[0m", "\x1b[32m…/2.py\x1b[0m"),
    ],
)
def test_local_paths_are_shortened_and_other_text_is_left(text, clean):
    assert strip_paths(text, [("/home/ana/lab", ".")]) == clean


def test_this_machine_s_own_folders_are_known():
    text = strip_paths(f"{Path.cwd()}/a.py {json.__file__} {sys.executable}")
    assert "./a.py" in text
    assert str(Path.home()) not in text


def test_strings_are_changed_at_any_depth_but_packed_arrays_are_not():
    value = {"a": ["x", {"b": "x"}], "bdata": "x", "n": 1}
    assert over_strings(value, str.upper) == {"a": ["X", {"b": "X"}], "bdata": "x", "n": 1}
