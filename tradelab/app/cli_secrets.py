"""Take credentials on the command line without showing them: typed unseen, from the environment, or on stdin."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from tradelab.model.credentials import Secret
from tradelab.model.errors import ParameterError

if TYPE_CHECKING:
    from tradelab.model.credentials import CredentialField

_SECRET_WORDS = ("key", "secret", "pass", "token", "pin", "login", "credential", "auth", "user", "account-id")
WHY = (
    "Credentials are not taken as words of a command: they would stay in the shell's history and be seen in the list "
    "of processes. Leave them out to be asked, unseen; or --from-env api_secret=NAME_OF_A_VARIABLE; or --stdin with "
    'JSON: {"api_key": "...", "api_secret": "..."}.'
)


class NoSecretsCommand(click.Command):
    """A command that repeats no word it did not expect, for it may be a secret in the wrong place."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, or refuse without repeating what was given."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if not any(word in error.option_name.lower() for word in _SECRET_WORDS):
                raise
            name = error.option_name.partition("=")[0]
        except click.UsageError as error:
            if "unexpected extra argument" not in error.message:
                raise
            raise click.UsageError(f"There are more words than this command takes. {WHY}", ctx) from None
        raise click.UsageError(f"There is no option {name}. {WHY}", ctx)


def options(command: Any) -> Any:
    """Add the two ways for scripts: ``--from-env`` and ``--stdin``."""
    command = click.option(
        "--from-env", "from_env", multiple=True, metavar="FIELD=VARIABLE",
        help="Take a credential from an environment variable, by the variable's name. Repeatable.",
    )(command)  # fmt: skip
    return click.option("--stdin", is_flag=True, help="Read all credentials from stdin, as one JSON object.")(command)


def credentials(fields: Sequence[CredentialField], from_env: Iterable[str], stdin: bool) -> dict[str, Secret]:
    """Return the credentials that were given; what is missing is asked for where somebody can type.

    A value is in no variable of ours in the open, and in no message.
    """
    given = _from_environment(from_env, [field.name for field in fields])
    if stdin:
        given |= _from_stdin()
    elif fields and sys.stdin.isatty():
        left = [field for field in fields if field.name not in given]
        given |= {field.name: value for field in left if (value := _asked(field))}
    return given


def ask_passphrase(says: str) -> str:
    """Ask a person for the passphrase of the records; empty where nobody can type."""
    if not sys.stdin.isatty():
        return ""
    return str(click.prompt(says.rstrip(": "), default="", show_default=False, hide_input=True, err=True))


def first_line() -> Callable[[str], str]:
    """Return what answers with the first line of standard input, read now; nobody is asked."""
    line = Secret(sys.stdin.readline().rstrip("\r\n"))
    return lambda _: line.reveal()


def _asked(field: CredentialField) -> Secret:
    needed = "" if field.required else "; Enter to leave out"
    says = f"{field.name} ({field.says}{needed})" if field.says else f"{field.name}{needed and ' (Enter to leave out)'}"
    default = None if field.required else ""
    return Secret(click.prompt(says, default=default, show_default=False, hide_input=field.secret, err=True))


def _from_environment(pairs: Iterable[str], known: Sequence[str]) -> dict[str, Secret]:
    given = {}
    for pair in pairs:
        name, equals, variable = pair.partition("=")
        if not equals or not name or not variable:
            raise ParameterError(
                "--from-env wants FIELD=VARIABLE.", fix="For example --from-env api_secret=BINANCE_SECRET."
            )
        if name not in known:  # nor is this repeated: the two may have been turned round
            raise ParameterError("--from-env names a field that there is not.", allowed=known or ["none"])
        if variable not in os.environ:  # what was given is not repeated: it may be the secret itself
            fix = "Give the variable's name, not its value; export it first."
            raise ParameterError(f"--from-env {name}: there is no such environment variable.", allowed=known, fix=fix)
        given[name] = Secret(os.environ[variable])
    return given


def _from_stdin() -> dict[str, Secret]:
    try:
        given: dict[str, Any] = dict(json.loads(sys.stdin.read()))
    except (ValueError, TypeError):
        given = {}
        fault = "is not one JSON object"
    else:
        fault = "has a value that is not text" if any(not isinstance(v, str) for v in given.values()) else ""
    if fault:
        given = {}
        raise ParameterError(f"what came on stdin {fault}.", fix='Write {"api_key": "...", "api_secret": "..."}.')
    return {name: Secret(value) for name, value in given.items()}
