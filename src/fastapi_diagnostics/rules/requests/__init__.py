"""Rules about requests that were refused or failed."""
