"""Books, their prices and their reviews."""
