"""SIGHUP: a running server reads its settings again and takes over what it can."""

import asyncio
import signal
from collections.abc import Callable
from types import FrameType

from l3book.config import RELOADABLE, SETTING_NAMES, InForce, Loaded, Settings
from l3book.logs import Logger

log = Logger(__name__)


class Reloading:
    """Remembers the signal; the server's event loop does the work, so that nothing happens inside a handler."""

    def __init__(self, loaded: Loaded, load_again: Callable[[], Loaded]) -> None:
        """`load_again` raises an Exception whose text says why the old settings have to stay."""
        self.in_force = InForce(loaded.settings)
        self._load_again = load_again
        self._followers: list[Callable[[Settings], None]] = []
        self._requested = False

    def install(self) -> None:
        """Take over the signal, for the rest of the process. Windows has none."""
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._on_signal)

    def call(self, follower: Callable[[Settings], None]) -> None:
        """Have it called on the event loop after each reload, also one that changed no setting: keys may have."""
        self._followers.append(follower)

    async def reload_if_requested(self) -> None:
        """Reload, once for any number of signals that came meanwhile."""
        if self._requested:
            self._requested = False
            await self._reload()

    async def _reload(self) -> None:
        try:
            loaded = await asyncio.to_thread(self._load_again)
        # Whatever is wrong with them, a server that runs goes on.
        except Exception as error:  # noqa: BLE001
            log.error("not reloaded, the old settings stay: {error}", error=error)  # noqa: TRY400  # the text is the whole story
            return
        old, new = self.in_force.settings, loaded.settings
        changed = [name for name in SETTING_NAMES if getattr(old, name) != getattr(new, name)]
        taken = {name: getattr(new, name) for name in changed if name in RELOADABLE}
        self.in_force.settings = old.model_copy(update=taken)
        what = "settings as before" if not changed else f"{len(taken)} of {len(changed)} changes"
        log.info("reloaded: {what}", what=what, taken=len(taken), changed=len(changed))
        for name in changed:
            facts = {
                "setting": name,
                "old": getattr(old, name),
                "new": getattr(new, name),
                "origin": loaded.origins[name],
            }
            if name in taken:
                log.info("now in force: {setting} from {old} to {new} ({origin})", **facts)
            else:
                log.warning("needs a restart: {setting} from {old} to {new} ({origin})", **facts)
        for follower in self._followers:
            try:
                follower(self.in_force.settings)
            except Exception:
                log.exception("a part of the server did not take over the settings")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._requested = True
