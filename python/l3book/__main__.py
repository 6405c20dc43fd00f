"""The `l3book` command; also as `python -m l3book`."""

import sys

EXIT_INTERRUPTED = 128 + 2


def main() -> int:
    """Run it; -> the exit code. Ctrl+C ends it without a word from here on, also while the verbs are imported."""
    try:
        from l3book.cli import main as run

        return run()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
