"""Files that are read whole, and therefore have to be small."""

from pathlib import Path


def read_small_file(path: Path, bytes_max: int) -> bytes:
    """Read it, whatever it is; a pipe will do. Raises OSError, and ValueError where there is more than `bytes_max`."""
    with path.open("rb") as stream:
        content = stream.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise ValueError(f"more than {bytes_max} bytes")
    return content
