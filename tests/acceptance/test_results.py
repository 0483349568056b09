"""What acceptance came to is kept as it is played, told with its commit, and never replaced by less."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.parts import PARTS, Asked, Part
from tests.acceptance.results import Kept, Log, Row, page
from tools import acceptance


def rows(log: Log, asked: int = 4) -> Row:
    return Row.of("kills", "kills", asked, log, "words", "make acceptance")


def test_a_log_goes_on_from_where_it_was_interrupted(tmp_path: Path) -> None:
    first = Log(tmp_path / "deep" / "kills.jsonl", commit="aaa1111")
    first.add("one", "right", killed=2)
    again = Log(tmp_path / "deep" / "kills.jsonl", commit="bbb2222")
    assert "one" in again and "two" not in again
    again.add("two", "lost")
    row = rows(again)
    assert (row.played, row.wrong, row.went_wrong) == (2, 1, ("lost: two",))
    assert row.commits == {"aaa1111": 1, "bbb2222": 1}
    assert again.lines["one"].told == {"killed": 2}


def test_lines_that_another_tool_wrote_are_told_on_the_commit_that_is_named(tmp_path: Path) -> None:
    lines = [{"s": "one", "says": "right", "killed": 1, "end": 0, "orders": 1}, {"s": "two", "says": "right"}]
    (tmp_path / "kills.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    log = Log(tmp_path / "kills.jsonl", commit="bbb2222", told_on="c06c964")
    assert rows(log).commits == {"c06c964": 2}
    assert log.lines["one"].told["killed"] == 1


def test_what_went_wrong_and_was_played_again_is_told(tmp_path: Path) -> None:
    log = Log(tmp_path / "kills.jsonl", commit="aaa1111")
    log.add("one", "lost")
    log.add("one", "right")
    assert "one" in log
    log.add("two", "lost")
    again = Log(tmp_path / "kills.jsonl", commit="bbb2222", again=True)
    assert "one" in again and "two" not in again
    again.add("two", "right")
    row = rows(again)
    assert (row.played, row.wrong) == (2, 0)
    assert row.words == "words; 2 that went wrong at first were played again"


def test_a_row_says_how_much_of_all_was_played_and_what_does_not_hold_for_all_together(tmp_path: Path) -> None:
    log = Log(tmp_path / "kills.jsonl", commit="aaa1111")
    log.add("world", "wrong", n=50, wrong=3)
    assert "| kills | 50 of 1,000 | 47 | 3 | words |" in rows(log, 1000).printed
    broken = Row.of("kills", "kills", 50, log, "words", "make acceptance", "too late")
    assert (broken.wrong, broken.went_wrong[0]) == (4, "too late")


def test_a_run_of_some_parts_replaces_their_rows_only_and_never_by_less(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "rows.json")
    many, few = Log(tmp_path / "many.jsonl", commit="aaa1111"), Log(tmp_path / "few.jsonl", commit="bbb2222")
    for n in range(3):
        many.add(str(n), "right")
    few.add("0", "right")
    order = ["guards", "kills"]
    kept.replace(rows(many), order)
    kept.replace(Row.of("guards", "guards", 1, few, "w", "c"), order)
    again = Kept(tmp_path / "rows.json")
    assert list(again.rows) == order and again.rows["kills"] == rows(many)
    assert again.is_fuller_than(rows(few))
    few.add("1", "lost")
    assert not again.is_fuller_than(rows(few))  # what went wrong is always told
    text = page("# Head", again.rows.values(), ["parity"])
    assert "| kills | 3 of 4 | 3 | 0 | words |" in text and "Not played yet: parity." in text


def test_the_tool_plays_what_is_asked_and_writes_page_and_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def play(asked: Asked, log: Log) -> None:
        for n in range(asked.of(10)):
            log.add(str(n), "right")

    part = Part("toy", "toys", 10, play, lambda lines: f"{len(lines)} toys")
    monkeypatch.setattr(acceptance, "BY_NAME", {"toy": part})
    monkeypatch.setattr(acceptance, "PARTS", (part,))
    for name in ("PAGE", "ROWS"):
        monkeypatch.setattr(acceptance, name, tmp_path / name)
    assert acceptance.main(["--only", "toy", "--share", "0.5", "--log", str(tmp_path)]) == 0
    assert "| toys | 5 of 10 | 5 | 0 | 5 toys |" in capsys.readouterr().out
    assert "| toys | 5 of 10 | 5 | 0 | 5 toys |" in (tmp_path / "PAGE").read_text()
    assert acceptance.main(["--only", "toy", "--share", "0.1"]) == 0  # less than is there
    assert json.loads((tmp_path / "ROWS").read_text())["toy"]["played"] == 5
    with pytest.raises(SystemExit):
        acceptance.main(["--only", "nothing"])


def test_every_row_that_was_promised_has_its_part() -> None:
    promised = (
        "kills-at-points kills-at-random kills-on-postgresql reconciliation reconciliation-scripted many fill-ledger "
        "protection protection-refused protection-killed protection-steps guards leases-sqlite leases-postgresql "
        "flatten sigterm parity parity-live audit kernels latency notebooks"
    )
    assert [part.name for part in PARTS] == promised.split()
