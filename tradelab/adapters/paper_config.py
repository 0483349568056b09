"""Say on what terms a paper account trades: its money, its mode, what the market and the broker take."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tradelab.engine.jit import Row
from tradelab.engine.terms import plain_terms
from tradelab.model.account import PositionMode
from tradelab.model.capabilities import Evidence, Stream, VenueCapabilities
from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderType, TimeInForce

BPS = 10_000
_Bps = Annotated[Decimal, Field(ge=0, lt=BPS)]


class PaperConfig(BaseModel):
    """Terms of one paper account; nothing about money has a default.

    Examples
    --------
    >>> PaperConfig(balances={"USDT": "1000"}, taker_fee_bps="10").taker_fee_bps
    Decimal('10')
    """

    model_config = ConfigDict(frozen=True, extra="forbid", revalidate_instances="never")

    balances: dict[str, Decimal] = Field(min_length=1, description="money at the start, by currency")
    mode: Literal["spot", "netting", "hedging"] = Field(
        "spot", description="spot holds what it buys; netting one position a symbol; hedging one an entry"
    )
    taker_fee_bps: _Bps = Field(Decimal(0), description="fee of what takes, in 1/10000 of its value")
    maker_fee_bps: Decimal | None = Field(
        None, gt=-BPS, lt=BPS, description="the same of what rests, below zero is paid to us; none: the taker's"
    )
    spread_bps: _Bps = Field(
        Decimal(0), description="whole spread laid around the prices of bars; quotes have their own"
    )
    slippage_bps: _Bps = Field(Decimal(0), description="what a market order or a stop loses to the market")
    slippage_range: Decimal = Field(
        Decimal(0), ge=0, le=10, description="the same as a fraction of the range of the bar before (bars only)"
    )
    impact: Decimal = Field(
        Decimal(0), ge=0, description="fraction of the price, times the squared share of the bar's volume (bars only)"
    )
    volume_share: Decimal | None = Field(
        None, gt=0, le=1, description="most of a bar's volume that an order takes; the rest fills later (bars only)"
    )
    leverage: Decimal = Field(Decimal(1), ge=1, le=1000, description="of a netting or hedging account")
    maintenance: Decimal = Field(
        Decimal(0), ge=0, lt=1, description="fraction of the positions' value below which equity is liquidated"
    )
    latency_ms: int = Field(0, ge=0, description="until an order has reached the venue")
    instruments: tuple[Instrument, ...] = Field((), description="what can be traded, steps and limits as text")
    name: str = Field("paper", min_length=1, description="what its data is filed under")

    @field_validator("balances")
    @classmethod
    def _money(cls, balances: dict[str, Decimal]) -> dict[str, Decimal]:
        for currency, amount in balances.items():
            if not amount.is_finite() or amount < 0:
                raise ValueError(f"{currency}={amount} must be zero or more")
        return balances

    @model_validator(mode="after")
    def _margin_only(self) -> PaperConfig:
        if self.mode == "spot" and (self.leverage != 1 or self.maintenance != 0):
            raise ValueError("leverage and maintenance belong to a netting or hedging account, not to spot")
        return self

    @property
    def position_mode(self) -> PositionMode:
        """How what was bought is held."""
        return {"spot": PositionMode.NONE, "netting": PositionMode.NETTING, "hedging": PositionMode.HEDGING}[self.mode]

    def terms(self) -> Row:
        """The engine's row of numbers for the prices of bars."""
        rows = plain_terms()
        rows["fees"] = float(self.taker_fee_bps / BPS)
        if self.maker_fee_bps is not None:
            rows["maker_fees"] = float(self.maker_fee_bps / BPS)
        rows["spread"] = float(self.spread_bps / BPS)
        rows["slippage"] = float(self.slippage_bps / BPS)
        rows["slip_range"] = float(self.slippage_range)
        rows["impact"] = float(self.impact)
        rows["leverage"] = 0.0 if self.mode == "spot" else float(self.leverage)
        rows["maintenance"] = float(self.maintenance)
        return rows.view(np.recarray)[0]

    def capabilities(self) -> VenueCapabilities:
        """What an account of this mode offers."""
        margin = self.mode != "spot"
        return VenueCapabilities(
            order_types=frozenset(OrderType),
            times_in_force=frozenset(TimeInForce),
            position_mode=self.position_mode,
            attached_protection_types=frozenset(OrderType) if margin else frozenset(),
            reduce_only=margin,
            modify=frozenset({"qty", "price", "stop_price"}),
            modify_protection=margin,
            query_by_client_id=True,
            cancel_all=True,
            streams=frozenset({Stream.ORDERS, Stream.FILLS, Stream.BALANCES}),
            in_process=True,
            request_life_ms=0,
            evidence=Evidence.SIMULATOR_ONLY,
        )
