"""Take commands from every door, and have each carried out once: the API, a webhook, a file, the records."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping

from tradelab.app.engine_port import Engine
from tradelab.model.errors import (
    ConfigError,
    InvariantError,
    ParameterError,
    StorageError,
    TradelabError,
)
from tradelab.model.messages import CommandDone
from tradelab.model.states import TradingState
from tradelab.model.units import NS_PER_S
from tradelab.store.commands import Asked, Commands
from tradelab.store.states import TradingStates, is_stricter

POLL_S = 1.0
YOUNG_S = 60.0  # a command that waited longer in the records is answered, and not carried out
_log = logging.getLogger(__name__)


_SCOPED = ((), ("scope", "says"))
_BOT = (("bot",), ("says",))
# What a command must be given, and what it may be given besides: a word that it does not know is refused, for a scope
# that was mistyped would be the whole node. Names that are not here are the engine's to know.
ARGUMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    **dict.fromkeys(("halt", "resume", "reduce", "flatten", "acknowledge"), _SCOPED),
    **dict.fromkeys(("start", "stop", "pause", "resume_bot"), _BOT),
    **dict.fromkeys(("arm", "disarm"), (("account",), ("says",))),
    "cancel": (("order",), ("account",)),
    "order": (
        ("symbol", "side"),
        (
            "account",
            "bot",
            "preset",
            "qty",
            "type",
            "price",
            "stop",
            "stop_loss",
            "take_profit",
            "close",
            "ttl_s",
            "says",
        ),
    ),
    "signal": (
        ("bot", "symbol", "action"),
        (
            "id",
            "origin",
            "price",
            "share",
            "qty",
            "order_type",
            "order_price",
            "limit_price",
            "stop_loss",
            "take_profit",
            "ttl_s",
            "says",
        ),
    ),
}


class CommandDesk:
    """Carries commands out, each id once.

    Two of one id at the same moment share one answer; one that was answered before, in this life of the engine or an
    earlier one, is answered again and not done again.

    Parameters
    ----------
    young_s
        How old a command may be that is found in the records.
    """

    def __init__(self, engine: Engine, commands: Commands, states: TradingStates, *, young_s: float = YOUNG_S) -> None:
        self._engine = engine
        self._commands = commands
        self._states = states
        self._young_ns = int(young_s * NS_PER_S)
        self._under_way: dict[str, asyncio.Task[CommandDone]] = {}

    async def do(self, name: str, arguments: Mapping[str, str], *, id: str, by: str) -> CommandDone:
        """Carry a command out, or return what came of it before.

        It is carried out to its end even if who asked goes away meanwhile.

        Raises
        ------
        ParameterError
            An argument is missing or unknown, or the id was used for another command.
        """
        check(name, arguments)
        task = self._under_way.get(id)
        if task is None:
            task = asyncio.create_task(self._once(name, dict(arguments), id, by), name=f"command {name} {id}")
            self._under_way[id] = task
            task.add_done_callback(lambda _: self._under_way.pop(id, None))
        return await asyncio.shield(task)

    async def watch(self, now_ns: int) -> None:
        """Look into the records once: commands that wait, and states that somebody tightened past the engine."""
        for scope, standing in (await asyncio.to_thread(self._states.read)).items():
            mine = self._engine.ledger.snapshot().states.get(scope, TradingState.ACTIVE)
            if is_stricter(standing.state, mine):
                name = "halt" if standing.state is TradingState.HALTED else "reduce"
                told = hashlib.sha256(f"{scope} {standing.state.value} {standing.at_ns}".encode()).hexdigest()[:24]
                says = {"scope": scope, "says": standing.says}
                await self._tried(Asked(f"records {told}", self._engine.name, name, says, standing.by, now_ns), now_ns)
        for asked in await asyncio.to_thread(self._commands.waiting):
            if asked.id not in self._under_way:
                await self._tried(asked, now_ns)

    async def _tried(self, asked: Asked, now_ns: int) -> None:
        if now_ns - asked.at_ns > self._young_ns and not self._engine.ledger.has_command(asked.id):
            age_s = (now_ns - asked.at_ns) // NS_PER_S
            says = f"not done: it waited for {age_s} s, and nobody may still want it; send it again"
            await asyncio.to_thread(self._commands.answer, asked.id, False, says)
            return
        if asked.arguments is None:
            says = 'not done: its arguments are no JSON object of texts, such as {"scope": "node"}'
            await asyncio.to_thread(self._commands.answer, asked.id, False, says)
            return
        try:
            await self.do(asked.name, asked.arguments, id=asked.id, by=asked.by)
        except ConfigError as error:
            await asyncio.to_thread(self._commands.answer, asked.id, False, str(error))

    async def _once(self, name: str, arguments: dict[str, str], id: str, by: str) -> CommandDone:
        kept = await asyncio.to_thread(self._commands.ask, id, name, arguments, by=by)
        if kept.done is not None:
            return CommandDone(command_id=id, done=kept.done, says=kept.says or "")
        before = self._engine.ledger.command(id)
        if before is not None:
            done = CommandDone(command_id=id, done=before[0], says=before[1])
        else:
            done = await self._asked(name, arguments, id, by)
        await asyncio.to_thread(self._commands.answer, id, done.done, done.says)
        return done

    async def _asked(self, name: str, arguments: dict[str, str], id: str, by: str) -> CommandDone:
        try:
            return await self._engine.command(name, arguments, id=id, by=by)
        except (InvariantError, StorageError):  # not an answer to whoever asked: the engine is not well
            raise
        except TradelabError as error:
            _log.warning("command %s of %s was refused: %s", name, by, error)
            return CommandDone(command_id=id, done=False, says=str(error))


def require_text(text: object) -> None:
    """Refuse a text that cannot be written down: half of a surrogate pair, which JSON can hold and no file can.

    >>> require_text("\\ud800")
    Traceback (most recent call last):
    tradelab.model.errors.ParameterError: '\\ud800' is no text: it has half of a character. Send UTF-8.
    """
    if isinstance(text, str) and any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ParameterError(f"{text[:40]!a} is no text: it has half of a character.", fix="Send UTF-8.")


def check(name: str, arguments: Mapping[str, str]) -> None:
    """Refuse what no engine could understand: no name, no text, a word that the command does not take.

    >>> check("start", {"bot": "eurusd"})
    >>> check("halt", {"skope": "node"})
    Traceback (most recent call last):
    tradelab.model.errors.ParameterError: halt does not take 'skope'. Allowed: scope, says.
    """
    if not 0 < len(name) <= 32:
        raise ParameterError(f"a command's name has 1 to 32 characters, not {len(name)}.")
    for text in (name, *arguments, *arguments.values()):
        require_text(text)
    needs, takes = ARGUMENTS.get(name, ((), tuple(arguments)))
    allowed = (*needs, *takes)
    for given, value in arguments.items():
        if given not in allowed:
            raise ParameterError(f"{name} does not take {given!r}.", allowed=allowed)
        if not isinstance(value, str):
            raise ParameterError(f"{name}: {given} must be a text, not {type(value).__name__}.", fix="Quote it.")
    for needed in needs:
        if not arguments.get(needed):
            raise ParameterError(f"{name} needs {needed!r}.", allowed=allowed)
