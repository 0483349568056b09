"""Tell a USDⓈ-M account: money, positions, own trades, income; set leverage."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradelab.model.instrument import Instrument
from tradelab.rehearsal.dialects import binance_usdm_shapes as shapes
from tradelab.rehearsal.dialects.binance_door import Ask, Route, Security
from tradelab.rehearsal.dialects.binance_errors import BinanceError, missing
from tradelab.rehearsal.dialects.binance_params import names
from tradelab.rehearsal.dialects.binance_spot_shapes import eight
from tradelab.rehearsal.dialects.binance_usdm_orders import UsdmOrders, week
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.ledger_perp import MAINTENANCE, PerpLedger

MS = 1_000_000
MOST_LEVERAGE = 125
MOST_NOTIONAL = "1000000000"
_BPS = Decimal(10_000)
_RANGE = "startTime endTime limit"


class UsdmAccount:
    """All that an account may ask about itself."""

    def __init__(self, exchange: Exchange, orders: UsdmOrders) -> None:
        self.exchange = exchange
        self.orders = orders
        self._since_ms = exchange.now_ns // MS
        self.leverage_set: list[tuple[str, str, int]] = []  # account, symbol, leverage; read by the user stream

    def routes(self) -> list[Route]:
        """Return the addresses of the account."""
        signed, one = Security.SIGNED, names("symbol")
        trades = names(f"symbol orderId fromId {_RANGE}")
        income = names(f"symbol incomeType page {_RANGE}")
        v1, v2, v3 = "/fapi/v1", "/fapi/v2", "/fapi/v3"
        return [
            Route("GET", f"{v2}/balance", "balances", self.balance, 5, signed),
            Route("GET", f"{v3}/balance", "balances", self.balance, 5, signed),
            Route("GET", f"{v2}/account", "balances", self.account_v2, 5, signed),
            Route("GET", f"{v3}/account", "balances", self.account_v3, 5, signed),
            Route("GET", f"{v2}/positionRisk", "positions", self.risk_v2, 5, signed, one),
            Route("GET", f"{v3}/positionRisk", "positions", self.risk_v3, 5, signed, one),
            Route("GET", f"{v1}/userTrades", "fills", self.trades, 5, signed, trades),
            Route("GET", f"{v1}/income", "account", self.income, 30, signed, income),
            Route("GET", f"{v1}/commissionRate", "account", self.commission, 20, signed, one),
            Route("GET", f"{v1}/leverageBracket", "account", self.brackets, 1, signed, one),
            Route("GET", f"{v1}/symbolConfig", "account", self.symbol_config, 5, signed, one),
            Route("GET", f"{v1}/accountConfig", "account", self.config, 5, signed),
            Route("GET", f"{v1}/positionSide/dual", "account", lambda _: {"dualSidePosition": False}, 30, signed),
            Route("GET", f"{v1}/multiAssetsMargin", "account", lambda _: {"multiAssetsMargin": False}, 30, signed),
            Route("POST", f"{v1}/leverage", "other", self.set_leverage, 1, signed, names("symbol leverage")),
            Route("POST", f"{v1}/marginType", "other", self.set_margin_type, 1, signed, names("symbol marginType")),
            Route("POST", f"{v1}/positionSide/dual", "other", _one_way, 1, signed, names("dualSidePosition")),
        ]

    def ledger(self, account: str) -> PerpLedger:
        """Return an account's money and positions."""
        ledger = self.exchange.ledgers[account]
        assert isinstance(ledger, PerpLedger)
        return ledger

    def _updated_ms(self, account: str, symbol: str | None = None) -> int:
        mine = (f.ts_ns // MS for f in reversed(self.exchange.fills) if f.account == account)
        if symbol is None:
            return next(mine, self._since_ms)
        return next((f.ts_ns // MS for f in reversed(self.exchange.fills)
                     if f.account == account and f.symbol == symbol), 0)  # fmt: skip

    # ── money ────────────────────────────────────────────────────────────────────────────────────────────────────

    def asset(self, account: str) -> dict[str, Any]:
        """Return the settlement currency as the account tells it."""
        ledger, view = self.ledger(account), self.exchange
        unrealized, positions = ledger.unrealized(view), ledger.position_margin(view)
        free = eight(max(Decimal(0), ledger.available(view)))
        return {
            "asset": ledger.currency, "walletBalance": eight(ledger.wallet), "unrealizedProfit": eight(unrealized),
            "marginBalance": eight(ledger.wallet + unrealized), "maintMargin": eight(ledger.maintenance(view)),
            "initialMargin": eight(positions + ledger.order_margin), "positionInitialMargin": eight(positions),
            "openOrderInitialMargin": eight(ledger.order_margin), "crossWalletBalance": eight(ledger.wallet),
            "crossUnPnl": eight(unrealized), "availableBalance": free, "maxWithdrawAmount": free,
            "marginAvailable": True, "updateTime": self._updated_ms(account),
        }  # fmt: skip

    def balance(self, ask: Ask) -> object:
        """Tell the money."""
        a = self.asset(ask.account)
        kept = ("crossUnPnl", "availableBalance", "maxWithdrawAmount", "marginAvailable", "updateTime")
        head = {"accountAlias": "SgsR", "asset": a["asset"], "balance": a["walletBalance"]}
        return [head | {"crossWalletBalance": a["crossWalletBalance"]} | {k: a[k] for k in kept}]

    def _totals(self, asset: dict[str, Any]) -> dict[str, Any]:
        named = {
            "totalInitialMargin": "initialMargin", "totalMaintMargin": "maintMargin",
            "totalWalletBalance": "walletBalance", "totalUnrealizedProfit": "unrealizedProfit",
            "totalMarginBalance": "marginBalance", "totalPositionInitialMargin": "positionInitialMargin",
            "totalOpenOrderInitialMargin": "openOrderInitialMargin", "totalCrossWalletBalance": "crossWalletBalance",
            "totalCrossUnPnl": "crossUnPnl",
        }  # fmt: skip
        kept = ("availableBalance", "maxWithdrawAmount")
        return {name: asset[of] for name, of in named.items()} | {name: asset[name] for name in kept}

    def account_v2(self, ask: Ask) -> object:
        """Tell the account as version 2 does: every market, traded or not."""
        asset = self.asset(ask.account)
        head = {
            "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "updateTime": 0,
            "multiAssetsMargin": False, "tradeGroupId": -1,
        }  # fmt: skip
        positions = [self._position_v2(ask.account, tape.instrument) for tape in self.exchange.tapes.values()]
        return head | self._totals(asset) | {"assets": [asset], "positions": positions}

    def account_v3(self, ask: Ask) -> object:
        """Tell the account as version 3 does: only markets with a position or an order."""
        asset = self.asset(ask.account)
        del asset["marginAvailable"]
        names_ = [s for s in self.exchange.tapes if self._is_active(ask.account, s)]
        positions = [self._position_v3(ask.account, self.exchange.instrument(s)) for s in names_]
        return self._totals(asset) | {"assets": [asset], "positions": positions}

    # ── positions ────────────────────────────────────────────────────────────────────────────────────────────────

    def _is_active(self, account: str, symbol: str) -> bool:
        return bool(self.ledger(account).position(symbol).qty or self.exchange.open_orders(account, symbol))

    def _figures(self, account: str, instrument: Instrument) -> dict[str, Any]:
        """Return a position's figures, written."""
        symbol, ledger, view = instrument.symbol, self.ledger(account), self.exchange
        held, mark = ledger.position(symbol), view.mark(symbol)
        notional, leverage = held.qty * mark, ledger.leverage_of(symbol)
        margin = abs(notional) / leverage
        orders = sum((o.held for o in view.open_orders(account, symbol)), Decimal(0))
        bids, asks = self._order_notionals(account, symbol)
        liquidation = ledger.liquidation_price(symbol, view)
        rate = view.setup.taker_bps / _BPS * (1 if held.qty > 0 else -1)
        return {
            "symbol": symbol, "positionAmt": shapes.qty_text(instrument, held.qty),
            "entryPrice": eight(held.avg_price) if held.qty else "0.0",
            "breakEvenPrice": eight(held.avg_price * (1 + rate)) if held.qty else "0.0", "markPrice": eight(mark),
            "unRealizedProfit": eight(held.unrealized(mark)), "unrealizedProfit": eight(held.unrealized(mark)),
            "liquidationPrice": eight(liquidation) if liquidation is not None else "0", "leverage": str(int(leverage)),
            "notional": eight(notional), "initialMargin": eight(margin + orders) if margin + orders else "0",
            "maintMargin": eight(abs(notional) * MAINTENANCE) if notional else "0",
            "positionInitialMargin": eight(margin) if margin else "0",
            "openOrderInitialMargin": eight(orders) if orders else "0", "bidNotional": eight(bids) if bids else "0",
            "askNotional": eight(asks) if asks else "0", "positionSide": "BOTH",
            "updateTime": self._updated_ms(account, symbol),
        }  # fmt: skip

    def _order_notionals(self, account: str, symbol: str) -> tuple[Decimal, Decimal]:
        found = {1: Decimal(0), -1: Decimal(0)}
        for order in self.exchange.open_orders(account, symbol):
            if order.rests:
                found[order.side.sign] += order.leaves_qty * (order.price or Decimal(0))
        return found[1], found[-1]

    def _pick(self, figures: dict[str, Any], text: str, **more: object) -> dict[str, Any]:
        return {name: figures[name] for name in text.split()} | more

    def _position_v2(self, account: str, instrument: Instrument) -> dict[str, Any]:
        keys = (
            "symbol initialMargin maintMargin unrealizedProfit positionInitialMargin openOrderInitialMargin leverage "
            "entryPrice bidNotional askNotional positionSide positionAmt updateTime"
        )
        return self._pick(self._figures(account, instrument), keys, isolated=False, maxNotional=MOST_NOTIONAL)

    def _position_v3(self, account: str, instrument: Instrument) -> dict[str, Any]:
        keys = "symbol positionSide positionAmt unrealizedProfit notional initialMargin maintMargin updateTime"
        return self._pick(self._figures(account, instrument), keys, isolatedMargin="0", isolatedWallet="0")

    def risk_v2(self, ask: Ask) -> object:
        """Tell positions as version 2 does, every market with them."""
        keys = (
            "symbol positionAmt entryPrice breakEvenPrice markPrice unRealizedProfit liquidationPrice leverage "
            "positionSide notional updateTime"
        )
        more = {
            "maxNotionalValue": MOST_NOTIONAL, "marginType": "cross", "isolatedMargin": "0.00000000",
            "isAutoAddMargin": "false", "isolatedWallet": "0",
        }  # fmt: skip
        return [self._pick(self._figures(ask.account, i), keys, **more) for i in self._asked(ask)]

    def risk_v3(self, ask: Ask) -> object:
        """Tell positions as version 3 does: only where there is a position or an order."""
        keys = (
            "symbol positionSide positionAmt entryPrice breakEvenPrice markPrice unRealizedProfit liquidationPrice "
            "notional initialMargin maintMargin positionInitialMargin openOrderInitialMargin bidNotional askNotional "
            "updateTime"
        )
        more = {
            "isolatedMargin": "0", "marginAsset": self.ledger(ask.account).currency, "isolatedWallet": "0", "adl": 0,
        }  # fmt: skip
        active = [i for i in self._asked(ask) if self._is_active(ask.account, i.symbol)]
        return [self._pick(self._figures(ask.account, i), keys, **more) for i in active]

    def _asked(self, ask: Ask) -> list[Instrument]:
        if "symbol" in ask.params.given:
            return [self.orders.instrument(ask.params)]
        return [tape.instrument for tape in self.exchange.tapes.values()]

    # ── lists ────────────────────────────────────────────────────────────────────────────────────────────────────

    def trades(self, ask: Ask) -> object:
        """Tell own trades, oldest first: of one order, from a number on, or of a week."""
        params, instrument = ask.params, self.orders.instrument(ask.params)
        limit, first, of = params.limit(500, 1000), params.whole("fromId"), params.whole("orderId")
        timed = "startTime" in params.given or "endTime" in params.given
        if first is not None and timed:
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        start, end = (0, 10**15) if first is not None else week(params, self.exchange.now_ns // MS)
        orders = self.exchange.orders
        mine = [
            f for f in self.exchange.fills
            if f.account == ask.account and f.symbol == instrument.symbol
            and (of is None or shapes.order_id(orders[f.order]) == of)
            and (first is None or f.number >= first) and start <= f.ts_ns // MS <= end
        ]  # fmt: skip
        page = mine[:limit] if first is not None or "startTime" in params.given else mine[-limit:]
        return [shapes.own_trade(f, orders[f.order], instrument) for f in page]

    def income(self, ask: Ask) -> object:
        """Tell what came and went: funding, fees, profits, transfers."""
        params = ask.params
        limit, kind, page = params.limit(100, 1000), params.text("incomeType"), params.whole("page") or 1
        symbol = self.orders.instrument(params).symbol if "symbol" in params.given else None
        start, end = week(params, self.exchange.now_ns // MS)
        rows = sorted(self._income_rows(ask.account), key=lambda r: (r["time"], r["tranId"]))
        found = [
            r for r in rows
            if kind in (None, r["incomeType"]) and symbol in (None, r["symbol"]) and start <= r["time"] <= end
        ]  # fmt: skip
        return found[(page - 1) * limit : page * limit]

    def _income_rows(self, account: str) -> list[dict[str, Any]]:
        asset = self.ledger(account).currency
        rows = []

        def row(symbol: str, kind: str, amount: Decimal, ts_ns: int, number: int, trade: str) -> None:
            rows.append({
                "symbol": symbol, "incomeType": kind, "income": eight(amount), "asset": asset, "info": trade or kind,
                "time": ts_ns // MS, "tranId": number, "tradeId": trade,
            })  # fmt: skip

        for place, paid in enumerate(self.exchange.funding):
            if paid.account == account and paid.symbol is not None:
                row(paid.symbol, "FUNDING_FEE", paid.amount, paid.ts_ns, 9_000_000_000 + place, "")
        for fill in self.exchange.fills:
            if fill.account != account:
                continue
            row(fill.symbol, "COMMISSION", -fill.fee, fill.ts_ns, 2 * fill.number, str(fill.number))
            if fill.realized_pnl:
                row(fill.symbol, "REALIZED_PNL", fill.realized_pnl, fill.ts_ns, 2 * fill.number + 1, str(fill.number))
        return rows

    # ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────

    def commission(self, ask: Ask) -> object:
        """Tell the rates of one market."""
        setup, symbol = self.exchange.setup, self.orders.instrument(ask.params).symbol
        maker, taker = f"{setup.maker_bps / _BPS:.6f}", f"{setup.taker_bps / _BPS:.6f}"
        return {
            "symbol": symbol,
            "makerCommissionRate": maker,
            "takerCommissionRate": taker,
            "rpiCommissionRate": maker,
        }

    def brackets(self, ask: Ask) -> object:
        """Tell the brackets; ours is one, of the rate the venue liquidates by."""
        bracket = {
            "bracket": 1, "initialLeverage": MOST_LEVERAGE, "notionalCap": int(MOST_NOTIONAL), "notionalFloor": 0,
            "maintMarginRatio": float(MAINTENANCE), "cum": 0.0,
        }  # fmt: skip
        rows = [{"symbol": i.symbol, "notionalCoef": 1.0, "brackets": [bracket]} for i in self._asked(ask)]
        return rows if "symbol" not in ask.params.given else rows[0]

    def symbol_config(self, ask: Ask) -> object:
        """Tell leverage and margin type by market."""
        ledger = self.ledger(ask.account)
        return [
            {
                "symbol": i.symbol, "marginType": "CROSSED", "isAutoAddMargin": False,
                "leverage": int(ledger.leverage_of(i.symbol)), "maxNotionalValue": MOST_NOTIONAL,
            }
            for i in self._asked(ask)
        ]  # fmt: skip

    def config(self, _: Ask) -> object:
        """Tell how the account is set."""
        return {
            "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "dualSidePosition": False,
            "updateTime": 0, "multiAssetsMargin": False, "tradeGroupId": -1,
        }  # fmt: skip

    def set_leverage(self, ask: Ask) -> object:
        """Set a market's leverage; what open orders hold is held anew."""
        instrument, leverage = self.orders.instrument(ask.params), ask.params.whole("leverage")
        if leverage is None:
            raise missing("leverage")
        if not 1 <= leverage <= MOST_LEVERAGE:
            raise BinanceError(-4028, f"Leverage {leverage} is not valid")
        ledger, symbol = self.ledger(ask.account), instrument.symbol
        before = ledger.leverage_of(symbol)
        self._lever(ask.account, symbol, Decimal(leverage))
        if leverage < before and ledger.available(self.exchange) < 0:
            self._lever(ask.account, symbol, before)
            raise BinanceError(-2019, "Margin is insufficient.")
        self.leverage_set.append((ask.account, symbol, leverage))
        return {"symbol": symbol, "leverage": leverage, "maxNotionalValue": MOST_NOTIONAL}

    def _lever(self, account: str, symbol: str, leverage: Decimal) -> None:
        ledger, instrument = self.ledger(account), self.exchange.instrument(symbol)
        ledger.leverage[symbol] = leverage
        for order in self.exchange.open_orders(account, symbol):
            if order.held:
                ledger.hold(order, instrument, self.exchange.worst_price(order))

    def set_margin_type(self, ask: Ask) -> object:
        """Refuse what is so already, and isolated margin, which this venue does not keep."""
        self.orders.instrument(ask.params)
        if ask.params.choice("marginType", ("ISOLATED", "CROSSED")) == "CROSSED":
            raise BinanceError(-4046, "No need to change margin type.")
        raise BinanceError(-1020, "This operation is not supported.")


def _one_way(ask: Ask) -> object:
    """Refuse hedge mode, and one-way mode once more."""
    wanted = ask.params.flag("dualSidePosition")
    if wanted is None:
        raise missing("dualSidePosition")
    if wanted:
        raise BinanceError(-1020, "This operation is not supported.")
    raise BinanceError(-4059, "No need to change position side.")
