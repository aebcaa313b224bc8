"""The warehouse: everything that can hold up an event loop, and how not to."""
