"""Rules about background work."""
