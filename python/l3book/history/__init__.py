"""History: the events as they were applied, in a log, and what is derived from it."""
