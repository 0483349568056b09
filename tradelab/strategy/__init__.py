"""Decisions: functions from bars to signals, with typed parameters and a declared warm-up."""
