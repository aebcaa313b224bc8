"""Hooks into the libraries an application stands on: facts in, no opinions."""
