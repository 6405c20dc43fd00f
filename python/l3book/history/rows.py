"""What an `Indexer` derives from the log: trades, and best quotes and price levels by the second.

Rows are packed and little endian: `np.frombuffer(batch.trades, TRADE)`. Prices are in units of 1e-9, absent ones
UNDEF_PRICE. A second is [ts, ts + 1e9) of the ts_recv clock. One clock runs for all books: a second ends when a record
of any book with a later ts_recv comes, and a record from before the second that runs counts into it (ts_recv can go
back a little; one that is more than a minute behind sets the clock back). Books move by whole events, so an event
belongs to the second in which it completes.

- `TRADE`: a record with action T, at once and exactly as it says; identity: ordinal.
- `BBO`: the best levels of a book at the end of a second; identity: book and ts. There is one for each second in which
  something was told of the best levels: an order at the best price of the second's beginning or a better one (any, on a
  side without levels) came, changed or left, also if it all was as before in the end; or the book was cleared, loaded
  from a snapshot, marked as bad, doubted or trusted anew; or had completed no event before. A reader fills forward.
- `LEVEL`: a price level at the end of a second; identity: book, ts, side and price. There is one for each second in
  which an order there came, changed or left; size 0 says that the level is gone. A reader fills forward.

Rows of a second that still runs are there too, and come again when it goes on: of two with the same identity the one
with the larger ordinal is in force. Nothing tells of the end of a session: its last rows hold until the next one
begins, with empty books. After a hole there are rows of all that differs from before it.
"""

from typing import Final

import numpy as np

TRADE: Final = np.dtype(
    [
        ("ordinal", "<u8"),  # position in the log
        ("ts_event", "<u8"),
        ("ts_recv", "<u8"),
        ("order_id", "<u8"),
        ("price", "<i8"),
        ("size", "<u4"),
        ("sequence", "<u4"),
        ("instrument_id", "<u4"),
        ("publisher_id", "<u2"),
        ("side", "S1"),  # of the aggressor: B, A or N
        ("flags", "u1"),
    ]
)
BBO: Final = np.dtype(
    [
        ("ts", "<u8"),  # start of the second, ns
        ("ordinal", "<u8"),  # of the last record before its end, of any book
        ("bid_px", "<i8"),
        ("ask_px", "<i8"),
        ("bid_size", "<u8"),
        ("ask_size", "<u8"),
        ("bid_count", "<u4"),  # orders; 0 also for the quote of a top-of-book feed
        ("ask_count", "<u4"),
        ("instrument_id", "<u4"),
        ("publisher_id", "<u2"),
        ("state", "u1"),  # index of STATES
        ("_pad", "u1"),
    ]
)
LEVEL: Final = np.dtype(
    [
        ("ts", "<u8"),  # as in BBO
        ("ordinal", "<u8"),
        ("price", "<i8"),
        ("size", "<u8"),  # 0: gone
        ("count", "<u4"),
        ("instrument_id", "<u4"),
        ("publisher_id", "<u2"),
        ("side", "S1"),  # B or A
        ("_pad", "u1"),
    ]
)
STATES: Final = ("empty", "snapshot", "live", "suspect")
