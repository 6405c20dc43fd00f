"""How much one socket, one key and the whole server may take."""

ERRORS_MAX = 100
"""So many errors more than good ops, and the socket is closed."""
OPS_PER_TURN = 16
"""After so many the event loop gets a turn."""
HEARTBEAT_INTERVAL_S = 1.0
CHECK_INTERVAL_S = 0.2
"""Between two looks at whether a key is still good and a client not too slow."""
