"""A command is kept once, whoever sends it how often; its first answer stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tradelab.model.clock import ManualClock
from tradelab.model.errors import ParameterError
from tradelab.store.commands import Asked, Commands
from tradelab.store.database import Database


def test_what_is_asked_waits_until_it_is_answered(database: Database) -> None:
    clock = ManualClock(5)
    commands = Commands(database, "paper", clock)
    commands.ask("c-1", "halt", {"scope": "node"}, by="ada")
    assert commands.waiting() == (Asked("c-1", "paper", "halt", {"scope": "node"}, "ada", 5),)
    commands.answer("c-1", True, "halted")
    assert commands.waiting() == ()
    assert commands.get("c-1") == Asked("c-1", "paper", "halt", {"scope": "node"}, "ada", 5, True, 5, "halted")


def test_sent_twenty_times_at_once_it_is_there_once(database: Database) -> None:
    commands = Commands(database, "paper")

    def ask(_: int) -> Asked:
        return commands.ask("c-1", "flatten", {"scope": "node"}, by="ada")

    with ThreadPoolExecutor(20) as pool:
        told = {asked.at_ns for asked in pool.map(ask, range(20))}
    assert len(told) == 1
    assert len(commands.waiting()) == 1


def test_asked_again_after_the_answer_it_is_told_with_it(database: Database) -> None:
    commands = Commands(database, "paper")
    commands.ask("c-1", "resume", {}, by="ada")
    commands.answer("c-1", False, "nobody has acknowledged it")
    commands.answer("c-1", True, "a second answer")
    again = commands.ask("c-1", "resume", {}, by="bob")
    assert (again.done, again.says, again.by) == (False, "nobody has acknowledged it", "ada")


@pytest.mark.parametrize(
    ("node", "name", "arguments"),
    [
        ("live", "halt", {"scope": "node"}),
        ("paper", "flatten", {"scope": "node"}),
        ("paper", "halt", {"scope": "bot x"}),
    ],
)
def test_an_id_that_was_used_for_something_else_is_refused(
    database: Database, node: str, name: str, arguments: dict[str, str]
) -> None:
    Commands(database, "paper").ask("c-1", "halt", {"scope": "node"}, by="ada")
    with pytest.raises(ParameterError, match=r"id 'c-1' was used for 'halt' to node 'paper'.*id of its own"):
        Commands(database, node).ask(id="c-1", name=name, arguments=arguments, by="ada")


def test_the_oldest_is_answered_first_and_others_are_not_mine(database: Database) -> None:
    for at, name in ((3, "late"), (1, "early"), (2, "middle")):
        Commands(database, "paper", ManualClock(at)).ask(name, "halt", {}, by="ada")
    Commands(database, "live", ManualClock(0)).ask("other", "halt", {}, by="ada")
    assert [asked.id for asked in Commands(database, "paper").waiting()] == ["early", "middle", "late"]
    assert Commands(database, "paper").get("other") is None


@pytest.mark.parametrize("id_", ["", "x" * 65])
def test_an_id_of_no_length_or_too_much_is_refused(database: Database, id_: str) -> None:
    with pytest.raises(ParameterError, match="1 to 64 characters"):
        Commands(database, "paper").ask(id_, "halt", {}, by="ada")
