"""Look for what would hurt in live trading, and say of each thing what to do about it."""

from __future__ import annotations

import asyncio
import enum
import functools
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradelab.app.daemon_views import WORST_OFFSET_MS
from tradelab.model.errors import ConnectivityError, TradelabError
from tradelab.model.key_rights import KeyRights
from tradelab.store.home import home

if TYPE_CHECKING:
    from tradelab.app.daemon_table import LiveConfig
    from tradelab.store.connections import Connections
    from tradelab.store.database import Database
    from tradelab.store.keys import Ask
    from tradelab.store.records import Connection

LEAST_FREE_GB = 1.0
SLOW_DATABASE_MS = 50.0  # of one durable transaction: each bar and each order costs some
SLOW_VENUE_MS = 1_000.0
OFFSET_MS = 250.0
_DAYS_LEFT = 14  # of a key: who is told later may be on holiday
_MOST_ROWS = 200_000  # of a journal that is verified here; a longer one takes `tradelab audit verify`


class Found(enum.Enum):
    """How a thing is."""

    WELL = "well"
    LOOK = "look"  # somebody should look; nothing is wrong yet
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: how it is, in words, and what to do where it is not well."""

    about: str
    found: Found
    says: str
    fix: str = ""


def examine(
    config: LiveConfig | None, *, connect: bool = True, timeout_s: float = 20.0, ask: Ask | None = None
) -> Iterator[Check]:
    """Yield what was found, one thing after the other.

    Parameters
    ----------
    config
        The node whose connections, modules and doors are looked at; ``None`` looks at the machine and records alone.
    connect
        Ask the venues too: their clock, how fast they answer, what our keys may do. Nothing is traded.
    ask
        Asks a person for the passphrase that credentials are sealed with, where they are; once for every look that
        needs it.
    """
    ask = None if ask is None else functools.cache(ask)
    yield _python()
    yield from _disk()
    yield from _guarded("records", _records)
    if config is None:
        return
    yield from _guarded("modules", lambda: _modules(config))
    yield from _guarded("file", lambda: _file(config))
    yield from _guarded("connections", lambda: _connections(config, connect, timeout_s, ask))
    yield from _guarded("notifications", lambda: _notifications(config, ask))
    yield from _guarded("daemon", lambda: _daemon(config))


def _guarded(about: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Look at one thing; what hinders that is found too, and the rest is still looked at."""
    try:
        yield from look()
    except TradelabError as error:
        yield Check(about, Found.WRONG, error.problem, error.fix)


# ── the machine ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _python() -> Check:
    from tradelab import __version__

    return Check("tradelab", Found.WELL, f"{__version__} on Python {sys.version.split()[0]}, {sys.platform}")


def _disk() -> Iterator[Check]:
    folder = home()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    free_gb = shutil.disk_usage(folder).free / 1e9
    enough = free_gb >= LEAST_FREE_GB
    yield Check(
        "disk", Found.WELL if enough else Found.WRONG, f"{free_gb:.1f} GB free at {folder}",
        "" if enough else "Make room: an engine that cannot write its journal stops.",
    )  # fmt: skip
    if os.name == "posix" and folder.stat().st_mode & 0o022:
        yield Check("home", Found.WRONG, f"{folder} can be written by others", f"chmod go-w {folder}")


# ── the records ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _records() -> Iterator[Check]:
    from sqlalchemy import text

    from tradelab.store.database import Database

    with Database() as database:
        took: list[float] = []
        for _ in range(5):
            began = time.perf_counter()
            with database.writing("try") as transaction:
                transaction.execute(text("update vault set id = 1 where id = 1"))
            took.append((time.perf_counter() - began) * 1e3)
        median_ms = sorted(took)[2]
        slow = median_ms > SLOW_DATABASE_MS
        fix = "Put the records on a faster disk, and not on a network drive." if slow else ""
        says = f"{database!r}: a durable transaction takes {median_ms:.1f} ms"
        yield Check("records", Found.LOOK if slow else Found.WELL, says, fix)
        yield from _private(database)
        yield from _journals(database)
        yield from _leases(database)


def _private(database: Database) -> Iterator[Check]:
    if database.is_sqlite and os.name == "posix":
        path = Path(database.url.database or "")
        if path.stat().st_mode & 0o077:
            yield Check("records", Found.WRONG, f"{path} can be read by others", f"chmod 600 {path}")


def _journals(database: Database) -> Iterator[Check]:
    from tradelab.store.journal import Journal
    from tradelab.store.journals import journals

    for node, count in journals(database).items():
        about = f"journal of {node}"
        if count > _MOST_ROWS:
            yield Check(about, Found.LOOK, f"{count:,} messages, not verified here", f"tradelab audit verify {node}")
            continue
        flaws = Journal(database, node).verify()
        if flaws:
            says = f"{len(flaws)} flaw(s), the first in row {flaws[0].seq}: {flaws[0].says}"
            yield Check(about, Found.WRONG, says, "Do not trust it: put back your last copy of the records.")
        else:
            yield Check(about, Found.WELL, f"{count:,} messages, as they were written")


def _leases(database: Database) -> Iterator[Check]:
    from tradelab.store.lease_table import leases

    here = f" on {socket.gethostname()}, "
    for one in leases(database):
        about = f"lease of {one.account}"
        if not one.is_held:
            yield Check(about, Found.WELL, "free")
            continue
        elsewhere = here not in (one.holder or "")
        fix = (
            "Let one engine trade an account: the other is refused for as long. If that machine is gone for good: "
            f"tradelab lease adopt {one.account}"
        )
        says = f"held by {one.holder} for {one.left_s:.0f} s more"
        yield Check(about, Found.LOOK if elsewhere else Found.WELL, says, fix if elsewhere else "")


# ── the node ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _modules(config: LiveConfig) -> Iterator[Check]:
    from tradelab.modules.index import MANIFESTS
    from tradelab.spine.manifest import assemble

    on = assemble(MANIFESTS, config.node.modules_on, live=config.node.is_live)
    yield Check("modules", Found.WELL, ", ".join(manifest.name for manifest in on))


def _file(config: LiveConfig) -> Iterator[Check]:
    money = "REAL MONEY" if config.node.is_live else "paper money"
    yield Check("file", Found.WELL, f"{config.path}: {len(config.node.bots)} bot(s), {money}")
    if os.name == "posix" and config.path.stat().st_mode & 0o002:
        yield Check("file", Found.WRONG, f"{config.path} can be changed by anybody", f"chmod o-w {config.path}")


def _notifications(config: LiveConfig, ask: Ask | None) -> Iterator[Check]:
    from tradelab.app.daemon_secrets import addresses_of, webhook_secret
    from tradelab.app.notify import sender
    from tradelab.store.database import Database
    from tradelab.store.secrets import Secrets
    from tradelab.store.vault import Vault

    with Database() as database:
        secrets = Secrets(Vault(database, ask=ask))
        addresses = addresses_of(config, secrets)
        if addresses:
            sender(addresses)
            yield Check("notifications", Found.WELL, f"to {', '.join(addresses)}")
        elif config.node.is_live:
            yield Check(
                "notifications",
                Found.LOOK,
                "a live engine tells nobody",
                "tradelab notify add phone; [daemon.notify] to",
            )
        if webhook_secret(config, secrets) is not None:
            yield Check("webhook", Found.WELL, f"signed signals at {config.daemon.webhook}")


def _daemon(config: LiveConfig) -> Iterator[Check]:
    from tradelab.app.handle import Handle
    from tradelab.app.run_folder import RunFolder

    folder = RunFolder(config.node.name)
    if not folder.is_held:
        yield Check("daemon", Found.WELL, "it does not run", f"Start it: tradelab up {config.path}")
        return
    health = Handle(config.node.name).health()
    word = Found.WELL if health["ok"] else Found.WRONG
    yield Check("daemon", word, "; ".join(health["faults"]) or f"it runs, process {health['pid']}", "tradelab logs")


# ── the venues ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _connections(config: LiveConfig, connect: bool, timeout_s: float, ask: Ask | None) -> Iterator[Check]:
    from tradelab.app.connections import are_kept, records
    from tradelab.app.daemon_secrets import saved_connections

    wanted = saved_connections(config)
    if not wanted:
        return
    if not are_kept():
        yield Check("connections", Found.WRONG, "none are made yet", _make(next(iter(wanted))))
        return
    with records(ask=ask) as kept:
        known = {one.name: one for one in kept.list()}
        for name, purposes in wanted.items():
            if name not in known:
                yield Check(f"connection {name}", Found.WRONG, "there is none", _make(name))
                continue
            yield from _looked_at(kept, known[name], purposes, connect, timeout_s)


def _looked_at(
    kept: Connections, connection: Connection, purposes: set[str], connect: bool, timeout_s: float
) -> Iterator[Check]:
    about = f"connection {connection.name}"
    yield from _guarded(about, lambda: _usable(kept, connection.name, purposes))
    if connect:
        yield from _guarded(about, lambda: _asked(kept, connection, purposes, timeout_s))


def _make(name: str) -> str:
    return f"Make, test and activate it: tradelab connections add {name} PROVIDER (see: tradelab connections providers)"


def _usable(kept: Connections, name: str, purposes: set[str]) -> Iterator[Check]:
    from tradelab.app.connections import usable

    for purpose in sorted(purposes):
        one = usable(kept, name, purpose)
        yield Check(f"connection {name}", Found.WELL, f"active, for {purpose}, account: {one.account_kind}")


def _asked(kept: Connections, connection: Connection, purposes: set[str], timeout_s: float) -> Iterator[Check]:
    """Yield what asking the venue shows: whether it answers, how fast, its clock, what our key may do."""
    from tradelab.app.connections import in_own_loop, tried

    about = f"connection {connection.name}"
    result = in_own_loop(lambda: tried(kept, connection, timeout_s=timeout_s))
    if not result.passed:
        yield Check(about, Found.WRONG, result.says, f"tradelab connections test {connection.name}")
        return
    yield clock_check(connection.name, result.clock_offset_ms)
    if result.latency_ms is not None:
        slow = result.latency_ms > SLOW_VENUE_MS
        fix = "Look at the network between here and there." if slow else ""
        yield Check(about, Found.LOOK if slow else Found.WELL, f"answers in {result.latency_ms:.0f} ms", fix)
    if connection.credential_fields:
        rights = in_own_loop(lambda: key_rights(kept, connection, timeout_s))
        yield from key_checks(connection.name, rights, executes="execution" in purposes)


def clock_check(name: str, offset_ms: float | None) -> Check:
    """Judge how far our clock is from a venue's.

    >>> clock_check("main", 1_500.0).found, clock_check("main", -3.0).says
    (<Found.WRONG: 'WRONG'>, 'our clock is 3 ms ahead of that of main')
    """
    if offset_ms is None:
        fix = "Compare this machine's with a time server."
        return Check(f"clock, by {name}", Found.LOOK, "the venue tells no time", fix)
    size = abs(offset_ms)
    found = Found.WRONG if size > WORST_OFFSET_MS else Found.LOOK if size > OFFSET_MS else Found.WELL
    side = "behind" if offset_ms > 0 else "ahead of"
    fix = "" if found is Found.WELL else "Let a time service set it: chronyd, systemd-timesyncd, w32time."
    return Check(f"clock, by {name}", found, f"our clock is {size:.0f} ms {side} that of {name}", fix)


def key_checks(name: str, rights: KeyRights | None, *, executes: bool) -> list[Check]:
    """Judge what a venue lets our key do: to withdraw is wrong, for who steals such a key takes the money.

    Parameters
    ----------
    rights
        As the venue told them; ``None`` where it cannot be asked.
    executes
        Whether orders are to be sent by this connection: then a key that may not trade is wrong, too.

    >>> [check.found.value for check in key_checks("main", KeyRights(trades=True, withdraws=True), executes=True)]
    ['WRONG', 'look']
    """
    about = f"key of {name}"
    if rights is None or (rights.trades, rights.withdraws) == (None, None):
        fix = (
            "Look at the venue's page on API keys: withdrawals must be off, trading on where orders are sent, and the "
            "key bound to this machine's address."
        )
        return [Check(about, Found.LOOK, "what it may do cannot be asked of this venue", fix)]
    found = [_withdraws(about, rights)]
    if executes and rights.trades is False:
        says = "it may not trade in this market: every order will be refused"
        found.append(Check(about, Found.WRONG, says, "Allow it at the venue, on its page of API keys; nothing more."))
    if rights.is_bound is not True:
        says = "it works from every internet address" if rights.is_bound is False else "its addresses were not told"
        fix = "Bind it to this machine's address at the venue: a key that is stolen is then of no use elsewhere."
        found.append(Check(about, Found.LOOK, says, fix))
    if rights.days_left is not None and rights.days_left <= _DAYS_LEFT:
        says = f"the venue takes it away in {rights.days_left} day(s)"
        fix = f"Renew it there, or make another: tradelab connections credentials {name}"
        found.append(Check(about, Found.LOOK, says, fix))
    return found


def _withdraws(about: str, rights: KeyRights) -> Check:
    may = "trade and read" if rights.trades else "read" if rights.trades is False else "not said what"
    if rights.withdraws:
        fix = "Switch that off at the venue, on its page of API keys; or make another key, and delete this one."
        return Check(about, Found.WRONG, "it may withdraw money", fix)
    if rights.withdraws is None:
        fix = "Look at the venue's page on API keys: withdrawals must be off."
        return Check(about, Found.LOOK, "the venue does not say whether it may withdraw", fix)
    return Check(about, Found.WELL, f"it may {may}; it may not withdraw")


async def key_rights(kept: Connections, connection: Connection, timeout_s: float) -> KeyRights | None:
    """Ask a connection's venue what our key may do; ``None`` where its adapter knows no such question."""
    from tradelab.adapters.rehearsal_clock import clock_of
    from tradelab.app.connections import adapter_of, base_url

    adapter: Any = adapter_of(kept, connection, await clock_of(base_url(connection)))
    ask = getattr(adapter, "key_rights", None)
    if ask is None:
        return None
    try:
        async with asyncio.timeout(timeout_s):
            await adapter.connect()
            told: KeyRights | None = await ask()
    except TimeoutError:
        raise ConnectivityError(f"{connection.name} did not say within {timeout_s:g} s what the key may do.") from None
    finally:
        await adapter.disconnect()
    return told
