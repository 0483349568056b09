"""Numba arithmetic: arrays and NamedTuples in, arrays and NamedTuples out."""
