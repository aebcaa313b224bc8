"""Sending orders out: what goes on beside the answer and after it."""
