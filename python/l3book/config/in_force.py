"""The settings in force: what is read where it is used, and not kept, follows a reload."""

from l3book.config.settings import Settings


class InForce:
    """One for a server, for all its parts. Replaced on the event loop's thread."""

    __slots__ = ("settings",)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
