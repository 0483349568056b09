"""Print the pipeline: which modules there are, what each hears and says, and which a node's file switches on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tradelab.spine.manifest import Manifest


@click.command(short_help="Print the pipeline: which module reacts to what.")
@click.argument("config", required=False, type=click.Path(dir_okay=False, path_type=Path))
def modules(config: Path | None) -> None:
    """Print the nine modules in their order, what each hears and says, what it requires, and what its failure leads to.

    With CONFIG only those that this file switches on, in the order in which they hear; or why they do not go together.

    \b
    Try:  tradelab modules
          tradelab modules configs/paper.toml
    """
    from tradelab.modules.index import MANIFESTS
    from tradelab.spine.manifest import assemble

    shown: Iterable[Manifest] = MANIFESTS
    if config is not None:
        from tradelab.app.daemon_table import read_live

        node = read_live(config).node
        shown = assemble(MANIFESTS, node.modules_on, live=node.is_live)
    for number, manifest in enumerate(shown, 1):
        click.echo("\n".join(described(number, manifest)))
    click.echo("\n".join(["", "who reacts to what", *reactions(list(shown))]))


def described(number: int, manifest: Manifest) -> Iterator[str]:
    """Yield the lines about one module."""
    yield f"{number}  {manifest.name}  ({manifest.shape.value}; a failure: {manifest.on_error.value})"
    yield f"   {manifest.says}"
    yield f"   hears     {_names(manifest.hears)}"
    yield f"   tells     {_names(manifest.tells)}"
    if manifest.requires or manifest.live_requires:
        live = [f"{name} (to trade live)" for name in manifest.live_requires]
        yield f"   requires  {', '.join([*manifest.requires, *live])}"
    if manifest.after:
        yield f"   after     {', '.join(manifest.after)}"


def reactions(manifests: list[Manifest]) -> Iterator[str]:
    """Yield, for each message, who says it and who hears it, in the order in which messages are first said."""
    kinds = dict.fromkeys(kind for manifest in manifests for kind in (*manifest.tells, *manifest.hears))
    for kind in kinds:
        tells = [manifest.name for manifest in manifests if kind in manifest.tells] or ["the spine"]
        hears = [manifest.name for manifest in manifests if kind in manifest.hears] or [
            "the ledger and the journal only"
        ]
        yield f"  {kind.__name__:<20} {', '.join(tells)} → {', '.join(hears)}"


def _names(kinds: Iterable[type]) -> str:
    return ", ".join(kind.__name__ for kind in kinds) or "nothing"
