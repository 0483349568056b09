"""Keeps every position protected, tells how it stands, and counts how trading goes."""
