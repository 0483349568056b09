"""Count in one currency, exactly; where two meet and no rate between them is known, say so and guess nothing."""

from __future__ import annotations

from decimal import Decimal

from tradelab.model.account import AccountInfo
from tradelab.model.instrument import Instrument
from tradelab.model.signal import Drop, DropCode
from tradelab.modules.risk_management.scene import Scene, drop


def money_of(instrument: Instrument) -> str | None:
    """Return the currency in which a position is worth ``qty × price × contract_size``, and earns what that changes.

    ``None`` where it is not as simple as that: what is settled in another currency than it is quoted in (an inverse
    perpetual, a currency pair on an account of a third currency).
    """
    return instrument.quote if instrument.settle in (None, instrument.quote) else None


def notional(qty: Decimal, price: Decimal, instrument: Instrument) -> Decimal:
    """Return what a quantity is worth, in the currency of its price.

    >>> eurusd = Instrument(symbol="EURUSD", venue="x", quote="USD", tick_size=Decimal("0.00001"),
    ...                     qty_step=Decimal("0.01"), contract_size=Decimal(100_000))
    >>> notional(Decimal("0.5"), Decimal("1.1"), eurusd)
    Decimal('55000.00')
    """
    return abs(qty) * price * instrument.contract_size


def account_currency(scene: Scene) -> str | None:
    """Return the currency of an account's limits: as told, else the one of all that it trades."""
    info = scene.info
    if info is not None and info.currency is not None:
        return info.currency
    found = {
        money_of(instrument)
        for (account, symbol), instrument in scene.snapshot.instruments.items()
        if account == scene.account and symbol in scene.symbols
    }
    return found.pop() if len(found) == 1 else None


def other_currency(scene: Scene, instrument: Instrument, what: str) -> Drop | None:
    """Refuse where ``what`` is told in the account's currency and an instrument is not."""
    ours, its = account_currency(scene), money_of(instrument)
    if ours is not None and ours == its:
        return None
    its = its or f"{instrument.quote}, settled in {instrument.settle}"
    says = f"{what} is in {ours or 'a currency that is not known'}, and {instrument.symbol} in {its}: no rate is known"
    return drop(DropCode.CURRENCY, says, account_currency=ours, quote_currency=instrument.quote)


def equity(scene: Scene, instrument: Instrument) -> Decimal | Drop:
    """Return what the account is worth, in the currency of an instrument's price; or why that cannot be said."""
    worth = scene.view.equity()
    if worth is None:
        return drop(DropCode.EQUITY_UNKNOWN, "the size is a fraction of the equity, which the venue does not tell")
    info: AccountInfo | None = scene.info
    if info is None or info.currency is None:
        return drop(DropCode.CURRENCY, f"the venue tells an equity of {worth:f} and not of what currency", equity=worth)
    return other_currency(scene, instrument, "equity") or worth
