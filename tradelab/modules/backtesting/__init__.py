"""Runs the same strategy and gates over history."""
