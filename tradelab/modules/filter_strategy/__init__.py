"""Lets a signal pass where a condition on indicators of its bars holds."""
