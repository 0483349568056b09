"""Keep the page of the venue contract true to its cards."""

from __future__ import annotations

import re

from tests.conformance.cards import cards_of
from tests.conformance.venue_contract import VenueContract
from tests.house.tree import ROOT
from tools.conformance import title

_PAGE = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
_STALE = "run `make conformance`"


def test_the_contract_has_at_least_forty_cards_of_five_fields():
    cards = cards_of(VenueContract)
    assert len(cards) >= 40
    for card in cards.values():
        for field in (card.prerequisite, card.action, card.expects, card.passes, card.skips_when):
            assert field.strip(), card.name


def test_the_page_has_a_row_for_each_card_and_no_other():
    rows = [row for row in re.findall(r"^\| (.+?) \|", _PAGE, flags=re.MULTILINE) if row not in ("label", "passed")]
    assert rows[0].strip(), _STALE
    titles = [title(name) for name in cards_of(VenueContract)]
    assert rows[1:] == titles or rows == titles, _STALE


def test_every_card_is_told_in_full():
    for card in cards_of(VenueContract).values():
        assert f"**{title(card.name)}**" in _PAGE, _STALE
        assert card.action in _PAGE, _STALE


def test_no_venue_on_the_page_fails_a_card():
    table = _PAGE.partition("\n| |")[2].partition("## The cards")[0]
    assert "✓" in table
    assert "✗" not in table
