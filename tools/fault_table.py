"""Write the fault table that the tests play on every venue to ``docs/faults.md``."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.conformance.fault_rows import LOOKED_FOR, ROWS, VENUES, Means, Missing, Other, Row  # noqa: E402

PAGE = ROOT / "docs" / "faults.md"
_HEAD = """# What becomes of an order when a venue misbehaves

Written by `make conformance` from
[`tests/conformance/fault_rows.py`](../tests/conformance/fault_rows.py); do not edit.
[`tests/conformance/test_fault_table.py`](../tests/conformance/test_fault_table.py) plays every cell through the adapter
that trades, on a local venue that speaks the real one's protocol (`tradelab rehearse`), and fails when one differs.
Whether the venue has the order is looked up in the exchange itself. The twelve behaviours were measured with ccxt
4.5.90 and Binance's codes before this was written; each venue says them in its own words.

* **later**: refused, certainly not taken, the moment was wrong; the same order may be sent again once the seconds that
  the refusal names have passed.
* **refused**: refused, certainly not taken, and the same order would be refused again.
* **unknown**: nobody can tell. Nothing is sent before the venue was asked by our own id, and its *no* counts only once
  the request has expired (`capabilities.request_life_ms`).
* **the first's**: the answer is that of the order which is there.

After each of them, and after what it allows, the venue has **exactly one** order: by a limit that rests, and where the
answer is unknown by a market order too, whose name no venue would mind a second time.
"""
_TAIL = """
Each class of `ccxt.base.errors` has an outcome too; what is in no table is unknown. The table is
[`OUTCOMES`](../tradelab/adapters/ccxt_outcomes.py), and
[`test_ccxt_outcomes.py`](../tests/unit/adapters/test_ccxt_outcomes.py) holds it to the classes that the installed ccxt
has. How often a wrong clock costs a request is held by
[`test_clock_skew.py`](../tests/conformance/test_clock_skew.py), and that no limit is met at ten times the demand by
[`test_rate_soak.py`](../tests/property/test_rate_soak.py), whose figures [`bench/soak.py`](../bench/soak.py) prints.
"""


def page() -> str:
    """Lay the rows out as a page."""
    why: list[str] = []
    lines = [_HEAD, "| | the venue | has the order | " + " | ".join(VENUES.values()) + " |"]
    lines.append("|---|---|:-:|" + ":-:|" * len(VENUES))
    for row in ROWS:
        cells = " | ".join(_cell(row, venue, why) for venue in VENUES)
        lines.append(f"| {row.key} | {row.says} | {_taken(row)} | {cells} |")
    lines.append("")
    lines += [f"{_MARKS[place]} {reason[0].upper()}{reason[1:]}.  " for place, reason in enumerate(why)]
    return "\n".join(lines) + "\n" + _TAIL


_MARKS = "¹²³⁴⁵"
_LOOKS = "the venue has no rule against it: we look for the name before we send, and send nothing"


def _cell(row: Row, venue: str, why: list[str]) -> str:
    means = row.means[venue]
    if isinstance(means, Missing):
        return "–" + _note(means.why, why)
    if means is Other.FIRST:
        return "the first's" + (_note(_LOOKS, why) if venue in LOOKED_FOR else "")
    return _word(means)


def _word(means: Means) -> str:
    if means is Other.UNKNOWN:
        return "**unknown**"
    assert not isinstance(means, Missing | Other)
    return f"{'later' if means.may_pass_later else 'refused'}: `{means.value}`"


def _note(reason: str, why: list[str]) -> str:
    if reason not in why:
        why.append(reason)
    return _MARKS[why.index(reason)]


def _taken(row: Row) -> str:
    return {(True,): "yes", (False,): "no"}.get(row.takes, "either")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.relative_to(ROOT)}\n")
