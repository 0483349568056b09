"""Write a paper account down as plain text and numbers, and read it back: a restart goes on where it was."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tradelab.adapters.paper_account import PaperAccount
from tradelab.adapters.paper_ledger import Held
from tradelab.adapters.paper_orders import Seen, Working
from tradelab.model.errors import CorruptFileError
from tradelab.model.orders import Fill

FORMAT = 1


@dataclass(slots=True)
class PaperState:
    """All that a paper account remembers, its terms and instruments left out."""

    format: int
    count: int
    data_ns: int
    start: dict[str, Decimal]
    money: dict[str, Decimal]
    fees: dict[str, Decimal]
    positions: dict[str, Held]
    orders: list[Working]
    fills: list[Fill]
    seen: dict[str, Seen]


def export(account: PaperAccount) -> dict[str, Any]:
    """Return the account as a dict of texts, whole numbers and lists, fit for JSON; decimals are text."""
    ledger = account.ledger
    state = PaperState(
        FORMAT, account.count, account.data_ns, dict(account.config.balances), ledger.money, ledger.fees,
        ledger.positions, list(account.orders.values()), account.fills, account.seen,
    )  # fmt: skip
    told: dict[str, Any] = _codec().dump_python(state, mode="json")
    return told


def restore(account: PaperAccount, told: dict[str, Any]) -> None:
    """Put an account that was exported back into one with the same terms and instruments.

    Raises
    ------
    CorruptFileError
        It is no such export, of another format, or begun with other money.
    """
    try:
        state = _codec().validate_python(told)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CorruptFileError(f"the state of the paper account cannot be read: {where}: {first['msg']}.") from None
    if state.format != FORMAT:
        raise CorruptFileError(f"the state of the paper account has format {state.format}.", allowed=[FORMAT])
    if state.start != account.config.balances:
        raise CorruptFileError(
            f"the state is of an account that began with {_money(state.start)}, not {_money(account.config.balances)}.",
            fix="Give the settings it was begun with, or begin a new account.",
        )
    lost = {order.symbol for order in state.orders} - set(account.instruments)
    if lost:
        raise CorruptFileError(
            f"the state has orders in {', '.join(sorted(lost))}, which is not among the instruments."
        )
    account.count, account.data_ns = state.count, state.data_ns
    account.ledger.money, account.ledger.fees, account.ledger.positions = state.money, state.fees, state.positions
    account.orders = {order.venue_order_id: order for order in state.orders}
    account.clients = {o.client_order_id: o.venue_order_id for o in state.orders if o.client_order_id is not None}
    account.fills = state.fills
    account.seen.update(state.seen)


@functools.cache
def _codec() -> TypeAdapter[PaperState]:
    return TypeAdapter(PaperState)


def _money(balances: dict[str, Decimal]) -> str:
    return ", ".join(f"{amount} {currency}" for currency, amount in balances.items())
