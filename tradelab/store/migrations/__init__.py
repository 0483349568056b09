"""Bring the records' tables from any older state to the present one; each step is a file in ``versions``."""
