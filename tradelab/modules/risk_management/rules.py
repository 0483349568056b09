"""Decide on a signal: every rule in its order, the first that refuses is the answer.

Sanity, schedule, the account's state, its guards, counts and caps, size, the venue's rules, what it offers, what is
free. An exit takes a road of its own (:mod:`~tradelab.modules.risk_management.rules_exit`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from tradelab.model.orders import OrderIntent
from tradelab.model.signal import Drop, Inputs, Pass, Verdict
from tradelab.modules.risk_management.guards import GUARDS as GUARD_CODES
from tradelab.modules.risk_management.guards import loss
from tradelab.modules.risk_management.money import money_of, notional
from tradelab.modules.risk_management.rules_account import ACCOUNT, GUARDS, SCHEDULE
from tradelab.modules.risk_management.rules_exit import exit_order
from tradelab.modules.risk_management.rules_exposure import COUNTS, caps
from tradelab.modules.risk_management.rules_order import entry_order, margin, not_offered
from tradelab.modules.risk_management.rules_sanity import SANITY, duplicate, quote_age_s, spread_bps
from tradelab.modules.risk_management.scene import Scene, plain, written
from tradelab.modules.risk_management.sizing import size

Check = Callable[[Scene], Drop | None]
BEFORE_SIZE: tuple[Check, ...] = (*SANITY, *SCHEDULE, *ACCOUNT, *GUARDS, *COUNTS, caps)


@dataclass(frozen=True, slots=True)
class Decision:
    """What came of a signal: an order and the price it was weighed against, or a drop."""

    verdict: Verdict
    intent: OrderIntent | None = None
    reference_price: Decimal | None = None


def decide(scene: Scene) -> Decision:
    """Return what becomes of a signal, with all that it was decided on."""
    decision = _entry(scene) if scene.signal.action.enters else _exit(scene)
    verdict = decision.verdict
    return replace(decision, verdict=replace(verdict, inputs=facts(scene) + verdict.inputs))


def _entry(scene: Scene) -> Decision:
    for check in BEFORE_SIZE:
        refused = check(scene)
        if refused is not None:
            return Decision(refused)
    sized = size(scene)
    if isinstance(sized, Drop):
        return Decision(sized)
    ordered = entry_order(scene, sized.qty)
    if isinstance(ordered, Drop):
        return Decision(replace(ordered, inputs=sized.inputs + ordered.inputs))
    intent, worked_out = ordered.intent, sized.inputs + ordered.inputs
    price = intent.price or intent.stop_price or scene.taking_price
    refused = caps(scene, intent.qty, price) or not_offered(scene, intent) or margin(scene, intent)
    if refused is not None:
        return Decision(replace(refused, inputs=worked_out + refused.inputs))
    worth = notional(intent.qty, price, scene.instrument)
    money = money_of(scene.instrument) or scene.instrument.quote
    says = f"{intent.side.value}s {plain(intent.qty)} {intent.symbol}, worth {plain(worth)} {money}"
    inputs = worked_out + written(order_qty=intent.qty, order_notional=worth, order_notional_currency=money)
    return Decision(Pass(says, inputs), intent, scene.taking_price)


def _exit(scene: Scene) -> Decision:
    refused = duplicate(scene)
    if refused is not None:
        return Decision(refused)
    leaving = exit_order(scene)
    if isinstance(leaving, Drop):
        return Decision(leaving)
    intent = leaving.intent
    says = f"closes {plain(intent.qty)} of {intent.symbol}"
    return Decision(Pass(says, leaving.inputs), intent, leaving.reference_price)


def facts(scene: Scene) -> Inputs:
    """Return what was known of market and account when it was decided; the unit stands in the name."""
    quote, info, guarded = scene.quote, scene.info, scene.guarded
    state = scene.snapshot.accounts.get(scene.account)
    losses = {f"{code.value}_fraction": loss(guarded, code) for code in GUARD_CODES}
    return written(
        now_ns=str(scene.view.now_ns),
        seq=scene.snapshot.seq,
        bid=None if quote is None else quote.bid,
        ask=None if quote is None else quote.ask,
        quote_age_s=quote_age_s(scene),
        spread_bps=spread_bps(scene),
        signal_price=scene.signal.price,
        equity=scene.view.equity(),
        equity_currency=None if info is None else info.currency,
        balance_age_s=None if state is None or info is None else scene.view.age_s(info.ts_ns),
        **losses,
    )
