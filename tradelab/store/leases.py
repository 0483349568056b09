"""Let one engine at a time send orders to an account: a lease that ends by itself, with a number that only counts up.

Who writes an intent shows the number in the very transaction that keeps the intent (:func:`require`): an engine that
was asleep while its lease ended, and another took over, is refused there. A database remembers the machine and file it
lives in; a copy of it is another one, whose leases are worth nothing until a person says that the first is gone.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from tradelab.model.clock import Clock, SystemClock
from tradelab.model.errors import LeaseError, UnknownNameError
from tradelab.model.units import NS_PER_S
from tradelab.store import schema
from tradelab.store.database import Database

LENGTH_S = 15.0  # longer than the longest a venue lets a request live, so that a stopped holder's are dead before
_ROW = schema.leases.c
_PLACE = """
select (select system_identifier from pg_control_system()), (select timeline_id from pg_control_checkpoint()),
       (select oid from pg_database where datname = current_database())
"""
_LONGEST_PATH = 120  # the column has room for 256 with machine and number


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send orders to ``account`` until ``until_ns`` of the database's time."""

    account: str
    holder: str
    fence: int
    until_ns: int


class Leases:
    """The leases of a database, taken for one holder.

    Parameters
    ----------
    database
        The records.
    holder
        Who takes them: an engine's name, its machine and process.
    length_s
        How long one lasts without being renewed.
    clock
        What a SQLite file's time is told by; a PostgreSQL server has its own, the same for all machines.
    machine
        Names this machine; by default its own id.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/records.sqlite") as database:
    ...     mine = Leases(database, "paper@here").acquire("paper")
    ...     try:
    ...         Leases(database, "paper@there").acquire("paper")
    ...     except LeaseError as error:
    ...         mine.fence, error.problem.split(" until")[0]
    (1, "account 'paper' is traded by paper@here")
    """

    def __init__(
        self,
        database: Database,
        holder: str,
        *,
        length_s: float = LENGTH_S,
        clock: Clock | None = None,
        machine: Callable[[], str] | None = None,
    ) -> None:
        self._database = database
        self._holder = holder
        self.length_s = length_s
        self._length_ns = int(length_s * NS_PER_S)
        self._clock = clock or SystemClock()
        self._machine = machine or machine_id

    def acquire(self, account: str) -> Lease:
        """Take an account that nobody holds, or whose holder's time is over.

        Raises
        ------
        LeaseError
            Somebody holds it, or this database is a copy.
        """
        with self._database.reading() as connection:  # who waits for its turn locks nobody out meanwhile
            self._free(connection, account, lock=False)
        try:
            with self._database.writing(f"lease account {account!r} in") as transaction:
                found = self._free(transaction, account, lock=True)
                until_ns = self._now_ns(transaction) + self._length_ns
                lease = Lease(account, self._holder, 1 if found is None else found.fence + 1, until_ns)
                self._write(transaction, lease, self._home(transaction), is_new=found is None)
        except IntegrityError:  # nobody ever had it, and another was first: there is a row to look at now
            return self.acquire(account)
        return lease

    def _free(
        self, transaction: sqlalchemy.Connection, account: str, *, lock: bool
    ) -> sqlalchemy.Row[tuple[object, ...]] | None:
        """Return the row of an account that may be taken, or refuse."""
        found = self._found(transaction, account, lock=lock)
        if found is None:
            return None
        home = self._home(transaction)
        if found.home != home:
            raise LeaseError(
                f"these records were made elsewhere ({found.home}; here it is {home}), and the engine there may "
                f"still trade account {account!r}.",
                fix=f"Stop it; if it is gone, say so: tradelab lease adopt {account}",
            )
        left_s = (found.until_ns - self._now_ns(transaction)) / NS_PER_S
        if found.holder not in (None, self._holder) and left_s > 0:
            raise LeaseError(
                f"account {account!r} is traded by {found.holder} until {left_s:.0f} s from now.",
                fix="Stop that engine, or wait until it has been silent for so long.",
            )
        return found

    def renew(self, lease: Lease) -> Lease:
        """Prolong a lease that is still held, even if its time is over and nobody has taken it.

        Raises
        ------
        LeaseError
            It was lost.
        """
        with self._database.writing(f"renew the lease of {lease.account!r} in") as transaction:
            self._held(transaction, lease)
            renewed = Lease(lease.account, lease.holder, lease.fence, self._now_ns(transaction) + self._length_ns)
            transaction.execute(
                update(schema.leases).where(_ROW.account == lease.account).values(until_ns=renewed.until_ns)
            )
        return renewed

    def release(self, lease: Lease) -> None:
        """Give a lease back; one that was lost already is nobody's to give."""
        mine = (_ROW.account == lease.account) & (_ROW.fence == lease.fence) & (_ROW.holder == lease.holder)
        with self._database.writing(f"release account {lease.account!r} in") as transaction:
            transaction.execute(update(schema.leases).where(mine).values(holder=None, until_ns=0))

    def adopt(self, account: str) -> None:
        """Say that the place where these records were made is gone: this one takes over, and nobody holds the lease.

        A lease that was taken here is not touched: who holds it is not gone, or its time will be over soon.

        Raises
        ------
        UnknownNameError
            Nobody ever held the lease of such an account.
        """
        with self._database.writing(f"adopt account {account!r} in") as transaction:
            found, home = self._found(transaction, account), self._home(transaction)
            if found is None:
                known = transaction.scalars(select(_ROW.account)).all()
                raise UnknownNameError.of("leased account", account, known)
            if found.home != home:
                values = {"holder": None, "until_ns": 0, "home": home}
                transaction.execute(update(schema.leases).where(_ROW.account == account).values(**values))

    def require(self, transaction: sqlalchemy.Connection, lease: Lease) -> Lease:
        """Show, in the transaction that keeps an intent, that the account is still ours; return the lease as it stands.

        One whose time is over, and which nobody has taken meanwhile, is prolonged in this very transaction: until it is
        kept nobody can take it.

        Raises
        ------
        LeaseError
            Somebody has taken it: nothing of the transaction may be kept.
        """
        self._held(transaction, lease)
        until_ns = transaction.scalar(select(_ROW.until_ns).where(_ROW.account == lease.account))
        now_ns = self._now_ns(transaction)
        if until_ns is not None and until_ns > now_ns:
            return replace(lease, until_ns=until_ns)
        renewed = replace(lease, until_ns=now_ns + self._length_ns)
        transaction.execute(
            update(schema.leases).where(_ROW.account == lease.account).values(until_ns=renewed.until_ns)
        )
        return renewed

    def _held(self, transaction: sqlalchemy.Connection, lease: Lease) -> None:
        found = self._found(transaction, lease.account)
        if found is None or (found.holder, found.fence) != (lease.holder, lease.fence):
            by = "nobody" if found is None or found.holder is None else found.holder
            raise LeaseError(
                f"the lease of account {lease.account!r} was lost: it is held by {by}.",
                fix="This engine must not send anything any more; stop it.",
            )
        home = self._home(transaction)
        if found.home != home:
            raise LeaseError(f"these records were moved ({found.home}; here it is {home}).", fix="Stop this engine.")

    def _found(
        self, transaction: sqlalchemy.Connection, account: str, *, lock: bool = True
    ) -> sqlalchemy.Row[tuple[object, ...]] | None:
        query = select(schema.leases).where(_ROW.account == account)
        return transaction.execute(query.with_for_update() if lock else query).one_or_none()

    def _write(self, transaction: sqlalchemy.Connection, lease: Lease, home: str, *, is_new: bool) -> None:
        values = {"holder": lease.holder, "fence": lease.fence, "until_ns": lease.until_ns, "home": home}
        if is_new:
            transaction.execute(insert(schema.leases).values(account=lease.account, **values))
        else:
            transaction.execute(update(schema.leases).where(_ROW.account == lease.account).values(**values))

    def _now_ns(self, transaction: sqlalchemy.Connection) -> int:
        if self._database.is_sqlite:
            return self._clock.now_ns()
        return int(transaction.scalar(text("select (extract(epoch from clock_timestamp()) * 1000000)::bigint"))) * 1000

    def _home(self, transaction: sqlalchemy.Connection) -> str:
        """Name the one place where this database lives: a file of a machine, or a database of a server.

        Of a file that is its path and its number on the disk, which a copy does not have, and not the disk's, which
        may be another after every start. Of a server it has its timeline: one that was promoted, or set back to an
        earlier moment, is another. What nothing can tell apart is a whole machine, or a server's folder, copied while
        it stands still.
        """
        if self._database.is_sqlite:
            path = Path(self._database.url.database or "").resolve()
            return f"{self._machine()}:{path.stat().st_ino}:{_short(str(path))}"
        parts = transaction.execute(text(_PLACE)).one()
        return ":".join(map(str, parts))


def _short(path: str) -> str:
    return path if len(path) <= _LONGEST_PATH else hashlib.sha256(path.encode()).hexdigest()


def machine_id() -> str:
    """Return what tells this machine from others: its id where it has one, else its name."""
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip() or socket.gethostname()
    except OSError:
        return socket.gethostname()
