"""A local venue that speaks a real one's protocol, with scripted faults."""
