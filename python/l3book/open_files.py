"""How many files the process may have open, sockets among them."""

import sys

RESERVED = 256
"""For everything that is no client's connection: listeners, logs, state, recordings."""


def make_room(connections: int) -> int | None:
    """Raise the process's limit so that so many connections fit, as far as it may; -> how many do, None: any number."""
    if sys.platform == "win32":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVED
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return None if soft == resource.RLIM_INFINITY else max(1, soft - RESERVED)
