"""Say how a rehearsal venue is set up: markets, accounts, fees, book, limits."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from decimal import Decimal

from tradelab.model.errors import ParameterError

MAY = frozenset({"trade", "withdraw"})


class Ledger(enum.Enum):
    """Which kind of account the venue keeps."""

    SPOT = "spot"
    PERPETUAL = "perpetual"
    HEDGING = "hedging"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSetup:
    """One account at the venue: what it logs in with and what it holds at first.

    ``key`` and ``secret`` are made up for a rehearsal; they are compared, and signatures are checked with them.
    ``may`` is what the key is allowed, of ``"trade"`` and ``"withdraw"``; to read, every key is. ``bound`` is whether
    it is said to be bound to an internet address: everything comes from this machine, so nothing is held against it.
    """

    key: str
    secret: str = field(repr=False)
    balances: dict[str, Decimal]
    passphrase: str = field(default="", repr=False)
    may: frozenset[str] = frozenset({"trade"})
    bound: bool = False

    def __post_init__(self) -> None:
        if not self.may <= MAY:
            raise ParameterError(f"account {self.key[:4]}…: may={sorted(self.may)} is not known.", allowed=sorted(MAY))
        if not self.balances or any(v < 0 for v in self.balances.values()):
            raise ParameterError(
                f"account {self.key[:4]}…: balances={self.balances} must hold money, none of it below zero.",
                fix='For example balances={"USDT": Decimal(10_000)}.',
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSetup:
    """What is the same for every dialect.

    Parameters
    ----------
    ledger
        Spot balances, net positions with margin, or positions by ticket.
    maker_bps, taker_bps
        Fees in hundredths of a percent of the notional.
    commission_per_lot
        What a MetaTrader account pays for each lot, in its currency.
    spread_ticks
        Best ask less best bid.
    level_qty
        Quantity of one level of the book; ``None`` is ten times what one print of the tape trades.
    levels
        How many levels each side has.
    leverage
        Of an account at first.
    funding_rate
        Paid every eight hours by longs to shorts on perpetuals, a fraction of the notional.
    weight_per_min
        Request weight an address may use in a minute of the venue's time; ``None`` is the dialect's own.
    """

    ledger: Ledger
    accounts: tuple[AccountSetup, ...]
    maker_bps: Decimal = Decimal(10)
    taker_bps: Decimal = Decimal(10)
    commission_per_lot: Decimal = Decimal(0)
    spread_ticks: int = 2
    level_qty: Decimal | None = None
    levels: int = 50
    leverage: Decimal = Decimal(20)
    funding_rate: Decimal = Decimal("0.0001")
    weight_per_min: int | None = None
