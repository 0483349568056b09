"""Tell a spot account: balances, orders, own trades, and the coins of the venue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradelab.rehearsal.dialects import binance_spot_shapes as shapes
from tradelab.rehearsal.dialects.binance_door import Ask, Route, Security
from tradelab.rehearsal.dialects.binance_errors import BinanceError, no_such_order, unknown_symbol
from tradelab.rehearsal.dialects.binance_params import Params, names
from tradelab.rehearsal.dialects.binance_spot_orders import SpotOrders
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.ledger_spot import SpotLedger

MS = 1_000_000
DAY_MS = 86_400_000
_BPS = Decimal(10_000)
_RANGE = "startTime endTime limit"


class SpotAccount:
    """All that an account may ask about itself."""

    def __init__(self, exchange: Exchange, orders: SpotOrders) -> None:
        self.exchange = exchange
        self.orders = orders

    def routes(self) -> list[Route]:
        """Return the addresses of the account; sapi's weights are of a limit of their own and are not metered."""
        signed = Security.SIGNED
        named = names("symbol orderId origClientOrderId")
        return [
            Route("GET", "/api/v3/account", "balances", self.account, 20, signed, names("omitZeroBalances")),
            Route("GET", "/api/v3/account/commission", "account", self.commission, 20, signed, names("symbol")),
            Route("GET", "/api/v3/order", "order", self.order, 4, signed, named),
            Route("GET", "/api/v3/openOrders", "open_orders", self.open, _open_weight, signed, names("symbol")),
            Route("GET", "/api/v3/allOrders", "order", self.history, 20, signed, names(f"symbol orderId {_RANGE}")),
            Route("GET", "/api/v3/myTrades", "fills", self.trades, _trades_weight, signed,
                  names(f"symbol orderId fromId {_RANGE}")),
            Route("GET", "/sapi/v1/capital/config/getall", "instruments", self.coins, 0, signed),
            Route("GET", "/sapi/v1/asset/tradeFee", "account", self.fees, 0, signed, names("symbol")),
            Route("GET", "/sapi/v1/margin/allPairs", "instruments", _none, 0, Security.KEY, names("timestamp")),
            Route("GET", "/sapi/v1/margin/isolated/allPairs", "instruments", _none, 0, signed),
            Route("GET", "/sapi/v1/margin/allAssets", "instruments", _none, 0, Security.KEY),
        ]  # fmt: skip

    def ledger(self, account: str) -> SpotLedger:
        """Return an account's money."""
        ledger = self.exchange.ledgers[account]
        assert isinstance(ledger, SpotLedger)
        return ledger

    def account(self, ask: Ask) -> object:
        """Tell what the account may do and what it holds."""
        omit_zero = ask.params.flag("omitZeroBalances") or False
        ledger, setup = self.ledger(ask.account), self.exchange.setup
        listed = {c for i, _ in self.exchange.markets() for c in (i.base or "", i.quote)} | set(ledger.currencies())
        rows = [self.balance(ask.account, c) for c in sorted(listed - {""})]
        zero = shapes.eight(None)
        orders = [o for o in self.exchange.orders.values() if o.account == ask.account]
        return {
            "makerCommission": int(setup.maker_bps), "takerCommission": int(setup.taker_bps),
            "buyerCommission": 0, "sellerCommission": 0, "commissionRates": self._rates(),
            "canTrade": True, "canWithdraw": True, "canDeposit": True, "brokered": False,
            "requireSelfTradePrevention": False, "preventSor": False,
            "updateTime": max((o.updated_ns for o in orders), default=0) // MS, "accountType": "SPOT",
            "balances": [r for r in rows if not omit_zero or (r["free"], r["locked"]) != (zero, zero)],
            "permissions": ["SPOT"], "uid": self._uid(ask.account),
        }  # fmt: skip

    def balance(self, account: str, currency: str) -> dict[str, str]:
        """Return one currency, free and locked."""
        ledger = self.ledger(account)
        free, held = ledger.free.get(currency), ledger.held.get(currency)
        return {"asset": currency, "free": shapes.eight(free), "locked": shapes.eight(held)}

    def _rates(self) -> dict[str, str]:
        setup = self.exchange.setup
        maker, taker = shapes.eight(setup.maker_bps / _BPS), shapes.eight(setup.taker_bps / _BPS)
        return {"maker": maker, "taker": taker, "buyer": shapes.eight(None), "seller": shapes.eight(None)}

    def _uid(self, account: str) -> int:
        return 354_937_868 + list(self.exchange.accounts).index(account)

    def commission(self, ask: Ask) -> object:
        """Tell the rates of one market."""
        nothing = dict.fromkeys(("maker", "taker", "buyer", "seller"), shapes.eight(None))
        off = {"enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB", "discount": "0.25000000"}
        return {
            "symbol": self._symbol(ask.params), "standardCommission": self._rates(), "specialCommission": nothing,
            "taxCommission": nothing, "discount": off,
        }  # fmt: skip

    def _symbol(self, params: Params) -> str:
        symbol = params.required("symbol")
        if symbol not in self.exchange.tapes:
            raise unknown_symbol()
        return symbol

    # ── orders and trades ────────────────────────────────────────────────────────────────────────────────────────

    def order(self, ask: Ask) -> object:
        """Tell one order."""
        order = self.orders.find(ask.params, ask.account)
        if order is None:
            raise no_such_order()
        return shapes.told(order)

    def open(self, ask: Ask) -> object:
        """Tell what is open, in one market or in all."""
        symbol = self._symbol(ask.params) if "symbol" in ask.params.given else None
        return [shapes.told(o) for o in self.exchange.open_orders(ask.account, symbol)]

    def history(self, ask: Ask) -> object:
        """Tell orders, oldest first: from a number on, from a time on, or the newest."""
        symbol, params = self._symbol(ask.params), ask.params
        limit, first = params.limit(500, 1000), params.whole("orderId")
        start, end = _span(params)
        mine = [
            o for o in self.exchange.orders.values()
            if o.account == ask.account and o.symbol == symbol
            and (first is None or o.number >= first)
            and (start is None or o.created_ns // MS >= start) and (end is None or o.created_ns // MS <= end)
        ]  # fmt: skip
        page = mine[-limit:] if first is None and start is None else mine[:limit]
        return [shapes.told(o) for o in page]

    def trades(self, ask: Ask) -> object:
        """Tell own trades, oldest first: from a number on, from a time on, or the newest."""
        symbol, params = self._symbol(ask.params), ask.params
        limit, first, of = params.limit(500, 1000), params.whole("fromId"), params.whole("orderId")
        start, end = _span(params)
        if first is not None and (start is not None or end is not None):
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        mine = [
            f for f in self.exchange.fills
            if f.account == ask.account and f.symbol == symbol and (of is None or f.order == of)
            and (first is None or f.number >= first)
            and (start is None or f.ts_ns // MS >= start) and (end is None or f.ts_ns // MS <= end)
        ]  # fmt: skip
        page = mine[-limit:] if first is None and start is None else mine[:limit]
        return [shapes.own_trade(f) for f in page]

    # ── what ccxt asks of sapi when it has a key ─────────────────────────────────────────────────────────────────

    def coins(self, ask: Ask) -> object:
        """Tell every coin, without any network to send it by."""
        listed = {c for i, _ in self.exchange.markets() for c in (i.base or "", i.quote)} - {""}
        zero = dict.fromkeys(("freeze", "ipoable", "ipoing", "storage", "withdrawing"), "0")
        made = []
        for coin in sorted(listed):
            balance = self.balance(ask.account, coin)
            made.append({
                "coin": coin, "name": coin, "free": balance["free"], "locked": balance["locked"], **zero,
                "depositAllEnable": False, "withdrawAllEnable": False, "isLegalMoney": False, "trading": True,
                "networkList": [],
            })  # fmt: skip
        return made

    def fees(self, ask: Ask) -> object:
        """Tell the rates of each market."""
        only = self._symbol(ask.params) if "symbol" in ask.params.given else None
        rates = self._rates()
        pair: dict[str, Any] = {"makerCommission": rates["maker"], "takerCommission": rates["taker"]}
        return [{"symbol": s, **pair} for s in self.exchange.tapes if only in (None, s)]


def _span(params: Params) -> tuple[int | None, int | None]:
    start, end = params.whole("startTime"), params.whole("endTime")
    if start is not None and end is not None and end - start > DAY_MS:
        raise BinanceError(-1127, "More than 24 hours between startTime and endTime.")
    return start, end


def _open_weight(params: object) -> int:
    return 6 if isinstance(params, dict) and "symbol" in params else 80


def _trades_weight(params: object) -> int:
    return 5 if isinstance(params, dict) and "orderId" in params else 20


def _none(_: Ask) -> object:
    return []
