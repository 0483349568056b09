"""The stored days of trading: a copy that is never older than it says, on both databases."""

from __future__ import annotations

import pytest

from tradelab.store.database import Database
from tradelab.store.day_rows import FORMAT, DayKey, DayRows

ONE, TWO = DayKey("2024-01-30", "main", "trend", "X"), DayKey("2024-01-31", "main", "", "X")


def test_what_has_changed_takes_the_place_of_what_was(database: Database) -> None:
    rows = DayRows(database, "paper")
    assert (rows.seq, rows.read()) == (0, {})
    assert rows.keep(5, {ONE: "1", TWO: "2"})
    assert rows.keep(9, {TWO: "3"}, after=5)
    assert (rows.seq, rows.read()) == (9, {ONE: "1", TWO: "3"})


def test_rows_that_are_all_there_are_leave_no_other_behind(database: Database) -> None:
    rows = DayRows(database, "paper")
    rows.keep(5, {ONE: "1"})
    rows.keep(5, {TWO: "2"})
    assert rows.read() == {TWO: "2"}


def test_an_older_copy_does_not_take_the_place_of_a_newer_one(database: Database) -> None:
    rows = DayRows(database, "paper")
    rows.keep(9, {ONE: "new"})
    assert not rows.keep(8, {ONE: "old"})
    assert rows.read() == {ONE: "new"}


def test_changes_are_not_stored_beside_what_is_older_than_they_go_on_from(database: Database) -> None:
    rows = DayRows(database, "paper")
    rows.keep(5, {ONE: "1"})
    assert not rows.keep(9, {TWO: "2"}, after=7)
    assert (rows.seq, rows.read()) == (5, {ONE: "1"})


def test_rows_of_another_format_are_none(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = DayRows(database, "paper")
    rows.keep(9, {ONE: "old"})
    monkeypatch.setattr("tradelab.store.day_rows.FORMAT", FORMAT + 1)
    assert rows.seq == 0
    assert not rows.keep(10, {TWO: "2"}, after=9)
    assert rows.keep(3, {TWO: "2"})
    assert (rows.seq, rows.read()) == (3, {TWO: "2"})


def test_engines_do_not_see_each_others_days(database: Database) -> None:
    DayRows(database, "paper").keep(5, {ONE: "1"})
    DayRows(database, "live").keep(6, {ONE: "2"})
    assert DayRows(database, "paper").read() == {ONE: "1"}


def test_a_transaction_that_fails_stores_nothing(database: Database) -> None:
    rows = DayRows(database, "paper")
    rows.keep(5, {ONE: "1"})
    with pytest.raises(Exception, match="analytics_days"):
        rows.keep(9, {TWO: "2", ONE: None}, after=5)  # type: ignore[dict-item]
    assert (rows.seq, rows.read()) == (5, {ONE: "1"})
