"""Gift cards: everything that goes wrong with a session, and how not to."""
