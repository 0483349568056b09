"""Join the records of connections to the adapters that connect: what can be connected to, open, test, watch.

The only place beside the builder that knows both. Secrets are unsealed in the expression that hands them to the
adapter, are logged nowhere, and are starred in whatever a venue says.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tradelab.adapters import registry
from tradelab.adapters.registry import AdapterSpec
from tradelab.adapters.rehearsal_clock import clock_of
from tradelab.model.capabilities import Evidence
from tradelab.model.clock import Clock, SystemClock
from tradelab.model.credentials import Secret, check_credentials
from tradelab.model.errors import ConfigError, ParameterError, RequestError, TradelabError, UnknownNameError
from tradelab.model.ports import ConnectionTest

if TYPE_CHECKING:
    from tradelab.store.connections import Connections
    from tradelab.store.keys import Ask
    from tradelab.store.records import Connection
    from tradelab.store.settings import Provider
    from tradelab.store.watch import HealthWatch

TEST_S = 30.0
_GOODBYE_S = 5.0
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Opened:
    """An adapter made from a saved connection, not connected yet, and the clock that it runs by."""

    connection: Connection
    adapter: Any  # a DataProvider, an ExecutionVenue, or both
    clock: Clock


# ── the records ──────────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def records(*, ask: Ask | None = None, who: str | None = None) -> Iterator[Connections]:
    """Open the records of this user, with every adapter's provider known to them; closed at the end."""
    from tradelab.store import open_connections

    opened = open_connections(provider_of, ask=ask, who=who)
    try:
        yield opened
    finally:
        opened.database.close()


def are_kept() -> bool:
    """Whether there are records to look into, without making any."""
    from tradelab.catalog.bars import default_root

    if find_spec("sqlalchemy") is None:
        return False
    return bool(os.environ.get("TRADELAB_DATABASE")) or (default_root().parent / "records.sqlite").exists()


# ── providers ────────────────────────────────────────────────────────────────────────────────────────────────────────


def provider_ids() -> tuple[str, ...]:
    """Return what can be connected to, as it is written: a name, or ``ccxt:<exchange>``."""
    specs = registry.adapters().specs.values()
    return tuple(f"{s.provider}:<{s.variant}>" if s.variant else s.provider for s in specs)


def provider_of(provider: str) -> Provider:
    """Return what a provider declares, as the records ask for it.

    An adapter that executes can also serve copying, which is data and execution for others.

    Raises
    ------
    UnknownNameError
        No adapter is called that.
    ParameterError
        It needs a variant, as in ``ccxt:binance``, or takes none.
    """
    from tradelab.store.settings import Provider, Purpose, named_settings

    spec, preset = _spec_of(provider)
    purposes = {Purpose(purpose.value) for purpose in spec.purposes}
    if Purpose.EXECUTION in purposes:
        purposes.add(Purpose.COPY)
    own = {field.name: field.required for field in spec.settings if field.name not in preset}
    return Provider(provider, spec.credentials, named_settings(own), frozenset(purposes))


def evidence_of(provider: str) -> Evidence | None:
    """Return how far an adapter has been proved; ``None`` for one that is not installed here."""
    try:
        spec, preset = _spec_of(provider)
    except ConfigError:
        return None
    return spec.evidence_of(str(preset.get(spec.variant, "")))


def spec_of(provider: str) -> AdapterSpec:
    """Return the adapter's own declaration: its settings with what each means. Raises as :func:`provider_of` does."""
    return _spec_of(provider)[0]


def known_provider(provider: str) -> str:
    """Return the id that a person means: an exchange's own name is ``ccxt:`` and that name."""
    if ":" in provider or provider in registry.providers():
        return provider
    return f"ccxt:{provider}"


def _spec_of(provider: str) -> tuple[AdapterSpec, dict[str, Any]]:
    name, colon, variant = provider.partition(":")
    spec = registry.spec(name)
    if bool(variant) is not bool(spec.variant) or (colon and not variant):
        asked = f"{name}:<{spec.variant}>" if spec.variant else name
        raise ParameterError(f"provider {provider!r} is not one.", allowed=[asked])
    return spec, {spec.variant: variant} if variant else {}


# ── making ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def add_connection(
    kept: Connections,
    name: str,
    provider: str,
    *,
    purposes: Iterable[str],
    settings: Mapping[str, Any] = _NOTHING,
    credentials: Mapping[str, str | Secret] = _NOTHING,
    account_kind: str = "paper",
    owner: str | None = None,
) -> Connection:
    """Make a connection once its adapter has taken the settings and credentials; nothing is sent anywhere.

    Raises
    ------
    UnknownNameError
        There is no such provider or exchange.
    ParameterError
        A setting or a credential is missing, unknown or not a possible value; the name is taken.
    """
    meant = known_provider(provider)
    credentials = {n: value if isinstance(value, Secret) else Secret(value) for n, value in credentials.items()}
    try:
        require_settings(meant, settings, credentials)
    except UnknownNameError as error:
        if meant == provider:
            raise
        others = f"Or another provider: {', '.join(provider_ids())}."
        raise UnknownNameError(error.problem, allowed=error.allowed, fix=others) from None
    return kept.create(
        name, meant, purposes=purposes, settings=settings, credentials=credentials or None,
        account_kind=account_kind, owner=owner,
    )  # fmt: skip


def require_settings(
    provider: str, settings: Mapping[str, Any], credentials: Mapping[str, str | Secret] | None = None
) -> None:
    """Refuse settings that the adapter itself would not take; ``None`` for credentials leaves these aside."""
    spec, preset = _spec_of(provider)
    asked = provider_of(provider).check_settings(settings).only(f.name for f in spec.settings)
    if credentials is None:
        credentials = {field.name: Secret("0" * 8) for field in spec.credentials if field.required}
    spec.open({**asked, **preset}, check_credentials(spec.credentials, credentials, provider=provider), SystemClock())


# ── using ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def open_connection(kept: Connections, name: str, *, purpose: str | None = None) -> Opened:
    """Make the adapter of an active connection; connect it with ``await opened.adapter.connect()``.

    Where its address is a rehearsal's, it runs by that rehearsal's clock, else by the machine's.

    Parameters
    ----------
    purpose
        What it is wanted for: ``data``, ``execution`` or ``copy``; by default data, else the first it is for.

    Raises
    ------
    ConfigError
        It is not active, not for that purpose, or a live account that nobody has armed.
    """
    connection = await asyncio.to_thread(usable, kept, name, purpose)
    clock = await clock_of(base_url(connection))
    await asyncio.to_thread(kept.mark_used, name)
    return Opened(connection, adapter_of(kept, connection, clock), clock)


def usable(kept: Connections, name: str, purpose: str | None = None) -> Connection:
    """Return a connection that may be used for a purpose now; raises as :func:`open_connection` does."""
    try:
        connection = kept.get(name)
    except UnknownNameError as error:
        fix = f"Make it: tradelab connections add {name} EXCHANGE; or, offline: tradelab rehearse --connect {name}"
        raise UnknownNameError(error.problem, allowed=error.allowed, fix=fix) from None
    _require_usable(connection, purpose)
    return connection


def adapter_of(kept: Connections, connection: Connection, clock: Clock) -> Any:
    """Make a connection's adapter with its credentials, unsealed here and handed on at once; nothing is sent."""
    spec, preset = _spec_of(connection.provider)
    settings = connection.settings.only(field.name for field in spec.settings) | preset
    return spec.open(settings, kept.credentials(connection.name), clock)


def base_url(connection: Connection) -> str | None:
    """Return the address that was set in place of the real one, if one was."""
    url = connection.settings.stored().get("base_url")
    return url if isinstance(url, str) else None


async def test_connection(
    kept: Connections, name: str, *, timeout_s: float = TEST_S
) -> tuple[Connection, ConnectionTest]:
    """Connect, ask, disconnect, and keep what that showed; a passing test is what activating needs.

    Raises
    ------
    ConfigError
        It is not complete, or its credentials cannot be unsealed here; this says nothing about the venue.
    StorageError
        Somebody else is testing it.
    """
    await asyncio.to_thread(kept.credentials, name)  # no key: a refusal, and not a failed test
    lease = await asyncio.to_thread(kept.begin_test, name, lease_s=timeout_s + 2 * _GOODBYE_S + 60.0)
    try:
        result = await tried(kept, lease.connection, timeout_s=timeout_s)
    except BaseException:  # stopped by the user: an active connection stays what it was
        if lease.connection.status != "active":
            kept.end_test(lease, ConnectionTest(False, "the test was stopped before it ended"))
        raise
    return await asyncio.to_thread(kept.end_test, lease, result), result


def watch_health(kept: Connections, **how: Any) -> HealthWatch:
    """Return what tests the connections in use now and then; run it with ``await watch.run()``.

    ``how`` is passed to :class:`~tradelab.store.watch.HealthWatch`: ``every_s``, ``jitter``, ``at_once``,
    ``timeout_s``.

    Raises
    ------
    ConfigError
        Credentials cannot be unsealed here: every test would fail, and say nothing about the venues.
    """
    from tradelab.store.watch import HealthWatch

    sealed = next((known.name for known in kept.list() if known.credential_fields), None)
    if sealed is not None:
        kept.credentials(sealed)
    timeout_s = float(how.get("timeout_s", 60.0))
    return HealthWatch(kept, lambda connection: tried(kept, connection, timeout_s=timeout_s), **how)


async def tried(kept: Connections, connection: Connection, *, timeout_s: float = TEST_S) -> ConnectionTest:
    """Return what connecting and asking showed, in words without secrets; records nothing."""
    adapter: Any = None
    try:
        async with asyncio.timeout(timeout_s):
            adapter = adapter_of(kept, connection, await clock_of(base_url(connection)))
            await adapter.connect()
            result: ConnectionTest = await adapter.test_connection()
    except TimeoutError:
        result = ConnectionTest(False, f"no answer within {timeout_s:g} s")
    except TradelabError as error:  # what the venue refuses, or our own settings, does not pass by itself
        result = ConnectionTest(False, str(error), refused=isinstance(error, RequestError | ConfigError))
    except Exception as error:  # noqa: BLE001 - whatever another package's adapter raises is what the test showed
        result = ConnectionTest(False, f"{type(error).__name__}: {error}")
    finally:
        if adapter is not None:
            await _hang_up(adapter)
    says = (await asyncio.to_thread(kept.credentials, connection.name)).scrub(result.says)
    return replace(result, says=says)


async def _hang_up(adapter: Any) -> None:
    with contextlib.suppress(TradelabError, TimeoutError, OSError):  # what the test showed is known already
        async with asyncio.timeout(_GOODBYE_S):
            await adapter.disconnect()


def _require_usable(connection: Connection, purpose: str | None) -> None:
    from tradelab.store.records import AccountKind, Status
    from tradelab.store.settings import Purpose

    offered = [str(known) for known in connection.purposes]
    wanted = purpose or (Purpose.DATA.value if Purpose.DATA in connection.purposes else offered[0])
    name = connection.name
    if connection.status is not Status.ACTIVE:
        ready = f"tradelab connections activate {name}" if connection.passed else f"tradelab connections test {name}"
        raise ConfigError(
            f"connection {name!r} is {connection.status}; only an active one is used.", fix=f"Next: {ready}"
        )
    if wanted not in offered:
        fix = f"Allow it: tradelab connections update {name} --for {wanted}"
        raise ParameterError(f"connection {name!r} is not for {wanted!r}.", allowed=offered, fix=fix)
    if wanted != Purpose.DATA and connection.account_kind is AccountKind.LIVE and connection.armed_at_ns is None:
        raise ConfigError(
            f"connection {name!r} is a live account that nobody has armed: it is not given out to trade with.",
            fix=f"A person does that, once it was looked at (tradelab doctor): tradelab connections arm {name}",
        )


def in_own_loop(job: Callable[[], Any]) -> Any:
    """Run what ``job()`` returns to its end on a loop and a thread of its own, so that it works inside Jupyter too."""
    import threading

    done: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(asyncio.run(job()))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            failed.append(error)

    thread = threading.Thread(target=run, name="tradelab-connections", daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]
