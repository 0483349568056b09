"""The outside world, spoken to in its own dialects; the only floor that imports vendors."""
