"""Tell what a spot account is worth: its balances at the prices that they would fetch now, or that nobody knows.

A venue of spot markets tells balances and no equity. What is in it of every currency is counted, ours or not, at the
best bid (what is owed at the best ask); fees still to be paid are not foreseen. One currency without a fresh price
makes the whole unknown: a sum that leaves something out is no equity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.account import Balance
from tradelab.model.instrument import Instrument
from tradelab.model.market import Quote


@dataclass(frozen=True, slots=True)
class Worth:
    """What an account is worth in ``currency``; ``None`` where the currencies in ``unknown`` have no price."""

    currency: str
    equity: Decimal | None
    unknown: tuple[str, ...] = ()


def quote_currency(instruments: Sequence[Instrument]) -> str | None:
    """Return the currency in which all of these are priced; ``None`` where they have no common one."""
    quotes = {instrument.quote for instrument in instruments}
    return quotes.pop() if len(quotes) == 1 else None


def markets_of(balances: Sequence[Balance], listed: Mapping[str, Instrument], currency: str) -> dict[str, str]:
    """Return, for each currency that is held, the symbol whose price says what it is worth, where there is one."""
    held = {balance.currency for balance in balances if balance.total and balance.currency != currency}
    found: dict[str, str] = {}
    for symbol, instrument in sorted(listed.items()):
        if instrument.base in held and instrument.quote == currency and instrument.settle in (None, currency):
            found.setdefault(str(instrument.base), symbol)
    return found


def worth(balances: Sequence[Balance], prices: Mapping[str, Quote], currency: str) -> Worth:
    """Return what balances are worth.

    Parameters
    ----------
    prices
        Fresh quotes by the currency that is bought, priced in ``currency``.

    Examples
    --------
    >>> held = [Balance("USDT", Decimal(50), Decimal(50)), Balance("BTC", Decimal(2), Decimal(0))]
    >>> btc = Quote(symbol="BTC/USDT", bid=Decimal(10), ask=Decimal(11), ts_ns=0)
    >>> worth(held, {"BTC": btc}, "USDT").equity
    Decimal('120')
    >>> worth(held, {}, "USDT")
    Worth(currency='USDT', equity=None, unknown=('BTC',))
    """
    total = Decimal(0)
    unknown: list[str] = []
    for balance in balances:
        if not balance.total:
            continue
        quote = prices.get(balance.currency)
        if balance.currency == currency:
            total += balance.total
        elif quote is None:
            unknown.append(balance.currency)
        else:
            total += balance.total * (quote.bid if balance.total > 0 else quote.ask)
    return Worth(currency, None if unknown else total, tuple(sorted(unknown)))
