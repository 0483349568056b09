"""Tell what an API key may do, as Binance does for spot and futures alike, and keep a key to it."""

from __future__ import annotations

from tradelab.rehearsal.dialects.binance_door import Ask, Route, Security
from tradelab.rehearsal.exchange import Exchange


def rights_route(exchange: Exchange) -> Route:
    """Return the address that tells a key's rights; its fields are those of "Get API Key Permission" (2025-11)."""

    def restrictions(ask: Ask) -> object:
        setup = exchange.accounts[ask.account]
        trades = "trade" in setup.may
        return {
            "ipRestrict": setup.bound, "createTime": 1_698_645_219_000, "enableReading": True,
            "enableWithdrawals": "withdraw" in setup.may, "enableInternalTransfer": False, "enableMargin": False,
            "enableFutures": trades, "permitsUniversalTransfer": False, "enableVanillaOptions": False,
            "enableFixApiTrade": False, "enableFixReadOnly": True, "enableSpotAndMarginTrading": trades,
            "enablePortfolioMarginTrading": False,
        }  # fmt: skip

    return Route("GET", "/sapi/v1/account/apiRestrictions", "account", restrictions, 0, Security.SIGNED)
