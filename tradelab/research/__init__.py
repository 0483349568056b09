"""The laboratory: backtest, sweep, check, and the pictures of what came out."""
