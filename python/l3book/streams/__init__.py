"""Fan-out: books that are looked at once per interval, whatever the number of those who want to hear."""
