"""The shop window: what is shown outside, and who looks after it."""
