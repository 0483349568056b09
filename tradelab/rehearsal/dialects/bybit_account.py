"""Answer what a user may ask of Bybit about itself: orders, executions, positions, wallet, leverage, fees, the key."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from tradelab.rehearsal.dialects import bybit_errors as no
from tradelab.rehearsal.dialects import bybit_shapes as shapes
from tradelab.rehearsal.dialects.bybit_branch import Branch
from tradelab.rehearsal.dialects.bybit_door import Route
from tradelab.rehearsal.dialects.bybit_errors import Refusal
from tradelab.rehearsal.dialects.bybit_trade import filtered
from tradelab.rehearsal.dialects.bybit_wire import Asked, Kind, Row, page, plain
from tradelab.rehearsal.events import MoneyChanged
from tradelab.rehearsal.orders import SimFill, SimOrder

T, N, W = Kind.TEXT, Kind.NUMBER, Kind.WHOLE
WEEK_MS = 7 * 86_400_000
RECENT = 500  # so many finished orders are still told by /v5/order/realtime
MAX_LEVERAGE = Decimal(100)
WHERE = {
    "category": T, "symbol": T, "baseCoin": T, "settleCoin": T, "orderId": T, "orderLinkId": T, "limit": W, "cursor": T,
}  # fmt: skip
SPAN = {"startTime": W, "endTime": W}


class Account:
    """The private half of one category, except for what changes orders."""

    def __init__(self, branch: Branch) -> None:
        self._branch = branch

    def routes(self) -> list[Route]:
        """Return the addresses."""
        orders = WHERE | {"orderFilter": T}
        leverage = {"category": T, "symbol": T, "buyLeverage": N, "sellLeverage": N}
        mode = {"category": T, "symbol": T, "coin": T, "mode": W}
        executions = WHERE | SPAN | {"execType": T, "size": W}
        return [
            Route("GET", "/v5/order/realtime", "open_orders", self.realtime, orders | {"openOnly": W}),
            Route("GET", "/v5/order/history", "order", self.history, orders | SPAN | {"orderStatus": T}),
            Route("GET", "/v5/execution/list", "fills", self.executions, executions),
            Route("GET", "/v5/position/list", "positions", self.positions, WHERE),
            Route("POST", "/v5/position/set-leverage", "other", self.set_leverage, leverage),
            Route("POST", "/v5/position/switch-mode", "other", self.switch_mode, mode),
            Route("POST", "/v5/account/set-margin-mode", "other", self.set_margin_mode, {"setMarginMode": T}),
            Route("GET", "/v5/account/wallet-balance", "balances", self.wallet, {"accountType": T, "coin": T}),
            Route("GET", "/v5/account/info", "account", self.info),
            Route("GET", "/v5/account/fee-rate", "account", self.fee_rate, WHERE),
            Route("GET", "/v5/user/query-api", "account", self.query_api),
            Route("GET", "/v5/asset/coin/query-info", "instruments", self.coins, {"coin": T}),
        ]

    # ── orders and executions ────────────────────────────────────────────────────────────────────────────────────

    def realtime(self, asked: Asked) -> Row | Refusal:
        """Tell open orders, newest first; one that is named, or all with ``openOnly=1``, also when lately ended."""
        refused = self._wants_market(asked)
        if refused is not None:
            return refused
        named = asked.text("orderId") or asked.text("orderLinkId")
        mine = self._orders(asked)
        recent = {o.number for o in [o for o in mine if not o.is_open][:RECENT]}
        ended = bool(named) or asked.whole("openOnly", 0) == 1
        shown = [o for o in mine if (o.is_open and (named or not ended)) or (ended and o.number in recent)]
        return self._listed(asked, shown)

    def history(self, asked: Asked) -> Row | Refusal:
        """Tell orders that have ended, newest first, of the last seven days or of a span of seven at most."""
        span = self._span(asked)
        if isinstance(span, Refusal):
            return span
        shown = [o for o in self._orders(asked) if not o.is_open and span[0] <= o.created_ns // 1_000_000 <= span[1]]
        status = asked.text("orderStatus")
        shown = [o for o in shown if not status or shapes.status(self._branch, o) == status]
        return self._listed(asked, shown)

    def executions(self, asked: Asked) -> Row | Refusal:
        """Tell trades and payments of funding, newest first."""
        span = self._span(asked)
        if isinstance(span, Refusal):
            return span
        done = [e for e in self._executions(asked) if span[0] <= e.ts_ns // 1_000_000 <= span[1]]
        keyed = [(f"{e.number}:1" if isinstance(e, SimFill) else f"{e.symbol}:{e.ts_ns}", e) for e in done]
        limit = asked.limit(min(100, asked.whole("size", 50)), 100)
        shown, cursor = page(keyed, limit, asked.text("cursor"))
        rows = [self._execution(e) for e in shown]
        return {"category": asked.text("category"), "list": rows, "nextPageCursor": cursor}

    def _executions(self, asked: Asked) -> list[SimFill | MoneyChanged]:
        """Return the fills and payments a request is about, newest first."""
        branch, wanted, symbol = self._branch, asked.text("execType"), asked.text("symbol")
        if asked.text("category") != branch.category:
            return []
        named = bool(asked.text("orderId") or asked.text("orderLinkId"))
        order = branch.find(asked.account, asked.text("orderId"), asked.text("orderLinkId"))
        found: list[SimFill | MoneyChanged] = []
        for fill in branch.exchange.fills:
            of_order = not named or (order is not None and fill.order == order.number)
            if fill.account == asked.account and of_order and wanted in ("", shapes.exec_type(branch, fill)):
                found.append(fill)
        if not named and wanted in ("", "Funding"):
            found += [e for e in branch.exchange.funding if e.account == asked.account]
        kept = [e for e in found if symbol in ("", e.symbol)]
        return sorted(kept, key=lambda e: e.ts_ns)[::-1]

    def _execution(self, done: SimFill | MoneyChanged) -> Row:
        if isinstance(done, SimFill):
            return shapes.execution_row(self._branch, done)
        return shapes.funding_row(self._branch, done)

    def _orders(self, asked: Asked) -> list[SimOrder]:
        """Return the orders a request is about, newest first: by id, else by name, else by market and coin."""
        if asked.text("category") != self._branch.category:
            return []
        if asked.text("orderId") or asked.text("orderLinkId"):
            found = self._branch.find(asked.account, asked.text("orderId"), asked.text("orderLinkId"))
            mine: Iterable[SimOrder] = [] if found is None else [found]
        else:
            mine = (o for o in reversed(self._branch.exchange.orders.values()) if o.account == asked.account)
        return [o for o in mine if self._fits(o, asked) and filtered(o, asked.text("orderFilter"))]

    def _fits(self, order: SimOrder, asked: Asked) -> bool:
        instrument = self._branch.instrument(order.symbol)
        base, settle, symbol = asked.text("baseCoin"), asked.text("settleCoin"), asked.text("symbol")
        if symbol:
            return order.symbol == symbol
        return base in ("", instrument.base) and settle in ("", instrument.settle or instrument.quote)

    def _listed(self, asked: Asked, orders: list[SimOrder]) -> Row:
        keyed = [(f"{o.number}:{o.created_ns // 1_000_000}", o) for o in orders]
        shown, cursor = page(keyed, asked.limit(20, 50), asked.text("cursor"))
        rows = [shapes.order_row(self._branch, o) for o in shown]
        return {"category": asked.text("category"), "list": rows, "nextPageCursor": cursor}

    def _span(self, asked: Asked) -> tuple[int, int] | Refusal:
        """Return the span of time a request is about, as documented for its two ends."""
        if asked.text("category") not in ("linear", "spot", "inverse", "option"):
            return no.ILLEGAL_CATEGORY
        now = max(self._branch.now_ms, self._branch.exchange.now_ns // 1_000_000)
        start, end = asked.whole("startTime", 0), asked.whole("endTime", 0)
        if not start:
            return (end or now) - WEEK_MS, end or now
        if not end:
            return start, start + WEEK_MS
        return (start, end) if 0 <= end - start <= WEEK_MS else no.wrong("startTime and endTime")

    def _wants_market(self, asked: Asked) -> Refusal | None:
        """Linear wants to know a market or a coin."""
        if asked.text("category") not in ("linear", "spot", "inverse", "option"):
            return no.ILLEGAL_CATEGORY
        named = any(asked.text(n) for n in ("symbol", "baseCoin", "settleCoin", "orderId", "orderLinkId"))
        if asked.text("category") == "linear" and not named:
            return Refusal(10001, "params error: symbol, baseCoin or settleCoin is required")
        return None

    # ── positions ────────────────────────────────────────────────────────────────────────────────────────────────

    def positions(self, asked: Asked) -> Row | Refusal:
        """Tell positions: the one of a symbol even if it is flat, of a coin those that are not."""
        refused = self._wants_market(asked)
        if refused is not None or asked.text("category") == "spot":
            return refused or no.ILLEGAL_CATEGORY
        branch, symbol, rows = self._branch, asked.text("symbol"), []
        if branch.linear and asked.text("category") == "linear":
            if symbol and symbol not in branch.exchange.tapes:
                return no.UNKNOWN_LINEAR
            held = [s for s, p in branch.perp(asked.account).positions.items() if p.qty]
            shown = [symbol] if symbol else [s for s in held if self._settles(s, asked)]
            rows = [(s, shapes.position_row(branch, asked.account, s)) for s in shown]
        listed, cursor = page(rows, asked.limit(20, 200), asked.text("cursor"))
        return {"category": asked.text("category"), "list": listed, "nextPageCursor": cursor}

    def _settles(self, symbol: str, asked: Asked) -> bool:
        instrument = self._branch.instrument(symbol)
        coin, base = asked.text("settleCoin"), asked.text("baseCoin")
        return coin in ("", instrument.settle or instrument.quote) and base in ("", instrument.base)

    def set_leverage(self, asked: Asked) -> Row | Refusal:
        """Set a symbol's leverage, the same for both sides, if the margin bears it."""
        branch, symbol = self._branch, asked.text("symbol")
        if not branch.linear or symbol not in branch.exchange.tapes:
            return no.UNKNOWN_LINEAR
        wanted, other = asked.number("buyLeverage"), asked.number("sellLeverage")
        if wanted is None or wanted != other or wanted < 1:
            return no.wrong("leverage")
        if wanted > MAX_LEVERAGE:
            return no.LEVERAGE_TOO_HIGH
        ledger = branch.perp(asked.account)
        before = ledger.leverage_of(symbol)
        if wanted == before:
            return no.LEVERAGE_SAME
        ledger.leverage[symbol] = wanted
        if wanted < before and ledger.available(branch.exchange) < 0:
            ledger.leverage[symbol] = before
            return no.LEVERAGE_MARGIN
        return {}

    def switch_mode(self, asked: Asked) -> Row | Refusal:
        """Positions are one-way here, and stay so."""
        return no.MODE_SAME if asked.whole("mode", 0) == 0 else no.NO_HEDGE

    def set_margin_mode(self, asked: Asked) -> Row | Refusal:
        """Margin is of the whole account here, and stays so."""
        if asked.text("setMarginMode") != "REGULAR_MARGIN":
            return no.wrong("setMarginMode")
        return {"reasons": []}

    # ── money and the account ────────────────────────────────────────────────────────────────────────────────────

    def wallet(self, asked: Asked) -> Row | Refusal:
        """Tell the unified wallet; there is no other."""
        if asked.text("accountType") != "UNIFIED":
            return Refusal(10001, "accountType only support UNIFIED.")
        row = shapes.wallet_row(self._branch, asked.account)
        coins = [c for c in asked.text("coin").split(",") if c]
        row["coin"] = [c for c in row["coin"] if not coins or c["coin"] in coins]
        return {"list": [row]}

    def info(self, _: Asked) -> Row:
        """Tell that this is a unified account 2.0 (pro), with margin shared by all."""
        return {
            "marginMode": "REGULAR_MARGIN", "updatedTime": str(self._branch.now_ms), "unifiedMarginStatus": 6,
            "dcpStatus": "OFF", "timeWindow": 10, "smpGroup": 0, "isMasterTrader": False, "spotHedgingStatus": "OFF",
        }  # fmt: skip

    def fee_rate(self, asked: Asked) -> Row | Refusal:
        """Tell what trades cost."""
        setup, symbol = self._branch.exchange.setup, asked.text("symbol")
        if symbol and symbol not in self._branch.exchange.tapes:
            return no.UNKNOWN_LINEAR if self._branch.linear else no.UNKNOWN_SPOT
        rates = {"takerFeeRate": plain(setup.taker_bps / 10_000), "makerFeeRate": plain(setup.maker_bps / 10_000)}
        shown = [symbol] if symbol else list(self._branch.exchange.tapes)
        return {"list": [{"symbol": s, **rates, "baseCoin": ""} for s in shown]}

    def query_api(self, asked: Asked) -> Row:
        """Tell what the key may do: read, and what else its setup says."""
        setup = self._branch.exchange.accounts[asked.account]
        wallet = ["AccountTransfer", *(["Withdraw"] if "withdraw" in setup.may else [])]
        return {
            "id": "2208369", "note": "rehearsal", "apiKey": asked.account, "secret": "",
            "readOnly": 0 if "trade" in setup.may else 1,
            "permissions": {
                "ContractTrade": ["Order", "Position"], "Spot": ["SpotTrade"], "Wallet": wallet,
                "Options": [], "Derivatives": ["DerivativesTrade"], "CopyTrading": [], "BlockTrade": [],
                "Exchange": ["ExchangeHistory"], "NFT": [], "Affiliate": [], "Earn": [], "FiatP2P": [],
                "FiatBybitPay": [], "FiatConvertBroker": [], "FiatGlobalPay": [], "FiatBitPay": [], "BitCard": [],
                "ByXPost": [],
            },
            "ips": ["127.0.0.1"] if setup.bound else ["*"], "type": 1, "deadlineDay": -2,
            "expiredAt": "1970-01-01T00:00:00Z", "createdAt": "2025-10-13T03:20:45Z",
            "unified": 0, "uta": 1, "userID": 1448939, "inviterID": 0,
            "vipLevel": "No VIP", "mktMakerLevel": "0", "affiliateID": 0, "rsaPublicKey": "", "isMaster": True,
            "parentUid": "0", "kycLevel": "LEVEL_DEFAULT", "kycRegion": "", "userIDInt64": "1448939",
            "inviterIDInt64": "0", "affiliateIDInt64": "0",
        }  # fmt: skip

    def coins(self, asked: Asked) -> Row:
        """Tell the currencies; they can neither come nor go."""
        traded = {c for i, _ in self._branch.exchange.markets() for c in (i.base, i.quote, i.settle) if c}
        shown = sorted(c for c in traded if asked.text("coin") in ("", c))
        chain = {
            "confirmation": "1", "withdrawFee": "0", "depositMin": "0", "withdrawMin": "0", "chainDeposit": "0",
            "chainWithdraw": "0", "minAccuracy": "8", "withdrawPercentageFee": "0", "contractAddress": "",
            "safeConfirmNumber": "1",
        }  # fmt: skip
        chains = {c: [{**chain, "chain": c, "chainType": c}] for c in shown}
        return {"rows": [{"name": c, "coin": c, "remainAmount": "0", "chains": chains[c]} for c in shown]}
