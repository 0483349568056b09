"""Write figures of trading for others to read: CSV and JSON with every digit, Parquet, one offline HTML page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("table", "csv", "json", "parquet", "html")
_TEXT = ("group", "currency", "not_compared_why")
_COUNTS = ("trades", "wins", "losses", "untold", "days", "compared", "not_compared")
_SHOWN = (
    "group", "currency", "trades", "pnl", "fees", "win_rate", "profit_factor", "expectancy_r", "max_drawdown", "sharpe",
    "sortino", "slippage_bps", "drift_bps", "compared", "not_compared",
    "latency_p50_ms",
)  # fmt: skip


def frame(told: dict[str, Any]) -> pd.DataFrame:
    """Return figures as a table with one row a group: numbers as floats, what cannot be told as NaN.

    ``attrs`` says of which node it is, and after which message of its journal it was true.
    """
    import pandas as pd

    table = pd.DataFrame(told["rows"], columns=_columns(told["rows"]))
    numbers = [name for name in table.columns if name not in _TEXT]
    table = table.astype(dict.fromkeys(numbers, float) | dict.fromkeys(_COUNTS, int))
    table = table.set_index("group").rename_axis(told["by"])
    table.attrs = {"node": told["node"], "seq": told["seq"]}
    return table


def written(told: dict[str, Any], form: str) -> bytes:
    """Return figures as a file of a format.

    CSV and JSON hold money as it was counted; an empty field, and null, is what cannot be told.
    """
    if form == "parquet":
        file = io.BytesIO()
        frame(told).reset_index().to_parquet(file, index=False)
        return file.getvalue()
    made = {"csv": _csv, "json": _json, "html": _html, "table": _table}[form](told)
    return made.encode()


def _csv(told: dict[str, Any]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, _columns(told["rows"]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(told["rows"])
    return file.getvalue()


def _json(told: dict[str, Any]) -> str:
    return json.dumps(told, indent=1) + "\n"


def _table(told: dict[str, Any]) -> str:
    from tradelab.app.handle_views import text_table

    lines = text_table(_SHOWN, _for_people(told["rows"]))
    lines += [
        f"{row['group']}: not compared with the shadow book, for {row['not_compared_why']}"
        for row in told["rows"]
        if row.get("not_compared")
    ]
    return "\n".join(lines or ["nothing was traded in these days."]) + "\n"


def _html(told: dict[str, Any]) -> str:
    from tradelab.app.handle_views import html_table
    from tradelab.report.page import Masthead, render_page

    facts = (("node", told["node"]), ("message", str(told["seq"])), ("by", told["by"]))
    table = html_table("", _columns(told["rows"]), _for_people(told["rows"]))
    return render_page(f"Trading of {told['node']}", table, masthead=Masthead("analytics", facts=facts), wide=True)


def _for_people(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: f"{each:.4g}" if isinstance(each, float) else each for name, each in row.items()} for row in rows]


def _columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    from dataclasses import fields

    from tradelab.modules.position_monitoring.analytics import Figures

    return list(rows[0]) if rows else [field.name for field in fields(Figures)]
