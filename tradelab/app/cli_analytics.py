"""Offer the figures of trading on the command line: by bot, symbol, connection or day, as a table or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tradelab.model.errors import ConfigError

_BY = ("bot", "symbol", "connection", "day")
_FORMATS = ("table", "csv", "json", "parquet", "html")


@click.command(short_help="Say how trading goes: by bot, symbol, connection or day; as a table or a file.")
@click.argument("node", required=False)
@click.option("--by", type=click.Choice(_BY), default="bot", show_default=True, help="What each row is of.")
@click.option("--from", "first", default="", help="First day of UTC, 2024-01-31. Default: all there are.")
@click.option("--to", "last", default="", help="Last day, itself among them.")
@click.option("--format", "form", type=click.Choice(_FORMATS), help="Default: told from the file's ending, else table.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@click.option("--least-trades", type=click.IntRange(0), help="Of fewer trades no rate is told. Default: 5.")
@click.option("--least-days", type=click.IntRange(0), help="Of fewer days no Sharpe or Sortino is told. Default: 10.")
def analytics(
    node: str | None, by: str, first: str, last: str, form: str | None, out: Path | None, least_trades: int | None,
    least_days: int | None,
) -> None:  # fmt: skip
    """Say how the trading of NODE goes: win rate, profit factor, drawdown, ratios, slippage, drift, latency.

    From the engine where it runs, else from what is stored and, where that is older, from its journal. An empty field
    is what cannot be told: of too few trades, of two currencies, of an account whose equity nobody said.

    \b
    Try:  tradelab analytics --by symbol
          tradelab analytics paper --by day --from 2024-01-01 --out january.csv
          tradelab analytics --by bot --format json
    """
    from tradelab.app.analytics_export import written

    form = _form(form, out)
    words = {"by": by, "first": first, "last": last, "least_trades": least_trades, "least_days": least_days}
    told = _asked(node, {name: str(value) for name, value in words.items() if value not in (None, "")})
    made = written(told, form)
    if out is None:
        click.echo(made.decode(), nl=False)
        return
    out.write_bytes(made)
    click.echo(f"{len(told['rows'])} row(s) in {out}")


def _form(form: str | None, out: Path | None) -> str:
    ending = "" if out is None else out.suffix.lstrip(".").lower()
    form = form or (ending if ending in _FORMATS else "table")
    if form == "parquet" and out is None:
        raise ConfigError("Parquet is no text.", fix="Name a file: --out FILE.parquet")
    return form


def _asked(node: str | None, words: dict[str, str]) -> dict[str, Any]:
    """Return what the engine answers, or where none runs, what its records say."""
    from tradelab.app.analytics_view import Question
    from tradelab.app.handle import Handle
    from tradelab.app.run_folder import RunFolder
    from tradelab.app.trading_days import stored_days
    from tradelab.model.errors import UnknownNameError
    from tradelab.store.database import Database
    from tradelab.store.journals import journals

    question = Question.of(words)
    with Database() as database:
        known = journals(database)
        name = node or _only(known)
        if RunFolder(name).is_held:
            return dict(Handle(name).figures(**words))
        if name not in known:
            raise UnknownNameError.of("node", name, known)
        days = stored_days(database, name)
        seq = journals(database)[name]
    return {"node": name, "seq": seq, "by": question.by, "rows": question.answer(days)}


def _only(known: dict[str, int]) -> str:
    from tradelab.app.handle import running_node

    try:
        return running_node()
    except ConfigError:
        if len(known) == 1:
            return next(iter(known))
        if not known:
            raise ConfigError("no engine ever traded on these records.") from None
        raise ConfigError("several engines have traded here: name one.", allowed=sorted(known)) from None
