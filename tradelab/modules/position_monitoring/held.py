"""Know one bot's position in one instrument: what is held, where its exits lie, and which orders take from it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from tradelab.model.exits import ExitPlan
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.market import Candle
from tradelab.model.messages import ExitsArmed, OrderIntended, PositionModified, TradeExecuted
from tradelab.model.orders import Fill, OrderType
from tradelab.model.plan_words import read_plan
from tradelab.model.signal import Signal
from tradelab.model.states import Leg, Protection
from tradelab.modules.position_monitoring.config import Costs
from tradelab.modules.position_monitoring.known import Request
from tradelab.modules.position_monitoring.levels import Levels, Line, Measured
from tradelab.spine.config import BotConfig
from tradelab.spine.positions import Book, Booked, Round
from tradelab.spine.presets import Preset
from tradelab.spine.snapshot import PositionKey

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Closing:
    """A round that is over, and what was known of it that fills do not tell."""

    round: Round
    direction: int
    reason: str
    risked: Decimal | None
    mfe: Decimal | None
    mae: Decimal | None


@dataclass(slots=True)
class Entry:
    """The entry that fills now, of what is held already or of nothing."""

    order: str | None
    qty: Decimal = _ZERO
    value: Decimal = _ZERO
    is_first: bool = True

    @property
    def price(self) -> float:
        """Average of what has filled."""
        return float(self.value / self.qty)


@dataclass(slots=True)
class Held:
    """A position, as a fold of what was said about it.

    ``orders`` are those that may take from it, by name; ``intended`` counts them by signal and word; ``tickets`` are
    what the venue holds it as, where it does.
    """

    key: PositionKey
    bot: BotConfig | None
    preset: Preset | None
    instrument: Instrument
    book: Book = field(init=False)
    line: Line | None = None
    plan: ExitPlan | None = None  # that of the position that is held, from when its exits were measured
    entry: Entry | None = None
    signal_id: str = ""
    opened_ns: int = 0  # as we came to know of it
    first_fill_ns: int = 0  # as the venue tells
    last_bar_ns: int = -1
    mfe: Decimal | None = None
    mae: Decimal | None = None
    fee_rate: float = 0.0
    asked_to_leave: Decimal = _ZERO
    is_stuck: bool = False  # somebody who closes all of it was refused, and has not begun anew
    lost_ns: int | None = None  # when an exit of ours came to nothing without the venue's word, last
    orders: dict[str, OrderIntended] = field(default_factory=dict)
    entries: dict[str, OrderIntended] = field(default_factory=dict)
    intended: Counter[tuple[str, str]] = field(default_factory=Counter)
    requests: dict[str, Request] = field(default_factory=dict)
    is_full: bool = False  # the venue has refused one stop more than it lets wait
    fixed: set[str] = field(default_factory=set)  # orders that the venue does not change in place
    refusals: dict[str, tuple[int, int]] = field(default_factory=dict)  # by word: how many in a row, when the last
    tickets: dict[str, Decimal] = field(default_factory=dict)
    told: PositionModified | None = None
    protection: Protection | None = None

    def __post_init__(self) -> None:
        self.book = Book(self.instrument)

    # ── what is asked of it ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def round(self) -> Round:
        """What is held now."""
        return self.book.now

    @property
    def direction(self) -> int:
        """+1 long, -1 short, 0 flat."""
        qty = self.round.qty
        return (qty > 0) - (qty < 0)

    @property
    def is_ours(self) -> bool:
        """Whether somebody has said how it is to be left."""
        return self.preset is not None

    @property
    def needs_arming(self) -> bool:
        """Whether it is held and its exits have not been measured."""
        return self.direction != 0 and self.is_ours and self.line is None

    def levels(self) -> Levels | None:
        """Where it is left from here on; ``None`` before it is measured."""
        return None if self.line is None or not self.direction else self.line.levels()

    def risked(self) -> Decimal | None:
        """What the first stop puts at risk, in the currency prices are said in; ``None`` without one."""
        if self.line is None or math.isnan(self.line.r) or not self.line.r > 0 or not self.round.entered:
            return None
        return Decimal(repr(self.line.r)) * self.round.entered * self.instrument.contract_size

    # ── fills ────────────────────────────────────────────────────────────────────────────────────────────────────

    def filled(self, it: TradeExecuted, known_ns: int) -> list[Closing]:
        """Book a fill, and return the rounds that it ended."""
        fill = it.fill
        before = self.direction
        closings = self._book(Booked.of(fill), self._reason(it), known_ns)
        opened = self._opened_by(fill, before)
        if not self.direction:
            self._forget()
        elif opened > 0:
            self._entered(it, fill, opened, known_ns, is_new=before != self.direction)
        else:
            self._shrank(fill.qty, by_target=it.leg is Leg.TARGET)
        if self.entry is not None and fill.position_id is not None:
            signed = self.tickets.get(fill.position_id, _ZERO) + fill.side.sign * self.direction * fill.qty
            self.tickets[fill.position_id] = signed
            if signed <= 0:
                del self.tickets[fill.position_id]
        return closings

    def adjusted(self, one: Booked, known_ns: int) -> list[Closing]:
        """Book a difference that the venue showed, and return the rounds that it ended."""
        before, held = self.direction, abs(self.round.qty)
        closings = self._book(one, "adjusted", known_ns)
        if not self.direction:
            self._forget()
        elif before != self.direction:
            self._begin(f"adopted {one.key}", one.ts_ns, known_ns)
            price = one.price if one.price is not None else _ZERO
            self.entry = Entry(None, abs(self.round.qty), abs(self.round.qty) * price)
        elif abs(self.round.qty) < held:
            self._shrank(held - abs(self.round.qty), by_target=False)
        return closings

    def _book(self, one: Booked, reason: str, known_ns: int) -> list[Closing]:
        risked, line, direction = self.risked(), self.line, self.direction
        ended = self.book.add(one)
        if ended and line is not None:
            for each in ended:
                self._stood_at(each.pnl())
        return [Closing(each, direction, reason, risked, self.mfe, self.mae) for each in ended]

    def _opened_by(self, fill: Fill, before: int) -> Decimal:
        """How much of a fill opened what is held now."""
        if fill.side.sign != self.direction:
            return _ZERO
        return fill.qty if before == self.direction or before == 0 else min(fill.qty, abs(self.round.qty))

    def _entered(self, it: TradeExecuted, fill: Fill, qty: Decimal, known_ns: int, *, is_new: bool) -> None:
        same = not is_new and self.entry is not None and self.entry.order == fill.client_order_id
        if is_new:
            self._begin(it.signal_id or f"adopted {fill.trade_id}", fill.ts_ns, known_ns)
            self.fee_rate = fee_rate(fill, self.instrument)
        if not same or self.entry is None:
            self.entry = Entry(fill.client_order_id, is_first=is_new)
        self.entry.qty += qty
        self.entry.value += qty * fill.price
        if self.line is None:
            return
        if self.entry.is_first:
            self.line.opened(self.entry.price, float(self.entry.qty), float(abs(self.round.qty)))
        else:
            self.line.grew(self.entry.price, float(self.entry.qty), same_entry=same)
            self.line.holds(float(abs(self.round.qty)))

    def _begin(self, signal_id: str, filled_ns: int, known_ns: int) -> None:
        """Begin a round."""
        self._forget()
        self.signal_id, self.opened_ns, self.first_fill_ns = signal_id, known_ns, filled_ns
        self.mfe = self.mae = _ZERO

    def _forget(self) -> None:
        self.line = self.plan = self.entry = None
        self.mfe = self.mae = None
        self.asked_to_leave = _ZERO
        self.is_stuck, self.lost_ns = False, None
        self.last_bar_ns = -1
        self.tickets.clear()
        self.protection = self.told = None

    def _shrank(self, qty: Decimal, *, by_target: bool) -> None:
        self.asked_to_leave = max(self.asked_to_leave - qty, _ZERO)
        if self.entry is not None and not self.entry.is_first:  # what still fills of it adds to what is left
            self.entry = Entry(self.entry.order, is_first=False)
        if self.line is not None:
            self.line.left(float(qty), by_target=by_target)
            self.line.holds(float(abs(self.round.qty)))

    def _reason(self, it: TradeExecuted) -> str:
        """Why a fill closes something, in the engine's word where it has one."""
        levels = self.levels()
        if it.leg is Leg.STOP:  # as it stands now: its order moves in place, whatever it was placed for
            return "stop" if levels is None else levels.stop_reason
        if it.leg is Leg.TARGET and levels is not None and not levels.targets and not math.isnan(levels.roi):
            return "roi"
        if it.leg is Leg.EXIT and it.signal_id == self.signal_id:
            meant = self.orders.get(it.fill.client_order_id or "")
            return meant.says if meant is not None and meant.says else "signal"
        words = {Leg.EXIT: "signal", Leg.ENTRY: "reversal", None: "by somebody else"}
        return words.get(it.leg) or (it.leg.value if it.leg is not None else "")

    # ── exits ────────────────────────────────────────────────────────────────────────────────────────────────────

    def armed(self, it: ExitsArmed, signal: Signal | None, costs: Costs | None) -> None:
        """Give it its exits: by the plan that was written down with it, whatever its bot's preset says by now.

        ``costs`` are those declared now, for a journal of before plans were written down.
        """
        if not self.needs_arming or self.preset is None or self.entry is None or self.entry.price <= 0.0:
            return
        stop, target = (None, None) if signal is None else (signal.stop_loss, signal.take_profit)
        measured = Measured(*(math.nan if v is None else float(v) for v in (it.unit, it.atr, it.close, stop, target)))
        self.plan = self.preset.exits if it.plan is None else read_plan(it.plan)
        if it.plan is not None:
            costs = None if it.costs is None else Costs.model_validate(dict(it.costs))
        self.line = Line(
            self.plan,
            costs or Costs(fees=self.fee_rate),
            measured,
            direction=self.direction,
            qty_step=float(self.instrument.qty_step),
            rest=self._rested(),
        )
        self.line.opened(self.entry.price, float(self.entry.qty), float(abs(self.round.qty)))

    def _rested(self) -> tuple[float, int] | None:
        """The price at which its entry waited, if it did, and from which side it was met."""
        meant = self.entries.get(self.entry.order or "") if self.entry is not None else None
        if meant is None or meant.intent.type is OrderType.MARKET:
            return None
        side = meant.intent.side.sign
        if meant.intent.type is OrderType.LIMIT:
            return float(meant.intent.price or 0), side
        return float(meant.intent.stop_price or 0), -side

    def closed_bar(self, candle: Candle, *, session_ends: bool) -> None:
        """Take in a closed bar that its position has seen."""
        if self.line is None or candle.open_ns <= self.last_bar_ns:
            return
        self.last_bar_ns = candle.open_ns
        for price in (candle.close,) if self.line.was_met_inside(candle) else (candle.high, candle.low):
            self._stood_at(self.round.pnl(Decimal(repr(price))))
        self.line.closed(candle, session_ends=session_ends)

    def _stood_at(self, pnl: Decimal | None) -> None:
        if pnl is None or self.mfe is None or self.mae is None:
            return
        self.mfe, self.mae = max(self.mfe, pnl), min(self.mae, pnl)


def fee_rate(fill: Fill, instrument: Instrument) -> float:
    """Fee of a fill as a fraction of its value; 0 where it is in a third currency, or not known."""
    if fill.fee is None or fill.fee <= 0:
        return 0.0
    if fill.fee_currency in (None, instrument.quote, instrument.settle):
        return float(fill.fee / (fill.qty * fill.price * instrument.contract_size))
    if fill.fee_currency == instrument.base and instrument.kind is InstrumentKind.SPOT:
        return float(fill.fee / fill.qty)
    return 0.0
