"""Workers: as many files at once as wanted, and none lost by what another does to its process."""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from threading import Thread
from typing import Any, Final, TypeAlias

from l3book.backfill.task import Progress, Result, Task

Work: TypeAlias = Callable[[Task, Progress], Result]

POLL_S = 0.2
EXIT_ORPHAN: Final = 3

_read_bytes: Any = None
"""Of this worker: the counter that it shares with all others."""


def run(tasks: Sequence[Task], work: Work, workers: int, show: Callable[[int], object]) -> Iterator[Result]:
    """Do all of them; -> results as they come. `show` is told now and then how many bytes were read in all.

    A worker that dies takes the pool with it. What was under way is done again then, one by one, so that the file that
    kills workers is known; the rest goes on as before.
    """
    context = multiprocessing.get_context("spawn")
    counter = context.Value("Q", 0)
    waiting, doubtful = deque(tasks), deque[Task]()
    while waiting or doubtful:
        queue, at_once = (doubtful, 1) if doubtful else (waiting, workers)
        with ProcessPoolExecutor(at_once, context, _begin, (counter,)) as pool:
            under_way: dict[Future[Result], Task] = {}
            try:
                while queue or under_way:
                    while queue and len(under_way) < at_once:
                        task = queue.popleft()
                        with _without_ctrl_c():
                            under_way[pool.submit(_work, work, task)] = task
                    finished, _ = wait(under_way, POLL_S, FIRST_COMPLETED)
                    # Without its lock: a worker that was killed may have it.
                    show(counter.get_obj().value)
                    for future in finished:
                        result = future.result()
                        del under_way[future]
                        yield result
            except BrokenProcessPool:
                if at_once == 1:
                    for task in under_way.values():
                        yield Result(task, "failed", error="its process ended without a word (out of memory?)")
                else:
                    doubtful.extend(under_way.values())
            except BaseException:
                # What is under way may take hours, and is begun anew next time, so nobody may be at it any more then.
                for process in list((pool._processes or {}).values()):  # has no public name before 3.14
                    process.kill()
                pool.shutdown(wait=True, cancel_futures=True)
                raise


def _begin(counter: Any) -> None:
    """Begin a worker. It ends with its parent: Ctrl+C, which all of them get, is the parent's to heed."""
    global _read_bytes  # a pool has no other place for what its workers share
    _read_bytes = counter
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, name="l3book-parent", daemon=True).start()


def _end_with_parent() -> None:
    """End when the parent is gone, even by SIGKILL: what is under way would only hold up who comes next."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101  # a worker has one
    parent.join()
    os._exit(EXIT_ORPHAN)


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Have what is started in the block be deaf to it from its very beginning, when it could only complain.

    It is held back from this process meanwhile, not lost. Windows has no such thing.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(work: Work, task: Task) -> Result:
    def progress(read_bytes: int) -> None:
        with _read_bytes.get_lock():
            _read_bytes.value += read_bytes

    return work(task, progress)
