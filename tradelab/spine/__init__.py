"""Carry what is said from module to module, journalled first; what is true is a fold of it."""
