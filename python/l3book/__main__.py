"""`python -m l3book` is the `l3book` command."""

import sys

from l3book.cli import main

if __name__ == "__main__":
    sys.exit(main())
