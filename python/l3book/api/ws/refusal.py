"""An op that is not carried out."""

from l3book.wire import ErrorCode


class Refusal(Exception):  # noqa: N818  # an answer, no fault of ours
    """Why not: a word for programs, and a sentence for people."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
