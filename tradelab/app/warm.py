"""Compile the kernels once, so that nobody waits for them in the middle of work."""

from __future__ import annotations

import time

import click


def main() -> None:
    """Run a small backtest of every built-in strategy, which compiles all they need, and say how long it took."""
    begun = time.perf_counter()
    click.echo("compiling kernels …", nl=False)
    import tradelab as tl
    from tradelab.strategy.registry import registered

    bars = tl.samples.load("IBM-1d")
    for name in registered():
        _ = tl.backtest(bars, name, sl_stop=0.05).summary
    click.echo(f" done in {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
