"""Read tables of a TOML file strictly: a word that a table does not know is an error, and nothing in it changes."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[Decimal, Field(gt=0, le=1)]
Above = Annotated[Decimal, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class Table(BaseModel):
    """A table of the file; no number in it is endless: a time without an end is no time that can be reckoned with."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
