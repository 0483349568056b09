"""Keep the shadow book: what the backtest's arithmetic makes of a live account's decisions, and how far the two drift.

Each trade that a bar decided has a shadow (``shadow``). When the account has left, and the bar in which it did has
closed, the two are compared: prices against prices, signed so that above zero is worse for the account, fees left out
of both. Where the shadow would still hold, it is taken at the close of that bar, so that every trade starts alike.

Not compared, counted, and told with why: what a person, a webhook or a leader decided, for no bar did; what was added
to, taken over from the venue, or closed past the plan and the strategy; what the bars say would not have been entered.

It is a fold of the journal and says nothing: trading cannot hear it.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from tradelab.model import messages as said
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle
from tradelab.model.messages import Recorded
from tradelab.model.orders import OrderType
from tradelab.model.plan_words import read_plan
from tradelab.model.signal import Signal
from tradelab.model.states import Leg
from tradelab.modules.position_monitoring.config import Costs
from tradelab.modules.position_monitoring.held import fee_rate
from tradelab.modules.position_monitoring.levels import Measured
from tradelab.modules.position_monitoring.sessions import ends_session
from tradelab.modules.position_monitoring.shadow import Shadow
from tradelab.spine.snapshot import PositionKey

_BPS = 10_000
_REMEMBERED = 500  # bars of a series: an entry may have rested for so long before it filled


class Drift(NamedTuple):
    """How far one trade of the account came from its shadow; above zero is worse than the shadow.

    ``entry_bps`` and ``exit_bps`` are of the shadow's prices, ``money`` is both in the currency prices are said in,
    ``bps`` is that of ``value``, which is what the shadow entered for.
    """

    key: PositionKey
    closed_ns: int
    entry_bps: Decimal
    exit_bps: Decimal
    money: Decimal
    value: Decimal

    @property
    def bps(self) -> Decimal:
        """Of the value that was entered."""
        return self.money / self.value * _BPS


class Untold(NamedTuple):
    """A trade that could not be compared, when it closed, and why."""

    key: PositionKey
    closed_ns: int
    why: str


NO_BAR = "no bar decided it"
_STOP_LIMIT = "a backtest has no stop-limit order"
_NO_PLAN = "it was held without an exit plan"
_PAST_THE_PLAN = "it was closed past its plan and its strategy"
_ADDED_TO = "it was added to"
_VENUE_DIFFERED = "the venue held something else"
_NO_PRICE = "nobody knows what it earned"
_NOT_ENTERED = "its bars would not have entered it"


class Series(NamedTuple):
    """Where bars come from, of what, how long; the first is ``None`` while nobody has said."""

    source: str | None
    symbol: str
    timeframe: Any


@dataclass(slots=True)
class _Beside:
    """A trade of the account and its shadow; ``shadow`` is ``None`` where there is nothing to compare it with."""

    signal: Signal
    series: Series
    shadow: Shadow | None
    session: str | None  # the zone whose midnight ends a session, where its plan leaves with one
    lived_ns: int  # until when its shadow has lived
    closed: said.PositionClosed | None = None
    why: str = ""  # there is no shadow

    def give_up(self, why: str) -> None:
        """Leave its shadow; the first reason counts."""
        self.shadow, self.why = None, self.why or why


class Drifts:
    """The shadow book.

    ``found`` are all comparisons, oldest first; ``untold`` are trades that could not be compared, and why.
    """

    def __init__(self) -> None:
        self.found: list[Drift] = []
        self.untold: list[Untold] = []
        self._no_shadow: dict[PositionKey, str] = {}  # why what is held now has none from the start
        self._instruments: dict[tuple[str, str], Instrument] = {}
        self._signals: dict[str, tuple[Signal, str]] = {}  # what a bar decided, and where that bar came from
        self._entries: dict[str, said.OrderIntended] = {}  # by signal
        self._fees: dict[str, float] = {}  # by signal, what the first fill of its entry paid
        self._beside: defaultdict[PositionKey, list[_Beside]] = defaultdict(list)
        self._bars: defaultdict[Series, deque[Candle]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))
        self._newest: tuple[int, str] = (0, "")  # number and source of the bar that was told last
        self._folds: dict[type, Callable[[Any, Recorded[Any]], None]] = {
            said.InstrumentListed: self._listed,
            said.DataReceived: self._bar,
            said.SignalRaised: self._raised,
            said.OrderIntended: self._intended,
            said.ExitsArmed: self._armed,
            said.TradeExecuted: self._executed,
            said.PositionAdjusted: self._adjusted,
            said.PositionClosed: self._closed,
        }

    def remember(self, recorded: Recorded[Any]) -> None:
        """Take in one message."""
        fold = self._folds.get(type(recorded.message))
        if fold is not None:
            fold(recorded.message, recorded)

    # ── what is decided ──────────────────────────────────────────────────────────────────────────────────────────

    def _listed(self, it: said.InstrumentListed, _: Recorded[Any]) -> None:
        self._instruments[it.account, it.instrument.symbol] = it.instrument

    def _raised(self, it: said.SignalRaised, recorded: Recorded[Any]) -> None:
        number, source = self._newest
        if it.signal.bar_ns is not None and it.signal.timeframe is not None and recorded.cause == number:
            self._signals.setdefault(it.signal.id, (it.signal, source))

    def _intended(self, it: said.OrderIntended, _: Recorded[Any]) -> None:
        key = PositionKey(it.account, it.bot, it.intent.symbol)
        decided = self._signals.get(it.signal_id)
        if it.leg is Leg.ENTRY:
            self._entries[it.signal_id] = it
            return
        for each in self._open(key):
            if it.leg in (Leg.STOP, Leg.TARGET) or it.signal_id == each.signal.id:
                continue  # the plan's own: its shadow keeps that by itself
            if it.leg is Leg.EXIT and decided is not None and each.shadow is not None:
                each.shadow.leave(float(decided[0].share))
            else:
                each.give_up(_PAST_THE_PLAN)  # a person closed it, or a flatten: no backtest knows of that

    def _armed(self, it: said.ExitsArmed, _: Recorded[Any]) -> None:
        key = PositionKey(it.account, it.bot, it.symbol)
        entry, decided = self._entries.get(it.signal_id), self._signals.get(it.signal_id)
        instrument = self._instruments.get((it.account, it.symbol))
        if entry is None or decided is None or instrument is None or it.plan is None:
            self._no_shadow[key] = NO_BAR if decided is None else _NO_PLAN
            return
        signal, source = decided
        if entry.intent.type is OrderType.STOP_LIMIT:
            self._no_shadow[key] = _STOP_LIMIT
            return
        levels = (it.unit, it.atr, it.close, signal.stop_loss, signal.take_profit)
        measured = Measured(*(math.nan if level is None else float(level) for level in levels))
        plan = read_plan(it.plan)
        costs = Costs(fees=self._fees.get(it.signal_id, 0.0))  # for its break-even; what it pays is not compared
        if it.costs is not None:
            costs = Costs.model_validate(dict(it.costs))
        shadow = Shadow(plan, costs, measured, entry.intent, qty_step=float(instrument.qty_step))
        series = Series(source, signal.symbol, signal.timeframe)
        session = (it.session or "UTC") if plan.session_close else None
        each = _Beside(signal, series, shadow, session, signal.decided_ns)
        self._beside[key].append(each)
        for candle in list(self._bars[series]):
            self._live(key, each, candle)

    # ── what the account does ────────────────────────────────────────────────────────────────────────────────────

    def _executed(self, it: said.TradeExecuted, _: Recorded[Any]) -> None:
        instrument = self._instruments.get((it.account, it.fill.symbol))
        if it.leg is not Leg.ENTRY or instrument is None:
            return
        self._fees.setdefault(it.signal_id or "", fee_rate(it.fill, instrument))
        for each in self._open(PositionKey(it.account, it.bot, it.fill.symbol)):
            if it.signal_id != each.signal.id and it.fill.side.sign == each.signal.action.direction:
                each.give_up(_ADDED_TO)

    def _adjusted(self, it: said.PositionAdjusted, _: Recorded[Any]) -> None:
        for each in self._open(PositionKey(it.account, it.bot, it.symbol)):
            each.give_up(_VENUE_DIFFERED)

    def _closed(self, it: said.PositionClosed, _: Recorded[Any]) -> None:
        key = PositionKey(it.account, it.bot, it.symbol)
        direction = 1 if it.qty > 0 else -1
        each = next((one for one in self._open(key) if one.signal.action.direction == direction), None)
        if each is None or None in (it.realized_pnl, it.entry_price, it.exit_price):
            why = self._no_shadow.pop(key, NO_BAR) if each is None else each.why or _NO_PRICE
            self.untold.append(Untold(key, it.closed_ns, why))
            self._beside[key] = [one for one in self._beside[key] if one is not each]
            return
        each.closed = it
        self._settle(key, each)

    def _open(self, key: PositionKey) -> list[_Beside]:
        return [each for each in self._beside[key] if each.closed is None]

    # ── bars ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _bar(self, it: said.DataReceived, recorded: Recorded[Any]) -> None:
        self._newest = (recorded.seq, it.source)
        if not it.candle.closed:
            return
        series = Series(it.source, it.symbol, it.timeframe)
        self._bars[series].append(it.candle)
        for key in list(self._beside):
            for each in list(self._beside[key]):
                if each.series == series:
                    self._live(key, each, it.candle)
                    self._settle(key, each)

    def _live(self, key: PositionKey, each: _Beside, candle: Candle) -> None:
        """Let a shadow live a bar that opened when its entry had been decided, once."""
        if each.shadow is None or each.shadow.is_over or candle.open_ns < each.lived_ns:
            return
        timeframe = each.series.timeframe
        ends = each.session is not None and ends_session(
            candle.open_ns, timeframe, self._instruments[key.account, key.symbol], each.session
        )
        each.shadow.bar(candle, session_ends=ends)
        each.lived_ns = timeframe.next_open(candle.open_ns)

    # ── comparison ───────────────────────────────────────────────────────────────────────────────────────────────

    def _settle(self, key: PositionKey, each: _Beside) -> None:
        """Compare a trade that is over, as soon as its shadow is or could have been."""
        closed, shadow = each.closed, each.shadow
        if closed is None:
            return
        if shadow is not None and not shadow.is_over:
            if each.lived_ns <= closed.closed_ns:
                return  # the bar in which the account left is not over
            shadow.close_at(self._bars[each.series][-1].close)
        self._beside[key].remove(each)
        entered, left = (None, None) if shadow is None else (shadow.entered(), shadow.left())
        if entered is None or left is None:
            self.untold.append(Untold(key, closed.closed_ns, each.why or _NOT_ENTERED))
            return
        self.found.append(compared(key, closed, entered.price, left.price, self._size(key)))

    def _size(self, key: PositionKey) -> Decimal:
        return self._instruments[key.account, key.symbol].contract_size


def compared(
    key: PositionKey, closed: said.PositionClosed, entry: Decimal, exit_: Decimal, contract_size: Decimal
) -> Drift:
    """Compare a round of the account with the prices that its shadow had.

    Examples
    --------
    A long of 2 that entered a tick higher and left a tick lower than 100 and 110:

    >>> of = PositionKey("a", "b", "X")
    >>> closed = said.PositionClosed(account="a", bot="b", symbol="X", opened_ns=0, closed_ns=1, qty=Decimal(2),
    ...     entry_price=Decimal("100.1"), exit_price=Decimal("109.9"), realized_pnl=Decimal(1), fees=Decimal(0),
    ...     reason="signal")
    >>> drift = compared(of, closed, Decimal(100), Decimal(110), Decimal(1))
    >>> drift.money, drift.bps, drift.entry_bps
    (Decimal('0.4'), Decimal('20.000'), Decimal('10.000'))
    """
    assert closed.entry_price is not None and closed.exit_price is not None, "else there is nothing to compare"
    direction = 1 if closed.qty > 0 else -1
    units = abs(closed.qty) * contract_size
    paid = direction * (closed.entry_price - entry)
    missed = direction * (exit_ - closed.exit_price)
    return Drift(
        key, closed.closed_ns, paid / entry * _BPS, missed / exit_ * _BPS, units * (paid + missed), units * entry
    )
