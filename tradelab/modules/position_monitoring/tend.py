"""Look at one position as it is now, and say what it needs: what is known of its orders, its levels on the grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from tradelab.model.capabilities import VenueCapabilities
from tradelab.model.market import Quote
from tradelab.model.messages import CancelWanted, ChangeWanted, OrderWanted
from tradelab.model.orders import OrderType
from tradelab.model.states import Leg, Protection
from tradelab.model.units import NS_PER_S
from tradelab.modules.position_monitoring.config import Config
from tradelab.modules.position_monitoring.converge import Wanted, converge
from tradelab.modules.position_monitoring.held import Held
from tradelab.modules.position_monitoring.known import Known, known, wished
from tradelab.modules.position_monitoring.levels import Levels
from tradelab.modules.position_monitoring.sessions import ends_session, is_past_session
from tradelab.modules.position_monitoring.triggers import (
    Exit,
    Resting,
    Target,
    due_exit,
    exit_wishes,
    is_beyond,
    price_that_leaves,
)
from tradelab.modules.position_monitoring.wishes import Venue, Wish, Words
from tradelab.spine.order_life import Phase
from tradelab.spine.snapshot import OrderState

_ZERO = Decimal(0)
_OURS = (Leg.STOP, Leg.TARGET)
_LONGEST_PAUSE_S = 60.0
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a position is looked at with.

    Parameters
    ----------
    orders, entry
        Ours that may take from it, and the one that opened it, as the ledger has them.
    waiting, asked
        Orders, and by name changes and cancels, wished for a moment ago, that nobody has taken up.
    quote
        The newest, and young enough; ``None`` where there is none.
    passed_since_ns
        Since when the market has been beyond the stop; ``None``: it is not.
    leaves_alone
        All of it is being closed by somebody else.
    """

    now_ns: int
    offers: VenueCapabilities
    orders: Mapping[str, OrderState]
    entry: OrderState | None
    waiting: tuple[OrderWanted, ...]
    asked: Mapping[str, CancelWanted | ChangeWanted]
    quote: Quote | None
    passed_since_ns: int | None
    leaves_alone: bool
    settings: Config


@dataclass(frozen=True, slots=True)
class Needs:
    """What it comes to: wishes, and what stops the position now (``None``: nothing is to)."""

    wishes: tuple[Wish, ...]
    protection: Protection | None


def look(held: Held, scene: Scene) -> Needs:
    """Return what a position needs now."""
    venue = Venue.of(scene.offers, held.instrument)
    orders = takers(held, scene)
    direction = held.direction or _direction_of(orders)
    if not direction:
        return Needs((), None)
    words = _words(held, scene, direction)
    ours = [o for o, side in orders if side == words.side.sign]
    strays = [o for o, side in orders if o.rests and o.stands and _is_stray(o, side != words.side.sign, held, scene)]
    away: list[Wish] = [words.cancel(o, "it was for a position that is gone") for o in strays]
    over = [o for o in ours if _is_over(o, scene)]
    qty = max(abs(held.round.qty) - sum((o.at_most for o in over), _ZERO), _ZERO)
    ours = [o for o in ours if not _is_over(o, scene)]
    levels = held.levels()
    if levels is None or qty == 0:
        wishes = [] if held.direction and qty else converge(_nothing(qty), ours, venue, words)
        return Needs(tuple(away + wishes), Protection.NONE if held.needs_arming else None)
    met, left = (sum((o.at_most for o in over if o.leg is leg), _ZERO) for leg in (Leg.TARGET, Leg.EXIT))
    placed = Placed(levels, held, qty, ours, venue, met, left)
    protection = placed.protection(scene)
    if scene.leaves_alone and not venue.reduce_only:
        return Needs(tuple(away + _put_back(placed, scene, words)), protection)
    exit_ = placed.exit(scene)
    if exit_ is not None and not venue.reduce_only and _pauses(held, scene):
        exit_ = None  # it came to nothing a moment ago: until it is tried again the stop stands
    wishes = []
    if exit_ is not None and not scene.leaves_alone:
        wishes += exit_wishes(exit_, qty, ours, venue, words, held.tickets)
        wishes = [w for w in wishes if not _must_wait(w, held, scene)]
        ours += [wished(w) for w in wishes if isinstance(w, OrderWanted)]
    wanted = placed.wanted(exit_)
    away += [words.cancel(o, "the protective stop needs what it holds") for o in in_the_stops_way(wanted, ours, venue)]
    wishes += converge(wanted, ours, venue, words)
    return Needs(tuple(away + [w for w in wishes if not _must_wait(w, held, scene)]), protection)


def _put_back(placed: Placed, scene: Scene, words: Words) -> list[Wish]:
    """What protects a position whose closing by somebody else is stuck: a stop that is missing, and nothing else.

    Whoever closes it takes the stop back before he tries again, and it is left to him from then on.
    """
    if not placed.held.is_stuck or scene.passed_since_ns is not None:
        return []
    wishes = converge(placed.wanted(None), placed.orders, placed.venue, words)
    stops = [w for w in wishes if isinstance(w, OrderWanted) and w.leg is Leg.STOP]
    return [w for w in stops if not _must_wait(w, placed.held, scene)]


def _pauses(held: Held, scene: Scene) -> bool:
    """Whether an exit was refused or lost so lately that it waits, and the market has not passed the stop."""
    if scene.passed_since_ns is not None:
        return False
    lost_ns, retry_ns = held.lost_ns, int(scene.settings.retry_s * NS_PER_S)
    is_lost = lost_ns is not None and scene.now_ns - lost_ns < retry_ns
    return is_lost or _is_paused("exit", held, scene)


def in_the_stops_way(wanted: Wanted, orders: list[Known], venue: Venue) -> list[Known]:
    """Return exits that wait for their price where the stop should be, and each unit is sold by one order only."""
    if venue.reduce_only or wanted.stop is None or not venue.stops_rest:
        return []
    missing = venue.whole(wanted.stop_qty) - sum((o.at_most for o in orders if o.leg is Leg.STOP), _ZERO)
    free = wanted.held - sum((o.at_most for o in orders), _ZERO)
    if missing <= 0 or missing <= free:
        return []
    return [o for o in orders if o.leg is Leg.EXIT and o.rests and o.stands]


def _is_stray(order: Known, is_other_side: bool, held: Held, scene: Scene) -> bool:
    """Whether an order that rests was for a position that is gone: it would close the next one, or sell what is none.

    What somebody asked to leave by is told by its age, for it is on the side of what is held: an exit is only ever
    meant while there is something to leave.
    """
    if order.leg is Leg.EXIT:
        state = scene.orders.get(order.ref.client_order_id or "")
        is_older = state is not None and state.asked_ns < held.opened_ns
        return is_other_side or not held.direction or is_older
    return is_other_side and order.leg in _OURS


def takers(held: Held, scene: Scene) -> list[tuple[Known, int]]:
    """Return what may still take from a position, each with its side; those that can do nothing any more are out."""
    # one that may still arrive is not asked again: it could come after the second one, and undo it
    retry_ns = max(int(scene.settings.retry_s * NS_PER_S), 2 * (scene.offers.request_life_ms or 0) * _NS_PER_MS)
    found = []
    for name, state in scene.orders.items():
        one = known(state, held.requests.get(name), scene.now_ns, retry_ns, is_fixed=name in held.fixed)
        if one is not None:
            found.append((_asked_about(one, scene.asked.get(name)), state.intended.intent.side.sign))
    return found + [(wished(w), w.intent.side.sign) for w in scene.waiting]


def _asked_about(order: Known, wish: CancelWanted | ChangeWanted | None) -> Known:
    """The order as it may be already, where something was wished of it in the transaction that is under way."""
    if wish is None:
        return order
    grown = wish.qty - order.filled if isinstance(wish, ChangeWanted) and wish.qty is not None else _ZERO
    return replace(order, stands=False, at_most=max(order.at_most, grown))


@dataclass(slots=True)
class Placed:
    """A position's levels on the grid of its instrument, and what the venue holds of them.

    ``met`` is what targets have closed and nobody has booked: the ladder does not know of it yet; ``left`` what exits
    have, which is not asked to leave once more.
    """

    levels: Levels
    held: Held
    qty: Decimal
    orders: list[Known]
    venue: Venue
    met: Decimal = _ZERO
    left: Decimal = _ZERO

    @property
    def stop(self) -> Decimal | None:
        """The stop, towards the market to the next tick; ``None`` where there is none to rest."""
        if math.isnan(self.levels.stop) or self.levels.stop <= 0.0:
            return None
        return self._on_tick(self.levels.stop, up=self.held.direction > 0)

    @property
    def targets(self) -> tuple[Target, ...]:
        """The ladder, then what falls with time: where it trades no worse, on steps; together no more than is held."""
        found, left, met, up = [], self.qty, self.met, self.held.direction > 0
        for price, units in self.levels.targets:
            step = self.venue.step
            whole = (Decimal(repr(units)) / step).to_integral_value() * step
            qty = min(max(whole - met, _ZERO), left)
            met = max(met - whole, _ZERO)
            if qty > 0 and price > 0.0:
                found.append(Target(self._on_tick(price, up=up), qty))
                left -= qty
        if not math.isnan(self.levels.roi) and left > 0:
            found.append(Target(self._on_tick(self.levels.roi, up=up), left, "roi"))
        return tuple(found)

    def _resting_targets(self) -> tuple[tuple[Decimal, Decimal], ...]:
        """What of them can wait at the venue: one order a price."""
        at: dict[Decimal, Decimal] = {}
        for it in self.targets:
            if it.price > 0:
                at[it.price] = at.get(it.price, _ZERO) + it.qty
        return tuple(at.items())

    def _on_tick(self, price: float, *, up: bool) -> Decimal:
        exact, instrument = Decimal(repr(price)), self.held.instrument
        return instrument.ceil_price(exact) if up else instrument.floor_price(exact)

    def wanted(self, exit_: Exit | None) -> Wanted:
        """What should rest, while ``exit_`` is on its way."""
        leaving = _ZERO if exit_ is None or self.venue.reduce_only else exit_.qty
        on_its_way = sum((o.at_most for o in self.orders if not o.rests), _ZERO)
        rests = not self.levels.at_close_only
        left = self.qty if self.venue.reduce_only else max(self.qty - max(leaving, on_its_way), _ZERO)
        return Wanted(
            held=self.qty,
            stop=self.stop if rests else None,
            stop_qty=min(self.qty, left),
            targets=self._resting_targets(),
            is_full=self.held.is_full,
        )

    def resting(self, scene: Scene) -> Resting:
        """What the venue's own list shows."""
        shown = [o for o in self.orders if o.shown > 0 and o.rests and not o.is_leaving]
        grace_ns = int(scene.settings.trigger_grace_s * NS_PER_S)
        since_ns = scene.passed_since_ns
        return Resting(
            stop_qty=sum((o.shown for o in shown if o.leg is Leg.STOP), _ZERO),
            targets=frozenset(o.level for o in shown if o.leg is Leg.TARGET and o.level is not None),
            was_passed=since_ns is not None and scene.now_ns - since_ns >= grace_ns,
            target_refused=Leg.TARGET.value in self.held.refusals,
        )

    def exit(self, scene: Scene) -> Exit | None:
        """What has to be closed at the market now."""
        if self.levels.due is None and leaves_session(self.held, scene):
            return Exit(Leg.EXIT, self.qty, "session")
        price = None if scene.quote is None else price_that_leaves(scene.quote, self.held.direction)
        asked = self.held.asked_to_leave - self.left
        if asked > 0 and self.levels.due is None:
            return Exit(Leg.EXIT, min(asked, self.qty), "signal")
        return due_exit(
            self.levels, self.held.direction, self.qty, price, self.resting(scene), self.venue, self.targets
        )  # fmt: skip

    def protection(self, scene: Scene) -> Protection | None:
        """What stops it now; ``None`` where its plan has no stop."""
        if math.isnan(self.levels.stop):
            return None
        covered = self.resting(scene).stop_qty >= self.venue.whole(self.qty) > 0
        if not self.levels.at_close_only and (covered or self._is_attached(scene)):
            return Protection.VENUE
        return Protection.NONE if scene.quote is None else Protection.HERE

    def _is_attached(self, scene: Scene) -> bool:
        """Whether its entry carries a stop that the venue has shown, on accounts that hold tickets."""
        entry = scene.entry
        return (
            self.venue.by_ticket and entry is not None and entry.told is not None and entry.told.stop_loss is not None
        )


def passes_stop(held: Held, quote: Quote | None) -> bool:
    """Whether the market is beyond a position's stop."""
    levels = held.levels()
    if levels is None or quote is None or levels.at_close_only:
        return False
    return is_beyond(levels.stop, price_that_leaves(quote, held.direction), held.direction, profit=False)


def leaves_session(held: Held, scene: Scene) -> bool:
    """Whether a position is not to outlast its session, and this is the end of the session's last bar, or after it."""
    if held.bot is None or held.plan is None or not held.plan.session_close:
        return False
    timeframe, zone = held.bot.timeframe, scene.settings.session
    lead_ns = int(scene.settings.session_lead_s * NS_PER_S)
    filled_ns = held.first_fill_ns + lead_ns  # by the venue's clock, which may be behind: that is the next session's
    if is_past_session(filled_ns, scene.now_ns, timeframe, held.instrument, zone):
        return True
    open_ns = timeframe.floor(scene.now_ns)
    left_ns = timeframe.next_open(open_ns) - scene.now_ns
    if left_ns > lead_ns:
        return False
    return ends_session(open_ns, timeframe, held.instrument, zone)


def _nothing(qty: Decimal) -> Wanted:
    return Wanted(held=qty, stop=None, stop_qty=_ZERO)


def _is_over(order: Known, scene: Scene) -> bool:
    """Whether it is closed at the venue, and what it filled is not booked yet."""
    state = scene.orders.get(order.ref.client_order_id or "")
    return state is not None and state.phase is Phase.CLOSED


def _direction_of(orders: list[tuple[Known, int]]) -> int:
    """Which way the position lay that orders were for."""
    return -orders[0][1] if orders else 0


def _words(held: Held, scene: Scene, direction: int) -> Words:
    price = scene.quote.mid if scene.quote is not None else held.round.entry_price or held.instrument.tick_size
    return Words(
        account=held.key.account,
        bot=held.key.bot or "",
        symbol=held.key.symbol,
        signal_id=held.signal_id,
        direction=direction,
        intended={word: n for (signal, word), n in held.intended.items() if signal == held.signal_id},
        reference_price=price,
        fresh_until_ns=scene.now_ns + int(scene.settings.fresh_s * NS_PER_S),
        reduce_only=scene.offers.reduce_only,
    )


def _must_wait(wish: Wish, held: Held, scene: Scene) -> bool:
    """Whether an order like it was refused so short a time ago that it has to wait, or is waited for already."""
    if not isinstance(wish, OrderWanted):
        return False
    if any(w.intent.client_order_id == wish.intent.client_order_id for w in scene.waiting):
        return True
    return _is_paused("exit" if wish.intent.type is OrderType.MARKET else wish.leg.value, held, scene)


def _is_paused(word: str, held: Held, scene: Scene) -> bool:
    """Whether an order of this kind was refused a moment ago: longer each time."""
    count, last_ns = held.refusals.get(word, (0, 0))
    pause_s = min(scene.settings.retry_s * 2.0 ** min(count - 1, 10), _LONGEST_PAUSE_S)
    return count > 0 and scene.now_ns - last_ns < pause_s * NS_PER_S
