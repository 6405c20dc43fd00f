"""What a server refuses to start with, and why: always, and in prod."""

from collections.abc import Callable
from dataclasses import dataclass

from l3book.config.loading import Loaded
from l3book.config.settings import ANY, Settings

PROD = "prod"


@dataclass(frozen=True, slots=True)
class Rule:
    """A setting that is not safe in prod."""

    setting: str
    only_public: bool
    """Refused where others than this machine can reach it."""
    is_unsafe: Callable[[Settings], bool]
    reason: str
    expected: str


PROD_RULES = (
    Rule("debug", False, lambda s: s.debug, "it is slow and shows the inside", "false"),
    Rule("log_level", False, lambda s: s.log_level == "debug", "a busy feed would fill the disk", "info or above"),
    Rule("cors_origins", False, lambda s: ANY in s.cors_origins, "every web page could read the books", "names"),
    Rule("origins", False, lambda s: ANY in s.origins, "every web page could open WebSockets", "names"),
    Rule("allowed_hosts", False, lambda s: ANY in s.allowed_hosts, "a page could come in by DNS rebinding", "names"),
    Rule(
        "allow_unauthenticated",
        True,
        lambda s: s.allow_unauthenticated,
        "everybody who reaches the address could read",
        "API keys (`l3book keys create`)",
    ),
    Rule("requests_per_s_max", True, lambda s: s.requests_per_s_max == 0, "one client could take it all", "a limit"),
)

NO_KEYS = (
    "there are no API keys: expected 127.0.0.1, or one (`l3book keys create`), or L3BOOK_ALLOW_UNAUTHENTICATED=1 to "
    "serve everybody who can reach it"
)
NO_KEYS_IN_PROD = "there are no API keys: expected 127.0.0.1, or one (`l3book keys create`)"


def refusal(loaded: Loaded) -> str | None:
    """Say why no server may start with these settings, wherever it listens; None: it may."""
    return _first(loaded, only_public=False)


def is_served_to_others(loaded: Loaded) -> bool:
    """Tell whether others reach it on loopback too: in prod `allowed_hosts` means that a proxy brings them."""
    return loaded.environment == PROD and bool(loaded.settings.allowed_hosts)


def public_refusal(loaded: Loaded, has_keys: Callable[[], bool]) -> str | None:
    """Say why it may not listen where others than this machine can reach it; None: it may."""
    if unsafe := _first(loaded, only_public=True):
        return unsafe
    if loaded.settings.allow_unauthenticated or has_keys():
        return None
    return NO_KEYS_IN_PROD if loaded.environment == PROD else NO_KEYS


def _first(loaded: Loaded, *, only_public: bool) -> str | None:
    if loaded.environment != PROD:
        return None
    for rule in PROD_RULES:
        if rule.only_public == only_public and rule.is_unsafe(loaded.settings):
            origin = loaded.origins[rule.setting]
            return f"prod refuses {rule.setting} as it is ({origin}): {rule.reason}: expected {rule.expected}"
    return None
