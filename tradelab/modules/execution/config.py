"""Read the table ``[modules.execution]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tradelab.spine.tables import Seconds, Table


class Config(Table):
    """How orders are made to happen.

    Parameters
    ----------
    look_s
        Between two looks for an order of which nobody knows whether the venue has it.
    margin_s
        How long after a request can no longer arrive the venue is asked for the last time.
    protects_for_s
        How long an order that only protects or reduces may be tried.
    reconcile_s
        Between two comparisons with the venue, beside those at a start and after a lost connection.
    poll_s
        Between two comparisons where the venue has no stream of orders.
    fills_s
        Between two looks for fills, beside the stream of them.
    account_s
        Between two looks at the account's money.
    quote_age_s
        How old a quote may be by which a spot account is valued; an older one is asked for again.
    longest_pause_s
        The most that is waited between two tries of a request that was refused for the moment.
    """

    look_s: Seconds = 1.0
    margin_s: Seconds = 2.0
    protects_for_s: Seconds = 3600.0
    reconcile_s: Seconds = 60.0
    poll_s: Seconds = 3.0
    fills_s: Seconds = 30.0
    account_s: Seconds = 10.0
    quote_age_s: Seconds = 10.0
    longest_pause_s: Annotated[float, Field(gt=0)] = 30.0
