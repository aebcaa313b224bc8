"""Rules about the event loop."""
