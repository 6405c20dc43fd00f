"""What systems do with files in ways of their own: locks, and folders whose names are durable."""

import os
import sys
from pathlib import Path


def lock(descriptor: int) -> bool:
    """Lock an open file (on Unix a folder, too) until it is closed; -> whether nobody else had."""
    if sys.platform == "win32":
        import msvcrt

        try:
            # One byte, which need not be there.
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
    else:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Windows has no call for that: NTFS has them in its journal, soon on disk."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
