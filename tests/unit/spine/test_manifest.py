"""Every combination of the nine modules is assembled in order, or refused with a sentence that says what is missing."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import pytest

from tradelab.model.errors import ConfigError, UnknownNameError
from tradelab.model.messages import KINDS
from tradelab.modules.index import MANIFESTS
from tradelab.spine.manifest import Manifest, OnError, Shape, assemble

NAMES = tuple(manifest.name for manifest in MANIFESTS)
BY_NAME = {manifest.name: manifest for manifest in MANIFESTS}
# Written by hand from the plan of the house, section 4, not read off the manifests.
NEEDS = {
    "data_provider": set(),
    "market_data": {"data_provider"},
    "filter_strategy": {"market_data"},
    "ai_analysis": {"market_data"},
    "risk_management": set(),
    "execution": {"risk_management"},
    "position_monitoring": {"execution"},
    "copy_trading": {"execution", "risk_management"},
    "backtesting": {"market_data"},
}  # fmt: skip
LIVE_NEEDS = {"execution": {"position_monitoring"}}
AFTER = {
    "ai_analysis": {"filter_strategy"},
    "risk_management": {"filter_strategy", "ai_analysis"},
    "backtesting": {"filter_strategy", "ai_analysis", "risk_management"},
}
SUBSETS = [set(each) for count in range(len(NAMES) + 1) for each in itertools.combinations(NAMES, count)]


def missing(on: set[str], live: bool) -> set[tuple[str, str]]:
    needs = {name: NEEDS[name] | (LIVE_NEEDS.get(name, set()) if live else set()) for name in on}
    return {(name, needed) for name in on for needed in needs[name] - on}


@pytest.mark.parametrize("live", [False, True])
def test_all_512_subsets_are_assembled_or_refused_with_what_they_lack(live: bool) -> None:
    assert len(SUBSETS) == 512
    assembled = 0
    for on in SUBSETS:
        lacking = missing(on, live)
        if on and not lacking:
            joined = [manifest.name for manifest in assemble(MANIFESTS, on, live=live)]
            assert set(joined) == on
            for name in joined:
                before = joined[: joined.index(name)]
                assert (NEEDS[name] | AFTER.get(name, set())) & on <= set(before)
            assembled += 1
            continue
        with pytest.raises(ConfigError) as refused:
            assemble(MANIFESTS, on, live=live)
        if on:
            assert any(
                f"{name!r}" in str(refused.value) and f"{needed!r}" in str(refused.value) for name, needed in lacking
            )
            assert "which is off. Switch " in str(refused.value)
        else:
            assert "no module is on" in str(refused.value)
    # By hand: data and what needs it in 1 + 1 + 2^3 ways, risk and what needs it in 1 + 1 + 2^2 (live: 1 + 1 + 2).
    assert assembled == (10 * 4 - 1 if live else 10 * 6 - 1)


def test_what_a_live_account_needs_is_said_to_be_that() -> None:
    on = ("data_provider", "market_data", "risk_management", "execution")
    assemble(MANIFESTS, on)
    with pytest.raises(ConfigError, match="'execution' of a live account requires 'position_monitoring', which is off"):
        assemble(MANIFESTS, on, live=True)


def test_a_module_that_is_none_is_refused_by_the_nearest_that_is() -> None:
    with pytest.raises(UnknownNameError, match="no module named 'excution'; did you mean 'execution'"):
        assemble(MANIFESTS, ["excution"])


def test_modules_that_wait_for_each_other_are_refused() -> None:
    def one(name: str, after: str) -> Manifest:
        return Manifest(name=name, shape=Shape.SINK, says="", on_error=OnError.ISOLATE, after=(after,))

    with pytest.raises(ConfigError, match="modules wait for each other: a, b"):
        assemble([one("a", "b"), one("b", "a")], ["a", "b"])


def test_what_is_mandatory_halts_gates_shut_and_the_rest_is_left_out() -> None:
    told = {name: manifest.on_error for name, manifest in BY_NAME.items()}
    assert {name for name, what in told.items() if what is OnError.HALT} >= {"risk_management", "execution"}
    assert {name for name, what in told.items() if what is OnError.DROP} == {"filter_strategy", "ai_analysis"}


def test_every_module_has_the_same_shape_of_folder_and_says_what_it_is() -> None:
    for manifest in MANIFESTS:
        assert manifest.says.endswith(".")
        assert all(KINDS[kind.__name__] is kind for kind in (*manifest.hears, *manifest.tells))
        assert (manifest.stage is None) == (manifest.shape is Shape.OFFLINE)
        if manifest.stage is not None:
            assert manifest.stage == f"tradelab.modules.{manifest.name}.stage:Stage"


_SEEN = """
import json, sys
from tradelab.app.build import parts_of
from tradelab.spine.config import parse_node
modules = json.loads(sys.argv[1])
parts_of(parse_node({"modules": dict.fromkeys(modules, True)}))
found = [name.split(".")[2] for name in sys.modules if name.startswith("tradelab.modules.") and name.count(".") > 2]
print(json.dumps(sorted({name for name in found if f"tradelab.modules.{name}.stage" in sys.modules
                         or f"tradelab.modules.{name}.config" in sys.modules})))
"""


@pytest.mark.parametrize(
    "on",
    [
        ("data_provider",),
        ("data_provider", "market_data", "filter_strategy"),
        ("risk_management", "execution", "copy_trading"),
        ("data_provider", "market_data", "risk_management", "execution", "position_monitoring"),
    ],
    ids=len,
)
def test_a_module_that_is_off_is_never_imported(on: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", _SEEN, json.dumps(on)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == sorted(on)
