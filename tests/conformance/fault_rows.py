"""Declare the twelve rows of the fault table: what a venue does with an order, and what we must make of it.

The rows are those of the study of live reliability (§1.2), where they were measured with ccxt 4.5.90 before any of this
was written. ``test_fault_table.py`` plays each on each venue; ``tools/fault_table.py`` lays them out as
``docs/faults.md``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from tradelab.model.outcome import RefusalCode
from tradelab.rehearsal.faults import Fault

R = RefusalCode


class Other(enum.Enum):
    """What is no refusal."""

    UNKNOWN = "unknown"  # nobody can tell: ask by our own id before anything else
    FIRST = "first"  # the answer is the first order's


@dataclass(frozen=True, slots=True)
class Missing:
    """A venue that has no such row, and why."""

    why: str


Means: TypeAlias = RefusalCode | Other | Missing
VENUES = {
    "binance": "Binance, spot",
    "binanceusdm": "Binance, USD-M",
    "bybit": "Bybit, linear",
    "bybit-spot": "Bybit, spot",
    "metaapi": "MetaApi.cloud (MT5)",
    "mtapi": "mtapi.io (MT5)",
    "mtapi-mt4": "mtapi.io (MT4)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One behaviour of a venue.

    Parameters
    ----------
    key
        Number of the row in the study, with a letter where it has two answers.
    says
        What the venue does, in words; Binance's code where it has one.
    fault
        How it is brought about; ``None`` where the same order is sent twice.
    takes
        Whether the venue then has the order; both, where it may or may not.
    means
        What it must mean for us, one for each of :data:`VENUES`.
    """

    key: str
    says: str
    fault: Fault | None
    takes: tuple[bool, ...]
    means: dict[str, Means]


def _all(means: Means, **others: Means) -> dict[str, Means]:
    return dict.fromkeys(VENUES, means) | {name.replace("_", "-"): other for name, other in others.items()}


LOOKED_FOR = ("metaapi", "mtapi", "mtapi-mt4")  # these would take a second order of one name: we look before we send
_NO_CLOCK = Missing("no request of MetaTrader carries a time stamp, so no clock can be wrong")
_VOLUME = {"metaapi": R.QTY_STEP, "mtapi": R.QTY_STEP, "mtapi_mt4": R.QTY_STEP}  # MetaTrader's nearest filter

ROWS = (
    Row(
        key="1a",
        says="429, too many requests, with the seconds to wait",
        fault=Fault.RATE_LIMITED,
        takes=(False,),
        means=_all(R.RATE_LIMITED),
    ),
    Row(
        key="1b",
        says="418 (403 at Bybit and mtapi.io), the address is banned",
        fault=Fault.BANNED,
        takes=(False,),
        means=_all(R.BANNED, metaapi=R.RATE_LIMITED),  # MetaApi documents no ban, only a longer wait
    ),
    Row(
        key="2",
        says="503 with -1000, unknown error",
        fault=Fault.UNKNOWN_ERROR,
        takes=(False, True),
        means=_all(Other.UNKNOWN),
    ),
    Row(
        key="3",
        says="503 with -1008, throttled by the venue's own protection",
        fault=Fault.OVERLOADED,
        takes=(False,),
        means=_all(R.OVERLOADED, metaapi=R.RATE_LIMITED),  # 10024, too frequent requests
    ),
    Row(
        key="4",
        says="400 with -1021, the time stamp is outside its window",
        fault=Fault.CLOCK,
        takes=(False,),
        means=_all(R.CLOCK, metaapi=_NO_CLOCK, mtapi=_NO_CLOCK, mtapi_mt4=_NO_CLOCK),
    ),
    Row(
        key="5",
        says="504 with -1007, execution status unknown",
        fault=Fault.STATUS_UNKNOWN,
        takes=(False, True),
        means=_all(Other.UNKNOWN),
    ),
    Row(
        key="6",
        says="400 with -1013, a filter is broken",
        fault=Fault.FILTER,
        takes=(False,),
        means=_all(R.MIN_NOTIONAL, **_VOLUME),
    ),
    Row(
        key="7",
        says="400 with -2010, not enough money",
        fault=Fault.BALANCE,
        takes=(False,),
        means=_all(R.MARGIN, binance=R.BALANCE, bybit_spot=R.BALANCE),
    ),
    Row(
        key="8",
        says="502 with a page of HTML",
        fault=Fault.GATEWAY,
        takes=(False, True),
        means=_all(Other.UNKNOWN),
    ),
    Row(
        key="9",
        says="taken, then silence",
        fault=Fault.HANG,
        takes=(True,),
        means=_all(Other.UNKNOWN),
    ),
    Row(
        key="10",
        says="taken, then the connection is reset",
        fault=Fault.RESET,
        takes=(True,),
        means=_all(Other.UNKNOWN),
    ),
    Row(
        key="11",
        says="taken, and 200 with half a body",
        fault=Fault.TRUNCATED,
        takes=(True,),
        means=_all(Other.UNKNOWN),
    ),
    Row(
        key="12",
        says="the same client id again, while its order is open",
        fault=None,
        takes=(True,),
        means=_all(Other.FIRST),
    ),
)
