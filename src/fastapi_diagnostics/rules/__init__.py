"""One file per rule; each is a pure function from a record to findings."""
