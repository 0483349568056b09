"""Figures: pure functions of arrays, each with its source.

`annualise` (bars a year) · `returns` · `trades` · `grade` · `summary` (all of them in one record)
`overfit` (PSR, deflated Sharpe ratio, probability of overfitting) · `datasnooping` (reality check, SPA, bootstraps)
"""
