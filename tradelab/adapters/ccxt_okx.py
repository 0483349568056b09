"""Know where OKX differs: its dead-man's switch can be told which orders it is for, so that it spares the others.

OKX cancels "all pending orders" of the account when nobody renews its countdown, and does not say whether conditional
orders are among them. With a ``tag`` it cancels "only pending orders … with the specified tag", while "orders with
other tags or no tags will remain unaffected" (www.okx.com/docs-v5, "POST / Cancel All After", read as of 2026-07-11).
So what would open a position carries our tag, and what protects one never does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tradelab.adapters.ccxt_dialects import Ways
from tradelab.model.capabilities import DeadMan, VenueCapabilities
from tradelab.model.orders import OrderIntent, Side

TAG = "tradelabEntry"  # up to 16 letters and digits


class Okx(Ways):
    """OKX v5; recorded payloads are read rightly, and nobody here has spoken to it."""

    def capabilities(self) -> VenueCapabilities:
        """Return what ccxt says that OKX offers, and its dead-man's switch by tag."""
        return replace(super().capabilities(), dead_man=DeadMan(shortest_s=10, longest_s=120, least_gap_s=1.0))

    def order_params(self, intent: OrderIntent) -> dict[str, Any]:
        """Return the parameters; an order that the switch may take back carries its tag."""
        params = super().order_params(intent)
        return params | {"tag": TAG} if _may_be_taken_back(intent, self.market) else params

    async def arm_dead_man(self, seconds: int) -> None:
        """Begin the countdown anew; zero ends it."""
        await self.raw.private_post_trade_cancel_all_after({"timeOut": str(seconds), "tag": TAG})


def _may_be_taken_back(intent: OrderIntent, market: str) -> bool:
    """Whether an order opens something, and nothing that protects would go with it.

    Conditional orders are OKX's algo orders, of which its documentation says nothing here; and what an order brings to
    protect itself might inherit its tag. Neither is tagged.
    """
    reduces = intent.reduce_only or (market == "spot" and intent.side is Side.SELL)
    brings = intent.stop_loss is not None or intent.take_profit is not None
    return not (reduces or brings or intent.type.needs_stop_price)
