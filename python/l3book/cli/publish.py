"""Write what a source brings to a stream of NATS JetStream, for servers to read (docs/nats.md)."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError
from l3book.cli.numbers import WholeNumber
from l3book.cli.progress import count_progress
from l3book.cli.sources_help import SOURCES
from l3book.feed.options import FeedOptions
from l3book.jetstream.messages import SHARDS_MAX

if TYPE_CHECKING:
    from l3book.jetstream.address import NatsAddress
    from l3book.jetstream.publisher import Counts
    from l3book.shutdown import Shutdown
    from l3book.sources import AnySource

BUDGET_S_MAX = 7 * 86_400


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
    parser.add_argument("--gateway", metavar="HOST:PORT", help="where a live source connects to")
    parser.add_argument(
        "--reconnect-budget-s",
        type=WholeNumber(0, BUDGET_S_MAX),
        default=int(FeedOptions().reconnect_budget_s),
        metavar="S",
        help="give up when nothing has succeeded for so long; 0: never (default: 300)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Publish until the source ends or a signal comes; -> 0 if all that the source had is in the stream."""
    from l3book import telemetry
    from l3book.cli.opening import open_as_said
    from l3book.shutdown import Shutdown

    telemetry.setup("warning")
    address = _address(arguments.to)
    source = open_as_said(arguments.source, arguments.gateway)
    shutdown = Shutdown()
    shutdown.install()
    return asyncio.run(_Publishing(address, source, arguments, shutdown).run())


def _address(uri: str) -> "NatsAddress":
    from l3book.sources.nats import NatsConnector
    from l3book.sources.uri import SourceError, parse_uri

    try:
        parsed = parse_uri(uri)
        if parsed.scheme == "nats":
            parsed.only("tls")
            return NatsConnector(parsed).address
    except SourceError as error:
        raise CommandError(f"--to: {str(error).removeprefix('source ')}") from None
    raise CommandError(f"--to: {uri!r}: expected nats://HOST:PORT/STREAM")


class _Publishing:
    """One run of the verb."""

    def __init__(
        self, address: "NatsAddress", source: "AnySource", arguments: argparse.Namespace, shutdown: "Shutdown"
    ) -> None:
        self._address = address
        self._source = source
        self._shards: int = arguments.shards
        self._budget_s: int = arguments.reconnect_budget_s
        self._shutdown = shutdown

    async def run(self) -> int:
        from l3book.jetstream.feeding import Feeding, identity_of
        from l3book.jetstream.publisher import Publisher
        from l3book.jetstream.windows import Progress, Windows
        from l3book.sources import is_connector
        from l3book.sources.connection import ConnectionLost, Refused

        publisher = Publisher(self._address, self._shards, self._budget_s)
        feeding: Feeding | None = None
        try:
            standing = await publisher.begin()
            identity = identity_of(self._source)
            known = standing.progress
            progress = known if known is not None and known.source == identity else Progress(identity)
            if progress.ended_shard == self._shards - 1:
                print(f"{self._address}: all {progress.end:,} records are there already", file=sys.stderr)
                return 0
            windows = Windows(self._address.stream, standing.shards, standing.sequence, standing.ts_event, progress)
            options = FeedOptions(reconnect_budget_s=self._budget_s)
            goes_on = known is not None and is_connector(self._source)
            feeding = Feeding(self._source, windows, options, goes_on=goes_on)
            self._shutdown.call(feeding.close)
            if progress.first:
                print(f"{self._address}: goes on after record {progress.first:,}", file=sys.stderr)
            with count_progress(self._address.stream, " records") as publisher.on_records:
                await publisher.run(feeding.batches())
        except (ConnectionLost, Refused) as error:
            if publisher.counts.messages:
                self._say(publisher.counts)
            raise CommandError(str(error), EXIT_ANSWER_IS_NO) from None
        self._say(publisher.counts)
        if feeding.error is not None:
            raise CommandError(f"source {self._source.uri!r}: {feeding.error}", EXIT_ANSWER_IS_NO)
        return 0

    def _say(self, counts: "Counts") -> None:
        losses = sum(counts.losses.values())
        again = f"; {losses} connections lost, {counts.sent_again} messages sent again" if losses else ""
        print(
            f"{self._address}: {counts.records:,} records in {counts.messages:,} messages, "
            f"{counts.bytes:,} bytes, all acknowledged{again}",
            file=sys.stderr,
        )
