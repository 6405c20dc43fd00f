"""Write what a source brings to a stream of NATS JetStream, for servers to read (docs/nats.md)."""

import argparse
import sys
from typing import TYPE_CHECKING

from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError
from l3book.cli.logging_options import add_log_arguments, log_arguments
from l3book.cli.numbers import WholeNumber, counted
from l3book.cli.progress import count_progress
from l3book.cli.sources_help import SOURCES
from l3book.feed.options import FeedOptions
from l3book.jetstream.messages import SHARDS_MAX

if TYPE_CHECKING:
    from l3book.jetstream.address import NatsAddress
    from l3book.jetstream.publisher import Counts

BUDGET_S_MAX = 7 * 86_400
BYTES_MAX = 2**50
BYTES_MIN = 1 << 20
AGE_S_MAX = 10 * 366 * 86_400
SNAPSHOT_S_MAX = 86_400
SNAPSHOT_S_DEFAULT = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = SOURCES
    parser.add_argument("--source", required=True, metavar="URI", help="where the records come from")
    parser.add_argument("--to", required=True, metavar="URI", help="nats://HOST:PORT/STREAM; it is made if need be")
    parser.add_argument(
        "--shards",
        type=WholeNumber(1, SHARDS_MAX),
        default=1,
        metavar="N",
        help="parts that the books are spread over, each for servers of its own (default: 1)",
    )
    parser.add_argument(
        "--max-bytes",
        type=WholeNumber(BYTES_MIN, BYTES_MAX),
        default=0,
        metavar="N",
        help="make the stream keep its newest N bytes (default: all)",
    )
    parser.add_argument(
        "--max-age-s",
        type=WholeNumber(1, AGE_S_MAX),
        default=0,
        metavar="S",
        help="make the stream keep messages for so long (default: for ever)",
    )
    parser.add_argument(
        "--snapshot-every-s",
        type=WholeNumber(0, SNAPSHOT_S_MAX),
        default=SNAPSHOT_S_DEFAULT,
        metavar="S",
        help="write all books into the stream so often, for readers that begin later; 0: never "
        f"(default: {SNAPSHOT_S_DEFAULT})",
    )
    parser.add_argument("--gateway", metavar="HOST:PORT", help="where a live source connects to")
    parser.add_argument(
        "--reconnect-budget-s",
        type=WholeNumber(0, BUDGET_S_MAX),
        default=int(FeedOptions().reconnect_budget_s),
        metavar="S",
        help="give up when nothing has succeeded for so long; 0: never (default: 300)",
    )
    add_log_arguments(parser, level="warning")


def run(arguments: argparse.Namespace) -> int:
    """Publish until the source ends or a signal comes; -> 0 if all that the source had is in the stream."""
    import asyncio

    from l3book import telemetry
    from l3book.cli.opening import open_as_said
    from l3book.jetstream.publisher import Limits
    from l3book.jetstream.publishing import Publishing
    from l3book.shutdown import Shutdown
    from l3book.sources.connection import ConnectionLost, Refused

    log_level, log_format = log_arguments(arguments)
    telemetry.setup(log_level, form=log_format)
    address = address_of(arguments.to)
    source = open_as_said(arguments.source, arguments.gateway)
    shutdown = Shutdown()
    shutdown.install()
    limits = Limits(arguments.max_bytes, arguments.max_age_s)
    budget_s, every_s = arguments.reconnect_budget_s, arguments.snapshot_every_s
    publishing = Publishing(address, source, arguments.shards, budget_s, limits, every_s)
    published = publishing.published
    shutdown.call(publishing.close)

    def begin() -> None:
        if published.there:
            print(f"{address}: goes on after record {published.there:,}", file=sys.stderr)

    try:
        with count_progress(address.stream, " records") as show:
            asyncio.run(publishing.run(show, begin))
    except (ConnectionLost, Refused) as error:
        if published.counts.messages:
            _say(address, published.counts)
        lost = published.unacknowledged_records
        text = f"{error}; {counted(lost, 'record')} of the source not acknowledged" if lost else str(error)
        raise CommandError(text, EXIT_ANSWER_IS_NO) from None
    if published.is_there:
        print(f"{address}: all {published.there:,} records are there already", file=sys.stderr)
        return 0
    _say(address, published.counts)
    if published.error is not None:
        raise CommandError(f"source {source.uri!r}: {published.error}", EXIT_ANSWER_IS_NO)
    return 0


def address_of(uri: str) -> "NatsAddress":
    """Read where to publish to; what is wrong with it ends the command."""
    from l3book.sources.nats import NatsConnector
    from l3book.sources.uri import NoSchemeError, SourceError, parse_uri

    try:
        parsed = parse_uri(uri)
        if parsed.scheme == "nats":
            parsed.only("tls")
            return NatsConnector(parsed).address
    except NoSchemeError:
        # What is wrong with it is that it is no target, whatever sources there are.
        pass
    except SourceError as error:
        raise CommandError(f"--to: {str(error).removeprefix('source ')}") from None
    raise CommandError(f"--to: {uri!r}: expected nats://HOST:PORT/STREAM")


def _say(address: "NatsAddress", counts: "Counts") -> None:
    losses = sum(counts.losses.values())
    sent_again = counted(counts.sent_again, "message")
    again = f"; {counted(losses, 'connection')} lost, {sent_again} sent again" if losses else ""
    print(
        f"{address}: {counted(counts.records, 'record')} in {counted(counts.messages, 'message')}, "
        f"{counted(counts.bytes, 'byte')}, "
        f"all acknowledged{again}",
        file=sys.stderr,
    )
