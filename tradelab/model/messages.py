"""Hold all that may be said on the bus: facts, each said once, kept for ever, never changed.

A message says what has happened, not what should. Money and quantities are ``Decimal``, times are UTC nanoseconds, what
nobody knows is ``None``. Who said it, when, and because of what stands on the :class:`Recorded` around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.account import AccountInfo
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle
from tradelab.model.messages_orders import (  # noqa: F401 (a part of this file, in a file of its own)
    CancelIntended,
    CancelWanted,
    ChangeIntended,
    ChangeWanted,
    OrderAbandoned,
    OrderAbsent,
    OrderAccepted,
    OrderIntended,
    OrderRefused,
    OrderReported,
    OrderSentAgain,
    OrderUnknown,
    OrderVanished,
    OrderWanted,
    RequestAnswered,
    TradeExecuted,
)
from tradelab.model.orders import OrderIntent
from tradelab.model.recorded import Message, Recorded  # noqa: F401 (a part of this file, too)
from tradelab.model.signal import DropCode, Inputs, Signal, Verdict
from tradelab.model.states import BotStatus, Protection, Severity, TradingState
from tradelab.model.units import Timeframe

# ── the market ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DataReceived(Message):
    """A bar has closed.

    Parameters
    ----------
    late
        It closed while the engine was down, and a newer one has closed since: it counts for what was held meanwhile,
        and no strategy decides on it any more.
    """

    source: str
    symbol: str
    timeframe: Timeframe
    candle: Candle
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DataStored(Message):
    """A bar is in the catalogue."""

    source: str
    symbol: str
    timeframe: Timeframe
    open_ns: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class InstrumentListed(Message):
    """What an account trades is described, or described anew: steps, limits and currencies as the venue says them."""

    account: str
    instrument: Instrument


# ── signals and gates ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, repr=False)
class SignalRaised(Message):
    """Somebody wants something done."""

    signal: Signal


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DataFiltered(Message):
    """The technical filter has looked at a signal."""

    bot: str
    signal_id: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SignalAnalyzed(Message):
    """The AI has looked at a signal, or the policy on its silence has."""

    bot: str
    signal_id: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RiskCalculated(Message):
    """Risk management has looked at a signal; ``intent`` is the order it comes to, ``None`` where it was dropped.

    What an entry was sized for, and keeps however long it rests: ``plan`` is the exit plan as text, ``source`` and
    ``timeframe`` are its bot's bars. ``None`` where nothing is entered, and in messages of before they were noted.
    """

    bot: str
    signal_id: str
    verdict: Verdict
    intent: OrderIntent | None = None
    reference_price: Decimal | None = None
    plan: str | None = None
    source: str | None = None
    timeframe: Timeframe | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SignalDropped(Message):
    """A signal came to nothing; ``by`` is the gate."""

    bot: str
    signal_id: str
    by: str
    code: DropCode
    says: str
    inputs: Inputs = ()


# ── positions ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PositionModified(Message):
    """A position opened, grew, shrank, or its exits moved; ``qty`` is signed, the levels are what should stand now."""

    account: str
    bot: str | None
    symbol: str
    qty: Decimal
    avg_price: Decimal | None
    stop_price: Decimal | None
    target_price: Decimal | None
    says: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExitsArmed(Message):
    """The exits of a fresh position are measured: by ``unit``, the ATR of the bar that decided.

    ``atr`` and ``close`` are those of the newest closed bar, from which a chandelier goes on. ``None`` where the bot's
    plan needs none, or nobody knows. ``plan`` is the exit plan that it is opened on, as text, ``costs`` are those
    declared for its account then (``None``: none are), ``session`` the time zone whose midnight ends a session:
    whatever becomes of the preset, this position keeps them. Messages of before they were written down have no
    ``plan``.
    """

    account: str
    bot: str
    symbol: str
    signal_id: str
    unit: float | None = None
    atr: float | None = None
    close: float | None = None
    plan: str | None = None
    costs: tuple[tuple[str, float], ...] | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProtectionChanged(Message):
    """What stops a position now: the venue's own list shows it, we watch it here, or nothing does."""

    account: str
    bot: str
    symbol: str
    by: Protection


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PositionClosed(Message):
    """A position is flat again.

    ``realized_pnl`` is after fees, in the currency prices are said in, and ``None`` where part of the position was
    taken over from the venue, so that nobody knows; ``r_multiple`` is it over what the first stop risked, ``mfe`` and
    ``mae`` are the best and worst it stood at on the way (the worst at or below zero).
    """

    account: str
    bot: str | None
    symbol: str
    opened_ns: int
    closed_ns: int
    qty: Decimal
    entry_price: Decimal | None
    exit_price: Decimal | None
    realized_pnl: Decimal | None
    fees: Decimal
    reason: str
    r_multiple: Decimal | None = None
    mfe: Decimal | None = None
    mae: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PositionAdjusted(Message):
    """The venue holds something else than our fills come to: the difference, by its name, and never called a fill.

    ``qty`` is signed, what has to be added to ours; ``price`` the venue's where it has one. ``bot`` is ``None`` where
    the difference is nobody's; what somebody closed by hand is taken from the bot whose it was.
    """

    account: str
    bot: str | None
    symbol: str
    qty: Decimal
    price: Decimal | None
    says: str


# ── account, node, people ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AccountReported(Message):
    """The venue has told what an account holds."""

    account: str
    info: AccountInfo


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ReconcileBegan(Message):
    """Orders, fills, positions and balances of an account are compared; until it has ended nothing new is sent."""

    account: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ReconcileEnded(Message):
    """The comparison is over: ``agreed``, or what was found and adopted, or why it could not be done."""

    account: str
    agreed: bool
    complete: bool
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TradingStateChanged(Message):
    """What may be sent has changed, for ``scope``: ``"node"``, ``"account <name>"`` or ``"bot <name>"``."""

    scope: str
    state: TradingState
    by: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BotStatusChanged(Message):
    """A bot was started, paused, resumed or stopped."""

    bot: str
    status: BotStatus
    by: str
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CommandReceived(Message):
    """A person or a program asked for something; a second one of the same id is answered with the first."""

    command_id: str
    name: str
    arguments: tuple[tuple[str, str], ...]
    by: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CommandDone(Message):
    """What came of a command."""

    command_id: str
    done: bool
    says: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AlarmRaised(Message):
    """Something a person should know; ``about`` names the thing, ``kind`` sorts it."""

    kind: str
    about: str
    severity: Severity
    says: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NodeStarted(Message):
    """The engine has begun to recover; ``modules`` are those that are on."""

    version: str
    host: str
    pid: int
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NodeStopped(Message):
    """The engine has ended by itself; where this is missing it was killed."""

    says: str


KINDS: dict[str, type[Message]] = {
    name: kind
    for name, kind in list(globals().items())
    if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
}
