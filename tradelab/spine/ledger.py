"""Fold what was said into what is true: orders, positions, accounts, bots and states.

Nothing here decides, asks or sends. Starting again is folding the journal again, so what an engine knew before it was
killed is what it knows after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tradelab.model import messages as said
from tradelab.model.errors import InvariantError
from tradelab.model.instrument import Instrument
from tradelab.model.messages import Message, Recorded
from tradelab.model.orders import Order
from tradelab.model.states import BotStatus, TradingState
from tradelab.model.units import NS_PER_S
from tradelab.spine.kept import RECENT, Kept
from tradelab.spine.order_life import Happened, Phase, moved, told
from tradelab.spine.positions import EXACT, Book, Booked, Round
from tradelab.spine.snapshot import AccountState, OrderState, PositionKey, SignalState, Snapshot


class Ledger:
    """What is true after all that was said.

    >>> ledger = Ledger()
    >>> changed = said.BotStatusChanged(bot="eurusd", status=BotStatus.RUNNING, by="person")
    >>> ledger.fold(Recorded(1, 0, 0, None, changed))
    >>> ledger.snapshot().bots["eurusd"]
    <BotStatus.RUNNING: 'running'>
    """

    def __init__(self) -> None:
        self.seq = 0
        self._ts_ns = 0
        self._orders: Kept[str, OrderState] = Kept(lambda order: order.is_settled)
        self._by_venue_id: dict[tuple[str, str], str] = {}
        self._foreign: Kept[tuple[str, str], Order] = Kept()
        self._books: dict[PositionKey, Book] = {}
        self._held: Kept[PositionKey, Round] = Kept()
        self._closed: Kept[PositionKey, tuple[Round, ...]] = Kept()
        self._fills: set[tuple[str, str, str]] = set()
        self._signals: Kept[str, SignalState] = Kept(lambda state: not state.is_pending)
        self._accounts: Kept[str, AccountState] = Kept()
        self._instruments: Kept[tuple[str, str], Instrument] = Kept()
        self._states: Kept[str, TradingState] = Kept()
        self._state_said: dict[str, said.TradingStateChanged] = {}
        self._bots: Kept[str, BotStatus] = Kept()
        self._commands: Kept[str, tuple[bool, str] | None] = Kept(lambda answer: answer is not None)
        self._shown: Snapshot | None = None
        self._folds: dict[type[Message], Callable[[Any, Recorded[Any]], None]] = {
            said.InstrumentListed: self._instrument_listed,
            said.SignalRaised: self._signal_raised,
            said.RiskCalculated: self._risk_calculated,
            said.SignalDropped: self._signal_dropped,
            said.OrderIntended: self._order_intended,
            said.OrderAccepted: self._order_accepted,
            said.OrderRefused: self._order_refused,
            said.OrderUnknown: self._order_unknown,
            said.OrderAbsent: self._order_absent,
            said.OrderSentAgain: self._order_sent_again,
            said.OrderAbandoned: self._order_abandoned,
            said.OrderVanished: self._order_vanished,
            said.OrderReported: self._order_reported,
            said.CancelIntended: self._cancel_intended,
            said.RequestAnswered: self._request_answered,
            said.TradeExecuted: self._trade_executed,
            said.PositionAdjusted: self._position_adjusted,
            said.AccountReported: self._account_reported,
            said.ReconcileBegan: self._reconcile_began,
            said.ReconcileEnded: self._reconcile_ended,
            said.TradingStateChanged: self._state_changed,
            said.BotStatusChanged: self._bot_changed,
            said.CommandReceived: self._command_received,
            said.CommandDone: self._command_done,
            said.NodeStarted: self._node_started,
        }

    # ── what is asked of it ──────────────────────────────────────────────────────────────────────────────────────

    def fold(self, recorded: Recorded[Any]) -> None:
        """Take in one message, the next one.

        Raises
        ------
        InvariantError
            It is not the next one.
        """
        if recorded.seq != self.seq + 1:
            raise InvariantError(f"message {recorded.seq} was folded after {self.seq}.")
        self.seq, self._ts_ns, self._shown = recorded.seq, recorded.ts_init_ns, None
        fold = self._folds.get(type(recorded.message))
        if fold is not None:
            fold(recorded.message, recorded)

    def snapshot(self) -> Snapshot:
        """Return what is true now; asked twice with nothing said in between, it is the same object.

        It holds all that is under way and the newest of what is settled; what was settled long ago is asked for by its
        name (:meth:`order`, :meth:`signal`, :meth:`command`, :meth:`closed`), so that a snapshot costs the same after
        years.
        """
        if self._shown is None:
            self._shown = Snapshot(
                seq=self.seq,
                ts_ns=self._ts_ns,
                orders=self._orders.shown(),
                foreign_orders=self._foreign.shown(),
                positions=self._held.shown(),
                closed_rounds=self._closed.shown(),
                signals=self._signals.shown(),
                accounts=self._accounts.shown(),
                instruments=self._instruments.shown(),
                states=self._states.shown(),
                bots=self._bots.shown(),
                commands=self._commands.shown(),
            )
        return self._shown

    def order(self, client_order_id: str) -> OrderState | None:
        """Return one of our orders, however long ago it ended."""
        return self._orders.get(client_order_id)

    def signal(self, signal_id: str) -> SignalState | None:
        """Return a signal and what became of it, however long ago."""
        return self._signals.get(signal_id)

    def has_command(self, command_id: str) -> bool:
        """Whether a command was ever received."""
        return command_id in self._commands

    def command(self, command_id: str) -> tuple[bool, str] | None:
        """Return what came of a command, however long ago; ``None`` while it is not answered."""
        return self._commands.get(command_id)

    def closed(self, key: PositionKey) -> tuple[Round, ...]:
        """Return every round of a position that is over, oldest first."""
        return self._books[key].closed if key in self._books else ()

    def order_of(self, account: str, client_order_id: str | None, venue_order_id: str) -> OrderState | None:
        """Return the order of ours that a venue means, by our name or else by its own; ``None`` for a foreign one."""
        if client_order_id is not None and client_order_id in self._orders:
            return self._orders[client_order_id]
        name = self._by_venue_id.get((account, venue_order_id))
        return None if name is None else self._orders[name]

    def has_fill(self, account: str, symbol: str, trade_id: str) -> bool:
        """Whether a fill is booked."""
        return (account, symbol, trade_id) in self._fills

    def state_said(self, scope: str) -> said.TradingStateChanged | None:
        """Return what was said last of what may be sent in a scope: by whom, and why; ``None``: nothing ever was."""
        return self._state_said.get(scope)

    def position(self, key: PositionKey) -> Round:
        """Return what is held."""
        return self._books[key].now if key in self._books else Round()

    # ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _order_intended(self, it: said.OrderIntended, recorded: Recorded[Any]) -> None:
        name = it.intent.client_order_id
        if name in self._orders:
            raise InvariantError(f"order {name!r} was intended twice.")
        self._orders[name] = OrderState(it, Phase.INTENDED, asked_ns=recorded.ts_init_ns)
        state = self._signals.get(it.signal_id)
        if state is not None and state.is_pending:  # a stop or a target of it comes later, and is not what it led to
            self._signals[it.signal_id] = replace(state, client_order_id=name)

    def _order_accepted(self, it: said.OrderAccepted, _: Recorded[Any]) -> None:
        self._move(it.client_order_id, Happened.ACCEPTED, venue_order_id=it.venue_order_id)
        self._by_venue_id[it.account, it.venue_order_id] = it.client_order_id
        self._foreign.remove((it.account, it.venue_order_id))

    def _order_refused(self, it: said.OrderRefused, recorded: Recorded[Any]) -> None:
        wait_ns = int((it.retry_after_s or 0) * NS_PER_S)
        self._move(it.client_order_id, Happened.REFUSED, refused=it.code, retry_ns=recorded.ts_init_ns + wait_ns)

    def _order_unknown(self, it: said.OrderUnknown, _: Recorded[Any]) -> None:
        self._move(it.client_order_id, Happened.UNKNOWN, request_ends_ns=it.request_ends_ns)

    def _order_absent(self, it: said.OrderAbsent, _: Recorded[Any]) -> None:
        self._move(it.client_order_id, Happened.ABSENT)

    def _order_sent_again(self, it: said.OrderSentAgain, recorded: Recorded[Any]) -> None:
        again = {"asked_ns": recorded.ts_init_ns, "request_ends_ns": None, "refused": None, "retry_ns": None}
        self._move(it.client_order_id, Happened.SENT_AGAIN, **again)

    def _order_abandoned(self, it: said.OrderAbandoned, _: Recorded[Any]) -> None:
        self._move(it.client_order_id, Happened.ABANDONED)

    def _order_vanished(self, it: said.OrderVanished, _: Recorded[Any]) -> None:
        self._move(it.client_order_id, Happened.VANISHED)

    def _order_reported(self, it: said.OrderReported, _: Recorded[Any]) -> None:
        order = it.order
        known = self.order_of(it.account, order.client_order_id, order.venue_order_id)
        if known is None:
            key = (it.account, order.venue_order_id)
            if order.status.is_open:
                self._foreign[key] = order
            else:
                self._foreign.remove(key)
            return
        self._by_venue_id[it.account, order.venue_order_id] = known.client_order_id
        self._foreign.remove((it.account, order.venue_order_id))
        if known.told is not None and _is_older(order, known.told):
            return
        changes: dict[str, Any] = {"venue_order_id": order.venue_order_id, "told": order}
        if known.phase is Phase.CLOSED and (known.told is None or known.told.status.is_open) and order.status.is_open:
            self._orders[known.client_order_id] = replace(known, phase=Phase.OPEN, **changes)  # vanished, and is there
            return
        self._move(known.client_order_id, told(order.status), **changes)

    def _cancel_intended(self, it: said.CancelIntended, _: Recorded[Any]) -> None:
        self._mark_cancelling(it.account, it.ref.client_order_id, it.ref.venue_order_id, True)

    def _request_answered(self, it: said.RequestAnswered, _: Recorded[Any]) -> None:
        if it.code is not None:
            self._mark_cancelling(it.account, it.ref.client_order_id, it.ref.venue_order_id, False)

    def _mark_cancelling(self, account: str, name: str | None, venue_id: str | None, cancelling: bool) -> None:
        order = self.order_of(account, name, venue_id or "")
        if order is not None:
            self._orders[order.client_order_id] = replace(order, cancelling=cancelling)

    def _move(self, client_order_id: str, happened: Happened, **changes: Any) -> None:
        order = self._orders.get(client_order_id)
        if order is None:
            raise InvariantError(f"order {client_order_id!r} is {happened.value}, and was never intended.")
        phase = moved(order.phase, happened)
        if phase is not None:
            self._orders[client_order_id] = replace(order, phase=phase, **changes)

    # ── fills and positions ──────────────────────────────────────────────────────────────────────────────────────

    def _trade_executed(self, it: said.TradeExecuted, _: Recorded[Any]) -> None:
        fill = it.fill
        key = (it.account, fill.symbol, fill.trade_id)
        if key in self._fills:
            raise InvariantError(f"fill {fill.trade_id!r} of {fill.symbol} on {it.account!r} was booked twice.")
        self._fills.add(key)
        self._add(PositionKey(it.account, it.bot, fill.symbol), Booked.of(fill))
        account = self._account(it.account)
        if account.last_fill_ns is None or fill.ts_ns > account.last_fill_ns:
            self._accounts[it.account] = replace(account, last_fill_ns=fill.ts_ns)
        order = self.order_of(it.account, fill.client_order_id, fill.venue_order_id)
        if order is not None:  # whatever we believed of it, the venue has traded it
            self._by_venue_id[it.account, fill.venue_order_id] = order.client_order_id
            self._orders[order.client_order_id] = replace(
                order,
                phase=moved(order.phase, Happened.TOLD_OPEN) or order.phase,
                venue_order_id=order.venue_order_id or fill.venue_order_id,
                filled_qty=EXACT.add(order.filled_qty, fill.qty),
            )

    def _position_adjusted(self, it: said.PositionAdjusted, recorded: Recorded[Any]) -> None:
        one = Booked(recorded.ts_event_ns, f"adjusted {recorded.seq}", it.qty, it.price, is_fill=False)
        self._add(PositionKey(it.account, it.bot, it.symbol), one)

    def _add(self, key: PositionKey, one: Booked) -> None:
        book = self._book(key)
        before = book.ends
        book.add(one)
        if book.ends != before:
            self._closed[key] = book.recent(RECENT)
        if book.now.is_flat:
            self._held.remove(key)
        else:
            self._held[key] = book.now

    def _book(self, key: PositionKey) -> Book:
        if key not in self._books:
            instrument = self._instruments.get((key.account, key.symbol))
            if instrument is None:
                raise InvariantError(f"{key.symbol} of {key.account!r} was traded, and was never listed.")
            self._books[key] = Book(instrument)
        return self._books[key]

    # ── everything else ──────────────────────────────────────────────────────────────────────────────────────────

    def _instrument_listed(self, it: said.InstrumentListed, _: Recorded[Any]) -> None:
        self._instruments[it.account, it.instrument.symbol] = it.instrument

    def _signal_raised(self, it: said.SignalRaised, _: Recorded[Any]) -> None:
        if it.signal.id not in self._signals:
            self._signals[it.signal.id] = SignalState(it.signal)

    def _risk_calculated(self, it: said.RiskCalculated, _: Recorded[Any]) -> None:
        state = self._signals.get(it.signal_id)
        if state is not None and it.plan is not None:
            noted = replace(state, plan=it.plan, source=it.source, timeframe=it.timeframe)
            self._signals[it.signal_id] = noted

    def _signal_dropped(self, it: said.SignalDropped, _: Recorded[Any]) -> None:
        state = self._signals.get(it.signal_id)
        if state is not None and state.is_pending:
            self._signals[it.signal_id] = replace(state, dropped=it.code)

    def _account_reported(self, it: said.AccountReported, recorded: Recorded[Any]) -> None:
        state = self._account(it.account)
        self._accounts[it.account] = replace(state, info=it.info, told_ns=recorded.ts_init_ns)

    def _reconcile_began(self, it: said.ReconcileBegan, recorded: Recorded[Any]) -> None:
        state = self._account(it.account)
        since_ns = recorded.ts_init_ns if state.since_ns is None else state.since_ns
        self._accounts[it.account] = replace(state, reconciling=True, since_ns=since_ns)

    def _reconcile_ended(self, it: said.ReconcileEnded, recorded: Recorded[Any]) -> None:
        state = replace(self._account(it.account), findings=it.findings)
        if it.complete:
            state = replace(state, reconciling=False, reconciled_ns=recorded.ts_init_ns)
        self._accounts[it.account] = state

    def _state_changed(self, it: said.TradingStateChanged, _: Recorded[Any]) -> None:
        self._states[it.scope] = it.state
        self._state_said[it.scope] = it

    def _bot_changed(self, it: said.BotStatusChanged, _: Recorded[Any]) -> None:
        self._bots[it.bot] = it.status

    def _command_received(self, it: said.CommandReceived, _: Recorded[Any]) -> None:
        if it.command_id not in self._commands:
            self._commands[it.command_id] = None

    def _command_done(self, it: said.CommandDone, _: Recorded[Any]) -> None:
        self._commands[it.command_id] = (it.done, it.says)

    def _node_started(self, _: said.NodeStarted, __: Recorded[Any]) -> None:
        """After a start nothing is known to agree with any venue."""
        for account in self._accounts.names():
            self._accounts[account] = replace(self._accounts[account], reconciling=True)

    def _account(self, account: str) -> AccountState:
        return self._accounts.get(account) or AccountState()


def _is_older(report: Order, than: Order) -> bool:
    """Whether a report tells of an earlier moment than one we have: streams and answers overtake each other."""
    if report.filled_qty != than.filled_qty:
        return report.filled_qty < than.filled_qty
    if not than.status.is_open:
        return report.status.is_open
    if report.updated_ns is not None and than.updated_ns is not None:
        return report.updated_ns < than.updated_ns
    return False
