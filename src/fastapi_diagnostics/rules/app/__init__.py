"""Rules about the application object itself."""
