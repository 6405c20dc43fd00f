"""The WebSocket of the API: what is said on it, and to whom how much of it."""
