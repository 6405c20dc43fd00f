"""The recorded past: a log of what the market applied, and what is derived from it to be asked."""
