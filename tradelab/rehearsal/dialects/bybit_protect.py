"""Set, move and forget the stop loss and take profit of a position, which Bybit keeps as conditional orders."""

from __future__ import annotations

from decimal import Decimal

from tradelab.model.orders import Side
from tradelab.rehearsal.dialects import bybit_errors as no
from tradelab.rehearsal.dialects.bybit_branch import Branch
from tradelab.rehearsal.dialects.bybit_door import Route
from tradelab.rehearsal.dialects.bybit_errors import Refusal
from tradelab.rehearsal.dialects.bybit_wire import Asked, Kind, Row
from tradelab.rehearsal.orders import SimOrder

T, N, W = Kind.TEXT, Kind.NUMBER, Kind.WHOLE
TAKES = {
    "category": T, "symbol": T, "takeProfit": N, "stopLoss": N, "trailingStop": N, "tpTriggerBy": T, "slTriggerBy": T,
    "activePrice": N, "tpslMode": T, "tpSize": N, "slSize": N, "tpLimitPrice": N, "slLimitPrice": N, "tpOrderType": T,
    "slOrderType": T, "positionIdx": W,
}  # fmt: skip
_SCALE = 100_000_000  # the venue's messages speak of prices in units of a hundred-millionth


class Protection:
    """The protection of net positions; spot has none."""

    def __init__(self, branch: Branch) -> None:
        self._branch = branch

    def routes(self) -> list[Route]:
        """Return the address that sets levels."""
        return [Route("POST", "/v5/position/trading-stop", "protect", self.trading_stop, TAKES)]

    def trading_stop(self, asked: Asked) -> Row | Refusal:
        """Set the levels of a whole position: what is not given stays, a zero takes away."""
        branch, symbol = self._branch, asked.text("symbol")
        if not branch.linear or asked.text("category") != branch.category or symbol not in branch.exchange.tapes:
            return no.UNKNOWN_LINEAR
        if asked.text("tpslMode", "Full") != "Full" or asked.number("trailingStop"):
            return no.NO_PARTIAL
        if asked.whole("positionIdx", 0) != 0:
            return no.HEDGE_IDX
        position = branch.perp(asked.account).position(symbol)
        if not position.qty:
            return no.NO_POSITION
        stop_loss, take_profit = asked.number("stopLoss"), asked.number("takeProfit")
        after = (
            position.stop_loss if stop_loss is None else stop_loss or None,
            position.take_profit if take_profit is None else take_profit or None,
        )
        if after == (position.stop_loss, position.take_profit):
            return no.STOP_SAME
        side = Side.BUY if position.qty > 0 else Side.SELL
        refused = self._off_tick(symbol, *after) or wrong_level(side, branch.exchange.mark(symbol), *after)
        if refused is not None:
            return refused
        branch.exchange.protector.protect(asked.account, symbol, *after)
        return {}

    def move(self, order: SimOrder, level: Decimal | None) -> Refusal | None:
        """Move a level by amending its order; the order stays the same."""
        if level is None or level == order.stop_price:
            return no.UNCHANGED
        holder = order.side.opposite
        stop_loss, take_profit = (level, None) if order.extra["protects"] == "stop_loss" else (None, level)
        exchange = self._branch.exchange
        refused = self._off_tick(order.symbol, level) or wrong_level(
            holder, exchange.mark(order.symbol), stop_loss, take_profit
        )
        if refused is not None:
            return refused
        exchange.amend(order, stop_price=level)
        setattr(self._branch.perp(order.account).position(order.symbol), order.extra["protects"], level)
        return None

    def forget(self, order: SimOrder) -> None:
        """Let a position lose the level whose order was cancelled."""
        name = order.extra.get("protects")
        if name is not None:
            setattr(self._branch.perp(order.account).position(order.symbol), name, None)

    def _off_tick(self, symbol: str, *levels: Decimal | None) -> Refusal | None:
        tick = self._branch.instrument(symbol).tick_size
        return no.wrong("price") if any(x is not None and x % tick for x in levels) else None


def wrong_level(side: Side, base: Decimal, stop_loss: Decimal | None, take_profit: Decimal | None) -> Refusal | None:
    """Say that a level lies where it would close at once, in the words seen in public logs."""
    who, base_units = "Buy" if side is Side.BUY else "Sell", int(base * _SCALE)
    if stop_loss is not None and (base - stop_loss) * side.sign <= 0:
        where = "lower" if side is Side.BUY else "greater"
        says = f"StopLoss:{int(stop_loss * _SCALE)} set for {who} position should {where} than base_price:{base_units}"
        return Refusal(10001, f"{says}??LastPrice")
    if take_profit is not None and (take_profit - base) * side.sign <= 0:
        where = "higher" if side is Side.BUY else "lower"
        says = f"TakeProfit:{int(take_profit * _SCALE)} set for {who} position should be {where} than base_price"
        return Refusal(10001, f"{says}:{base_units}??LastPrice")
    return None
