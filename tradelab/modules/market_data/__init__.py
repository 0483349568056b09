"""Keeps every closed bar in the catalogue, and its series in order."""
