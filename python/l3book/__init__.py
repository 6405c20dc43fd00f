"""Full-depth (L3, market-by-order) order books from Databento DBN data.

Prices are integers in units of 1e-9, sizes whole units, times UNIX nanoseconds (UTC). Importing this package
loads the Rust core and nothing else: numpy, pandas and the server's packages are imported where they are
first used.
"""

import warnings

from l3book._core import (
    BBO,
    DEBUG_BUILD,
    UNDEF_PRICE,
    AmbiguousInstrumentError,
    Book,
    BookSnapshot,
    CheckpointError,
    DecodeError,
    Deriver,
    Instrument,
    InvariantError,
    L3BookError,
    Level,
    Market,
    Message,
    Order,
    OrderBook,
    QueuePosition,
    Stream,
    UnknownInstrumentError,
    UnknownOrderError,
    VerifyReport,
    __version__,
    verify,
)
from l3book.arrow import arrow_reader, to_arrow
from l3book.rows import mbp10

__all__ = [
    "BBO",
    "UNDEF_PRICE",
    "AmbiguousInstrumentError",
    "Book",
    "BookSnapshot",
    "CheckpointError",
    "DecodeError",
    "Deriver",
    "Instrument",
    "InvariantError",
    "L3BookError",
    "Level",
    "Market",
    "Message",
    "Order",
    "OrderBook",
    "QueuePosition",
    "Stream",
    "UnknownInstrumentError",
    "UnknownOrderError",
    "VerifyReport",
    "__version__",
    "arrow_reader",
    "mbp10",
    "to_arrow",
    "verify",
]

if DEBUG_BUILD:
    warnings.warn(
        "l3book was built without optimisation and is many times slower than it should be; "
        "build it with `maturin develop --release`",
        RuntimeWarning,
        stacklevel=2,
    )
