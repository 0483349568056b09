"""A paper account's terms are refused in words, and its file is its own, and is found under its old name."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from tradelab.app.paper_account import paper_file, paper_terms
from tradelab.model.errors import ConfigError, StorageError
from tradelab.spine.config import AccountConfig


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"latency_ms": -5}, "accounts.pocket.settings: latency_ms=-5 is wrong: input should be greater than or equal"),
        ({"latency_ms": True}, "accounts.pocket.settings.latency_ms = true is wrong"),
        ({"bogus": 1}, "no word of [accounts.pocket.settings] named 'bogus'. Allowed: impact, "),
        ({"latency": 1}, "did you mean 'latency_ms'?"),
        ({"mode": "sport"}, "accounts.pocket.settings: mode='sport' is wrong: input should be 'spot', 'netting' or"),
        ({"leverage": 3}, "accounts.pocket.settings: leverage and maintenance belong to a netting or hedging account"),
        ({"balances": {"USDT": 5}}, "no word of [accounts.pocket.settings] named 'balances'"),
        ({"name": "other"}, "no word of [accounts.pocket.settings] named 'name'"),
    ],
    ids=str,
)
def test_a_wrong_term_is_refused_by_its_field_its_value_and_what_is_allowed(
    settings: dict[str, Any], says: str
) -> None:
    told = AccountConfig.model_validate({"kind": "paper", "balances": {"USDT": 1}, "settings": settings})
    with pytest.raises(ConfigError) as refused:
        paper_terms("pocket", told)
    assert says in str(refused.value)


def test_right_terms_are_those_of_the_file() -> None:
    told = {"kind": "paper", "balances": {"USDT": 1}, "settings": {"latency_ms": 5, "taker_fee_bps": 10}}
    terms = paper_terms("pocket", AccountConfig.model_validate(told))
    assert (terms.name, terms.balances, terms.latency_ms, terms.taker_fee_bps) == ("pocket", {"USDT": 1}, 5, 10)


def test_no_two_nodes_mean_one_file(tmp_path: Path) -> None:
    assert paper_file(tmp_path, "a", "b-c") != paper_file(tmp_path, "a-b", "c")
    assert paper_file(tmp_path, "a", "b") == tmp_path / "a" / "b.json"


def test_a_file_of_the_old_name_is_taken_over_once(tmp_path: Path) -> None:
    (tmp_path / "paper-main.json").write_text("mine")
    found = paper_file(tmp_path, "paper", "main")
    assert (found.read_text(), (tmp_path / "paper-main.json").exists()) == ("mine", False)
    assert stat.S_IMODE(found.parent.stat().st_mode) == 0o700
    (tmp_path / "paper-main.json").write_text("of somebody else")
    assert paper_file(tmp_path, "paper", "main").read_text() == "mine"


def test_a_file_of_an_old_name_that_may_be_anothers_is_lost_to_neither(tmp_path: Path) -> None:
    (tmp_path / "a-b-c.json").write_text("of both")
    assert paper_file(tmp_path, "a", "b-c").read_text() == "of both"
    assert paper_file(tmp_path, "a-b", "c").read_text() == "of both"
    assert sorted(path.name for path in tmp_path.rglob("*.json")) == ["a-b-c.json", "b-c.json", "c.json"]


def test_a_file_that_cannot_be_taken_over_says_where_to(tmp_path: Path) -> None:
    (tmp_path / "paper-main.json").write_text("mine")
    (tmp_path / "paper").write_text("no folder")
    with pytest.raises(StorageError, match=r"paper-main\.json cannot be moved to .*main\.json"):
        paper_file(tmp_path, "paper", "main")
    assert (tmp_path / "paper-main.json").read_text() == "mine"
