"""Offer orders by hand on the command line: give one, raise a signal, cancel what is open; all pass the gates."""

from __future__ import annotations

from typing import Any

import click

from tradelab.app.cli_control import NODE, agree, handle_of, told

_LEVELS = (
    click.option("--stop-loss", metavar="PRICE", help="In place of the stop of the preset's exits."),
    click.option("--take-profit", metavar="PRICE", help="In place of the target of the preset's exits."),
    click.option("--ttl", "ttl_s", metavar="SECONDS", help="For how long it may still be sent. Default: 60."),
    click.option("--why", "says", default=None, help="Why; it is kept in the journal."),
    click.option("--id", "id_", help="Names it: sent again under the same one it is not done again."),
)


def _with(*options: Any) -> Any:
    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.command(short_help="Give an order by hand; it passes the gates like any other.")
@click.argument("side", type=click.Choice(["buy", "sell"]))
@click.argument("symbol")
@click.option("--qty", metavar="QTY", help="How much. Default: as the preset sizes it; with --close, all of it.")
@click.option("--account", help="Where, if only one bot trades the symbol there.")
@click.option("--bot", help="Whose limits and exits it goes by.")
@click.option("--preset", help="Of several bots on the account, the one with this preset.")
@click.option("--price", metavar="PRICE", help="Of a limit order.")
@click.option("--stop", metavar="PRICE", help="What triggers a stop order; with --price, a stop-limit.")
@click.option("--close", is_flag=True, help="Make the position smaller, and never turn it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_with(*_LEVELS, NODE)
def order(side: str, symbol: str, node: str | None, yes: bool, close: bool, id_: str | None, **given: Any) -> None:
    """Order SIDE (buy or sell) of SYMBOL by hand, and say what the gates made of it.

    It goes by the limits, the schedule and the exits of a bot's preset. A bot that has no strategy is there for just
    that: a table [bots.hand] in the node's file.

    \b
    Try:  tradelab order buy BTC/USDT --account main --qty 0.01
          tradelab order buy BTC/USDT --bot hand --price 40000 --stop-loss 39000
          tradelab order sell BTC/USDT --bot hand --close

    Exit codes: 0 the order is on its way, 2 it is not, with the reason: a gate let nothing pass, or it means nothing.
    """
    live = handle_of(node)
    what = "Close" if close else f"{side.capitalize()} {given['qty'] or 'as the preset sizes it'} of"
    agree(f"{what} {symbol} on {live.node}?", yes)
    close_ = "yes" if close else None
    told(live.command("order", id=id_, symbol=symbol, side=side, close=close_, timeout_s=_answer_s(given), **given))


@click.command(short_help="Raise a signal of a bot; it passes the gates like any other.")
@click.argument("bot")
@click.argument("symbol")
@click.argument("action", type=click.Choice(["enter_long", "enter_short", "exit_long", "exit_short"]))
@click.option("--qty", metavar="QTY", help="How much. Default: as the preset sizes it.")
@click.option("--share", metavar="FRACTION", help="Of an exit: how much of the position, above 0 up to 1.")
@click.option("--price", metavar="PRICE", help="What the market was at when it was decided.")
@click.option("--type", "order_type", type=click.Choice(["market", "limit", "stop", "stop_limit"]),
              help="Default: market.")  # fmt: skip
@click.option("--order-price", metavar="PRICE", help="Of a limit its price, of a stop what triggers it.")
@click.option("--limit-price", metavar="PRICE", help="Of a stop-limit: the worst price.")
@_with(*_LEVELS, NODE)
def signal(bot: str, symbol: str, action: str, node: str | None, id_: str | None, **given: Any) -> None:
    """Raise a signal of BOT for SYMBOL, as its strategy would.

    \b
    Try:  tradelab signal btc BTC/USDT enter_long --qty 0.01
          tradelab signal btc BTC/USDT exit_long --share 0.5

    The answer says that it was raised; what became of it stands in `tradelab status` and in the journal.
    """
    told(handle_of(node).command("signal", id=id_, bot=bot, symbol=symbol, action=action, **given))


@click.command(short_help="Cancel an open order.")
@click.argument("order")
@click.option(
    "--account", help="Where, if ORDER is the venue's own id: then one that is none of ours is cancelled, too."
)
@_with(NODE)
def cancel(order: str, account: str | None, node: str | None) -> None:
    """Cancel ORDER, by the name it has here (`tradelab status` shows it) or by the venue's own id.

    \b
    Try:  tradelab cancel tl3f9a2c
          tradelab cancel 28457 --account main
    """
    told(handle_of(node).command("cancel", order=order, account=account))


def _answer_s(given: dict[str, Any]) -> float:
    """Return how long to wait for the gates: a model may take as long as the signal lives."""
    try:
        return float(given["ttl_s"] or 60) + 10.0
    except ValueError:
        return 10.0  # the engine says what is wrong with it
