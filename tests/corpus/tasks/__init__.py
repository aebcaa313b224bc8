"""Labelled situations about work beside and after the response."""
