"""Play every card of the venue contract on every venue, and write what came out to ``docs/conformance.md``.

``make conformance`` runs it; ``--results FILE`` takes results that a run of the tests has left under
``TRADELAB_CONFORMANCE_RESULTS`` instead of playing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "conformance.md"
RESULTS = "TRADELAB_CONFORMANCE_RESULTS"
_LABELS = {
    "rehearsed": "rehearsed",
    "payload-tested": "payload-tested",
    "tested against our own simulator only": "own simulator only",
    "unverified": "unverified",
}
_HEAD = """# What every venue does

Written by `make conformance`; do not edit. Each row of the table is a card of
[`tests/conformance/venue_contract.py`](../tests/conformance/venue_contract.py), played on a fresh account of each venue
through the same adapter that trades. The venues over a wire are local ones that speak the real exchange's protocol
(`tradelab rehearse`); how far that proves anything about the real one is what the label says:

* **rehearsed**: the local venue's dialect is held to recorded payloads of the real one;
* **payload-tested**: recorded payloads of the real venue are read rightly;
* **own simulator only**: no recorded payload could be had, or there is no real venue (paper);
* **unverified**: neither.

✓ passed · – the venue declares that it does not offer this · ○ the test cannot bring it about on this venue ·
✗ failed · blank: not played
"""


def play(results: Path) -> int:
    """Run the conformance tests, and let them leave their results in a file; return pytest's exit code."""
    command = [sys.executable, "-m", "pytest", "tests/conformance", "-q", "-n", "logical", "--dist", "worksteal"]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {RESULTS: str(results)}, check=False).returncode


def page(told: dict[str, Any]) -> str:
    """Lay the results out as a page."""
    venues = sorted(told["venues"], key=lambda venue: venue["title"])
    lines = [_HEAD, "| | " + " | ".join(venue["title"] for venue in venues) + " |"]
    lines.append("|---|" + ":-:|" * len(venues))
    lines.append("| label | " + " | ".join(_LABELS[venue["evidence"]] for venue in venues) + " |")
    lines.append("| passed | " + " | ".join(_count(venue) for venue in venues) + " |")
    for card in told["cards"]:
        marks = " | ".join(_mark(venue["results"].get(card["name"])) for venue in venues)
        lines.append(f"| {title(card['name'])} | {marks} |")
    lines += ["", "## The cards", ""]
    for card in told["cards"]:
        lines += [
            f"**{title(card['name'])}**  ",
            f"{card['prerequisite']} *{card['action']}* {card['expects']} Passes when: {_lower(card['passes'])} "
            f"Skipped when: {card['skips_when']}.",
            "",
        ]
    return "\n".join(lines)


def title(name: str) -> str:
    """The sentence that a card's name is."""
    words = name.removeprefix("test_").replace("_", " ")
    return words[0].upper() + words[1:]


def _mark(said: str | None) -> str:
    if said is None:
        return ""
    if said.startswith("declared missing"):
        return "–"
    if said.startswith("not staged"):
        return "○"
    return "✓" if said == "passed" else "✗"


def _count(venue: dict[str, Any]) -> str:
    marks = [_mark(said) for said in venue["results"].values()]
    return f"{marks.count('✓')} of {marks.count('✓') + marks.count('✗')}"


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:] if not sentence.startswith("`") else sentence


def main(arguments: list[str] | None = None) -> int:
    """Write the page; the exit code says whether every card that was played passed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, help="take these results instead of playing")
    asked = parser.parse_args(arguments)
    code = 0
    with tempfile.TemporaryDirectory() as folder:
        results = asked.results or Path(folder) / "results.json"
        if asked.results is None:
            code = play(results)
        if not results.is_file():
            sys.stderr.write("no results: the tests did not run to their end\n")
            return code or 1
        PAGE.write_text(page(json.loads(results.read_text(encoding="utf-8"))), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.relative_to(ROOT)}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
