"""Keep the page of the fault table true to the rows that the tests play."""

from __future__ import annotations

from tests.conformance.fault_rows import ROWS, VENUES
from tests.house.tree import ROOT
from tools.fault_table import page

_PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")


def test_the_page_is_what_its_rows_say():
    assert page() == _PAGE, "run `make conformance`"


def test_the_page_has_every_row_and_a_cell_for_every_venue():
    for row in ROWS:
        (line,) = (line for line in _PAGE.splitlines() if line.startswith(f"| {row.key} |"))
        assert len([cell for cell in line.split(" | ") if cell.strip()]) == len(VENUES) + 3, row.key
