"""Turns a leader's trades into signals of its followers."""
