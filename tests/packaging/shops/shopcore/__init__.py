"""A package of the same people, with what several of their applications share."""
