"""Price an order: what the market takes (spread, slippage, impact) and what the broker takes (fees).

Orders that wait for the market (``maker``: limits and targets) pay neither spread nor slippage, and the maker's fee.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine.jit import Row, inlined, kernel


@inlined
def slipped(quote: float, side: int, bar_range: float, terms: Row) -> float:
    """Worsen a quoted price by half the spread and by slippage: a buyer pays more, a seller gets less.

    ``bar_range`` is high less low of the bar before, which is known when the order is sent.
    """
    price = quote * (1.0 + side * (terms.slippage + 0.5 * terms.spread))
    if terms.slip_range > 0.0 and bar_range > 0.0:
        price += side * terms.slip_range * bar_range
    return price


@inlined
def moved(price: float, side: int, qty: float, volume: float, terms: Row) -> float:
    """Worsen a price by the order's own weight: ``impact`` times the squared share of the bar's volume.

    The form is zipline's VolumeShareSlippage; an order larger than the volume counts as all of it.
    """
    if terms.impact <= 0.0 or not volume > 0.0:
        return price
    share = min(qty / volume, 1.0)
    return price * (1.0 + side * terms.impact * share * share)


@inlined
def fee_rate(account: Row, maker: bool, terms: Row) -> float:
    """Fraction of the notional that an order pays now: the maker's, or that of the tier the account has reached."""
    if maker and not np.isnan(terms.maker_fees):
        return terms.maker_fees
    rate = terms.fees
    for i in range(terms.tiers):
        if account.traded >= terms.tier_from[i]:
            rate = terms.tier_fees[i]
    return rate


@inlined
def order_fees(qty: float, price: float, rate: float, terms: Row) -> float:
    """Fees of one order in account currency, the least that is charged included."""
    fees = qty * price * rate + terms.fixed_fees
    if terms.per_unit > 0.0:
        fees += qty * terms.per_unit
    return max(fees, terms.min_fees) if terms.min_fees > 0.0 else fees  # a maker may be paid


@inlined
def affordable(cash: float, price: float, rate: float, terms: Row) -> float:
    """Units that ``cash`` opens at ``price``, fees paid from the same cash; on margin, it is the margin they take."""
    margin = price / terms.leverage if terms.leverage > 0.0 else price
    fee = price * rate
    a_unit = margin + fee + terms.per_unit if terms.leverage > 0.0 else price * (1.0 + rate) + terms.per_unit
    qty = max(cash - terms.fixed_fees, 0.0) / a_unit
    if qty * price * rate + qty * terms.per_unit + terms.fixed_fees < terms.min_fees:
        qty = max(cash - terms.min_fees, 0.0) / margin
    return qty


@kernel
def bearable(
    qty: float, held: float, side: int, price: float, free: float, rate: float, volume: float, terms: Row
) -> float:
    """Units, up to ``qty``, that the cash carries at the price to which the order itself moves the market.

    ``held`` units are closed by the same order; ``price`` is that before the impact, and ``free`` what it leaves free.
    The impact grows with the units, so what the cash carries is where the two meet; it is halved in on.
    """
    most, least = qty, 0.0
    for i in range(60):
        units = most if i == 0 else 0.5 * (least + most)
        worse = moved(price, side, held + units, volume, terms)
        left = free - (side + rate) * held * (worse - price)
        if units <= affordable(max(left, 0.0), worse, rate, terms):
            least = units
            if i == 0:
                break
        else:
            most = units
    return least
