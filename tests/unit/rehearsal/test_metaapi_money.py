"""Play at random over the wire, and see that the money is what the deals say, to the last digit."""

from __future__ import annotations

import asyncio
import json
import random
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.unit.rehearsal.metaapi_world import FUNDS, PRICE, World, plain, world

WHOLE = "1970-01-01T00:00:00.000Z/2100-01-01T00:00:00.000Z"
TICK = Decimal("0.00001")


def _read(answer: httpx.Response) -> Any:
    return json.loads(answer.text, parse_float=Decimal)


async def _act(on: World, http: httpx.AsyncClient, dice: random.Random) -> None:
    """Do one of the things an account does."""
    held, waiting = _read(await http.get("/positions")), _read(await http.get("/orders"))
    side, volume = dice.choice(("BUY", "SELL")), dice.randint(1, 40) / 100
    away = dice.randint(50, 300) * (1 if side == "BUY" else -1)
    bid = on.venue.exchange.best("EURUSD")[0]
    what = dice.randrange(8)
    if what == 0:
        on.move(str(PRICE + dice.randint(-400, 400) * TICK))
        return
    body: dict[str, Any] = {"actionType": f"ORDER_TYPE_{side}", "symbol": "EURUSD", "volume": volume}
    if what == 1:
        body |= {"actionType": f"ORDER_TYPE_{side}_LIMIT", "openPrice": float(bid - away * TICK)}
    elif what == 2:
        body |= {"actionType": f"ORDER_TYPE_{side}_STOP", "openPrice": float(bid + away * TICK)}
    elif what == 3 and held:
        body = {"actionType": "POSITION_CLOSE_ID", "positionId": dice.choice(held)["id"]}
    elif what == 4 and held:
        body = {"actionType": "POSITION_PARTIAL", "positionId": dice.choice(held)["id"], "volume": 0.01}
    elif what == 5 and waiting:
        body = {"actionType": "ORDER_CANCEL", "orderId": dice.choice(waiting)["id"]}
    elif what == 6:
        body |= {"stopLoss": float(bid - away * TICK), "takeProfit": float(bid + away * TICK)}
    assert (await http.post("/trade", json=body)).status_code == 200


@pytest.mark.parametrize("seed", [1, 2])
def test_money_is_the_fold_of_the_deals_exactly(seed: int) -> None:
    async def run() -> None:
        dice = random.Random(seed)
        async with world(adapter=False) as on, plain(on) as http:
            for _ in range(300):
                await _act(on, http, dice)
            deals = _read(await http.get(f"/history-deals/time/{WHOLE}"))
            account = _read(await http.get("/account-information"))
            held = _read(await http.get("/positions"))
        assert len(deals) > 100
        paid = sum((Decimal(d["profit"]) + Decimal(d["commission"]) for d in deals), Decimal(0))
        assert Decimal(account["balance"]) == FUNDS + paid
        floating = sum((Decimal(p["unrealizedProfit"]) for p in held), Decimal(0))
        assert Decimal(account["equity"]) == Decimal(account["balance"]) + floating
        lots: dict[str, Decimal] = {}
        for deal in deals:
            sign = 1 if deal["entryType"] == "DEAL_ENTRY_IN" else -1
            lots[deal["positionId"]] = lots.get(deal["positionId"], Decimal(0)) + sign * Decimal(deal["volume"])
        assert {k: v for k, v in lots.items() if v} == {p["id"]: Decimal(p["volume"]) for p in held}

    asyncio.run(run())
