"""The two subprotocols: JSON in text frames, MessagePack in binary ones; records of channel dbn are binary in both."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from l3book.api.faults import fields_of, sentence
from l3book.streams.update import Update
from l3book.wire import Answer, AnyCommand, Channel, CommandId, IntervalMs

if TYPE_CHECKING:
    from l3book._core import Message

_FIN = 0x80
_TEXT = 0x1
_BINARY = 0x2
_LENGTH_IN_7_BITS_MAX = 125
_LENGTH_IN_16_BITS_MAX = 0xFFFF

_CHOICES = {
    "op": tuple(op.__struct_config__.tag for op in get_args(AnyCommand)),
    "channel": get_args(Channel),
    "interval_ms": get_args(IntervalMs),
    "level": (2, 3),
}
"""The fields that have few values; msgspec names the field and what came, but not these."""
_WHOLE = "the message"
_FIELDS = {op.__struct_config__.tag: ("op", *fields_of(op, _WHOLE)[_WHOLE]) for op in get_args(AnyCommand)}
"""What each op may hold."""


class MalformedError(ValueError):
    """A message that is not in the format of the subprotocol at all."""


class BadOpError(ValueError):
    """A message that is no op; `id` is the one it gave, where it gave one."""

    def __init__(self, detail: str, op_id: int | None) -> None:
        super().__init__(detail)
        self.id = op_id


class Numbered(msgspec.Struct):
    """Any op, right or wrong, as far as its id can be read."""

    id: CommandId | None = None


class Named(msgspec.Struct):
    """Any op that says which it is."""

    op: str


class Format:
    """How messages are written on one socket."""

    def __init__(
        self,
        name: Literal["json", "msgpack"],
        encode: Callable[[Answer], bytes],
        decode: Callable[[bytes], AnyCommand],
        decode_id: Callable[[bytes], Numbered],
        decode_name: Callable[[bytes], Named],
    ) -> None:
        self.name = name
        self.subprotocol = f"l3book.v1.{name}"
        self.is_text = name == "json"
        self._opcode = _TEXT if self.is_text else _BINARY
        self._encode = encode
        self._decode = decode
        self._decode_id = decode_id
        self._decode_name = decode_name

    def op(self, data: bytes | str) -> AnyCommand:
        """Read what a client said. Raises MalformedError or BadOpError."""
        if isinstance(data, str) != self.is_text:
            kind = "text" if self.is_text else "binary"
            raise MalformedError(f"expected {kind} messages: the subprotocol is {self.subprotocol}")
        message = data.encode() if isinstance(data, str) else data
        try:
            return self._decode(message)
        except msgspec.ValidationError as error:
            told = sentence(str(error), _WHOLE, _CHOICES, {_WHOLE: self._fields_of(message)})
            raise BadOpError(told, self._id_of(message)) from None
        except msgspec.DecodeError:
            expected = "JSON" if self.is_text else "MessagePack"
            raise MalformedError(f"no {expected}: the subprotocol is {self.subprotocol}") from None
        except RecursionError:
            raise BadOpError("nested too deeply", None) from None

    def answer(self, answer: Answer) -> bytes:
        """Frame one of our own messages."""
        return framed(self._opcode, self._encode(answer))

    def update(self, update: Update) -> bytes:
        """Frame a message of a channel; made once for all clients of its group."""
        frame = update.frames.get(self.name)
        if frame is None:
            frame = update.frames[self.name] = self._frame(update.message)
        return frame

    def _frame(self, message: "Message") -> bytes:
        if (records := message.binary) is not None:
            return framed(_BINARY, records)
        return framed(self._opcode, message.text.encode() if self.is_text else message.msgpack)

    def _fields_of(self, data: bytes) -> tuple[str, ...]:
        try:
            return _FIELDS.get(self._decode_name(data).op, ())
        except (msgspec.MsgspecError, RecursionError):
            return ()

    def _id_of(self, data: bytes) -> int | None:
        try:
            return self._decode_id(data).id
        except (msgspec.MsgspecError, RecursionError):
            return None


def framed(opcode: int, payload: bytes) -> bytes:
    """Put a server's frame header (RFC 6455, 5.2: unmasked) before a whole message."""
    length = len(payload)
    if length <= _LENGTH_IN_7_BITS_MAX:
        head = bytes((_FIN | opcode, length))
    elif length <= _LENGTH_IN_16_BITS_MAX:
        head = bytes((_FIN | opcode, 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((_FIN | opcode, 127)) + length.to_bytes(8, "big")
    return head + payload


JSON = Format(
    "json",
    msgspec.json.Encoder().encode,
    msgspec.json.Decoder(AnyCommand).decode,
    msgspec.json.Decoder(Numbered).decode,
    msgspec.json.Decoder(Named).decode,
)
MSGPACK = Format(
    "msgpack",
    msgspec.msgpack.Encoder().encode,
    msgspec.msgpack.Decoder(AnyCommand).decode,
    msgspec.msgpack.Decoder(Numbered).decode,
    msgspec.msgpack.Decoder(Named).decode,
)

BY_SUBPROTOCOL = {form.subprotocol: form for form in (JSON, MSGPACK)}
