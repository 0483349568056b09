"""Offer the hand brake on the command line: halt, resume, reduce, flatten; and bots, one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from tradelab.model.errors import ConfigError, ConnectivityError, RunError, StorageError

if TYPE_CHECKING:
    from tradelab.app.handle_views import Answer

_QUICK_S = 5.0  # an engine that does not answer for so long is halted past it
_SCOPE = (
    click.option("--account", help="Only this account. Default: the whole node."),
    click.option("--bot", help="Only this bot."),
    click.option("--why", "says", default="", help="Why; it is kept in the journal."),
    click.option("--node", help="The engine, by the name in its file; may be left out where only one runs."),
)


def _scoped(command: Any) -> Any:
    for option in reversed(_SCOPE):
        command = option(command)
    return command


@click.command(short_help="Send nothing more that takes on risk; works without a daemon too.")
@_scoped
def halt(account: str | None, bot: str | None, says: str, node: str | None) -> None:
    """Stop taking on risk: no entry is sent any more, open entries are cancelled; exits and protective stops go on.

    Where the daemon does not run, or does not answer within seconds, the state is written into the records: an engine
    reads it in the very transaction in which it would keep an order, and one that starts later starts halted.

    \b
    Try:  tradelab halt --why "the market is mad"
          tradelab halt --bot eurusd

    Exit code 0 means halted.
    """
    _tighten("halt", _scope(account, bot), says, node)


@click.command(short_help="Send only what makes positions smaller.")
@_scoped
def reduce(account: str | None, bot: str | None, says: str, node: str | None) -> None:
    """Let only be sent what makes positions smaller; as `tradelab halt`, it works without a daemon too."""
    _tighten("reduce", _scope(account, bot), says, node)


@click.command(short_help="Trade again, after a halt or a reduction.")
@_scoped
def resume(account: str | None, bot: str | None, says: str, node: str | None) -> None:
    """Let an engine trade again; also says that you have seen why a guard has halted it.

    This needs the engine to run: start it, it starts halted, then look at it, then resume.
    """
    _told(_handle(node).resume(_scope(account, bot), says))


@click.command(short_help="Close every position.")
@_scoped
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", "wait_s", type=click.FloatRange(1, 3600), default=120.0, show_default=True, help="Seconds.")
def flatten(account: str | None, bot: str | None, says: str, node: str | None, yes: bool, wait_s: float) -> None:
    """Close every position of the scope at the market, and wait until that is done.

    \b
    Try:  tradelab flatten --account main --yes
    """
    handle, scope = _handle(node), _scope(account, bot)
    _agree(f"Close every position of {scope} on {handle.node}?", yes)
    _told(handle.flatten(scope, says, timeout_s=wait_s))


@click.command(short_help="Let the bots of a live account enter.")
@click.argument("account")
@click.option("--why", "says", default="", help="Why; it is kept in the journal.")
@click.option("--node", help="The engine, by the name in its file; may be left out where only one runs.")
@click.option("--agree", metavar="ACCOUNT", help="Its name once more, where nobody can type it.")
def arm(account: str, says: str, node: str | None, agree: str | None) -> None:
    """Let live bots of ACCOUNT send orders of real money from this engine, over restarts too, until it is disarmed.

    Until then their signals pass every gate but this one, and are dropped as `not_armed`: look at those first.

    \b
    Try:  tradelab audit show --kind SignalDropped -n 20
          tradelab arm main
    """
    import sys

    handle = _handle(node)
    if agree is None and sys.stdin.isatty():
        agree = click.prompt(f"REAL MONEY. Type the name of the account to let {handle.node} trade it")
    if agree != account:
        raise ConfigError("nobody agreed; nothing was armed.", fix=f"Where nobody can type: --agree {account}")
    _told(handle.command("arm", account=account, says=says or None))


@click.command(short_help="Let the bots of a live account enter no more.")
@click.argument("account")
@click.option("--why", "says", default="", help="Why; it is kept in the journal.")
@click.option("--node", help="The engine, by the name in its file; may be left out where only one runs.")
def disarm(account: str, says: str, node: str | None) -> None:
    """Let live bots of ACCOUNT enter no more; what they hold stays, and stays protected."""
    _told(_handle(node).command("disarm", account=account, says=says or None))


@click.group(short_help="List bots; start, stop, pause, resume one.", invoke_without_command=True)
@click.option("--node", help="The engine, by the name in its file; may be left out where only one runs.")
@click.pass_context
def bots(context: click.Context, node: str | None) -> None:
    """List the bots of an engine; with a word more, start, stop, pause or resume one.

    \b
    Try:  tradelab bots
          tradelab bots pause eurusd
    """
    context.obj = node
    if context.invoked_subcommand is None:
        from tradelab.app.handle_views import text_table

        columns = ("name", "mode", "status", "state", "strategy", "symbols", "timeframe", "account", "preset")
        lines = text_table(columns, _handle(node).bots())
        click.echo("\n".join(lines) or "this engine has no bots: they are tables of its file, [bots.NAME]")


def _bot_command(word: str, name: str, says: str) -> None:
    @bots.command(word, short_help=says)
    @click.argument("bot")
    @click.option("--why", default="", help="Why; it is kept in the journal.")
    @click.pass_obj
    def command(node: str | None, bot: str, why: str) -> None:
        _told(_handle(node).command(name, bot=bot, says=why or None))

    command.help = f"{says} Its positions stay as they are, and stay protected."


_bot_command("start", "start", "Let a bot look for trades.")
_bot_command("stop", "stop", "Let a bot look for no more trades.")
_bot_command("pause", "pause", "Let a bot rest.")
_bot_command("resume", "resume_bot", "Let a bot go on that rests.")


# ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _scope(account: str | None, bot: str | None) -> str:
    if account and bot:
        raise ConfigError("--account and --bot are two scopes.", fix="Give one of them.")
    return f"account {account}" if account else f"bot {bot}" if bot else "node"


def _handle(node: str | None) -> Any:
    from tradelab.app.handle import connect

    return connect(node)


def _told(answer: Answer) -> None:
    if not answer.done:
        raise RunError(f"not done: {answer.says}")
    click.echo(answer.says)


def _tighten(name: str, scope: str, says: str, node: str | None) -> None:
    """Ask the engine; where it does not answer, write it into the records, which it cannot trade past."""
    from tradelab.app.handle import Handle
    from tradelab.app.run_folder import RunFolder

    meant = _meant(node)
    if RunFolder(meant).is_held:
        try:
            _told(Handle(meant, sleep=lambda _: None).command(name, scope=scope, says=says or None, timeout_s=_QUICK_S))
        except (ConnectivityError, StorageError, ConfigError) as error:
            if isinstance(error, ConfigError) and RunFolder(meant).is_held:
                raise  # it answers, and refuses what was asked; else it has just ended
            click.echo(f"{error.problem} Written into the records instead:", err=True)
        else:
            return
    stands = _written(meant, name, scope, says)
    click.echo(f"{stands}; an engine that runs obeys at once, one that starts starts so.")


def _written(node: str, name: str, scope: str, says: str) -> str:
    from tradelab.model.states import TradingState
    from tradelab.store.database import Database, user
    from tradelab.store.states import TradingStates

    state = TradingState.HALTED if name == "halt" else TradingState.REDUCING
    with Database() as database:
        stands = TradingStates(database, node).tighten(scope, state, by=user(), says=says or f"tradelab {name}")
    return f"{node}: {stands.scope} is {stands.state.value} by {stands.by}"


def _meant(node: str | None) -> str:
    """Return the engine that is meant, running or not: the one named, the one that runs, the one that has a journal."""
    from tradelab.app.handle import running_node

    if node is not None:
        _require_known(node)
        return node
    try:
        return running_node()
    except ConfigError:
        known = _known()
        if len(known) == 1:
            return known[0]
        if not known:
            raise ConfigError("no engine ever ran on these records: there is nothing to halt.") from None
        raise ConfigError("several engines have run here, and none or many run: say which.", allowed=known) from None


def _require_known(node: str) -> None:
    from tradelab.app.run_folder import RunFolder
    from tradelab.model.errors import UnknownNameError

    if not RunFolder(node).is_held and node not in _known():
        raise UnknownNameError.of("node", node, _known())


def _known() -> list[str]:
    from tradelab.store.database import Database
    from tradelab.store.journals import journals

    with Database() as database:
        return sorted(journals(database))


def _agree(question: str, yes: bool, ask: Callable[..., Any] = click.confirm) -> None:
    import sys

    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("nobody agreed; nothing was done.", fix="Add --yes where nobody can answer.")
    ask(question, abort=True)
