"""Shape orders, executions, positions and wallets as Bybit's version 5 tells them, over REST and in its streams.

Keys and types are those of the recorded payloads and of the answers of 2025 quoted in ccxt's source; ``spot`` lacks
``tpslMode`` and ``createType``, as the documentation of ``/v5/order/realtime`` says.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderStatus, OrderType, Side, TimeInForce
from tradelab.rehearsal.dialects.bybit_branch import Branch
from tradelab.rehearsal.dialects.bybit_wire import Row, at, exec_id, ms, order_id, plain, rounded
from tradelab.rehearsal.events import MoneyChanged
from tradelab.rehearsal.ledger_perp import MAINTENANCE
from tradelab.rehearsal.orders import SimFill, SimOrder

ZERO = Decimal(0)
POST_ONLY = "post only"  # the reason of an order that would have taken
_SLIPPAGE = Decimal("0.05")  # of the limit that the venue gives a market order of a perpetual
_TIF = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK", TimeInForce.PO: "PostOnly"}
_STATUS = {
    OrderStatus.UNTRIGGERED: "Untriggered",
    OrderStatus.NEW: "New",
    OrderStatus.PARTIALLY_FILLED: "PartiallyFilled",
    OrderStatus.FILLED: "Filled",
    OrderStatus.REJECTED: "Rejected",
}
_CANCEL = {
    "by request": "CancelByUser",
    "protection ended": "CancelByTpSlTsClear",
    "nothing to reduce": "CancelByReduceOnly",
}
_REJECT = {
    "by request": "EC_PerCancelRequest",
    POST_ONLY: "EC_PostOnlyWillTakeLiquidity",
    "fill or kill": "EC_NoEnoughQtyToFill",
    "margin": "EC_Others",
    "balance": "EC_Others",
}


def side(of: Side) -> str:
    """Write a side."""
    return "Buy" if of is Side.BUY else "Sell"


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def order_row(branch: Branch, order: SimOrder) -> Row:
    """Shape an order as ``/v5/order/realtime`` and ``/v5/order/history`` do."""
    instrument = branch.instrument(order.symbol)
    qty = _qty(branch, order)
    left = qty - order.filled_qty
    price = _price(branch, order, instrument)
    row: Row = {
        "orderId": branch.order_id(order),
        "orderLinkId": branch.link(order),
        "blockTradeId": "",
        "symbol": order.symbol,
        "price": price,
        "qty": str(order.extra.get("quote_qty") or at(qty, instrument.qty_step)),
        "side": side(order.side),
        "isLeverage": "" if branch.linear else "0",
        "positionIdx": 0,
        "orderStatus": status(branch, order),
        "cancelType": "UNKNOWN" if order.is_open else _CANCEL.get(order.reason, "UNKNOWN"),
        "rejectReason": _reject_reason(order),
        "avgPrice": rounded(order.avg_price) if order.avg_price is not None else "",
        "leavesQty": at(left, instrument.qty_step),
        "leavesValue": rounded(left * (order.price or order.stop_price or ZERO)),
        "cumExecQty": at(order.filled_qty, instrument.qty_step),
        "cumExecValue": plain(order.filled_quote),
        "cumExecFee": plain(order.fee),
        "cumFeeDetail": {fee_currency(branch, order): plain(order.fee)} if order.filled_qty else {},
        "timeInForce": tif(order),
        "orderType": order_type(order),
        "stopOrderType": stop_order_type(order),
        "orderIv": "",
        "triggerPrice": _level(order.stop_price, instrument),
        "takeProfit": _level(order.take_profit, instrument),
        "stopLoss": _level(order.stop_loss, instrument),
        "tpTriggerBy": "LastPrice" if order.take_profit else "",
        "slTriggerBy": "LastPrice" if order.stop_loss else "",
        "triggerDirection": {True: 1, False: 2, None: 0}[order.trigger_rises],
        "triggerBy": str(order.extra.get("trigger_by", "LastPrice")) if order.stop_price else "",
        "lastPriceOnCreated": str(order.extra.get("last", "")),
        "reduceOnly": order.reduce_only,
        "closeOnTrigger": bool(order.close_all or order.extra.get("close_on_trigger")),
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "tpLimitPrice": "",
        "slLimitPrice": "",
        "placeType": "",
        "marketUnit": str(order.extra.get("market_unit", "")),
        "slippageToleranceType": "UNKNOWN",
        "slippageTolerance": "0",
        "extraFees": "",
        "createdTime": ms(order.created_ns),
        "updatedTime": ms(order.updated_ns),
    }
    if branch.linear:
        attached = order.take_profit or order.stop_loss or order.extra.get("protects")
        row |= {"tpslMode": "Full" if attached else "", "createType": create_type(order)}
    return row


def order_frame(branch: Branch, order: SimOrder) -> Row:
    """Shape an order as the stream ``order`` does."""
    fee = fee_currency(branch, order)
    return {"category": branch.category, **order_row(branch, order), "feeCurrency": fee}


def status(branch: Branch, order: SimOrder) -> str:
    """Write where an order is in its life."""
    known = _STATUS.get(order.status)
    if known is not None:
        return known
    if order.stop_price is not None and order.triggered_ns is None:
        return "Deactivated"
    return "PartiallyFilledCanceled" if order.filled_qty and not branch.linear else "Cancelled"


def order_type(order: SimOrder) -> str:
    """Write the type; a conditional order has the type it will have once it is triggered."""
    return "Limit" if order.type in (OrderType.LIMIT, OrderType.STOP_LIMIT) else "Market"


def tif(order: SimOrder) -> str:
    """Write the time in force; a market order is always ``IOC``."""
    return _TIF.get(order.time_in_force, "GTC") if order.type.needs_price else "IOC"


def stop_order_type(order: SimOrder) -> str:
    """Write what kind of conditional order it is, ``""`` for none."""
    protects = order.extra.get("protects")
    if protects:
        return "StopLoss" if protects == "stop_loss" else "TakeProfit"
    if order.stop_price is None:
        return ""
    return "tpslOrder" if order.extra.get("filter") == "tpslOrder" else "Stop"


def create_type(order: SimOrder) -> str:
    """Write who made a perpetual's order."""
    if order.extra.get("liquidation"):
        return "CreateByTakeOver_PassThrough"
    return {"stop_loss": "CreateByStopLoss", "take_profit": "CreateByTakeProfit"}.get(
        str(order.extra.get("protects")), "CreateByUser"
    )


def fee_currency(branch: Branch, order: SimOrder) -> str:
    """Return what the fee of an order is paid in: spot pays out of what it receives."""
    instrument = branch.instrument(order.symbol)
    if branch.linear:
        return instrument.settle or instrument.quote
    return (instrument.base or "") if order.side is Side.BUY else instrument.quote


def market_limit(order: SimOrder, last: Decimal, instrument: Instrument) -> Decimal:
    """Return the limit that the venue shows as the price of a perpetual's market order."""
    worst = last * (1 + _SLIPPAGE * order.side.sign)
    return max(
        instrument.tick_size, (worst / instrument.tick_size).to_integral_value(ROUND_FLOOR) * instrument.tick_size
    )


def _price(branch: Branch, order: SimOrder, instrument: Instrument) -> str:
    if order.price is not None:
        return at(order.price, instrument.tick_size)
    waits = order.status is OrderStatus.UNTRIGGERED or (order.stop_price is not None and order.triggered_ns is None)
    last = order.extra.get("last")
    if not branch.linear or waits or last is None:
        return "0"
    return at(market_limit(order, order.avg_price or Decimal(str(last)), instrument), instrument.tick_size)


def _qty(branch: Branch, order: SimOrder) -> Decimal:
    """What closes the whole position has the position's size while it waits."""
    if order.close_all and order.status is OrderStatus.UNTRIGGERED and branch.linear:
        return abs(branch.perp(order.account).position(order.symbol).qty)
    return order.qty


def _level(price: Decimal | None, instrument: Instrument) -> str:
    return "" if price is None else at(price, instrument.tick_size)


def _reject_reason(order: SimOrder) -> str:
    if order.is_open or order.status is OrderStatus.FILLED:
        return "EC_NoError"
    if order.reason == "nothing left to meet":
        return "EC_CancelForNoFullFill" if order.filled_qty else "EC_NoImmediateQtyToFill"
    return _REJECT.get(order.reason, "EC_NoError")


# ── executions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def execution_row(branch: Branch, fill: SimFill) -> Row:
    """Shape a fill as ``/v5/execution/list`` does."""
    order = branch.exchange.orders[fill.order]
    instrument = branch.instrument(fill.symbol)
    rates = branch.exchange.setup
    row: Row = {
        "symbol": fill.symbol,
        "orderId": branch.order_id(order),
        "orderLinkId": branch.link(order),
        "side": side(fill.side),
        "orderPrice": _price(branch, order, instrument),
        "orderQty": at(order.qty, instrument.qty_step),
        "leavesQty": at(branch.left_after(order, fill), instrument.qty_step),
        "orderType": order_type(order),
        "stopOrderType": stop_order_type(order) or "UNKNOWN",
        "execFee": plain(fill.fee),
        "execId": exec_id(fill.number, linear=branch.linear),
        "execPrice": at(fill.price, instrument.tick_size),
        "execQty": at(fill.qty, instrument.qty_step),
        "execType": exec_type(branch, fill),
        "execValue": plain(fill.qty * fill.price),
        "execTime": ms(fill.ts_ns),
        "feeCurrency": fill.fee_currency,
        "isMaker": fill.maker,
        "feeRate": plain((rates.maker_bps if fill.maker else rates.taker_bps) / 10_000),
        "tradeIv": "",
        "markIv": "",
        "markPrice": at(fill.price, instrument.tick_size),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": at(branch.closed(fill), instrument.qty_step) if branch.linear else "",
        "seq": fill.number,
    }
    if branch.linear:
        row["createType"] = create_type(order)
    return row


def exec_type(branch: Branch, fill: SimFill) -> str:
    """Write whether a fill was traded or taken over by the liquidation engine."""
    return "BustTrade" if branch.exchange.orders[fill.order].extra.get("liquidation") else "Trade"


def execution_frame(branch: Branch, fill: SimFill) -> Row:
    """Shape a fill as the stream ``execution`` does."""
    row = execution_row(branch, fill)
    fee = row.pop("feeCurrency")
    more = {"isLeverage": "0", "marketUnit": "", "execPnl": plain(fill.realized_pnl), "extraFees": [], "feeCoin": fee}
    return {"category": branch.category, **row, **more}


def fast_execution_frame(branch: Branch, fill: SimFill) -> Row:
    """Shape a fill as the stream ``execution.fast`` does."""
    row = execution_row(branch, fill)
    keys = ("symbol", "execId", "execPrice", "execQty", "orderId", "isMaker", "orderLinkId", "side", "execTime", "seq")
    return {"category": branch.category, **{key: row[key] for key in keys}}


def funding_row(branch: Branch, event: MoneyChanged) -> Row:
    """Shape a payment of funding as ``/v5/execution/list`` does; a fee below zero was received."""
    assert event.symbol is not None
    rate = branch.exchange.setup.funding_rate
    instrument = branch.instrument(event.symbol)
    worth = abs(event.amount / rate) if rate else ZERO
    mark = branch.exchange.mark(event.symbol)
    size = (worth / mark / instrument.qty_step).to_integral_value() * instrument.qty_step
    number = event.ts_ns // 1_000_000 * 64 + sorted(branch.exchange.tapes).index(event.symbol)  # beyond every fill's
    return {
        "symbol": event.symbol, "orderId": order_id(number, linear=True), "orderLinkId": "",
        "side": "Sell" if event.amount > 0 else "Buy", "orderPrice": "0", "orderQty": "0", "leavesQty": "0",
        "createType": "", "orderType": "UNKNOWN", "stopOrderType": "UNKNOWN", "execFee": plain(-event.amount),
        "execId": exec_id(number, linear=True),
        "execPrice": at(mark, instrument.tick_size), "execQty": at(size, instrument.qty_step), "execType": "Funding",
        "execValue": rounded(worth), "execTime": ms(event.ts_ns), "feeCurrency": instrument.settle or instrument.quote,
        "isMaker": False, "feeRate": plain(rate), "tradeIv": "", "markIv": "",
        "markPrice": at(mark, instrument.tick_size), "indexPrice": "", "underlyingPrice": "", "blockTradeId": "",
        "closedSize": "0", "seq": event.ts_ns // 1_000_000,
    }  # fmt: skip


# ── positions and money ──────────────────────────────────────────────────────────────────────────────────────────────


def position_row(branch: Branch, account: str, symbol: str) -> Row:
    """Shape a net position as ``/v5/position/list`` does; one that is flat has no side."""
    ledger, instrument = branch.perp(account), branch.instrument(symbol)
    held, mark, leverage = ledger.position(symbol), branch.exchange.mark(symbol), ledger.leverage_of(symbol)
    size = abs(held.qty)
    liquidation = ledger.liquidation_price(symbol, branch.exchange)
    first_ns, last_ns = branch.first_and_last_ns(account, symbol)
    initial = size * mark / leverage
    return {
        "positionIdx": 0,
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": symbol,
        "side": "" if not size else side(Side.BUY if held.qty > 0 else Side.SELL),
        "size": at(size, instrument.qty_step) if size else "0",
        "avgPrice": rounded(held.avg_price),
        "positionValue": rounded(size * held.avg_price),
        "tradeMode": 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": 2 if size else 0,
        "leverage": plain(leverage),
        "positionBalance": rounded(size * held.avg_price / leverage),
        "markPrice": at(mark, instrument.tick_size),
        "liqPrice": "" if liquidation is None else rounded(liquidation),
        "bustPrice": "",
        "positionMM": rounded(size * mark * MAINTENANCE),
        "positionIM": rounded(initial),
        "tpslMode": "Full",
        "takeProfit": _level(held.take_profit, instrument) or "0",
        "stopLoss": _level(held.stop_loss, instrument) or "0",
        "trailingStop": "0",
        "unrealisedPnl": rounded(held.unrealized(mark)),
        "curRealisedPnl": rounded(held.realized_pnl),
        "cumRealisedPnl": rounded(held.realized_pnl),
        "seq": branch.sequence(),
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "createdTime": ms(first_ns),
        "updatedTime": ms(last_ns),
    }


def position_frame(branch: Branch, account: str, symbol: str) -> Row:
    """Shape a position as the stream ``position`` does: the entry has another name, and some figures come twice."""
    row = position_row(branch, account, symbol)
    entry = row.pop("avgPrice")
    more = {"positionIMByMp": row["positionIM"], "positionMMByMp": row["positionMM"], "sessionAvgPrice": ""}
    return {**row, "entryPrice": entry, **more, "positionBalance": "0", "category": branch.category}


def wallet_row(branch: Branch, account: str) -> Row:
    """Shape a unified account as ``/v5/account/wallet-balance`` does; its totals are in dollars."""
    coins = _linear_coins(branch, account) if branch.linear else _spot_coins(branch, account)
    wallet = sum((Decimal(c["usdValue"]) - Decimal(c["unrealisedPnl"]) for c in coins), ZERO)
    upl = sum((Decimal(c["unrealisedPnl"]) for c in coins), ZERO)
    initial = sum((Decimal(c["totalOrderIM"]) + Decimal(c["totalPositionIM"]) for c in coins), ZERO)
    maintenance = sum((Decimal(c["totalPositionMM"]) for c in coins), ZERO)
    margin = wallet + upl
    return {
        "totalEquity": rounded(margin),
        "accountIMRate": rounded(initial / margin) if margin > 0 else "0",
        "totalMarginBalance": rounded(margin),
        "totalInitialMargin": rounded(initial),
        "accountType": "UNIFIED",
        "totalAvailableBalance": rounded(max(ZERO, margin - initial)),
        "accountMMRate": rounded(maintenance / margin) if margin > 0 else "0",
        "totalPerpUPL": rounded(upl),
        "totalWalletBalance": rounded(wallet),
        "accountLTV": "0",
        "totalMaintenanceMargin": rounded(maintenance),
        "coin": coins,
    }


def _linear_coins(branch: Branch, account: str) -> list[Row]:
    ledger = branch.perp(account)
    upl = ledger.unrealized(branch.exchange)
    realized = sum((p.realized_pnl for p in ledger.positions.values()), ZERO)
    coin = _coin(ledger.currency, ledger.wallet, ledger.wallet + upl)
    coin |= {
        "totalOrderIM": plain(ledger.order_margin),
        "totalPositionIM": rounded(ledger.position_margin(branch.exchange)),
        "totalPositionMM": rounded(ledger.maintenance(branch.exchange)),
        "unrealisedPnl": rounded(upl),
        "cumRealisedPnl": plain(realized),
    }
    return [coin]


def _spot_coins(branch: Branch, account: str) -> list[Row]:
    ledger = branch.spot(account)
    rows = []
    for currency in ledger.currencies():
        free, held = ledger.free.get(currency, ZERO), ledger.held.get(currency, ZERO)
        row = _coin(currency, free + held, (free + held) * _dollars(branch, currency))
        row |= {"equity": plain(free + held), "locked": plain(held)}
        rows.append(row)
    return rows


def _coin(currency: str, wallet: Decimal, usd: Decimal) -> Row:
    """One coin; what may be withdrawn or borrowed is no longer said for unified accounts (since 2025-01-09)."""
    return {
        "availableToBorrow": "", "bonus": "0", "accruedInterest": "0", "availableToWithdraw": "", "totalOrderIM": "0",
        "equity": rounded(usd), "totalPositionMM": "0", "usdValue": rounded(usd), "unrealisedPnl": "0",
        "borrowAmount": "0", "totalPositionIM": "0", "walletBalance": plain(wallet), "cumRealisedPnl": "0",
        "locked": "0", "collateralSwitch": True, "marginCollateral": True, "coin": currency, "spotBorrow": "0",
    }  # fmt: skip


def _dollars(branch: Branch, currency: str) -> Decimal:
    """What one coin is worth: one where it is a dollar, the last price of its market, else nothing."""
    if currency in ("USDT", "USDC", "USD"):
        return Decimal(1)
    markets = ((t.instrument, s) for s, t in branch.exchange.tapes.items())
    return next((branch.exchange.mark(s) for i, s in markets if i.base == currency), ZERO)
