"""Say where tradelab keeps what it keeps."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Return the folder of what tradelab keeps: ``$TRADELAB_HOME``, else the user's data folder."""
    given = os.environ.get("TRADELAB_HOME")
    if given:
        return Path(given)
    from platformdirs import user_data_dir

    return Path(user_data_dir("tradelab", appauthor=False))
