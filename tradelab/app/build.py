"""Put a node together: the one place that knows modules, adapters and records, and gives each what it needs."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from tradelab import __version__
from tradelab.adapters.rehearsal_clock import clock_of
from tradelab.app.connections import adapter_of, base_url, provider_of, usable
from tradelab.app.left_alone import left_alone
from tradelab.app.paper_account import PaperAccountVenue, paper_file, paper_terms
from tradelab.app.paper_feed import PaperFeed
from tradelab.model.clock import Clock, SystemClock
from tradelab.model.errors import ConfigError, ParameterError
from tradelab.model.ports import DataProvider, ExecutionVenue
from tradelab.modules.index import MANIFESTS
from tradelab.spine.config import AccountConfig, Mode, NodeConfig
from tradelab.spine.desk import MakeStage
from tradelab.spine.keeping import JournalKeeper
from tradelab.spine.manifest import Manifest, assemble
from tradelab.spine.node import Node, Part
from tradelab.spine.permit import LeasedPermit
from tradelab.spine.standing import Standings
from tradelab.store.connections import Connections
from tradelab.store.database import Database, home
from tradelab.store.journal import Journal
from tradelab.store.leases import Leases
from tradelab.store.records import AccountKind
from tradelab.store.states import TradingStates
from tradelab.store.vault import Vault


async def build_node(config: NodeConfig, database: Database, vault: Vault | None = None) -> Node:
    """Return a node that has not started: its modules joined, its connections made and not connected.

    Parameters
    ----------
    vault
        Opens the credentials: one that knows its key already, or can ask for it; by default one that asks nobody.

    Raises
    ------
    ConfigError
        Modules that lack each other, a connection that is not active or not armed, a bot that would trade a live
        account as paper, or paper as live.
    """
    parts = parts_of(config)
    kept = Connections(database, provider_of, vault or Vault(database))
    made: dict[str, Any] = {}
    clocks: dict[str, Clock] = {}
    identities: dict[str, str] = {}
    for name in _connections(config):
        purpose = "execution" if name in {bot.execution for bot in config.bots} else "data"
        connection = usable(kept, name, purpose)
        _require_mode(config, name, connection.account_kind)
        clocks[name] = await clock_of(base_url(connection))
        identities[name] = connection.identity
        made[name] = adapter_of(kept, connection, clocks[name])
    clock = _one_clock(clocks)
    providers: dict[str, DataProvider] = {bot.source: made[bot.source] for bot in config.bots if bot.source in made}
    venues: dict[str, ExecutionVenue] = {}
    for account in dict.fromkeys(bot.execution for bot in config.bots):
        told = config.accounts.get(account, AccountConfig())
        is_paper = told.kind == "paper"
        venues[account] = _paper(config, account, told, providers, clock) if is_paper else made[account]
    return join(config, parts, database, clock, venues, providers, identities)


def join(
    config: NodeConfig,
    parts: Iterable[Part],
    database: Database,
    clock: Clock,
    venues: Mapping[str, ExecutionVenue],
    providers: Mapping[str, DataProvider],
    identities: Mapping[str, str] | None = None,
) -> Node:
    """Return a node on given venues, with its journal, leases and trading states in ``database``."""
    states = TradingStates(database, config.name, clock)
    leases = Leases(database, f"{config.name} on {socket.gethostname()}, process {os.getpid()}", clock=SystemClock())
    node = Node(
        config,
        list(parts),
        JournalKeeper(Journal(database, config.name)),
        clock=clock,
        permit=lambda bus: LeasedPermit(leases, bus, states, SystemClock()),
        venues=venues,
        providers=providers,
        standings=Standings(states),
        version=__version__,
        identities=identities,
    )
    PaperFeed(node).join()
    node.complaints.append(lambda: left_alone(node))
    return node


def parts_of(config: NodeConfig) -> tuple[Part, ...]:
    """Return the modules that are on, each with what makes its stage; the others are never imported."""
    on = assemble(MANIFESTS, config.modules_on, live=config.is_live)
    return tuple(part(manifest) for manifest in on)


def part(manifest: Manifest) -> Part:
    """Return a module with what makes its stage."""
    return Part(manifest, _stage(manifest))


def _stage(manifest: Manifest) -> MakeStage | None:
    if manifest.stage is None:
        return None
    module, _, name = manifest.stage.partition(":")
    make: MakeStage = getattr(import_module(module), name)
    return make


def _connections(config: NodeConfig) -> list[str]:
    """Names of the saved connections that bots use."""
    paper = {name for name, account in config.accounts.items() if account.kind == "paper"}
    named = [name for bot in config.bots for name in (bot.source, bot.execution)]
    return [name for name in dict.fromkeys(named) if name not in paper]


def _require_mode(config: NodeConfig, name: str, kind: AccountKind) -> None:
    is_live = kind is AccountKind.LIVE
    for bot in config.bots:
        if bot.execution == name and (bot.mode is Mode.LIVE) != is_live:
            raise ConfigError(
                f"bot {bot.name!r} has mode = {bot.mode.value!r}, and its account {name!r} is {kind.value}.",
                fix='A bot says mode = "live" if and only if its account is live: paper and live are two accounts.',
            )


def _one_clock(clocks: Mapping[str, Clock]) -> Clock:
    """Return the clock that all connections share: one node lives in one time."""
    others = [clock for clock in clocks.values() if not isinstance(clock, SystemClock)]
    if others and len(clocks) > 1 and any(isinstance(clock, SystemClock) for clock in clocks.values()):
        raise ConfigError(
            "a rehearsal's clock and the world's run at different speeds, and both are used.",
            fix="Put rehearsals and real connections in nodes of their own.",
        )
    return others[0] if others else SystemClock()


def _paper(
    config: NodeConfig, account: str, told: AccountConfig, providers: Mapping[str, DataProvider], clock: Clock
) -> PaperAccountVenue:
    bots = [bot for bot in config.bots if bot.execution == account]
    sources = {bot.source for bot in bots}
    if len(sources) != 1:
        raise ParameterError(
            f"paper account {account!r} is traded on the data of {', '.join(sorted(sources))}.", allowed=["one source"]
        )
    symbols = tuple(dict.fromkeys(symbol for bot in bots for symbol in bot.symbols))
    path = paper_file(home() / "paper", config.name, account)
    return PaperAccountVenue(paper_terms(account, told), path, providers[sources.pop()], symbols, clock=clock)
