"""What an engine has said is kept in order, once, and whatever is done to it afterwards is found."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update

from tests.store_fixtures import BACKENDS
from tests.unit.store.test_audit import switch_off_triggers
from tradelab.model.errors import LeaseError
from tradelab.store import schema
from tradelab.store.database import Database
from tradelab.store.journal import FillKey, Journal
from tradelab.store.verifying import flaws_in, nodes_in, nodes_of

ROW = schema.journal.c
COLUMNS = [column.name for column in schema.journal.columns]


def trade(number: int) -> str:
    fill = {"symbol": "BTC/USDT", "trade_id": f"t{number}", "qty": "1"}
    return json.dumps({"account": "paper", "fill": fill})


def write(journal: Journal, count: int, *, fills: bool = True) -> None:
    """Say so many things, three a transaction, every third of them a fill."""
    for start in range(0, count, 3):
        with journal.writing() as writing:
            for number in range(start, min(start + 3, count)):
                is_fill = fills and number % 3 == 0
                kind, body = (
                    ("TradeExecuted", trade(number)) if is_fill else ("NodeStopped", f'{{"says":"é {number}"}}')
                )
                cause = None if number % 3 == 0 else writing.seq
                writing.append(kind, body, number, number + 1, cause)
                if is_fill:
                    writing.book(FillKey("paper", "BTC/USDT", f"t{number}"))


# ── writing and reading ──────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_are_numbered_from_one_and_read_again_in_order(database: Database) -> None:
    journal = Journal(database, "node")
    write(journal, 7)
    rows = list(Journal(database, "node").rows())
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [row.cause for row in rows] == [None, 1, 2, None, 4, 5, None]
    assert [row.seq for row in journal.rows(3, limit=2)] == [4, 5]
    assert list(journal.rows(7)) == []
    assert journal.verify() == []


def test_a_transaction_that_fails_keeps_nothing_and_the_next_goes_on_from_there(database: Database) -> None:
    journal = Journal(database, "node")
    write(journal, 2)
    with pytest.raises(RuntimeError), journal.writing() as writing:
        writing.append("NodeStopped", "{}", 0, 0, None)
        raise RuntimeError
    assert journal.seq == 2
    write(journal, 2, fills=False)
    assert [row.seq for row in journal.rows()] == [1, 2, 3, 4]
    assert journal.verify() == []


def test_with_nothing_to_say_nothing_is_written(database: Database) -> None:
    journal = Journal(database, "node")
    with journal.writing() as writing:
        assert writing.is_empty
    assert (journal.seq, list(journal.rows())) == (0, [])


def test_of_two_engines_of_one_name_the_second_to_write_is_refused_for_good(database: Database) -> None:
    first, second = Journal(database, "node"), Journal(database, "node")
    write(first, 1)
    for _ in range(2):
        with pytest.raises(LeaseError, match="another engine named 'node' has written to this journal"):
            write(second, 1, fills=False)
    assert [row.seq for row in first.rows()] == [1]


def test_engines_of_other_names_write_beside_each_other(database: Database) -> None:
    one, two = Journal(database, "one"), Journal(database, "two")
    write(one, 3)
    write(two, 3, fills=False)
    write(one, 3, fills=False)
    assert (one.verify(), two.verify(), nodes_of(database)) == ([], [], ("one", "two"))


def test_a_fill_is_bound_once_whatever_engine_says_it(database: Database) -> None:
    write(Journal(database, "one"), 1)
    with pytest.raises(Exception, match=r"(?i)unique"):
        write(Journal(database, "two"), 1)
    assert list(Journal(database, "two").rows()) == []


@pytest.mark.parametrize("table", ["journal", "fills"])
@pytest.mark.parametrize("sin", ["update {} set node = 'x'", "delete from {}", "truncate {}"])
def test_the_database_itself_refuses_to_change_what_only_grows(database: Database, table: str, sin: str) -> None:
    if database.is_sqlite and sin.startswith("truncate"):
        pytest.skip("SQLite has no truncate: its delete without a condition fires the trigger too")
    write(Journal(database, "node"), 1)
    with pytest.raises(Exception, match=f"the {table} only grows"), database.writing("sin") as connection:
        connection.execute(text(sin.format(table)))
    assert Journal(database, "node").verify() == []


# ── what is done to it afterwards ────────────────────────────────────────────────────────────────────────────────────

ROWS = 40


@pytest.fixture(scope="module", params=BACKENDS)
def attacked(request: pytest.FixtureRequest, any_url: Callable[[str], str]) -> Iterator[Database]:
    """A journal of forty rows whose guards are down, and another beside it; every sin is taken back."""
    with Database(any_url(request.param)) as database:
        write(Journal(database, "other"), 3, fills=False)
        write(Journal(database, "node"), ROWS)
        switch_off_triggers(database)
        yield database


def flaws(attacked: Database, *sins: Any) -> list[str]:
    """What is found after sins, looking at every node that anything speaks of; they are taken back after."""
    with attacked.engine.connect() as connection, connection.begin() as transaction:
        for sin in sins:
            connection.execute(sin)
        told = [
            f"{node} {flaw.seq}: {flaw.says}" for node in nodes_in(connection) for flaw in flaws_in(connection, node)
        ]
        transaction.rollback()
    return told


def here(seq: int, node: str = "node") -> Any:
    return (ROW.node == node) & (ROW.seq == seq)


def test_a_journal_that_nobody_touched_has_no_flaw(attacked: Database) -> None:
    assert flaws(attacked) == []


@pytest.mark.slow
def test_a_thousand_changed_rows_are_all_found(attacked: Database) -> None:
    """Any column of any row, to values that look like those that were there and to some that do not."""
    rng = random.Random(5)
    with attacked.reading() as connection:
        rows = connection.execute(select(schema.journal).where(ROW.node == "node").order_by(ROW.seq)).mappings().all()
    for number in range(1_000):
        row, column = rows[rng.randrange(ROWS)], COLUMNS[number % len(COLUMNS)]
        changed = _changed(rng, column, row[column])
        sin = update(schema.journal).where(here(row["seq"])).values({column: changed})
        assert flaws(attacked, sin), (row, column, changed)


def _changed(rng: random.Random, column: str, was: Any) -> Any:
    if column == "seq":
        return rng.choice([0, -1, ROWS + 1, ROWS + 7, 2**62])
    if column == "cause":
        return rng.choice([each for each in (None, 0, 1, 2, 3, 99) if each != was])
    if column in ("ts_event_ns", "ts_init_ns"):
        return rng.choice([was + 1, was - 1, was + 10**9, -was - 1, 2**62])
    if column == "node":
        return rng.choice(["ghost", "Node", "node "])
    at = rng.randrange(len(was) + 1)
    edits = [was[:at] + rng.choice('x 0"') + was[at:], was[:-1], was + " ", "", was.upper() + "!", was[::-1] + "."]
    longest = schema.journal.columns[column].type.length or 10**6
    return rng.choice([edit for edit in edits if edit != was and len(edit) <= longest])


@pytest.mark.parametrize("seq", [1, 2, 20, ROWS])
def test_a_deleted_row_is_found_the_last_too(attacked: Database, seq: int) -> None:
    assert flaws(attacked, delete(schema.journal).where(here(seq)))


@pytest.mark.parametrize("count", [1, 5, ROWS - 1, ROWS])
def test_rows_cut_off_the_end_are_found(attacked: Database, count: int) -> None:
    cut = delete(schema.journal).where(ROW.node == "node", ROW.seq > ROWS - count)
    assert f"it ends at row {ROWS - count}, and was written up to row {ROWS}" in str(flaws(attacked, cut))


def test_an_end_cut_off_together_with_its_mark_is_found_by_the_fills_that_were_bound_to_it(attacked: Database) -> None:
    rest = ROWS - 2
    with attacked.reading() as connection:
        digest = connection.scalar(select(ROW.digest).where(here(rest)))
    head = update(schema.journal_heads).where(schema.journal_heads.c.node == "node").values(seq=rest, digest=digest)
    cut = delete(schema.journal).where(ROW.node == "node", ROW.seq > rest)
    assert "fill 't39' of BTC/USDT is bound to it, and it tells of none such" in str(flaws(attacked, cut, head))


@pytest.mark.parametrize("digest", ["0" * 64, None])
def test_a_row_slipped_in_at_the_end_is_found(attacked: Database, digest: str | None) -> None:
    with attacked.reading() as connection:
        last = connection.execute(select(schema.journal).where(here(ROWS))).mappings().one()
    new = {**last, "seq": ROWS + 1, "body": "{}", "kind": "NodeStopped"}
    if digest is None:  # even with a digest that fits: the end is marked elsewhere
        from tradelab.store.journal import Row

        row = Row(**{name: new[name] for name in Row.__slots__})
        digest = row.chained("node", last["digest"])
    assert flaws(attacked, insert(schema.journal).values({**new, "digest": digest}))


@pytest.mark.parametrize("node", ["node", "ghost"])
def test_a_row_before_the_first_or_of_a_node_that_never_was_is_found(attacked: Database, node: str) -> None:
    row = {"node": node, "seq": 0, "ts_event_ns": 0, "ts_init_ns": 0, "kind": "x", "body": "{}", "digest": "0" * 64}
    assert flaws(attacked, insert(schema.journal).values(row))


def test_two_rows_that_changed_places_are_found(attacked: Database) -> None:
    swaps = [update(schema.journal).where(here(was)).values(seq=to) for was, to in ((5, 99), (6, 5), (99, 6))]
    assert flaws(attacked, *swaps)


def test_two_whole_journals_that_changed_names_are_found(attacked: Database) -> None:
    tables = (schema.journal, schema.journal_heads, schema.fills)
    swaps = [
        update(t).where(t.c.node == was).values(node=to)
        for t in tables
        for was, to in (("node", "tmp"), ("other", "node"), ("tmp", "other"))
    ]
    assert flaws(attacked, *swaps)


@pytest.mark.parametrize("values", [{"seq": 1}, {"digest": "0" * 64}, {"node": "ghost"}])
def test_a_changed_end_is_found(attacked: Database, values: dict[str, Any]) -> None:
    assert flaws(attacked, update(schema.journal_heads).where(schema.journal_heads.c.node == "node").values(values))


def test_a_lost_end_is_found(attacked: Database) -> None:
    gone = delete(schema.journal_heads).where(schema.journal_heads.c.node == "node")
    assert "the row in journal_heads is missing" in str(flaws(attacked, gone))


@pytest.mark.parametrize(
    "values",
    [{"seq": 2}, {"seq": 4}, {"trade_id": "t1"}, {"symbol": "ETH/USDT"}, {"account": "live"}, {"node": "other"}],
    ids=str,
)
def test_a_changed_fill_is_found(attacked: Database, values: dict[str, Any]) -> None:
    assert flaws(attacked, update(schema.fills).where(schema.fills.c.trade_id == "t0").values(values))


def test_a_fill_that_was_unbound_could_be_booked_again_and_is_found(attacked: Database) -> None:
    told = flaws(attacked, delete(schema.fills).where(schema.fills.c.trade_id == "t3"))
    assert told == ["node 4: its fill 't3' is booked nowhere"]


def test_a_fill_bound_to_a_row_that_tells_of_none_is_found(attacked: Database) -> None:
    row = {"account": "a", "symbol": "s", "trade_id": "t", "node": "node", "seq": 2}
    told = flaws(attacked, insert(schema.fills).values(row))
    assert told == ["node 2: fill 't' of s is bound to it, and it tells of none such"]


@pytest.mark.parametrize("value", ["x'00ff'", "cast(x'ff00' as text)", "1.5", "null"])
@pytest.mark.parametrize("column", ["body", "kind", "ts_event_ns", "digest"])
def test_what_only_sqlite_lets_into_a_column_is_found_and_breaks_nothing(
    attacked: Database, column: str, value: str
) -> None:
    if not attacked.is_sqlite:
        pytest.skip("PostgreSQL holds each column to its type")
    if value == "null":
        value = "''"
    assert flaws(attacked, text(f"update journal set {column} = {value} where node = 'node' and seq = 4"))
