"""Make machine code once, ahead of time, so that nobody waits for it in the middle of work."""

from __future__ import annotations

import time

import click


def main() -> None:
    """Make the kernels' object code, run a backtest of every built-in strategy, and say how long it took."""
    begun = time.perf_counter()
    from tradelab.engine.build import build

    build(said=lambda done, all_: click.echo(f"\rmaking kernels ahead of time: {done} of {all_}", nl=False))
    import tradelab as tl
    from tradelab.strategy.registry import registered

    bars = tl.samples.load("IBM-1d")
    for name in registered():  # compiles what only few of them need
        _ = tl.backtest(bars, name, sl_stop=0.05).summary
    click.echo(f", done in {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
