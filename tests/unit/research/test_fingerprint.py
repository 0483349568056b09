"""A fingerprint changes when what a thing means does, and only then."""

from __future__ import annotations

import subprocess
import sys
import types

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import ConfigError
from tradelab.research.fingerprint import fingerprint

BODY = """
def helper(x):
    return x {op} 1

LEVEL = {level}

def made():
    inner = {inner}
    def function(bars, window: int = {window}):
        {words}
        return helper(bars) + window + LEVEL + inner {tail}
    return function
"""
PLAIN = {"op": "+", "level": 3, "inner": 5, "window": 10, "words": '"""One."""', "tail": ""}


def function_of(**changed: object):
    space: dict = {"__name__": "somewhere"}
    exec(BODY.format(**{**PLAIN, **changed}), space)
    return space["made"]()


def test_a_function_is_its_code_defaults_closure_helpers_and_globals():
    plain = fingerprint(function_of())
    changed = [{"op": "-"}, {"level": 4}, {"inner": 6}, {"window": 11}, {"tail": "+ 0.5"}]
    prints = [fingerprint(function_of(**change)) for change in changed]
    assert len({plain, *prints}) == 1 + len(changed)


def test_words_and_blank_lines_are_not_part_of_a_function():
    assert fingerprint(function_of(words='"""Another."""\n\n        # and a comment')) == fingerprint(function_of())


@pytest.mark.parametrize(
    "different",
    [
        [1, 1.0, True, "1", b"1", None, [1], (1,), {"1": 1}, {1}],
        [[1, 2], [2, 1], [[1], 2], [1, 2, None]],
        [np.arange(3), np.arange(3.0), np.arange(3)[None], np.arange(4)[1:]],
        [pd.Series([1.0, 2.0]), pd.Series([2.0, 1.0]), pd.Series([1.0, 2.0], index=[5, 6])],
        [tl.FillPolicy(), tl.FillPolicy(exits_on_entry_bar=False)],
        [tl.Range(1, 2), tl.Range(1, 3), tl.Range(1, 2, log=True)],
    ],
)
def test_values_that_differ_have_different_prints(different):
    assert len({fingerprint(value) for value in different}) == len(different)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({3, 1, 2}, {2, 3, 1}),
        (np.arange(10)[::2], np.array([0, 2, 4, 6, 8])),
        (np.float64(0.5), np.array(0.5)[()]),
        (float("nan"), float("nan")),
    ],
)
def test_values_that_are_alike_have_one_print(one, other):
    assert fingerprint(one) == fingerprint(other)


def test_another_process_finds_the_same_prints():
    program = (
        "from tradelab.research.fingerprint import fingerprint; from tradelab.strategy.registry import find\n"
        "s = find('rsi_reversion'); print(fingerprint((s.function, s.warmup, {'b', 'a', 'c'}, {'x': 1.5})))"
    )
    runs = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in "ab"]
    assert len({run.stdout for run in runs}) == 1
    assert len(runs[0].stdout.strip()) == 16


def test_what_cannot_be_described_is_refused():
    with pytest.raises(ConfigError, match="cannot be described"):
        fingerprint(x for x in "abc")


MOVING = """
import collections, dataclasses, functools
import numpy as np, pandas as pd

class Helper:
    level = {level}
    def __init__(self): self.held = {held}
    def shift(self, x): return x + {shift}

@dataclasses.dataclass
class Terms:
    width: float = {width}

class Slotted:
    __slots__ = ("kept",)
    def __init__(self, kept): self.kept = kept

def scaled(k):
    def decorate(f):
        @functools.wraps(f)
        def wrapped(x): return f(x) * k + {wrapper}
        return wrapped
    return decorate

@scaled({scale})
def half(x): return x / 2

@functools.lru_cache
def cached(x): return x + {cached}

def in_list(x): return x + {listed}
def by_default(x): return x + {default}
class Ordered(collections.OrderedDict):
    def more(self): return {subclass}

SLOTTED, LIST, MINE = Slotted({slotted}), [in_list], Ordered(a=1)
SERIES, FRAME, PARTIAL = pd.Series([1.0, {series}]), pd.DataFrame({{"a": [{frame}]}}), functools.partial(max, {partial})
HELPER, TERMS, SET = Helper(), Terms(), {{1, {member}}}

def function(bars, h=by_default):
    half(bars) + cached(1) + LIST[0](bars) + h(bars) + SLOTTED.kept + MINE.more()
    return HELPER.shift(bars) + Helper.level + SERIES.sum() + FRAME.sum() + PARTIAL(0) + TERMS.width + len(SET)
"""
STILL = {
    "level": 1, "held": 2, "shift": 3, "width": 4.0, "series": 5.0, "frame": 6.0, "partial": 7, "member": 8,
    "wrapper": 9, "scale": 10, "cached": 11, "listed": 12, "default": 13, "slotted": 14, "subclass": 15,
}  # fmt: skip


def test_whatever_a_function_uses_is_part_of_it_be_it_data_a_partial_or_a_helpers_class(monkeypatch):
    prints = []
    for changed in ({}, {}, *({name: 99} for name in STILL)):
        module = types.ModuleType("somewhere_else")
        monkeypatch.setitem(sys.modules, "somewhere_else", module)
        exec(MOVING.format(**{**STILL, **changed}), module.__dict__)
        prints.append(fingerprint(module.function))
    assert prints[0] == prints[1]
    assert len(set(prints)) == 1 + len(STILL)


def test_a_global_that_an_attribute_is_called_like_is_no_part_of_a_function():
    def uses(values: int):
        space: dict = {"__name__": "somewhere"}
        exec(f"values = {values}\ndef function(bars): return bars.values", space)
        return fingerprint(space["function"])

    assert uses(1) == uses(2)


def test_which_of_two_functions_stands_where_is_part_of_it():
    def uses(last: str):
        space: dict = {"__name__": "somewhere"}
        exec(
            f"def f(x): return x\ndef g(x): return -x\nu, v, w = f, g, {last}\n"
            "def function(bars): return u(bars) + v(bars) + w(bars)",
            space,
        )
        return fingerprint(space["function"])

    assert uses("f") != uses("g")


def test_what_holds_itself_and_what_cannot_be_pickled_are_described_too():
    space: dict = {"__name__": "somewhere"}
    exec("import threading\nL = [1]\nL.append(L)\nK = threading.Lock()\ndef function(b): return L, K", space)
    assert fingerprint(space["function"]) == fingerprint(space["function"])
