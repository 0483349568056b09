"""Say what a strategy, a person or a leader wants done with a position, before any gate has looked at it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.errors import ParameterError
from tradelab.model.orders import OrderType, Side
from tradelab.model.plain import Plain
from tradelab.model.units import Timeframe


class Action(enum.Enum):
    """What is to become of the position."""

    ENTER_LONG = "enter_long"
    ENTER_SHORT = "enter_short"
    EXIT_LONG = "exit_long"
    EXIT_SHORT = "exit_short"

    @property
    def enters(self) -> bool:
        """Whether it takes on risk; what leaves always passes the gates."""
        return self in (Action.ENTER_LONG, Action.ENTER_SHORT)

    @property
    def direction(self) -> int:
        """+1 where it is about a long position, -1 where about a short one."""
        return 1 if self in (Action.ENTER_LONG, Action.EXIT_LONG) else -1

    @property
    def side(self) -> Side:
        """What has to be done in the market."""
        return Side.BUY if self.enters == (self.direction > 0) else Side.SELL


class Origin(enum.Enum):
    """Who wants it; all of them pass the same gates."""

    STRATEGY = "strategy"
    PERSON = "person"
    WEBHOOK = "webhook"
    FILE = "file"
    COPY = "copy"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Signal(Plain):
    """One wish of one bot in one instrument.

    Parameters
    ----------
    id
        Its name, the same after any restart: what is named twice is done once.
    bot
        Whose it is.
    symbol
        As the bot's execution connection lists it.
    decided_ns, expires_ns
        When it was decided (a bar's close, the arrival of a message), and from when on it must not be acted on.
    price
        What the market was at when it was decided; ``None`` where whoever raised it did not say.
    timeframe, bar_ns
        The bar that decided, by its open time; ``None`` for what no bar decided.
    share
        Of an exit: the fraction of the position to close, above 0 up to 1.
    qty
        A quantity that the origin asks for; ``None`` leaves it to the risk preset. The gates may make it less.
    order_type, order_price
        How it is to be ordered: market, or limit and stop with their price, which of a stop is what triggers it.
    limit_price
        Of a stop-limit: the worst price once it has triggered; ``None`` leaves that to the bot's ``max_slippage_bps``.
    stop_loss, take_profit
        Levels that the origin gives; ``None`` leaves them to the bot's exit plan.
    unit
        The size of one unit of risk where the strategy measures it (ATR), in price; else ``None``.
    says
        Why, in the origin's words.
    """

    id: str
    bot: str
    symbol: str
    action: Action
    origin: Origin
    decided_ns: int
    expires_ns: int
    price: Decimal | None = None
    timeframe: Timeframe | None = None
    bar_ns: int | None = None
    share: Decimal = Decimal(1)
    qty: Decimal | None = None
    order_type: OrderType = OrderType.MARKET
    order_price: Decimal | None = None
    limit_price: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    unit: Decimal | None = None
    says: str = ""

    def __post_init__(self) -> None:
        for name in ("id", "bot", "symbol"):
            if not getattr(self, name):
                raise ParameterError(f"a signal needs {name}.")
        if self.expires_ns <= self.decided_ns:
            raise ParameterError(f"{self.symbol}: expires_ns={self.expires_ns} must lie after decided_ns.")
        if not (self.share.is_finite() and 0 < self.share <= 1):
            raise ParameterError(f"{self.symbol}: share={self.share} is not allowed.", allowed=["above 0 up to 1"])
        for name in ("price", "qty", "order_price", "limit_price", "stop_loss", "take_profit", "unit"):
            value = getattr(self, name)
            if value is not None and not (value.is_finite() and value > 0):
                raise ParameterError(f"{self.symbol}: {name}={value} must be above zero.")
        if (self.order_type is OrderType.MARKET) != (self.order_price is None):
            raise ParameterError(f"{self.symbol}: order_price belongs to a limit or stop order, and only to it.")
        if self.limit_price is not None and self.order_type is not OrderType.STOP_LIMIT:
            raise ParameterError(f"{self.symbol}: limit_price belongs to a stop-limit order, and only to it.")


class DropCode(enum.Enum):
    """Why a signal came to nothing; each has one remedy."""

    # the signal
    EXPIRED = "expired"
    DUPLICATE = "duplicate"
    NO_POSITION = "no_position"
    ALREADY_OPEN = "already_open"
    COOLDOWN = "cooldown"
    UNKNOWN_SYMBOL = "unknown_symbol"
    BOT_NOT_RUNNING = "bot_not_running"
    NOT_ARMED = "not_armed"
    # what it is decided on
    STALE_BAR = "stale_bar"
    STALE_QUOTE = "stale_quote"
    NO_QUOTE = "no_quote"
    CROSSED_QUOTE = "crossed_quote"
    SPREAD = "spread"
    PRICE_DEVIATION = "price_deviation"
    SLIPPAGE = "slippage"
    STALE_BALANCE = "stale_balance"
    EQUITY_UNKNOWN = "equity_unknown"
    CLOCK = "clock"
    # gates that judge
    FILTER = "filter"
    AI_REJECTED = "ai_rejected"
    AI_SILENT = "ai_silent"
    GATE_FAILED = "gate_failed"
    # when
    OUTSIDE_HOURS = "outside_hours"
    OUTSIDE_DAYS = "outside_days"
    MARKET_CLOSED = "market_closed"
    # the account
    HALTED = "halted"
    REDUCING = "reducing"
    RECONCILING = "reconciling"
    NO_LEASE = "no_lease"
    DISCONNECTED = "disconnected"
    DAILY_LOSS = "daily_loss"
    WEEKLY_LOSS = "weekly_loss"
    DRAWDOWN = "drawdown"
    ORDER_RATE = "order_rate"
    # how much is on already
    MAX_POSITIONS = "max_positions"
    MAX_POSITIONS_SYMBOL = "max_positions_symbol"
    MAX_ORDER_NOTIONAL = "max_order_notional"
    MAX_SYMBOL_NOTIONAL = "max_symbol_notional"
    MAX_BOT_NOTIONAL = "max_bot_notional"
    MAX_ACCOUNT_NOTIONAL = "max_account_notional"
    MAX_GROUP_NOTIONAL = "max_group_notional"
    # how large
    NO_STOP = "no_stop"
    NO_UNIT = "no_unit"
    CURRENCY = "currency"  # money of two currencies, and no rate between them is known
    SIZE_ZERO = "size_zero"
    MARGIN = "margin"
    RULES = "rules"  # the venue's own steps and limits; the words carry its code
    NOT_OFFERED = "not_offered"  # the venue declares that it has no such order
    LOCKED = "locked"  # what protects the position holds the units, and cannot rest beside another order for them


Inputs = tuple[tuple[str, str], ...]  # what a decision was made on, each value as it is written


@dataclass(frozen=True, slots=True, repr=False)
class Pass(Plain):
    """A gate lets a signal through as it is."""

    says: str = ""
    inputs: Inputs = ()


@dataclass(frozen=True, slots=True, repr=False)
class Resize(Plain):
    """A gate lets a signal through, at ``factor`` of its size (above 0 up to 1)."""

    factor: Decimal
    says: str
    inputs: Inputs = ()

    def __post_init__(self) -> None:
        if not 0 < self.factor <= 1:
            raise ParameterError(f"factor={self.factor} is not allowed.", allowed=["above 0 up to 1"])


@dataclass(frozen=True, slots=True, repr=False)
class Drop(Plain):
    """A gate lets nothing through, and says why."""

    code: DropCode
    says: str
    inputs: Inputs = ()


Verdict = Pass | Resize | Drop
