"""Rules about what was sent."""
