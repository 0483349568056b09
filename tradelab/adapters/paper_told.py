"""Tell a paper account in the words of the model: its positions, and the account at this moment."""

from __future__ import annotations

from typing import Any

from tradelab.adapters.paper_account import PaperAccount
from tradelab.model.account import AccountInfo, Position, PositionMode


def positions(account: PaperAccount, symbol: str | None) -> list[Position]:
    """Open positions, oldest first."""
    found = []
    for key, held in account.ledger.positions.items():
        if symbol in (None, held.symbol):
            position = Position(
                symbol=held.symbol,
                qty=held.qty,
                avg_price=held.average(account.instruments[held.symbol].contract_size),
                position_id=held.position_id,
                mark_price=account.seen[held.symbol].mark,
                unrealized_pnl=account.unrealized(held),
                liquidation_price=account.liquidation(key),
                leverage=account.config.leverage,
                stop_loss=held.stop_loss,
                take_profit=held.take_profit,
                opened_ns=held.opened_ns,
            )
            found.append(position)
    return found


def account_info(account: PaperAccount) -> AccountInfo:
    """The account; its equity and margin where all that pays is one currency, and it is no spot account."""
    config = account.config
    known: dict[str, Any] = {}
    currencies = {account.money_of(market) for market in account.instruments.values()}
    if config.position_mode is not PositionMode.NONE and len(currencies) == 1:
        (currency,) = currencies
        known = {
            "currency": currency,
            "equity": account.equity(currency),
            "used_margin": account.margin(currency),
            "free_margin": account.free(currency),
            "leverage": config.leverage,
        }
    return AccountInfo(
        balances=account.balances(), ts_ns=account.now_ns, may_trade=True, position_mode=config.position_mode, **known
    )
