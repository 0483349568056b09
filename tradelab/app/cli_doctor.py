"""Offer the examination on the command line."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Look for what would hurt in live trading, and say what to do.")
@click.argument("config", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--offline", is_flag=True, help="Ask no venue: neither its clock nor how fast it answers.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(1, 300), default=20.0, show_default=True, help="Seconds.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
def doctor(config: Path | None, offline: bool, timeout_s: float, as_json: bool) -> None:
    """Look at disk, records, journals and leases; with CONFIG at its modules, connections, keys, clock and doors too.

    Nothing is traded and nothing is changed.

    \b
    Try:  tradelab doctor
          tradelab doctor configs/paper.toml

    Exit codes: 0 nothing is wrong, 1 something is, and what to do about it stands beside it.
    """
    import json
    from dataclasses import asdict

    from tradelab.app.cli_secrets import ask_passphrase
    from tradelab.app.doctor import Found, examine

    live = None
    if config is not None:
        from tradelab.app.daemon_table import read_live

        live = read_live(config)
    wrong = 0
    for check in examine(live, connect=not offline, timeout_s=timeout_s, ask=ask_passphrase):
        wrong += check.found is Found.WRONG
        if as_json:
            click.echo(json.dumps({**asdict(check), "found": check.found.value.lower()}))
            continue
        click.echo(f"{check.found.value:<6} {check.about}: {check.says}")
        if check.found is not Found.WELL and check.fix:
            click.echo(f"       → {check.fix}")
    if wrong:
        raise SystemExit(1)
