"""Authors and what they wrote."""
