"""Hold the nine modules of the pipeline, side by side; none knows another."""
