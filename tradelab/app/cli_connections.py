"""Offer connections on the command line: add, list, test, activate, deactivate, remove, and look at one."""

from __future__ import annotations

import asyncio
import difflib
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from tradelab.app import cli_secrets
from tradelab.app.cli_secrets import NoSecretsCommand
from tradelab.model.errors import ConfigError, ParameterError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tradelab.model.ports import ConnectionTest
    from tradelab.store.connections import Connections
    from tradelab.store.keys import HeldKey
    from tradelab.store.settings import Provider

_PURPOSES, _KINDS = click.Choice(["data", "execution", "copy"]), click.Choice(["paper", "live", "rehearsal"])
_SETTINGS = (
    click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="A setting of the provider. Repeatable."),
    click.option(
        "--symbol", "symbols", multiple=True, help="What it is used for, as the provider writes it. Repeatable."
    ),
    click.option("--timeframe", "timeframes", multiple=True, help="1m, 1h, 1d ... Repeatable."),
    click.option("--for", "purposes", multiple=True, type=_PURPOSES, help="What it is for. Repeatable. Default: data."),
    click.option("--account", "kind", type=_KINDS, help="Whose money it is; must be said for execution and copy."),
)


def _with_settings(command: Any) -> Any:
    for option in reversed(_SETTINGS):
        command = option(command)
    return command


@click.group()
def connections() -> None:
    """Connect to exchanges and brokers: make, test and use connections, each by its name.

    A connection is made once, tested, activated, and then used by name: `tradelab data stream NAME BTC/USDT 1m`.
    Credentials are sealed with a key: TRADELAB_KEY, TRADELAB_PASSPHRASE, or the operating system's keyring.

    \b
    Try:  tradelab connections providers
          tradelab connections add main binance
          tradelab connections test main
          tradelab connections activate main
          tradelab connections list

    Exit codes: 0 done, 1 a test failed, 2 refused, with what to do.
    """


@connections.command(cls=NoSecretsCommand, short_help="Make a connection, inactive.")
@click.argument("name")
@click.argument("provider")
@_with_settings
@click.option("--owner", help="Whose it is. Default: you.")
@cli_secrets.options
def add(
    name: str, provider: str, sets: tuple[str, ...], symbols: tuple[str, ...], timeframes: tuple[str, ...],
    purposes: tuple[str, ...], kind: str | None, owner: str | None, from_env: tuple[str, ...], stdin: bool,
) -> None:  # fmt: skip
    """Make the connection NAME to PROVIDER: an exchange's ccxt id, or a name from `tradelab connections providers`.

    Credentials are asked for, and not shown while you type; an exchange without any is used for public data. Nothing
    is sent anywhere before you test it.

    \b
    Try:  tradelab connections add public binance
          tradelab connections add main bybit --for data --for execution --account live --set market=linear
          tradelab connections add demo mtapi --set base_url=https://mt5.mtapi.io --from-env password=MT_PASSWORD \\
              --from-env user=MT_USER
          tradelab connections add ours binance --set base_url=http://127.0.0.1:8080 --account rehearsal \\
              --stdin < login.json
    """
    from tradelab.app import connections as service

    declared = service.provider_of(service.known_provider(provider))
    wanted = purposes or ("data" if "data" in declared.purposes else "execution",)
    if kind is None and set(wanted) - {"data"}:
        raise ParameterError(
            f"--account is missing: a connection for {', '.join(wanted)} trades, so say whose money it is.",
            allowed=["paper", "live", "rehearsal"],
        )
    settings = _settings(sets, declared) | _lists(symbols, timeframes)
    secrets = cli_secrets.credentials(declared.credentials, from_env, stdin)
    with _records() as kept:
        made = service.add_connection(
            kept, name, provider, purposes=wanted, settings=settings, credentials=secrets,
            account_kind=kind or "paper", owner=owner,
        )  # fmt: skip
    held = f"sealed: {', '.join(made.credential_fields)}" if made.credential_fields else "no credentials: public data"
    click.echo(f"made {made.name} to {made.provider} ({_label(made.provider)}); {held}")
    click.echo(f"Next:  tradelab connections test {_word(made.name)}")


@connections.command(name="list", short_help="List connections with health and latency.")
def list_() -> None:
    """List connections: what each is, how far its adapter is proved, its health, and how fast it answers."""
    from tradelab.app.connections_table import table

    with _records() as kept:
        click.echo(repr(table(kept)))


@connections.command(short_help="List what can be connected to.")
def providers() -> None:
    """List what can be connected to, what each asks for, and how far each has been proved."""
    from tradelab.adapters import registry
    from tradelab.app import connections as service

    for written in service.provider_ids():
        spec = service.registry.spec(written.partition(":")[0])
        click.echo(f"{written:<18} {spec.title}  [{_proof(spec)}]")
        for field in spec.credentials:
            click.echo(f"    {field.name:<16} credential{'' if field.required else ', optional'}: {field.says}")
        for setting in spec.settings:
            if setting.name != spec.variant:
                click.echo(f"    {setting.name:<16} setting{', required' if setting.required else ''}: {setting.says}")
    for name, why in registry.adapters().broken.items():
        click.echo(f"{name}: {why}", err=True)


@connections.command(short_help="Connect and ask; nothing is traded.")
@click.argument("name")
@click.option("--timeout", "timeout_s", type=click.FloatRange(1, 300), default=30.0, show_default=True, help="Seconds.")
def test(name: str, timeout_s: float) -> None:
    """Connect, ask for the time and, with credentials, for the account; nothing is traded.

    Exit code 1 when it fails. A test that passes is what `tradelab connections activate` needs.
    """
    from tradelab.app import connections as service

    with _records() as kept:
        try:
            after, result = asyncio.run(service.test_connection(kept, name, timeout_s=timeout_s))
        except KeyboardInterrupt:
            click.echo(f"stopped; {name} was not tested.", err=True)
            raise SystemExit(130) from None
        click.echo(_tested(name, result))
        if result.passed and after.status != "active":
            click.echo(f"Next:  tradelab connections activate {_word(name)}")
    if after.resumes:
        click.echo(f"{name} is not used meanwhile; it is active again as soon as a test passes.")
    if not result.passed:
        raise SystemExit(1)


@connections.command(short_help="Let a tested connection be used.")
@click.argument("name")
def activate(name: str) -> None:
    """Let a connection be used; its last test must have passed."""
    with _records() as kept:
        try:
            kept.activate(name)
        except ConfigError as error:
            if "Test it first" not in error.fix:
                raise
            raise type(error)(error.problem, fix=f"Test it first: tradelab connections test {_word(name)}") from None
    click.echo(f"{name} is active.")


@connections.command(short_help="Let a connection not be used.")
@click.argument("name")
def deactivate(name: str) -> None:
    """Let a connection not be used, until it is activated again."""
    with _records() as kept:
        kept.deactivate(name)
    click.echo(f"{name} is inactive.")


@connections.command(short_help="Let a live account be traded with.")
@click.argument("name")
@click.option("--agree", metavar="NAME", help="Its name once more, where nobody can type it.")
def arm(name: str, agree: str | None) -> None:
    """Let engines trade the live account NAME with real money, until it is disarmed or anything of it is changed.

    A person says so, by typing its name. An engine's bots still enter nothing before `tradelab arm NAME`, which is said
    to the engine that runs.
    """
    from tradelab.store.arming import arm as armed

    with _records() as kept:
        one = kept.get(name)
        if agree is None and sys.stdin.isatty():
            click.echo(f"{one.name} ({one.provider}, account {one.account_kind}, owner {one.owner}): REAL MONEY.")
            agree = click.prompt("Type its name to let engines trade it")
        if agree != name:
            fix = (
                f"Look at it first: tradelab doctor; then: tradelab connections arm {_word(name)} --agree {_word(name)}"
            )
            raise ConfigError("nobody agreed; nothing was armed.", fix=fix)
        armed(kept, name)
    click.echo(f"{name} is armed: an engine that starts with it may trade it.")
    click.echo(f"Next:  tradelab up FILE, then: tradelab arm {_word(name)}")


@connections.command(short_help="Let a live account not be traded with.")
@click.argument("name")
def disarm(name: str) -> None:
    """Let no engine that starts trade the live account NAME. One that runs: tradelab disarm NAME, or tradelab halt."""
    from tradelab.store.arming import disarm as disarmed

    with _records() as kept:
        disarmed(kept, name)
    click.echo(f"{name} is disarmed.")


@connections.command(short_help="Forget a connection.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, yes: bool) -> None:
    """Forget a connection with its credentials and tests; the audit stays. An active one is refused."""
    with _records() as kept:
        known = kept.get(name)
        if known.status == "active":
            fix = f"Deactivate it first: tradelab connections deactivate {_word(name)}"
            raise ConfigError(f"connection {name!r} is active.", fix=fix)
        if not yes:
            if not sys.stdin.isatty():
                raise ConfigError("nobody agreed; nothing was removed.", fix="Add --yes where nobody can answer.")
            click.confirm(f"Remove {name} ({known.provider}) with its credentials?", abort=True)
        kept.delete(name)
    click.echo(f"removed {name}.")


@connections.command(short_help="Show all about one but its secrets.")
@click.argument("name")
def show(name: str) -> None:
    """Show all about one connection but its secrets: settings, health, last tests."""
    import time

    from tradelab.app.connections_table import line, moment
    from tradelab.store.health import health

    with _records() as kept:
        one, tests = kept.get(name), kept.tests(name)[-5:]
        now_ns = time.time_ns()
        told = line(kept, one, now_ns)
        says = health(one, now_ns).says
    click.echo(f"{one.name}  {one.provider} ({told.proved})  owner {one.owner}")
    click.echo(f"for         {told.purposes}; account {told.account}")
    click.echo(f"status      {told.status}; {told.health}: {says}")
    click.echo(f"settings    {json.dumps(one.settings.stored(), ensure_ascii=False)}")
    click.echo(f"credentials {', '.join(f'{field}=****' for field in one.credential_fields) or 'none'}")
    click.echo(f"latency     p50 {told.p50_ms} ms, p95 {told.p95_ms} ms")
    click.echo(f"made {moment(one.created_ns)}, tested {told.tested}, used {moment(one.used_ns)} UTC")
    for past in tests:
        click.echo(f"  {moment(past.at_ns)}  {'passed' if past.passed else 'FAILED'}  {past.says}")


@connections.command(cls=NoSecretsCommand, short_help="Change settings or purposes.")
@click.argument("name")
@_with_settings
@click.option(
    "--unset", "unsets", multiple=True, metavar="NAME", help="Take a setting back to its default. Repeatable."
)
@click.option("--owner", help="Whose it is.")
def update(
    name: str, sets: tuple[str, ...], symbols: tuple[str, ...], timeframes: tuple[str, ...],
    purposes: tuple[str, ...], kind: str | None, unsets: tuple[str, ...], owner: str | None,
) -> None:  # fmt: skip
    """Change what is given and leave the rest; most changes ask for a new test.

    \b
    Try:  tradelab connections update main --symbol BTC/USDT --symbol ETH/USDT
          tradelab connections update main --set timeout_s=20 --unset sandbox
    """
    from tradelab.app import connections as service

    with _records() as kept:
        one = kept.get(name)
        declared = service.provider_of(one.provider)
        settings = one.settings.stored()
        for gone in unsets:
            if settings.pop(gone, None) is None:
                raise ParameterError(f"--unset {gone}: it is not set.", allowed=sorted(settings))
        settings |= _settings(sets, declared) | _lists(symbols, timeframes)
        service.require_settings(one.provider, settings)
        after = kept.update(
            name, seen=one.version, settings=settings, purposes=purposes or None, account_kind=kind, owner=owner
        )
    click.echo(f"{name} is changed; it is {after.status}.")
    if not after.passed:
        click.echo(f"Next:  tradelab connections test {_word(name)}")


@connections.command()
@click.argument("name")
@click.argument("new")
def rename(name: str, new: str) -> None:
    """Give a connection another name."""
    with _records() as kept:
        kept.rename(name, new)
    click.echo(f"{name} is called {new} now.")


@connections.command(cls=NoSecretsCommand, short_help="Give new credentials.")
@click.argument("name")
@cli_secrets.options
def credentials(name: str, from_env: tuple[str, ...], stdin: bool) -> None:
    """Give a connection new credentials in place of all old ones; it is inactive until it has passed a new test."""
    from tradelab.app import connections as service

    with _records() as kept:
        declared = service.provider_of(kept.get(name).provider)
        after = kept.set_credentials(name, cli_secrets.credentials(declared.credentials, from_env, stdin))
    click.echo(f"sealed: {', '.join(after.credential_fields) or 'nothing'}")
    click.echo(f"Next:  tradelab connections test {_word(name)}")


@connections.command(name="rotate-key", cls=NoSecretsCommand, short_help="Seal all with another key.")
@click.option("--to", "place", type=click.Choice(["keyring", "environment", "passphrase"]), required=True)
@click.option("--from-env", "variable", metavar="VARIABLE", help="Where the new key or passphrase is, by name.")
def rotate_key(place: str, variable: str | None) -> None:
    """Seal all credentials with another key, in one step; the old key opens nothing afterwards.

    \b
    Try:  tradelab connections rotate-key --to keyring
          NEW=... tradelab connections rotate-key --to environment --from-env NEW
    """
    with _records() as kept:
        count = kept.change_key(_new_key(place, variable))
    click.echo(f"sealed {count} value(s) with another key, held by: {place}.")


@connections.command(short_help="Show who did what, newest first.")
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
def audit(name: str | None, limit: int) -> None:
    """Show who did what to which connection, newest first; deleted ones too."""
    from tradelab.app.connections_table import moment

    with _records() as kept:
        for row in kept.audit(name, limit=limit):
            click.echo(f"{moment(row.at_ns)}  {row.who}  {row.what}  {row.name}  {row.old} -> {row.new}")


# ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _records() -> AbstractContextManager[Connections]:
    from tradelab.app.connections import records

    return records(ask=cli_secrets.ask_passphrase)


def _settings(pairs: Iterable[str], declared: Provider) -> dict[str, Any]:
    """Read NAME=VALUE; a value that begins as a JSON list or object is one, any other is text.

    A name that is not known is repeated only where it is nearly one that is: else it may be a secret.
    """
    known, secret = list(declared.settings.model_fields), [field.name for field in declared.credentials]
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ParameterError("--set wants NAME=VALUE.", fix="For example --set timeout_s=20.")
        if name in secret:
            raise ParameterError(f"--set {name}: that is a credential.", fix=cli_secrets.WHY)
        if name not in known and not difflib.get_close_matches(name, known, n=1):
            raise ParameterError(f"--set names a setting that {declared.id} does not have.", allowed=sorted(known))
        try:
            found[name] = json.loads(value) if value[:1] in ("[", "{") else value
        except ValueError:
            raise ParameterError(f"--set {name}: the value begins like JSON and is none.") from None
    return found


def _lists(symbols: tuple[str, ...], timeframes: tuple[str, ...]) -> dict[str, Any]:
    return {name: list(given) for name, given in (("symbols", symbols), ("timeframes", timeframes)) if given}


def _tested(name: str, result: ConnectionTest) -> str:
    latency = "" if result.latency_ms is None else f" in {result.latency_ms:.1f} ms"
    if not result.passed:
        return f"{name}: FAILED{latency}: {result.says}"
    offset = "" if result.clock_offset_ms is None else f"; its clock is {result.clock_offset_ms:+.0f} ms from ours"
    return f"{name}: passed{latency}{offset}.\nconnected and asked: {result.says}"


def _label(provider: str) -> str:
    from tradelab.app.connections import evidence_of

    evidence = evidence_of(provider)
    return "not installed here" if evidence is None else evidence.value


def _proof(spec: Any) -> str:
    others = ", ".join(f"{name}: {evidence.value}" for name, evidence in spec.proved.items())
    return f"{others}; any other: {spec.evidence.value}" if others else str(spec.evidence.value)


def _new_key(place: str, variable: str | None) -> HeldKey:
    import os

    from tradelab.model.credentials import Secret
    from tradelab.store.keys import given_key, keyring_key, passphrase_key

    if place == "keyring":
        return keyring_key()
    if variable is not None and variable not in os.environ:
        raise ParameterError("--from-env: there is no such environment variable.", fix="Give its name, not its value.")
    if variable is None and place == "environment":
        raise ParameterError("--from-env is missing.", fix="Name the variable that holds the new key.")
    new = Secret(cli_secrets.ask_passphrase("New passphrase: ") if variable is None else os.environ[variable])
    return given_key(new) if place == "environment" else passphrase_key(new)


def _word(name: str) -> str:
    import shlex

    return shlex.quote(name)
