"""Opening what `--source` names."""

from typing import TYPE_CHECKING

from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError

if TYPE_CHECKING:
    from l3book.sources import AnySource


def open_as_said(uri: str, gateway: str | None) -> "AnySource":
    """Open a source; whatever is wrong with it ends the command."""
    from l3book import DecodeError
    from l3book.sources import SourceError, open_source

    try:
        return open_source(uri, gateway)
    except SourceError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"source {uri!r}: {error.strerror or error}") from None
    except DecodeError as error:
        raise CommandError(f"source {uri!r}: {error}", EXIT_ANSWER_IS_NO) from None
