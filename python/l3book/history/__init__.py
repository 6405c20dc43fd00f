"""The recorded past: what is kept, and what is made of it."""
