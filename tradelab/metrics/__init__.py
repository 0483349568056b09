"""Figures: pure functions of arrays, each with its source.

`annualise` (bars a year) · `returns` · `trades` · `grade` · `summary` (all of them in one record)
"""
