"""Notebooks in production: papermill runs, their registry, and the report each leaves."""
