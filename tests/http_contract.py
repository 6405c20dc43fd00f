"""What holds for every answer of the API, and requests that no HTTP client would send."""

import re
import socket
from typing import Any

from running import RunningServer

ANSWER_TIMEOUT_S = 90


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The problem of a response, checked for its form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"] == f"urn:l3book:problem:{code}"
    assert body["title"]
    assert body["detail"]
    assert body["instance"] == response.request.url.raw_path.decode().partition("?")[0]
    assert re.fullmatch("[0-9a-f]{32}", body["trace_id"])
    assert body["request_id"] == response.headers["x-request-id"]
    return body


def raw_answer(server: RunningServer, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send these bytes as they are; -> status, headers and body of what comes before the connection is closed."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=ANSWER_TIMEOUT_S) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    return int(status.split()[1]), headers, body
