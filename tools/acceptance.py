"""Try to break the engine in every way that was promised; print what came of it, and write it down.

``make acceptance`` plays all parts. ``--only guards,leases-sqlite`` plays some, and only their rows are written anew;
``--share 0.1`` plays a tenth. With ``--log FOLDER`` a line is kept there as each experiment ends, and what the folder
has already is not played again; ``--fold`` plays nothing and takes what it has. The page is ``docs/reliability.md``,
made from ``docs/reliability.json``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.acceptance.engine import POINTS  # noqa: E402
from tests.acceptance.kills import FAULTS, MARKETS, ORDERS  # noqa: E402
from tests.acceptance.parts import BY_NAME, PARTS, Asked, MissingError, Part  # noqa: E402
from tests.acceptance.results import Kept, Log, Row, commit_here, page  # noqa: E402

PAGE, ROWS = ROOT / "docs" / "reliability.md", ROOT / "docs" / "reliability.json"
_HEAD = """# What was tried to break it

Written by `make acceptance` from `reliability.json`; do not edit. Real engines (node, risk, execution, position
monitoring, journal in SQLite or PostgreSQL) before a rehearsal venue that speaks the real one's protocol, through the
real ccxt client over a real socket. An engine that is killed is killed by SIGKILL. What came of it is counted in the
exchange itself, not in what the engine believes.

* **Kills at points**: at each of {points} named points of an engine's life (a message said, about to be kept, kept; a
  request before and after; on the wire), under each of {faults} behaviours of the venue towards the first order, with
  each of {kinds} kinds of order, on each of {venues} venues. Then engines are started until one has settled. Right is
  one order of the size that was meant: not two (duplicate), not none (lost), known within 60 s (else unresolved).
  "Refused" is no order, and a reason that was told, such as a request that grew too old on a busy machine to be sent.
* **Kills at random**: one to three kills, each after 0.01 to 1.5 s of a life. **Records in PostgreSQL**: a twentieth of
  the points and fifty at random, each with a database of its own.
* **Reconciliation**: things happen to the account while no engine looks, or while its sockets are broken. Right is that
  ours is the venue's afterwards, that nothing invented is called a fill, that what protects is known as ours, and that
  a second comparison writes nothing. Others, those that were public failures of other projects by their numbers, are
  played on a scripted venue by
  [`test_reconcile_scenarios.py`](../tests/unit/modules/execution/test_reconcile_scenarios.py).
* **Protection**: an entry with a stop fills in 1 to 50 pieces. At each event of the exchange: nothing that may sell is
  larger than what had been bought, nothing is sold through zero; and by its clock, for each piece, and again whenever a
  stop that covered it is gone, how long nothing stopped it. With the engine up; with a part of the orders refused, lost
  or answered by half; and with the engine killed as well, where a new one has to wait until the lease of the killed one
  (2 s here) has run out.
* **Guards**: the market moves against an open position until a limit of the day, the week or of the drawdown is
  reached, while other bots try to enter twenty times a second. The engine is killed before, while or after that is
  kept. Right is: halted afterwards if the breach was kept or still stands, no order of which the intent came after the
  report that showed the breach, none that waits to open something, and what is held can be left.
* **Leases**: ten engines want one account; whoever holds it is stopped (SIGSTOP) past its lease and woken when another
  has taken over; a copy of the records stands beside. Right is that no intent is kept by who does not hold.
* **Flatten**: 50 positions, every fifth order answered by one of eight faults. Right is flat, never through zero.
* The others stand as tests, and are run and counted here.
"""


def play(part: Part, asked: Asked, log: Log, *, fold: bool) -> str | None:
    """Play a part, or what of it is not in the log; return why it could not be, if it could not."""
    if fold:
        return None if log.lines else "the log has nothing of it"
    try:
        part.play(asked, log)
    except MissingError as why:
        return str(why)
    return None


def written(kept: Kept) -> str:
    """The page."""
    head = _HEAD.format(points=len(POINTS), faults=len(FAULTS), kinds=len(ORDERS), venues=len(MARKETS))
    missing = [part.title for part in PARTS if part.name not in kept.rows]
    return page(head, kept.rows.values(), missing)


def arguments_of(given: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="PARTS", help=f"of {', '.join(BY_NAME)}")
    parser.add_argument("--share", type=float, default=1.0, help="of everything (default: all)")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 2)
    parser.add_argument(
        "--log", type=Path, metavar="FOLDER", help="keep lines in FOLDER/PART.jsonl, and go on from them"
    )
    parser.add_argument("--told-on", metavar="COMMIT", help="of lines in the log that name none")
    parser.add_argument("--again", action="store_true", help="play again what went wrong, as the log has it")
    parser.add_argument("--fold", action="store_true", help="play nothing: take what the log has")
    parser.add_argument("--replace", action="store_true", help="write a row even where a fuller one is there")
    parser.add_argument("--no-page", action="store_true", help="print only")
    asked = parser.parse_args(given)
    names = asked.only.split(",") if asked.only else list(BY_NAME)
    if unknown := [name for name in names if name not in BY_NAME]:
        parser.error(f"no part {unknown[0]!r}; there are: {', '.join(BY_NAME)}")
    if asked.fold and asked.log is None:
        parser.error("--fold takes what a log has: name its folder with --log")
    asked.parts = [BY_NAME[name] for name in names]
    return asked


def main(given: list[str] | None = None) -> int:
    """Play, print, write; the exit code says whether all was right."""
    asked = arguments_of(given)
    kept, commit, is_right = Kept(ROWS), commit_here(), True
    with tempfile.TemporaryDirectory(prefix="tradelab-acceptance-log-") as scratch:
        for part in asked.parts:
            path = (asked.log or Path(scratch)) / f"{part.name}.jsonl"
            log = Log(path, commit=commit, told_on=asked.told_on, again=asked.again)
            why_not: str | None = "it was interrupted"
            try:
                why_not = play(part, Asked(asked.share, asked.seed, asked.at_once), log, fold=asked.fold)
            finally:
                is_right = _tell(part, log, why_not, kept, asked) and is_right
    return 0 if is_right else 1


def _command(part: Part, asked: argparse.Namespace) -> str:
    """How somebody else gets the same: the part, and what was not as usual."""
    usual = {"share": 1.0, "seed": 5, "at_once": os.cpu_count() or 2}
    words = [
        f"--{name.replace('_', '-')} {getattr(asked, name)}" for name in usual if getattr(asked, name) != usual[name]
    ]
    return f'make acceptance ARGS="{" ".join([f"--only {part.name}", *words])}"'


def _tell(part: Part, log: Log, why_not: str | None, kept: Kept, asked: argparse.Namespace) -> bool:
    """Print a part's row and put it in its place; return whether nothing was wrong."""
    if not log.lines:
        sys.stdout.write(f"{part.title}: not played: {why_not}\n")
        return True
    lines = list(log.lines.values())
    row = Row.of(part.name, part.title, part.full, log, part.words(lines), _command(part, asked), part.broken(lines))
    sys.stdout.write(row.printed + "\n")
    sys.stdout.writelines(f"wrong: {each}\n" for each in row.went_wrong)
    if not asked.no_page and kept.is_fuller_than(row) and not asked.replace:
        before = kept.rows[part.name].played
        sys.stdout.write(f"the page keeps its row of {before:,}; --replace writes this one all the same\n")
    elif not asked.no_page:
        kept.replace(row, list(BY_NAME))
        PAGE.write_text(written(kept), encoding="utf-8")
    return not row.wrong


if __name__ == "__main__":
    sys.exit(main())
