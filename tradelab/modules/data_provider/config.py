"""Read the table ``[modules.data_provider]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tradelab.spine.tables import Table


class Config(Table):
    """Where bars are kept, and how they are had.

    Parameters
    ----------
    catalog
        The folder of the bars; by default that of ``tradelab data``.
    grace_s
        How long after its end a bar that the stream did not mark as closed is asked for.
    quote_interval_s
        How often quotes may be expected to change; a stream that is silent for twice as long is opened again. Raise it
        for a market that trades little.
    """

    catalog: str | None = None
    grace_s: Annotated[float, Field(ge=0)] = 2.0
    quote_interval_s: Annotated[float, Field(gt=0)] = 5.0
