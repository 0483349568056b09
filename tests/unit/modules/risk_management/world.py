"""A small desk at which risk management decides: a real bus, ledger and codec, and a node in ten lines.

It is Tuesday, 2 January 2024, 12:00 UTC. Account ``acc`` is worth 10 000 USD; bot ``b`` trades EURUSD in lots of
100 000, which stand at 1.10000 / 1.10010.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from tradelab.model import messages as said
from tradelab.model.account import AccountInfo, Balance, PositionMode
from tradelab.model.capabilities import VenueCapabilities
from tradelab.model.clock import ManualClock
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.market import Quote
from tradelab.model.messages import Recorded
from tradelab.model.orders import Fill, Liquidity, Order, OrderIntent, OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.signal import Action, Drop, DropCode, Origin, Signal
from tradelab.model.states import BotStatus, Leg, TradingState
from tradelab.model.units import NS_PER_S
from tradelab.modules.risk_management.stage import Stage
from tradelab.spine.bus import Bus
from tradelab.spine.codec import decode, encode
from tradelab.spine.config import parse_node
from tradelab.spine.desk import Desk, Market
from tradelab.spine.gates import drop
from tradelab.spine.keeping import MemoryKeeper
from tradelab.spine.ledger import Ledger
from tradelab.spine.tasks import Tasks
from tradelab.spine.view import SeenQuote

D = Decimal
NOON_NS = 1_704_196_800 * NS_PER_S  # 2024-01-02 12:00 UTC, a Tuesday
HOUR_S = 3600.0

EURUSD = Instrument(
    symbol="EURUSD", venue="mt", base="EUR", quote="USD", tick_size=D("0.00001"), qty_step=D("0.01"),
    min_qty=D("0.01"), max_qty=D(50), contract_size=D(100_000), kind=InstrumentKind.FX,
)  # fmt: skip
GBPUSD = replace(EURUSD, symbol="GBPUSD", base="GBP")
EURJPY = replace(EURUSD, symbol="EURJPY", quote="JPY", tick_size=D("0.001"))
BTC_SPOT = Instrument(
    symbol="BTC/USDT", venue="x", base="BTC", quote="USDT", tick_size=D("0.01"), qty_step=D("0.00001"),
    min_notional=D(10), kind=InstrumentKind.SPOT,
)  # fmt: skip
BTC_PERP = Instrument(
    symbol="BTC/USDT:USDT", venue="x", base="BTC", quote="USDT", settle="USDT", tick_size=D("0.1"),
    qty_step=D("0.001"), kind=InstrumentKind.PERPETUAL,
)  # fmt: skip
BTC_INVERSE = Instrument(
    symbol="BTC/USD:BTC", venue="x", base="BTC", quote="USD", settle="BTC", tick_size=D("0.1"), qty_step=D(1),
    contract_size=D(100), kind=InstrumentKind.PERPETUAL,
)  # fmt: skip

NETTING = VenueCapabilities(
    order_types=frozenset(OrderType), times_in_force=frozenset(TimeInForce), position_mode=PositionMode.NETTING,
    reduce_only=True,
)  # fmt: skip
SPOT = replace(NETTING, position_mode=PositionMode.NONE, reduce_only=False)
METATRADER = replace(
    NETTING, position_mode=PositionMode.HEDGING, limit_may_take=False,
    times_in_force=frozenset({TimeInForce.GTC, TimeInForce.GTD}),
)  # fmt: skip


@dataclass
class Venue:
    """What a decision asks of a connection."""

    capabilities: VenueCapabilities
    is_connected: bool = True


@dataclass
class Bot:
    """What a test may say of a bot and its node."""

    sizing: dict[str, Any] = field(default_factory=lambda: {"by": "qty", "value": "0.1"})
    limits: dict[str, Any] = field(default_factory=dict)
    exits: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    mode: str = "paper"
    cooldown_s: float = 0.0
    symbols: tuple[str, ...] = ("EURUSD", "GBPUSD")
    others: tuple[str, ...] = ()  # more bots of the same kind on the account
    limits_of_others: dict[str, Any] | None = None

    def config(self) -> Any:
        """The node's settings."""
        preset = {"sizing": self.sizing, "limits": self.limits, "exits": self.exits, "schedule": self.schedule}
        bot = {
            "symbols": self.symbols, "timeframe": "1h", "source": "acc", "execution": "acc", "preset": "p",
            "mode": self.mode, "cooldown_s": self.cooldown_s,
        }  # fmt: skip
        of_others = preset if self.limits_of_others is None else preset | {"limits": self.limits_of_others}
        return parse_node(
            {
                "modules": {"risk_management": self.settings, "execution": {}},
                "presets": {"p": preset, "q": of_others},
                "groups": self.groups,
                "bots": {"b": bot} | {name: bot | {"preset": "q"} for name in self.others},
            }
        )


class World:
    """The desk, with a node that asks risk management and an executor that keeps what it lets pass.

    Parameters
    ----------
    executes
        Whether what passes is kept as an intent; else it stays promised.
    """

    def __init__(
        self,
        bot: Bot | None = None,
        *,
        instruments: tuple[Instrument, ...] = (EURUSD, GBPUSD),
        capabilities: VenueCapabilities = NETTING,
        executes: bool = True,
        ready: bool = True,
    ) -> None:
        self.bot = bot or Bot()
        self.instruments = instruments
        self.clock = ManualClock(NOON_NS)
        self.keeper = MemoryKeeper()
        self.venue = Venue(capabilities)
        self.market = Market()
        self.executes = executes
        self.answers: dict[str, said.RiskCalculated] = {}
        self.batch: tuple[Signal, ...] = ()
        self.names = 0
        self.identities: dict[str, str] = {}
        self._open()
        if ready:
            self.make_ready()

    def _open(self) -> None:
        self.ledger = Ledger()
        self.bus = Bus(self.keeper, self._fold, self.clock)
        self.config = self.bot.config()
        self.desk = Desk(
            config=self.config, settings=self.config.module("risk_management"), bus=self.bus, ledger=self.ledger,
            clock=self.clock, market=self.market, venues={"acc": self.venue}, providers={}, permit=None,
            tasks=Tasks(lambda name, error: None), log=logging.getLogger("test"), identities=self.identities,
        )  # fmt: skip
        self.stage = Stage(self.desk)
        self.bus.hear(said.SignalRaised, self._raised)
        self.bus.hear(said.RiskCalculated, self._calculated)
        self.bus.hear(said.NodeStopped, self._together)

    def _fold(self, recorded: Recorded[Any]) -> None:
        self.ledger.fold(recorded)
        self.stage.remember(recorded)

    def _raised(self, recorded: Recorded[said.SignalRaised]) -> None:
        signal = recorded.message.signal
        answer = self.stage.calculate(signal, D(1), self.desk.view(self.config.bot(signal.bot)))
        self.answers[signal.id] = answer
        self.bus.say(answer)
        if isinstance(answer.verdict, Drop):
            self.bus.say(drop(signal, "risk_management", answer.verdict))

    def _calculated(self, recorded: Recorded[said.RiskCalculated]) -> None:
        told = recorded.message
        if told.intent is None or not self.executes:
            return
        signal = self.ledger.signal(told.signal_id).signal
        leg = Leg.ENTRY if signal.action.enters else Leg.EXIT
        self.bus.say(self.intended(told.intent, leg, told.signal_id, told.bot, told.reference_price))

    # ── what happens in the world ────────────────────────────────────────────────────────────────────────────────

    def make_ready(self) -> None:
        """All that lets an entry pass."""
        for instrument in self.instruments:
            self.bus.say(said.InstrumentListed(account="acc", instrument=instrument))
        self.bus.say(said.ReconcileEnded(account="acc", agreed=True, complete=True, findings=()))
        for name in ("b", *self.bot.others):
            self.bus.say(said.BotStatusChanged(bot=name, status=BotStatus.RUNNING, by="ada"))
        self.report("10000")
        self.quote("EURUSD", "1.10000", "1.10010")

    def report(self, equity: str | None = "10000", **changes: Any) -> None:
        """The venue tells what the account is worth."""
        told = {
            "balances": (Balance("USD", D(equity or 0), D(0)),), "ts_ns": self.clock.now_ns(), "currency": "USD",
            "equity": None if equity is None else D(equity), "position_mode": PositionMode.NETTING,
        }  # fmt: skip
        self.bus.say(said.AccountReported(account="acc", info=AccountInfo(**{**told, **changes})))

    def quote(self, symbol: str, bid: str, ask: str, *, age_s: float = 0.0, seen_age_s: float = 0.0) -> None:
        """A quote comes."""
        now_ns = self.clock.now_ns()
        told = Quote(symbol=symbol, bid=D(bid), ask=D(ask), ts_ns=now_ns - int(age_s * NS_PER_S))
        self.market.quotes["acc", symbol] = SeenQuote(told, now_ns - int(seen_age_s * NS_PER_S))

    def wait(self, seconds: float) -> None:
        """Time goes by."""
        asyncio.run(self.clock.advance(seconds))

    def change(self, state: TradingState, by: str = "ada", scope: str = "account acc") -> None:
        """Somebody changes what may be sent."""
        self.bus.say(said.TradingStateChanged(scope=scope, state=state, by=by, says="so"))

    def command(self, name: str, by: str = "ada", done: bool = True, **more: str) -> None:
        """A command about the account, and what comes of it."""
        self.names += 1
        command_id = f"c{self.names}"
        asked = said.CommandReceived(
            command_id=command_id, name=name, arguments=(("account", "acc"), *more.items()), by=by
        )
        self.bus.say(asked)
        self.bus.say(said.CommandDone(command_id=command_id, done=done, says="so"))

    def intended(
        self, intent: OrderIntent, leg: Leg, signal_id: str, bot: str | None = "b", price: Decimal | None = None
    ) -> said.OrderIntended:
        """An intent as execution keeps it."""
        return said.OrderIntended(
            account="acc", bot=bot, signal_id=signal_id, leg=leg, intent=intent, approved_by=("risk_management",),
            reference_price=price or D(1), fresh_until_ns=self.clock.now_ns() + int(HOUR_S * NS_PER_S), fence=1,
        )  # fmt: skip

    def order(
        self, qty: str, leg: Leg = Leg.ENTRY, *, symbol: str = "EURUSD", side: Side = Side.BUY, bot: str | None = "b",
        price: str = "1.1", kind: OrderType = OrderType.MARKET, reduce_only: bool = False,
    ) -> str:  # fmt: skip
        """An order is on its way; its name."""
        self.names += 1
        levels = {"price": D(price)} if kind is OrderType.LIMIT else {}
        levels |= {"stop_price": D(price)} if kind is OrderType.STOP else {}
        intent = OrderIntent(
            client_order_id=f"o{self.names}", symbol=symbol, side=side, type=kind, qty=D(qty),
            reduce_only=reduce_only, **levels,
        )  # fmt: skip
        self.bus.say(self.intended(intent, leg, f"of-{self.names}", bot, D(price)))
        return intent.client_order_id

    def told(self, name: str, status: OrderStatus, filled: str = "0") -> None:
        """The venue tells what an order of ours is."""
        intent = self.ledger.order(name).intended.intent
        order = Order(
            symbol=intent.symbol, venue_order_id=f"v-{name}", client_order_id=name, side=intent.side, type=intent.type,
            status=status, qty=intent.qty, filled_qty=D(filled),
        )  # fmt: skip
        self.bus.say(said.OrderReported(account="acc", order=order))

    def hold(
        self, qty: str, *, symbol: str = "EURUSD", bot: str | None = "b", price: str = "1.1", order: str | None = None,
        position_id: str | None = None, leg: Leg = Leg.ENTRY,
    ) -> None:  # fmt: skip
        """A fill comes: below zero is sold."""
        self.names += 1
        fill = Fill(
            trade_id=str(self.names), symbol=symbol, venue_order_id=f"v-{order}", client_order_id=order,
            side=Side.BUY if D(qty) > 0 else Side.SELL, qty=abs(D(qty)), price=D(price), fee=D(0), fee_currency="USD",
            liquidity=Liquidity.TAKER, ts_ns=self.clock.now_ns(), position_id=position_id,
        )  # fmt: skip
        self.bus.say(said.TradeExecuted(account="acc", bot=bot, signal_id=None, leg=leg, fill=fill))

    def signal(self, action: Action = Action.ENTER_LONG, **changes: Any) -> Signal:
        """A wish of bot ``b`` in EURUSD, decided now, good for an hour."""
        self.names += 1
        now_ns = self.clock.now_ns()
        told = {
            "id": f"s{self.names}", "bot": "b", "symbol": "EURUSD", "action": action, "origin": Origin.STRATEGY,
            "decided_ns": now_ns, "expires_ns": now_ns + int(HOUR_S * NS_PER_S),
        }  # fmt: skip
        return Signal(**{**told, **changes})

    def raise_(self, signal: Signal) -> said.RiskCalculated:
        """The signal is raised; what risk management answers."""
        self.bus.say(said.SignalRaised(signal))
        return self.answers[signal.id]

    def raise_together(self, *signals: Signal) -> None:
        """Several are raised in one run: each is judged before what the one before led to is kept."""
        self.batch = signals
        self.bus.say(said.NodeStopped(says="something that signals follow from"))

    def _together(self, _: Recorded[said.NodeStopped]) -> None:
        for signal in self.batch:
            self.bus.say(said.SignalRaised(signal))

    def enter(self, action: Action = Action.ENTER_LONG, **changes: Any) -> said.RiskCalculated:
        """A signal to enter is raised."""
        return self.raise_(self.signal(action, **changes))

    def leave(self, action: Action = Action.EXIT_LONG, **changes: Any) -> said.RiskCalculated:
        """A signal to leave is raised."""
        return self.raise_(self.signal(action, **changes))

    def restart(self, bot: Bot | None = None) -> None:
        """The engine is killed, and comes back from its journal, read as it is written."""
        self.bot = bot or self.bot
        kept = MemoryKeeper()
        kept.said = [replace(each, message=decode(*encode(each.message))) for each in self.keeper.said]
        kept._fills = set(self.keeper._fills)
        self.keeper = kept
        self._open()
        for recorded in kept.recorded():
            self._fold(recorded)
        asyncio.run(self.stage.start())

    def said(self, kind: type[said.Message]) -> list[Any]:
        """Every message of a kind so far."""
        return [each.message for each in self.keeper.said if isinstance(each.message, kind)]


def code(answer: said.RiskCalculated) -> DropCode | None:
    """Why nothing came of it; ``None`` where something did."""
    return answer.verdict.code if isinstance(answer.verdict, Drop) else None


def qty(answer: said.RiskCalculated) -> Decimal:
    """How much is ordered."""
    assert answer.intent is not None, answer.verdict
    return answer.intent.qty


def inputs(answer: said.RiskCalculated) -> dict[str, str]:
    """What it was decided on."""
    return dict(answer.verdict.inputs)
