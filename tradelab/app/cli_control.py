"""Offer the hand brake on the command line: halt, resume, reduce, flatten, acknowledge, arm; and bots, one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from tradelab.model.errors import ConfigError, InvariantError, RunError, StorageError, VenueError

if TYPE_CHECKING:
    from tradelab.app.handle_views import Answer

NODE = click.option("--node", help="The engine, by the name in its file; may be left out where only one runs.")
_QUICK_S = 5.0  # an engine that does not answer for so long is halted past it
_SCOPE = (
    click.option("--account", help="Only this account. Default: the whole node."),
    click.option("--bot", help="Only this bot."),
    click.option("--why", "says", default="", help="Why; it is kept in the journal."),
    NODE,
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
    """Let an engine trade again.

    With --account it says, too, that you have seen why a guard has halted that account: the guard measures from the
    equity now. Without, it lets the node go and re-arms nothing; what is still halted by its own name is said. Only a
    person resumes: a program (TRADELAB_PROGRAM, or tl.connect(program=)) is refused.

    This needs the engine to run: start it, it starts halted, then look at it, then resume.

    \b
    Try:  tradelab resume --account main --why "a withdrawal, and no loss"
    """
    told(handle_of(node).resume(_scope(account, bot), says))


@click.command(short_help="Say that you have seen why guards have tripped; all stays halted.")
@click.option("--account", help="Only this account. Default: every one of the node.")
@click.option("--why", "says", default="", help="Why; it is kept in the journal.")
@NODE
def acknowledge(account: str | None, says: str, node: str | None) -> None:
    """Say that you have seen why guards have tripped: they are armed again, and measure from the equity now.

    Nothing is let go by that: what is halted stays halted until `tradelab resume`. To resume the account itself says
    the same by itself; this is for who looks first and lets go later. Only a person acknowledges.

    \b
    Try:  tradelab acknowledge --account main --why "the loss is the hedge's"
          tradelab resume --account main
    """
    told(handle_of(node).acknowledge(_scope(account, None), says))


@click.command(short_help="Let live bots of an account send orders of real money.")
@click.argument("account")
@click.option("--why", "says", default="", help="Why; it is kept in the journal.")
@NODE
@click.option("--agree", metavar="ACCOUNT", help="Its name once more, where nobody can type it.")
def arm(account: str, says: str, node: str | None, agree: str | None) -> None:
    """Let live bots of ACCOUNT send orders of real money from this engine, over restarts too, until it is disarmed.

    Until then their signals pass every gate but this one, and are dropped as `not_armed`: look at those first.

    \b
    Try:  tradelab audit show --kind SignalDropped -n 20
          tradelab arm main
    """
    import sys

    handle = handle_of(node)
    if agree is None and sys.stdin.isatty():
        told_of = handle.snapshot()["accounts"].get(account, {})
        money = "No real money: it has no live bot." if told_of.get("kind") not in (None, "live") else "REAL MONEY."
        agree = click.prompt(f"{money} Type the name of the account to let {handle.node} trade it")
    if agree != account:
        raise ConfigError("nobody agreed; nothing was armed.", fix=f"Where nobody can type: --agree {account}")
    told(handle.arm(account, says))


@click.command(short_help="Let live bots of an account only reduce.")
@click.argument("account")
@click.option("--why", "says", default="", help="Why; it is kept in the journal.")
@NODE
def disarm(account: str, says: str, node: str | None) -> None:
    """Let the live bots of ACCOUNT open nothing more; their positions stay, and stay protected.

    \b
    Try:  tradelab disarm main
    """
    told(handle_of(node).disarm(account, says))


@click.command(short_help="Close every position.")
@_scoped
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", "wait_s", type=click.FloatRange(1, 3600), default=120.0, show_default=True, help="Seconds.")
def flatten(account: str | None, bot: str | None, says: str, node: str | None, yes: bool, wait_s: float) -> None:
    """Close every position of the scope at the market, and wait until that is done.

    \b
    Try:  tradelab flatten --account main --yes
    """
    handle, scope = handle_of(node), _scope(account, bot)
    agree(f"Close every position of {scope} on {handle.node}?", yes)
    told(handle.flatten(scope, says, timeout_s=wait_s))


@click.group(short_help="List bots; start, stop, pause, resume one.", invoke_without_command=True)
@NODE
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
        lines = text_table(columns, handle_of(node).bots())
        click.echo("\n".join(lines) or "this engine has no bots: they are tables of its file, [bots.NAME]")


def _bot_command(word: str, name: str, says: str) -> None:
    @bots.command(word, short_help=says)
    @click.argument("bot")
    @click.option("--why", default="", help="Why; it is kept in the journal.")
    @click.pass_obj
    def command(node: str | None, bot: str, why: str) -> None:
        told(handle_of(node).command(name, bot=bot, says=why or None))

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


def handle_of(node: str | None) -> Any:
    """Return a hold of the engine that is meant."""
    from tradelab.app.handle import connect

    return connect(node)


def told(answer: Answer) -> None:
    """Say what came of a command; one that was not done ends with exit code 1."""
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
            told(Handle(meant, sleep=lambda _: None).command(name, scope=scope, says=says or None, timeout_s=_QUICK_S))
        except (VenueError, StorageError, InvariantError, ConfigError) as error:
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


def agree(question: str, yes: bool, ask: Callable[..., Any] = click.confirm) -> None:
    """Ask a person; refuse where nobody can answer."""
    import sys

    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("nobody agreed; nothing was done.", fix="Add --yes where nobody can answer.")
    ask(question, abort=True)
