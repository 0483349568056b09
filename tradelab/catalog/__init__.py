"""Bars on disk: immutable Parquet segments, a catalogue and a live tail in SQLite."""
