"""Fold the journal into what this module knows: told it again from the start, it knows the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from tradelab.model import messages as said
from tradelab.model.instrument import Instrument
from tradelab.model.messages import Message, Recorded
from tradelab.model.orders import OrderRef, OrderStatus, OrderType
from tradelab.model.outcome import RefusalCode
from tradelab.model.signal import Signal
from tradelab.model.states import Leg, Protection
from tradelab.model.units import NS_PER_S
from tradelab.modules.position_monitoring.alarms import Told
from tradelab.modules.position_monitoring.config import Config
from tradelab.modules.position_monitoring.exposure import Exposure
from tradelab.modules.position_monitoring.held import Closing, Held
from tradelab.modules.position_monitoring.known import Answer, Request, reported
from tradelab.modules.position_monitoring.sessions import ends_session
from tradelab.modules.position_monitoring.wishes import word_of
from tradelab.spine.config import BotConfig, NodeConfig
from tradelab.spine.positions import Booked
from tradelab.spine.snapshot import PositionKey

_FOR_GOOD = (RefusalCode.NOT_SUPPORTED, RefusalCode.BAD_REQUEST, RefusalCode.OTHER)  # of a change: asked no more
_LOCKED = (RefusalCode.BALANCE, RefusalCode.REDUCE_ONLY)  # what protects a position holds what was to be sold


class Positions:
    """Every position, by whose it is, and what was said about it.

    ``changed`` and ``closings`` are of the message that was folded last.
    """

    def __init__(self, config: NodeConfig, settings: Config) -> None:
        self._config, self._settings = config, settings
        self._bots = {bot.name: bot for bot in config.bots}
        self._instruments: dict[tuple[str, str], Instrument] = {}
        self._signals: dict[str, Signal] = {}
        self._by_order: dict[str, Held] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._flattening: dict[str, str] = {}
        self.held: dict[PositionKey, Held] = {}
        self.exposure = Exposure()
        self.alarms = Told()
        self.changed: tuple[Held, ...] = ()
        self.closings: tuple[tuple[Held, Closing], ...] = ()
        self._agreed: set[str] = set()
        self._last_ns = 0
        self._folds: dict[type[Message], Callable[[Any, Recorded[Any]], Iterable[Held | None]]] = {
            said.InstrumentListed: self._listed,
            said.SignalRaised: self._raised,
            said.OrderIntended: self._intended,
            said.OrderAccepted: self._accepted,
            said.OrderUnknown: self._spoken_of,
            said.OrderAbsent: self._absent,
            said.OrderAbandoned: self._abandoned,
            said.OrderVanished: self._spoken_of,
            said.OrderRefused: self._refused,
            said.OrderReported: self._reported,
            said.CancelIntended: self._cancel_intended,
            said.ChangeIntended: self._change_intended,
            said.RequestAnswered: self._answered,
            said.TradeExecuted: self._executed,
            said.PositionAdjusted: self._adjusted,
            said.DataReceived: self._bar,
            said.ExitsArmed: self._armed,
            said.PositionModified: self._modified,
            said.ProtectionChanged: self._protection,
            said.ReconcileBegan: self._reconciling,
            said.ReconcileEnded: self._reconciled,
            said.CommandReceived: self._commanded,
            said.CommandDone: self._done,
            said.AlarmRaised: self._alarmed,
            said.NodeStarted: self._started,
        }

    def remember(self, recorded: Recorded[Any]) -> None:
        """Take in one message."""
        self.closings = ()
        fold = self._folds.get(type(recorded.message))
        changed = fold(recorded.message, recorded) if fold is not None else ()
        self.changed = tuple(each for each in changed if each is not None)
        self._last_ns = recorded.ts_init_ns

    def open(self) -> tuple[Held, ...]:
        """Every position that is not flat, or that orders still take from."""
        return tuple(each for each in self.held.values() if each.direction or each.orders)

    def forget_order(self, held: Held, name: str) -> None:
        """Leave out an order that can do nothing any more; what it was counted under stays counted."""
        held.orders.pop(name, None)
        held.requests.pop(name, None)
        held.fixed.discard(name)
        self._by_order.pop(name, None)

    def agrees(self, account: str) -> bool:
        """Whether an account has been compared with its venue since a start or a lost connection."""
        return account in self._agreed

    def is_flattened(self, held: Held) -> bool:
        """Whether somebody has asked for all of it to be closed, and it is being done."""
        scopes = {"node", f"account {held.key.account}", f"bot {held.key.bot}"}
        return bool(scopes & set(self._flattening.values()))

    def bot(self, name: str) -> BotConfig | None:
        """Return a bot of this node; ``None`` for one it does not have."""
        return self._bots.get(name)

    def signal(self, signal_id: str) -> Signal | None:
        """Return a signal that was raised."""
        return self._signals.get(signal_id)

    def _of(self, account: str, bot: str | None, symbol: str) -> Held | None:
        key = PositionKey(account, bot, symbol)
        if key not in self.held:
            instrument = self._instruments.get((account, symbol))
            if instrument is None:
                return None
            config = None if bot is None else self._bots.get(bot)
            preset = None if config is None else self._config.presets[config.preset]
            self.held[key] = Held(key, config, preset, instrument)
        return self.held[key]

    # ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _intended(self, it: said.OrderIntended, _: Recorded[Any]) -> Iterable[Held | None]:
        held = self._of(it.account, it.bot, it.intent.symbol)
        if held is None:
            return ()
        name = it.intent.client_order_id
        self._by_order[name] = held
        if it.leg is Leg.ENTRY:
            held.entries[name] = it
        else:
            held.orders[name] = it
            held.is_stuck = held.is_stuck and it.leg is not Leg.FLATTEN
            if it.leg in (Leg.STOP, Leg.TARGET, Leg.EXIT):
                held.intended[it.signal_id, word_of(it)] += 1
        return (held,)

    def _spoken_of(self, it: Any, _: Recorded[Any]) -> Iterable[Held | None]:
        return (self._by_order.get(it.client_order_id),)

    def _accepted(self, it: said.OrderAccepted, _: Recorded[Any]) -> Iterable[Held | None]:
        self._names[it.account, it.venue_order_id] = it.client_order_id
        return (self._by_order.get(it.client_order_id),)

    def _refused(self, it: said.OrderRefused, recorded: Recorded[Any]) -> Iterable[Held | None]:
        held = self._by_order.get(it.client_order_id)
        meant = None if held is None else held.orders.get(it.client_order_id)
        if held is not None and meant is not None:
            if meant.signal_id == held.signal_id:
                self._turned_down(held, word_of(meant), recorded.ts_init_ns)
                held.is_full = held.is_full or (it.code is RefusalCode.TOO_MANY_ORDERS and meant.leg is Leg.STOP)
            elif meant.leg is Leg.EXIT and _takes(meant) and it.code in _LOCKED and held.direction:
                held.asked_to_leave = max(held.asked_to_leave, meant.intent.qty)
            elif meant.leg is Leg.FLATTEN and not it.code.may_pass_later:
                held.is_stuck = bool(held.direction)
        return (held,)

    def _abandoned(self, it: said.OrderAbandoned, recorded: Recorded[Any]) -> Iterable[Held | None]:
        held = self._by_order.get(it.client_order_id)
        meant = None if held is None else held.orders.get(it.client_order_id)
        if held is None or meant is None or not held.direction:
            return (held,)
        if meant.leg is Leg.FLATTEN:
            held.is_stuck = True
        elif meant.signal_id == held.signal_id:
            self._lost(held, meant, recorded.ts_init_ns)
        elif meant.leg is Leg.EXIT and _takes(meant) and self._came_short(held, meant, recorded.ts_init_ns):
            held.asked_to_leave = max(held.asked_to_leave, abs(held.round.qty))
        return (held,)

    def _absent(self, it: said.OrderAbsent, recorded: Recorded[Any]) -> Iterable[Held | None]:
        held = self._by_order.get(it.client_order_id)
        meant = None if held is None else held.orders.get(it.client_order_id)
        is_last = meant is not None and recorded.ts_init_ns >= meant.fresh_until_ns  # else it is sent again
        if held is not None and meant is not None and is_last:
            self._lost(held, meant, recorded.ts_init_ns)
        return (held,)

    @staticmethod
    def _lost(held: Held, meant: said.OrderIntended, now_ns: int) -> None:
        """Note that an exit of ours never arrived; one that was for more than is held is wished anew at once."""
        is_ours = meant.signal_id == held.signal_id
        if is_ours and _takes(meant) and meant.intent.qty <= abs(held.round.qty):
            held.lost_ns = now_ns

    @staticmethod
    def _came_short(held: Held, meant: said.OrderIntended, now_ns: int) -> bool:
        """Whether an exit was given up because less was left than it would close: then that is left all the same."""
        request = held.requests.get(meant.intent.client_order_id)
        is_unwanted = request is not None and request.cancels
        return not is_unwanted and now_ns < meant.fresh_until_ns and meant.intent.qty > abs(held.round.qty)

    @staticmethod
    def _turned_down(held: Held, word: str, at_ns: int) -> None:
        held.refusals[word] = (held.refusals.get(word, (0, 0))[0] + 1, at_ns)

    def _reported(self, it: said.OrderReported, recorded: Recorded[Any]) -> Iterable[Held | None]:
        order = it.order
        name = order.client_order_id or self._names.get((it.account, order.venue_order_id), "")
        held = self._by_order.get(name)
        if held is None:
            return ()
        request = held.requests.get(name)
        if request is not None:
            age_ns = recorded.ts_init_ns - request.at_ns
            left = reported(request, order, age_ns, int(self._settings.retry_s * NS_PER_S))
            held.requests.pop(name)
            if left is not None:
                held.requests[name] = left
        meant = held.orders.get(name)
        if meant is not None and order.status is OrderStatus.REJECTED:
            self._turned_down(held, word_of(meant), recorded.ts_init_ns)
        elif meant is not None:
            held.refusals.pop(word_of(meant), None)
        return (held,)

    def _cancel_intended(self, it: said.CancelIntended, recorded: Recorded[Any]) -> Iterable[Held | None]:
        return self._requested(it.ref, Request(recorded.ts_init_ns, cancels=True))

    def _change_intended(self, it: said.ChangeIntended, recorded: Recorded[Any]) -> Iterable[Held | None]:
        level = it.price if it.stop_price is None else it.stop_price
        return self._requested(it.ref, Request(recorded.ts_init_ns, cancels=False, qty=it.qty, level=level))

    def _requested(self, ref: OrderRef, request: Request) -> Iterable[Held | None]:
        name = ref.client_order_id or ""
        held = self._by_order.get(name)
        if held is not None:
            held.requests[name] = request.after(held.requests.get(name))
            held.is_stuck = held.is_stuck and not (request.cancels and name in held.orders)
        return (held,)

    def _answered(self, it: said.RequestAnswered, recorded: Recorded[Any]) -> Iterable[Held | None]:
        name = it.ref.client_order_id or ""
        held = self._by_order.get(name)
        request = None if held is None else held.requests.get(name)
        if held is None or request is None:
            return ()
        if it.code is RefusalCode.NO_CHANGE or (it.known and it.code is None):
            held.requests[name] = replace(request, answer=Answer.TAKEN)
            if request.cancels and held.is_full:  # there is room for one now
                held.is_full = False
                held.refusals.pop(Leg.STOP.value, None)
        elif it.code is not None:  # not at once again
            held.requests[name] = replace(request, answer=Answer.REFUSED, at_ns=recorded.ts_init_ns, qty=None)
            if not request.cancels and it.code in _FOR_GOOD:
                held.fixed.add(name)
        return (held,)

    # ── positions ────────────────────────────────────────────────────────────────────────────────────────────────

    def _executed(self, it: said.TradeExecuted, recorded: Recorded[Any]) -> Iterable[Held | None]:
        held = self._of(it.account, it.bot, it.fill.symbol)
        if held is None:
            return ()
        was_flat = not held.direction
        closings = held.filled(it, recorded.ts_init_ns)
        self.closings = tuple((held, each) for each in closings)
        self._exposed(held, was_flat or bool(closings), recorded.ts_init_ns)
        return (held,)

    def _adjusted(self, it: said.PositionAdjusted, recorded: Recorded[Any]) -> Iterable[Held | None]:
        held = self._of(it.account, it.bot, it.symbol)
        if held is None:
            return ()
        was_flat = not held.direction
        one = Booked(recorded.ts_event_ns, f"adjusted {recorded.seq}", it.qty, it.price, is_fill=False)
        closings = held.adjusted(one, recorded.ts_init_ns)
        self.closings = tuple((held, each) for each in closings)
        self._exposed(held, was_flat or bool(closings), recorded.ts_init_ns)
        return (held,)

    def _exposed(self, held: Held, is_new: bool, now_ns: int) -> None:
        if is_new:
            self.exposure.closed(held.key, now_ns)
            if held.direction and held.is_ours:
                self.exposure.opened(held.key, now_ns)

    def _bar(self, it: said.DataReceived, _: Recorded[Any]) -> Iterable[Held | None]:
        candle, seen = it.candle, []
        for held in self.held.values():
            bot = held.bot
            if bot is None or not held.direction:
                continue
            if (bot.source, held.key.symbol, bot.timeframe) != (it.source, it.symbol, it.timeframe):
                continue
            seen.append(held)
            if candle.closed and candle.open_ns + it.timeframe.ns > held.first_fill_ns:
                ends = held.plan is not None and held.plan.session_close
                ends = ends and ends_session(candle.open_ns, it.timeframe, held.instrument, self._settings.session)
                held.closed_bar(candle, session_ends=ends)
        return seen

    def _armed(self, it: said.ExitsArmed, _: Recorded[Any]) -> Iterable[Held | None]:
        held = self._of(it.account, it.bot, it.symbol)
        if held is not None:
            held.armed(it, self._signals.get(it.signal_id), self._settings.costs.get(it.account))
        return (held,)

    def _modified(self, it: said.PositionModified, _: Recorded[Any]) -> Iterable[Held | None]:
        held = self._of(it.account, it.bot, it.symbol)
        if held is not None:
            held.told = it
        return ()

    def _protection(self, it: said.ProtectionChanged, recorded: Recorded[Any]) -> Iterable[Held | None]:
        held = self._of(it.account, it.bot, it.symbol)
        if held is not None:
            held.protection = it.by
            self.exposure.changed(held.key, it.by, recorded.ts_init_ns)
        return ()

    # ── everything else ──────────────────────────────────────────────────────────────────────────────────────────

    def _listed(self, it: said.InstrumentListed, _: Recorded[Any]) -> Iterable[Held | None]:
        self._instruments[it.account, it.instrument.symbol] = it.instrument
        return ()

    def _raised(self, it: said.SignalRaised, _: Recorded[Any]) -> Iterable[Held | None]:
        if it.signal.action.enters:
            self._signals.setdefault(it.signal.id, it.signal)
        return ()

    def _reconciling(self, it: said.ReconcileBegan, _: Recorded[Any]) -> Iterable[Held | None]:
        self._agreed.discard(it.account)
        return ()

    def _reconciled(self, it: said.ReconcileEnded, _: Recorded[Any]) -> Iterable[Held | None]:
        if it.complete:
            self._agreed.add(it.account)
        return [held for held in self.held.values() if held.key.account == it.account]

    def _commanded(self, it: said.CommandReceived, _: Recorded[Any]) -> Iterable[Held | None]:
        if it.name == "flatten":
            self._flattening.setdefault(it.command_id, dict(it.arguments).get("scope", "node"))
        return ()

    def _done(self, it: said.CommandDone, _: Recorded[Any]) -> Iterable[Held | None]:
        if self._flattening.pop(it.command_id, None) is None:
            return ()
        for held in self.held.values():
            held.is_stuck = held.is_stuck and self.is_flattened(held)
        return list(self.held.values())

    def _alarmed(self, it: said.AlarmRaised, recorded: Recorded[Any]) -> Iterable[Held | None]:
        self.alarms.raised(it.kind, it.about, recorded.ts_init_ns)
        return ()

    def _started(self, _: said.NodeStarted, __: Recorded[Any]) -> Iterable[Held | None]:
        """Nobody has watched since the last thing that was said; what the venue holds it held all along."""
        self._agreed.clear()
        self.exposure.unwatched(self._last_ns)
        for held in self.held.values():
            if held.protection is Protection.HERE:
                held.protection = Protection.NONE
        return ()


def _takes(meant: said.OrderIntended) -> bool:
    """Whether an order was to trade at once: one that was to wait for its price is not made a market order of."""
    return meant.intent.type is OrderType.MARKET
