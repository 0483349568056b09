"""Parameters are refused or converted before a kernel starts; the expected answers are written by hand."""

from __future__ import annotations

import json

import pytest

from tradelab.model.errors import CorruptFileError, ParameterError
from tradelab.production.params import checked, declared, effective


def test_names_defaults_types_and_help_are_read_from_the_tagged_cell(notebook):
    found = {p.name: (p.default, p.kind, p.optional, p.help) for p in declared(notebook())}
    assert found == {
        "symbol": ("EURUSD", "str", False, "which series"),
        "fast": (20, "int", False, ""),
        "fees": (0.001, "float", False, ""),
        "live": (False, "bool", False, ""),
        "lots": ([1.0], "list", False, ""),
        "end": (None, "any", True, ""),
    }


def test_magics_annotations_and_computed_defaults_are_understood(notebook):
    source = "%matplotlib inline\nlimit: int | None = None\nn = -3\nstart = max(1, 2)\nname: str\n"
    found = {p.name: (p.kind, p.optional, p.literal) for p in declared(notebook(parameters=source))}
    assert found["limit"] == ("int", True, True)
    assert found["n"] == ("int", False, True)
    assert found["start"] == ("any", False, False)
    assert found["name"][0] == "str"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("fast", "5", 5),
        ("fast", 5.0, 5),
        ("fees", "1e-4", 0.0001),
        ("fees", 1, 1.0),
        ("live", "yes", True),
        ("live", "False", False),
        ("lots", "1, 2.5", [1.0, 2.5]),
        ("lots", "[3]", [3.0]),
        ("symbol", "10", "10"),
        ("end", "none", None),
        ("end", "7", 7),
        ("end", "2024-01-01", "2024-01-01"),
    ],
)
def test_text_becomes_the_type_of_the_default(notebook, name, text, value):
    assert checked(notebook(), {name: text}) == {name: value}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("fast", "ten", "takes int"),
        ("fast", 2.5, "takes int"),
        ("fast", True, "takes int"),
        ("fees", "nan", "takes float"),
        ("fees", "a", "takes float"),
        ("live", "maybe", "takes bool"),
        ("symbol", 3, "takes str"),
        ("lots", "a,b", "takes list"),
        ("fast", None, "takes int"),
    ],
)
def test_a_value_of_another_type_is_refused_with_name_value_and_type(notebook, name, value, words):
    with pytest.raises(ParameterError, match=words) as refusal:
        checked(notebook(), {name: value})
    assert repr(name) in str(refusal.value)
    assert repr(value) in str(refusal.value)


def test_an_unknown_name_is_refused_with_the_nearest_known_one(notebook):
    with pytest.raises(ParameterError, match="Did you mean 'symbol'"):
        checked(notebook(), {"symbl": "BTC"})


@pytest.mark.parametrize("name", ["api_secret", "token", "db_password", "api_key"])
def test_a_name_that_sounds_like_a_secret_is_refused_with_the_fix(notebook, name):
    with pytest.raises(ParameterError, match=r"os\.environ"):
        checked(notebook(parameters=f'{name} = ""'), {name: "x"})


def test_a_known_secret_is_refused_under_any_name(notebook, monkeypatch):
    monkeypatch.setenv("VENUE_API_KEY", "canary-7f3a9c")
    with pytest.raises(ParameterError, match="known secret") as refusal:
        checked(notebook(), {"symbol": "x canary-7f3a9c"})
    assert "canary" not in str(refusal.value)


def test_a_notebook_without_the_tag_takes_no_parameters(tmp_path):
    bare = tmp_path / "bare.ipynb"
    bare.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}))
    with pytest.raises(ParameterError, match="no cell tagged"):
        checked(bare, {"fast": 1})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"nbformat": 3, "worksheets": []}'])
def test_a_file_that_is_no_notebook_is_refused(tmp_path, text):
    broken = tmp_path / "broken.ipynb"
    broken.write_text(text)
    with pytest.raises(CorruptFileError, match=r"broken\.ipynb"):
        declared(broken)


def test_a_parameters_cell_that_does_not_parse_is_refused(notebook):
    with pytest.raises(ParameterError, match="not plain Python"):
        declared(notebook(parameters="fast = = 3"))


def test_what_runs_is_the_defaults_with_the_given_values_over_them(notebook):
    path = notebook(parameters='a = 1\nb = 2\nc = max(1, 2)\napi_key = "k"')
    assert effective(path, {"b": 5}) == {"a": 1, "b": 5}


@pytest.mark.parametrize(
    ("name", "text"),
    [("symbol", "\udcff"), ("end", "1e999"), ("end", "{1, 2}"), ("end", "b'x'"), ("end", [float("nan")])],
)
def test_what_json_cannot_hold_is_refused_before_a_run_begins(notebook, name, text):
    with pytest.raises(ParameterError, match=name):
        checked(notebook(), {name: text})


def test_a_default_that_json_cannot_hold_stands_as_its_text(notebook):
    path = notebook(parameters="days = {3}\nlimit = 1e999\nfast = 2")
    assert effective(path, {"fast": 5}) == {"days": "{3}", "limit": "inf", "fast": 5}


def test_a_long_value_and_a_deep_one_are_refused_in_few_words(notebook):
    for text in ("x" * 9000, "[" * 9000):
        with pytest.raises(ParameterError) as refusal:
            checked(notebook(), {"lots": text})
        assert len(str(refusal.value)) < 300
