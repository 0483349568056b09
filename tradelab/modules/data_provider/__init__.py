"""Brings in bars and quotes of the connections that bots follow."""
