"""Know where venues differ behind ccxt's one face: parameters of orders, and how an order is found again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from tradelab.adapters.ccxt_words import Told, balances_of, decimal, order_of
from tradelab.model.account import Balance, PositionMode
from tradelab.model.capabilities import Evidence, Stream, VenueCapabilities
from tradelab.model.orders import Order, OrderIntent, OrderRef, OrderType, Side, TimeInForce
from tradelab.model.outcome import RefusalCode, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """What a margin account adds to its balances; ``None`` is what the venue did not say."""

    currency: str | None = None
    equity: Decimal | None = None
    used_margin: Decimal | None = None
    free_margin: Decimal | None = None
    may_trade: bool | None = None


_ALL_STREAMS = frozenset(Stream)
_NEEDS_END = {TimeInForce.GTD}  # ccxt has no word of its own for when an order ends


PAYLOAD_TESTED = frozenset({"okx", "kraken"})  # tests/unit/adapters/test_ccxt_payloads.py


class Ways:
    """What holds for any exchange ccxt speaks to, by its own ``features``; nobody has rehearsed it.

    Parameters
    ----------
    raw
        The ccxt client.
    market
        ``"spot"`` or ``"linear"``.
    """

    fills_need_symbol = True
    cancels_by_venue_id = True  # our own id is not enough to cancel by
    longest_fill_span_s: int | None = None  # of one question for fills
    fills_kept_s: int | None = None  # how far back the venue tells any
    fills_by_number = False  # whether they can be asked for from a number on

    def __init__(self, raw: Any, market: str) -> None:
        self.raw = raw
        self.market = market

    def options(self) -> dict[str, Any]:
        """Return ccxt options for this market."""
        return {"defaultType": "spot" if self.market == "spot" else "swap", "fetchMarkets": {"types": [self.market]}}

    def capabilities(self) -> VenueCapabilities:
        """Return what ccxt says that the venue offers."""
        told = self.features().get("createOrder") or {}
        lives = told.get("timeInForce") or {}
        types = {OrderType.MARKET, OrderType.LIMIT}
        if told.get("triggerPrice"):
            types |= {OrderType.STOP, OrderType.STOP_LIMIT}
        attached = told.get("attachedStopLossTakeProfit")
        linear = self.market == "linear"
        has = self.raw.has
        streams = {
            Stream.CANDLES: "watchOHLCV", Stream.QUOTES: "watchTicker", Stream.ORDERS: "watchOrders",
            Stream.FILLS: "watchMyTrades", Stream.BALANCES: "watchBalance",
        }  # fmt: skip
        return VenueCapabilities(
            order_types=frozenset(types),
            times_in_force=frozenset({TimeInForce.GTC} | {t for t in TimeInForce if lives.get(t.name)} - _NEEDS_END),
            position_mode=PositionMode.NETTING if linear else PositionMode.NONE,
            attached_protection_types=frozenset({OrderType.MARKET, OrderType.LIMIT}) if attached else frozenset(),
            reduce_only=linear,
            query_by_client_id=False,
            cancel_all=bool(has.get("cancelAllOrders")),
            streams=frozenset(s for s, name in streams.items() if has.get(name) is True),
            evidence=Evidence.PAYLOAD_TESTED if self.raw.id in PAYLOAD_TESTED else Evidence.UNVERIFIED,
        )

    def features(self) -> dict[str, Any]:
        """Return ccxt's description of this market's functions."""
        told = (self.raw.features or {}).get("spot" if self.market == "spot" else "swap") or {}
        return told if self.market == "spot" else told.get("linear") or {}

    async def prepare(self) -> None:
        """Learn about the account what the first order would otherwise wait for."""

    # ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────

    def order_params(self, intent: OrderIntent) -> dict[str, Any]:
        """Return ccxt's unified parameters of an order."""
        params: dict[str, Any] = {"clientOrderId": intent.client_order_id}
        if intent.time_in_force is TimeInForce.PO:
            params["postOnly"] = True
        elif intent.type.needs_price:
            params["timeInForce"] = intent.time_in_force.name
        if intent.stop_price is not None:
            params["triggerPrice"] = str(intent.stop_price)
        if intent.reduce_only:
            params["reduceOnly"] = True
        for name, level in (("stopLoss", intent.stop_loss), ("takeProfit", intent.take_profit)):
            if level is not None:
                params[name] = {"triggerPrice": str(level)}
        return params

    def accepted_id(self, told: Told, intent: OrderIntent) -> str:
        """Return the id under which an order just made is known here."""
        return str(told["id"])

    async def refuses(self, intent: OrderIntent) -> Refused | None:
        """Say what the venue would take as another order than the one that is meant."""
        return None

    async def find(self, ref: OrderRef) -> Order | None:
        """Ask for one order, by the venue's id where there is one, else among the lists."""
        if ref.venue_order_id is not None:
            return order_of(await self.raw.fetch_order(ref.venue_order_id, ref.symbol))
        told = list(await self.raw.fetch_open_orders(ref.symbol))
        if self.raw.has.get("fetchClosedOrders"):
            told += await self.raw.fetch_closed_orders(ref.symbol)
        found = (o for o in told if o.get("clientOrderId") == ref.client_order_id)
        return next((order_of(o) for o in found), None)

    async def open_orders(self, symbol: str | None) -> list[Order]:
        """Return every open order."""
        return [order_of(o) for o in await self.raw.fetch_open_orders(symbol)]

    def heard(self, told: Told) -> Order:
        """Return an order that the stream tells of, under the id by which it can be asked for and cancelled."""
        return order_of(told)

    async def cancel(self, order: OrderRef) -> Told:
        """Cancel one order of which the venue's id is known."""
        return dict(await self.raw.cancel_order(order.venue_order_id, order.symbol))

    async def modify(self, order: Order, qty: str, price: str | None, stop_price: str | None) -> Told:
        """Change an open order in place."""
        params = {} if stop_price is None else {"triggerPrice": stop_price}
        kind = "limit" if order.type.needs_price else "market"
        return dict(
            await self.raw.edit_order(order.venue_order_id, order.symbol, kind, order.side.value, qty, price, params)
        )

    async def protect(self, symbol: str, side: Side, stop_loss: str, take_profit: str) -> None:
        """Set the stop loss and take profit of a position; ``"0"`` takes one away."""
        raise NotImplementedError

    async def arm_dead_man(self, seconds: int) -> None:
        """Begin the countdown of the venue's dead-man's switch anew; only where ``capabilities`` has one."""
        raise NotImplementedError

    # ── money ────────────────────────────────────────────────────────────────────────────────────────────────────

    def money(self, told: Told) -> list[Balance]:
        """Return the balances; what positions would bring is not among them."""
        return balances_of(told)

    def margin(self, told: Told) -> Margin:
        """Return equity and margin, as far as the venue tells them."""
        return Margin()


class BinanceSpot(Ways):
    """Binance, spot."""

    cancels_by_venue_id = False
    longest_fill_span_s = 86_400
    fills_by_number = True  # "fromId", which goes without any times

    def options(self) -> dict[str, Any]:
        """Return ccxt options: one market type, no warning about the weight of a question."""
        return {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "warnOnFetchOpenOrdersWithoutSymbol": False}

    def capabilities(self) -> VenueCapabilities:
        """Return what Binance's spot API offers; an edit there is a new order, so there is none in place."""
        return replace(
            super().capabilities(), query_by_client_id=True, cancel_all=True, streams=_ALL_STREAMS,
            request_life_ms=int(self.raw.options["recvWindow"]), evidence=Evidence.REHEARSED,
        )  # fmt: skip

    async def find(self, ref: OrderRef) -> Order | None:
        """Ask by our id or by the venue's."""
        told = await self.raw.fetch_order(ref.venue_order_id, ref.symbol, self.names(ref))
        return order_of(told)

    async def cancel(self, order: OrderRef) -> Told:
        """Cancel by our id or by the venue's."""
        return dict(await self.raw.cancel_order(order.venue_order_id, order.symbol, self.names(order)))

    def names(self, ref: OrderRef) -> dict[str, Any]:
        """Return the parameter that names an order by our id, where the venue's is not known."""
        return {} if ref.venue_order_id is not None else {"clientOrderId": ref.client_order_id}


class BinanceLinear(BinanceSpot):
    """Binance, USD-M perpetuals; conditional orders are algo orders with ids of their own."""

    cancels_by_venue_id = True
    longest_fill_span_s = 7 * 86_400
    TRIGGER = "algo-"  # put before the id of an algo order, which might be the id of another order too

    def options(self) -> dict[str, Any]:
        """Return ccxt options."""
        linear = {"defaultType": "swap", "defaultSubType": "linear", "fetchMarkets": {"types": ["linear"]}}
        # else ccxt asks for positions on its own when orders are watched, and nobody hears how that ended
        return super().options() | linear | {"watchPositions": {"fetchPositionsSnapshot": False}}

    def capabilities(self) -> VenueCapabilities:
        """Return what USD-M offers; price and quantity of a limit order can be changed in place."""
        told = super().capabilities()
        modify, times = frozenset({"qty", "price"}), told.times_in_force | _NEEDS_END
        return replace(told, modify=modify, modify_stops=frozenset(), times_in_force=times)

    def order_params(self, intent: OrderIntent) -> dict[str, Any]:
        """Return the parameters; a good-till-date order names its end."""
        params = super().order_params(intent)
        if intent.expire_ns is not None:
            params["goodTillDate"] = intent.expire_ns // 1_000_000
        return params

    async def find(self, ref: OrderRef) -> Order | None:
        """Look among orders and among algo orders, as far as the id does not say which."""
        plain, algo = self._ids(ref)
        missing: Exception | None = None
        for trigger, id_ in ((False, plain), (True, algo)):
            if id_ is None and ref.venue_order_id is not None:
                continue
            names = {} if id_ is not None else {"clientOrderId": ref.client_order_id}
            try:
                told = await self.raw.fetch_order(id_, ref.symbol, names | ({"trigger": True} if trigger else {}))
            except Exception as error:
                if type(error).__name__ != "OrderNotFound":
                    raise
                missing = error
                continue
            return await self._followed(told, trigger)
        if missing is not None:
            raise missing
        return None

    def heard(self, told: Told) -> Order:
        """Mark algo orders, which come with an algo id; what one becomes comes as an order, under our id."""
        return self._marked(told) if "aid" in (told.get("info") or {}) else order_of(told)

    async def open_orders(self, symbol: str | None) -> list[Order]:
        """Return both kinds."""
        plain = [order_of(o) for o in await self.raw.fetch_open_orders(symbol)]
        algo = [self._marked(o) for o in await self.raw.fetch_open_orders(symbol, None, None, {"trigger": True})]
        return plain + algo

    async def cancel(self, order: OrderRef) -> Told:
        """Cancel an order or an algo order."""
        plain, algo = self._ids(order)
        if algo is not None:
            return dict(await self.raw.cancel_order(algo, order.symbol, {"trigger": True}))
        return dict(await self.raw.cancel_order(plain, order.symbol, self.names(order)))

    def accepted_id(self, told: Told, intent: OrderIntent) -> str:
        """Return the id under which an order just made is known here."""
        return f"{self.TRIGGER}{told['id']}" if intent.type.needs_stop_price else str(told["id"])

    def money(self, told: Told) -> list[Balance]:
        """Return wallets: ccxt's total holds the profit of open positions too."""
        wallets = (told.get("info") or {}).get("assets")
        if not wallets:
            return balances_of(told)
        found = []
        for each in sorted(wallets, key=lambda a: str(a["asset"])):
            total, used = decimal(each["walletBalance"]) or Decimal(0), decimal(each.get("initialMargin")) or Decimal(0)
            if total:
                found.append(Balance(str(each["asset"]), total - used, used))
        return found

    def margin(self, told: Told) -> Margin:
        """Return the account's own sums; they are in USDT where the account holds nothing else."""
        info = told.get("info") or {}
        return Margin(
            currency="USDT" if {b.currency for b in self.money(told)} <= {"USDT"} else None,
            equity=decimal(info.get("totalMarginBalance")),
            used_margin=decimal(info.get("totalInitialMargin")),
            free_margin=decimal(info.get("availableBalance")),
            may_trade=info.get("canTrade"),
        )

    async def _followed(self, told: Told, trigger: bool) -> Order:
        """Return an order; of an algo order that has triggered, the order it became, under our id."""
        if not trigger:
            return order_of(told)
        order = self._marked(told)
        became = str((told.get("info") or {}).get("actualOrderId") or "")
        if not became:
            return order
        real = order_of(await self.raw.fetch_order(became, told["symbol"]))
        return replace(real, client_order_id=order.client_order_id, stop_price=order.stop_price, type=order.type)

    def _marked(self, told: Told) -> Order:
        order = order_of(told)
        return replace(order, venue_order_id=f"{self.TRIGGER}{order.venue_order_id}")

    def _ids(self, ref: OrderRef) -> tuple[str | None, str | None]:
        """Return the id among orders and the id among algo orders; ``None`` where it is not that kind."""
        id_ = ref.venue_order_id
        if id_ is None:
            return None, None
        return (None, id_.removeprefix(self.TRIGGER)) if id_.startswith(self.TRIGGER) else (id_, None)


class Bybit(Ways):
    """Bybit v5, unified account; an order's acceptance is told before its fate."""

    fills_need_symbol = False
    cancels_by_venue_id = False
    longest_fill_span_s = 7 * 86_400
    fills_kept_s = 2 * 366 * 86_400  # source: Bybit, V5 API explorer, "Get Execution (2 years)"

    def options(self) -> dict[str, Any]:
        """Return ccxt options; a market buy is asked in the base currency, as everywhere in the house."""
        return super().options() | {"createMarketBuyOrderRequiresPrice": False, "defaultSubType": "linear"}

    def capabilities(self) -> VenueCapabilities:
        """Return what the v5 API offers."""
        attached = frozenset({OrderType.MARKET, OrderType.LIMIT}) if self.market == "linear" else frozenset()
        return replace(
            super().capabilities(), query_by_client_id=True, cancel_all=True, streams=_ALL_STREAMS,
            attached_protection_types=attached, modify=frozenset({"qty", "price", "stop_price"}),
            modify_protection=self.market == "linear", request_life_ms=int(self.raw.options["recvWindow"]),
            evidence=Evidence.REHEARSED,
        )  # fmt: skip

    def order_params(self, intent: OrderIntent) -> dict[str, Any]:
        """Return the parameters: which way a trigger is reached, and in what a market buy is counted."""
        params = super().order_params(intent)
        if intent.stop_price is not None and self.market == "linear":
            params["triggerDirection"] = "ascending" if intent.side is Side.BUY else "descending"
        if self.market == "spot" and intent.type in (OrderType.MARKET, OrderType.STOP):
            params["marketUnit"] = "baseCoin"
        return params

    async def refuses(self, intent: OrderIntent) -> Refused | None:
        """Refuse a stop that the market has passed: on spot Bybit would wait for the price to come the other way."""
        if self.market != "spot" or intent.stop_price is None:
            return None
        last = decimal((await self.raw.fetch_ticker(intent.symbol)).get("last"))
        if last is not None and (intent.stop_price - last) * intent.side.sign > 0:
            return None
        says = f"stop_price={intent.stop_price} is not beyond the market's {last}"
        return Refused(RefusalCode.STOP_WOULD_TRIGGER, says)

    async def prepare(self) -> None:
        """Learn whether the account is a unified one: ccxt asks before anything private, and remembers."""
        await self.raw.is_unified_enabled()

    async def find(self, ref: OrderRef) -> Order | None:
        """Look where orders are live, then in the history; conditional orders of spot have a filter of their own."""
        name = {"orderId": ref.venue_order_id} if ref.venue_order_id else {"orderLinkId": ref.client_order_id}
        for extra in ({}, {"trigger": True}) if self.market == "spot" else ({},):
            for ask in (self.raw.fetch_open_orders, self.raw.fetch_closed_orders, self.raw.fetch_canceled_orders):
                found = await ask(ref.symbol, None, None, name | extra)
                if found:
                    return order_of(found[0])
        return None

    async def open_orders(self, symbol: str | None) -> list[Order]:
        """Return all pages, and of spot the conditional ones too."""
        kinds: list[dict[str, Any]] = [{}, {"trigger": True}] if self.market == "spot" else [{}]
        found: dict[str, Order] = {}
        for extra in kinds:
            cursor = None
            while True:
                page = await self.raw.fetch_open_orders(
                    symbol, None, 50, extra | ({"cursor": cursor} if cursor else {})
                )
                found |= {o["id"]: order_of(o) for o in page}
                after = next((o["info"].get("nextPageCursor") for o in page if o["info"].get("nextPageCursor")), None)
                if not page or len(page) < 50 or not after or after == cursor:
                    break
                cursor = after
        return [o for o in found.values() if o.status.is_open]

    async def cancel(self, order: OrderRef) -> Told:
        """Cancel by our id or by the venue's; of spot, where it is not a plain order, as a conditional one."""
        name = {} if order.venue_order_id is not None else {"orderLinkId": order.client_order_id}
        try:
            return dict(await self.raw.cancel_order(order.venue_order_id, order.symbol, name))
        except Exception as error:
            if self.market != "spot" or type(error).__name__ != "OrderNotFound":
                raise
        return dict(await self.raw.cancel_order(order.venue_order_id, order.symbol, name | {"trigger": True}))

    def money(self, told: Told) -> list[Balance]:
        """Return wallets: ccxt's total of a stream or of a linear account holds the profit of open positions too."""
        coins = [c for a in _accounts(told) for c in a.get("coin") or []]
        if not coins:
            return balances_of(told)
        found = []
        for each in sorted(coins, key=lambda c: str(c["coin"])):
            total = decimal(each["walletBalance"]) or Decimal(0)
            used = sum(
                (decimal(each.get(k)) or Decimal(0) for k in ("totalOrderIM", "totalPositionIM", "locked")), Decimal(0)
            )
            if total:
                found.append(Balance(str(each["coin"]), total - used, used))
        return found

    def margin(self, told: Told) -> Margin:
        """Return the unified account's sums, which Bybit says in US dollars, where it holds one coin the coin's own."""
        accounts = _accounts(told)
        if self.market == "spot" or len(accounts) != 1:
            return Margin()
        coins = [c for c in accounts[0].get("coin") or [] if decimal(c.get("walletBalance"))]
        if len(coins) == 1:
            return Margin(currency=str(coins[0]["coin"]), equity=decimal(coins[0].get("equity")))
        return Margin(currency="USD", equity=decimal(accounts[0].get("totalEquity")))

    async def protect(self, symbol: str, side: Side, stop_loss: str, take_profit: str) -> None:
        """Set the levels of the whole position."""
        await self.raw.private_post_v5_position_trading_stop(
            {
                "category": "linear", "symbol": self.raw.market(symbol)["id"], "tpslMode": "Full", "positionIdx": 0,
                "stopLoss": stop_loss, "takeProfit": take_profit,
            }
        )  # fmt: skip


def _accounts(told: Told) -> list[Told]:
    """Return Bybit's accounts, as REST wraps them or as the stream pushes them bare."""
    info = told.get("info") or {}
    if isinstance(info, list):
        return info
    return (info.get("result") or {}).get("list") or []
