"""Lay out all that one decision is made on; the rules look at it and at nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.account import AccountInfo
from tradelab.model.capabilities import VenueCapabilities
from tradelab.model.identity import client_order_id
from tradelab.model.instrument import Instrument
from tradelab.model.market import Quote
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.model.signal import Drop, DropCode, Inputs, Signal
from tradelab.model.states import Leg
from tradelab.modules.risk_management.config import Config
from tradelab.modules.risk_management.guards import Guarded
from tradelab.spine.presets import Limits, Preset
from tradelab.spine.snapshot import OrderState, PositionKey, SignalState, Snapshot
from tradelab.spine.view import View

BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Promised:
    """An order that risk management has let pass and that execution has not kept yet; it counts as open."""

    account: str
    bot: str
    signal_id: str
    intent: OrderIntent
    enters: bool
    reference_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A signal, and the world it meets.

    Parameters
    ----------
    factor
        What the gates before have cut the size to.
    groups
        Symbols that move together, by the group's name.
    symbols
        All that the bots of this account trade.
    capabilities
        What the venue offers; ``None`` where there is no such connection at all.
    connected, armed
        Whether the account's connection stands, and whether a person has armed it as it is set up now.
    was_armed
        Whether a person has armed the account at all.
    known
        What became of the signal so far, however long ago; ``None`` where it was never said.
    has_order
        Whether an order of the signal's name was ever kept.
    closed
        Why the market is closed, in words; ``None`` where it is open, or no calendar says.
    guarded, guards
        What the account's guards know, and the fractions at which they trip.
    entries
        When entries of the account were kept within the last minute, UTC nanoseconds.
    orders
        The account's orders that may still fill, and how much.
    promised
        Orders of the account that are let pass in this run and not kept yet.
    tickets
        Of the bot's position in this symbol: signed quantities by the venue's position id, where it gives any.
    """

    signal: Signal
    factor: Decimal
    view: View
    preset: Preset
    config: Config
    groups: Mapping[str, tuple[str, ...]]
    symbols: frozenset[str]
    capabilities: VenueCapabilities | None
    connected: bool
    armed: bool
    was_armed: bool
    known: SignalState | None
    has_order: bool
    closed: str | None
    guarded: Guarded
    guards: Mapping[DropCode, Decimal]
    entries: tuple[int, ...] = ()
    orders: tuple[tuple[OrderState, Decimal], ...] = ()
    promised: tuple[Promised, ...] = ()
    tickets: tuple[tuple[str, Decimal], ...] = ()

    @property
    def snapshot(self) -> Snapshot:
        """What is true now."""
        return self.view.snapshot

    @property
    def account(self) -> str:
        """The account that is traded."""
        return self.view.account

    @property
    def limits(self) -> Limits:
        """The bot's."""
        return self.preset.limits

    @property
    def key(self) -> PositionKey:
        """Whose position it is about."""
        return PositionKey(self.account, self.signal.bot, self.signal.symbol)

    @property
    def listed(self) -> Instrument | None:
        """What is traded; ``None`` where the account does not list it."""
        return self.view.instrument(self.signal.symbol)

    @property
    def instrument(self) -> Instrument:
        """What is traded, once it is known to be listed."""
        listed = self.listed
        assert listed is not None, "rules_sanity.unknown_symbol comes first"
        return listed

    @property
    def quote(self) -> Quote | None:
        """The newest quote."""
        seen = self.view.quote(self.signal.symbol)
        return None if seen is None else seen.quote

    @property
    def info(self) -> AccountInfo | None:
        """The account as the venue told it last."""
        state = self.snapshot.accounts.get(self.account)
        return None if state is None else state.info

    @property
    def side(self) -> Side:
        """What has to be done in the market."""
        return self.signal.action.side

    @property
    def taking_price(self) -> Decimal:
        """What who trades at once gets, once there is a quote: the ask for a buyer, the bid for a seller."""
        quote = self.quote
        assert quote is not None, "rules_sanity.no_quote comes first"
        return quote.ask if self.side is Side.BUY else quote.bid

    @property
    def entry_price(self) -> Decimal:
        """What an entry is to get: its own price, or what the market asks."""
        return self.taking_price if self.signal.order_price is None else self.signal.order_price

    @property
    def slippage_bound(self) -> Decimal | None:
        """The worst price a market order may get, measured from what it was decided on; ``None``: there is no bound."""
        most = self.limits.max_slippage_bps
        if most is None or self.signal.order_type is not OrderType.MARKET:
            return None
        decided = self.signal.price or self.taking_price
        return decided * (1 + self.side.sign * most / BPS)


def order_name(account: str, signal: Signal) -> str:
    """Return the name of the order that a signal leads to, the same after any restart."""
    leg = Leg.ENTRY if signal.action.enters else Leg.EXIT
    return client_order_id(account, signal.bot, signal.id, leg.value)


def plain(value: Decimal | float | int) -> str:
    """Write a number as people do: no exponent, no zeros that say nothing.

    >>> plain(Decimal("1E+2")), plain(Decimal("0.5000")), plain(1.25)
    ('100', '0.5', '1.25')
    """
    text = f"{Decimal(str(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def drop(code: DropCode, says: str, **inputs: Decimal | float | int | str | None) -> Drop:
    """Let nothing through, for a reason, with what it was decided on."""
    return Drop(code, says, written(**inputs))


def written(**inputs: Decimal | float | int | str | None) -> Inputs:
    """Write down what a decision is made on; what is not known is left out."""
    return tuple(
        (name, value if isinstance(value, str) else plain(value)) for name, value in inputs.items() if value is not None
    )
