"""Read what a node is to run from its TOML file: modules, connections, bots, limits; unknown words are refused."""

from __future__ import annotations

import enum
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from tradelab.model.errors import ConfigError, ParameterError, UnknownNameError
from tradelab.model.units import Timeframe
from tradelab.spine.names import check_names, checked_node, require_apart
from tradelab.spine.presets import Preset
from tradelab.spine.refused import refused
from tradelab.spine.tables import Above, Seconds, Table


class Mode(enum.Enum):
    """What a bot trades with: these are different accounts, not a switch on one."""

    PAPER = "paper"
    LIVE = "live"


class BotConfig(Table):
    """A bot: a strategy with its parameters, what it trades, where, and on what terms.

    Parameters
    ----------
    strategy
        As ``tl.strategies`` lists it; ``None`` for a bot that only takes signals from outside.
    source, execution
        Connections by name: where bars come from, and the account that is traded. A paper account made by this node is
        named in ``[accounts.<name>]``.
    preset
        Sizing, exits, limits and schedule, by name in ``[presets.<name>]``.
    max_bars
        How many bars the strategy is shown, a million at most; by default four times its warm-up, at least 500.
    signal_ttl_s
        How long a signal may be acted on; by default one bar.
    cooldown_s
        After a position was closed, how long the bot leaves that instrument alone.
    """

    name: str
    strategy: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    symbols: tuple[str, ...]
    timeframe: Timeframe
    source: str
    execution: str
    preset: str
    mode: Mode = Mode.PAPER
    filter: str | None = None
    ai: str | None = None
    max_bars: Annotated[int, Field(gt=0, le=1_000_000)] | None = None
    signal_ttl_s: Seconds | None = None
    cooldown_s: Annotated[float, Field(ge=0)] = 0.0
    starts: bool = True

    @field_validator("timeframe", mode="before")
    @classmethod
    def _timeframe(cls, given: Any) -> Timeframe:
        try:
            return Timeframe.of(given)
        except ParameterError as error:
            raise ValueError(str(error)) from None

    @field_validator("symbols")
    @classmethod
    def _symbols(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if not given or len(set(given)) != len(given):
            raise ValueError("at least one, each once")
        return given


class AccountConfig(Table):
    """An account that the node trades: a saved connection, or a paper one that it makes itself.

    ``stop_policy`` is what a stop of the engine does: keep everything that is protected, cancel entries (the default),
    or close every position.

    ``dead_man_s`` lets the venue itself take back what would open positions when this engine has not been heard of for
    so many seconds. It is off by default: a network that is away for that long then costs resting entries, and no order
    needs it to happen once. It is refused for a venue whose switch is not known to spare protective stops (decision
    0030).
    """

    kind: Literal["connection", "paper"] = "connection"
    balances: dict[str, Above] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    stop_policy: Literal["keep", "cancel_entries", "flatten"] = "cancel_entries"
    dead_man_s: Annotated[int, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> AccountConfig:
        if (self.kind == "paper") != bool(self.balances):
            raise ValueError('balances belong to an account of kind = "paper", and only to it')
        if self.settings and self.kind != "paper":
            raise ValueError('settings belong to an account of kind = "paper"; a connection has its own, saved with it')
        return self


class NodeConfig(Table):
    """All that a node runs."""

    name: str = "default"
    modules: dict[str, dict[str, Any] | bool] = Field(default_factory=dict)
    accounts: dict[str, AccountConfig] = Field(default_factory=dict)
    bots: tuple[BotConfig, ...] = ()
    presets: dict[str, Preset] = Field(default_factory=dict)
    filters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    ai: dict[str, dict[str, Any]] = Field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> NodeConfig:
        _require_names(self)
        names = [bot.name for bot in self.bots]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"bots need names of their own: {', '.join(sorted(twice))} is there twice")
        for bot in self.bots:
            for kind, named, known in (
                ("preset", bot.preset, self.presets),
                ("filter", bot.filter, self.filters),
                ("ai", bot.ai, self.ai),
            ):
                if named is not None and named not in known:
                    raise ValueError(str(UnknownNameError.of(f"{kind} for bot {bot.name!r}", named, known)))
            account = self.accounts.get(bot.execution)
            if bot.mode is Mode.LIVE and account is not None and account.kind == "paper":
                raise ValueError(f"bot {bot.name!r} is live, and its account {bot.execution!r} is a paper one")
        return self

    @property
    def modules_on(self) -> tuple[str, ...]:
        """The modules that are on: those with a table, or ``true``."""
        return tuple(name for name, table in self.modules.items() if table is not False)

    def module(self, name: str) -> dict[str, Any]:
        """Return a module's own table; empty where it has none."""
        table = self.modules.get(name, {})
        return table if isinstance(table, dict) else {}

    def bot(self, name: str) -> BotConfig:
        """Return a bot."""
        for bot in self.bots:
            if bot.name == name:
                return bot
        raise UnknownNameError.of("bot", name, [bot.name for bot in self.bots])

    @property
    def is_live(self) -> bool:
        """Whether any bot trades with real money."""
        return any(bot.mode is Mode.LIVE for bot in self.bots)


def _require_names(node: NodeConfig) -> None:
    """Require names that can be file names and parts of names; that of a saved connection was looked at then."""
    try:
        checked_node(node.name)
        for what, names in (
            ("bot", [bot.name for bot in node.bots]),
            ("account", node.accounts),
            ("preset", node.presets),
            ("filter", node.filters),
            ("ai", node.ai),
            ("group", node.groups),
        ):
            check_names(what, names)
        require_apart("accounts", node.accounts)
    except ParameterError as error:
        raise ValueError(str(error)) from None


def read_node(path: str | Path) -> NodeConfig:
    """Return what a TOML file says.

    Raises
    ------
    ConfigError
        It cannot be read, or something in it is unknown, missing or wrong: the message names the field.
    """
    path = Path(path)
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", fix="See configs/paper.toml for one that can.") from None
    return parse_node(told, str(path))


def parse_node(told: dict[str, Any], where: str = "the node's settings") -> NodeConfig:
    """Return what a TOML file's tables say; bots may be a list or tables by name."""
    told = dict(told)
    bots = told.get("bots", ())
    if isinstance(bots, dict):
        told["bots"] = [{"name": name, **table} for name, table in bots.items()]
    try:
        return NodeConfig.model_validate(told)
    except ValidationError as error:
        raise refused(error, NodeConfig, where) from None
