"""The stockroom: more that can hold up a process, each with the cure of its own kind."""
