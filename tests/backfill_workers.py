"""What a backfill's pool is given to do in place of a file; workers import it by its plain name."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from l3book.backfill.task import Result

if TYPE_CHECKING:
    from l3book.backfill.task import Progress, Task


def dies_of_the_third(task: Task, progress: Progress) -> Result:
    progress(1)
    if task.file.name == "3":
        os.kill(os.getpid(), signal.SIGKILL)
    return Result(task, "done", 1)


def sleeps(task: Task, progress: Progress) -> Result:
    progress(1)
    time.sleep(3600)
    return Result(task, "done")
