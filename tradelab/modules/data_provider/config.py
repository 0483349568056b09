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
    """

    catalog: str | None = None
    grace_s: Annotated[float, Field(ge=0)] = 2.0
