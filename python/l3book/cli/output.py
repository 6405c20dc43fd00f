"""Files that appear whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from l3book.cli.errors import CommandError, cannot_use


@contextlib.contextmanager
def output_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`, which takes its name when the block ends without an error.

    A path that exists and is no regular file (a pipe, /dev/null) is written to directly: renaming over it
    would replace it.
    """
    if path.is_dir():
        raise CommandError(f"{path}: a directory: expected a file to write")
    direct = path.exists() and not path.is_file()
    # Through a symbolic link, the file it points to is replaced, not the link.
    target = path if direct else path.resolve()
    written = target if direct else target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with written.open("wb") as stream:
            yield stream
            stream.flush()
            if not direct:
                os.fsync(stream.fileno())
        if not direct:
            written.replace(target)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_use(path, error) from None
    finally:
        if not direct:
            written.unlink(missing_ok=True)
