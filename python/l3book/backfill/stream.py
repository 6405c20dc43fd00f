"""A file into a stream of its own of NATS JetStream."""

import asyncio

from l3book._core import DecodeError
from l3book.backfill.task import Progress, Result, Task
from l3book.jetstream.address import NatsAddress
from l3book.sources.connection import ConnectionLost, Refused
from l3book.sources.file import FileSource
from l3book.sources.uri import SourceError, SourceUri, parse_uri

RECORD_BYTES = 56


def publish(task: Task, progress: Progress) -> Result:
    """Publish a file, or what the stream does not have of it yet."""
    from l3book.jetstream.publishing import Publishing

    try:
        address = NatsAddress.of(parse_uri(task.to))
        # Not parsed: a file's name may hold whatever a URI's may not.
        source = FileSource(SourceUri(f"file:{task.file}", "file", str(task.file), {}))
        publishing = Publishing(address, source)
        published = asyncio.run(publishing.run(lambda records: progress(records * RECORD_BYTES)))
    except (DecodeError, SourceError, ConnectionLost, Refused) as error:
        return Result(task, "failed", error=str(error))
    except OSError as error:
        return Result(task, "failed", error=error.strerror or str(error))
    if published.is_there:
        return Result(task, "there", published.there)
    if published.error is not None:
        return Result(task, "failed", published.counts.records, published.error)
    return Result(task, "done", published.there + published.counts.records)
