"""Records a stream until it is killed: `python history_child.py FOLDER STREAM SEED`.

Prints `durable N` whenever it knows that N records are durable, and `done` once all are.
"""

import random
import sys
from pathlib import Path

from l3book import Market
from l3book._core import Log, Recorder

RECORD_BYTES = 56
WAIT_S = 60


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(folder: str, stream: str, seed: str) -> None:
    choose = random.Random(seed)
    data = Path(stream).read_bytes()
    recorder = Recorder(
        folder,
        fsync_records=choose.choice([300, 2_000, 65_536]),
        fsync_ms=choose.choice([1, 20]),
        segment_bytes_max=choose.choice([60_000, 1_000_000]),
        queue_bytes_max=1 << 20,
    )
    if recorder.recovered["session"] is None:
        market = Market()
        recorder.begin(market, "test:")
    else:
        market = Log(folder).restore()
        recorder.begin(market, None)
    at = recorder.recovered["end_ordinal"] * RECORD_BYTES
    while at < len(data):
        assert recorder.wait_room(WAIT_S)
        # Cut anywhere: what is fed need not be whole records.
        piece = data[at : at + choose.randrange(1, 120_000)]
        market.feed(piece)
        at += len(piece)
        say(f"durable {recorder.stats()['durable_ordinal']}")
    assert recorder.close(WAIT_S)
    say("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
