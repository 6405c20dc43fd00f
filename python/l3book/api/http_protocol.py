"""What is answered below the application: bytes that are no request are refused by a problem, as all else is."""

from urllib.parse import quote

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from l3book.api.problems import MEDIA_TYPE, Problem, body, new_id

_URI_CHARACTERS = "/%:@!$&'()*+,;=~-._"
INSTANCE_CHARACTERS_MAX = 256


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol; its own answers are problems."""

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could make nothing of. `msg` says no more than that, and is left out."""
        del msg
        detail = "expected HTTP/1.1: a method, an address of printable ASCII, and headers, as RFC 9112 has them"
        self.transport.write(self.refusal(Problem(400, "bad_request", detail)))
        self.transport.close()

    def refusal(self, problem: Problem) -> bytes:
        """Write an answer after which the connection is closed; to be sent only where none has begun."""
        path = getattr(self, "url", b"").partition(b"?")[0][:INSTANCE_CHARACTERS_MAX]
        # Not known before its headers are read, so that it goes by an id of its own.
        made = new_id()
        content = body(problem, quote(path, _URI_CHARACTERS) or "/", made)
        lines = [
            *(b"%s: %s" % field for field in self.server_state.default_headers),
            b"content-type: " + MEDIA_TYPE.encode(),
            b"content-length: %d" % len(content),
            b"cache-control: no-store",
            b"x-request-id: " + made.encode(),
            b"connection: close",
        ]
        return STATUS_LINE[problem.status] + b"\r\n".join(lines) + b"\r\n\r\n" + content
