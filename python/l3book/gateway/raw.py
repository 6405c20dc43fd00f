"""Bare DBN over TCP: the file's own metadata and records, from the moment of the connection, nothing asked."""

import logging
from typing import NoReturn

from l3book._core import DecodeError
from l3book.gateway.pump import SessionEnd
from l3book.gateway.session import Session


class RawSession(Session):
    """One client of the raw protocol."""

    def open(self) -> None:
        """Join the clock and send the metadata."""
        self.log(logging.INFO, "connected")
        if not self.place.admit():
            raise SessionEnd(f"refused: {self.place.options.sessions_max} sessions are open already", hasty=True)
        self.opened_tape = tape = self.place.open_tape(ts_out=False, compression="none")
        position = self.place.join(tape, at_start=True)
        self.put(tape.metadata(tape.next_ts or 0))
        self.start_pump(position)

    def received(self, data: bytes) -> None:
        """Pass over what a client sends. One that has ended its side may still read."""
        if not data:
            self.reads_client = False

    def failed_tape(self, error: DecodeError | OSError) -> NoReturn:
        """Reset the connection: an orderly end would say that this was all."""
        raise SessionEnd(f"the recording cannot be read on: {error}", reset=True)
