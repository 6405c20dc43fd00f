"""Probes of what is said over HTTP: routes, parameters, content types, headers, problems, limits."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx

from documented import names, tables
from documented_servers import OTHER, Servers, ask, check_problem, client_from, connected, probe, raw
from sockets import whole_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from running import RunningServer

PAST = ("/history", "/v1/replays", "/v1/exports")
ALL_ROUTES = {names(row[0])[0]: row for row in tables("api", "Routes")[0]}
PAST_ROUTES = {route: row for route, row in ALL_ROUTES.items() if any(name in route for name in PAST)}
"""Those that only a server with a history answers: documented_probes_past.py."""
ROUTES = {route: row for route, row in ALL_ROUTES.items() if route not in PAST_ROUTES}
FILE_TYPES = {"application/zstd", "text/csv", "application/vnd.apache.parquet"}
METRICS_TYPES = ("text/plain", "application/openmetrics-text")
BOOK_TYPES = [
    row for row in tables("api", "Content types")[0] if not {*FILE_TYPES, *METRICS_TYPES} & set(names(row[0]))
]
FILLED = {"instrument": "CD", "order_id": "6415"}
"""What stands for the parameters of paths."""
GOOD_STATUS = {"GET": 200, "POST": 201}
TICKETS = "POST /v1/tickets"
WRONG_KEYS_MAX = 20
TICKETS_MAX = 1000
HEAD_BYTES_MAX = 65_536
ADDRESS_BYTES_MAX = 65_535
SECRET = "l3b_0123456789ab_" + "0" * 64


def path_of(route: str) -> str:
    return route.split()[1].format(**FILLED)


def method_of(route: str) -> str:
    return route.split()[0]


def books(servers: Servers, route: str) -> RunningServer:
    """A server on which the route is answered: one of them answers for the only book there is."""
    return servers.one if route == "GET /get_snapshot" else servers.still


def ask_route(servers: Servers, route: str, query: str = "", **headers: str) -> httpx.Response:
    return ask(books(servers, route), path_of(route) + query, method_of(route), headers=headers)


# Routes, with every content type and every problem of their own.


def _unknown_instrument(servers: Servers, route: str) -> httpx.Response:
    return ask(servers.still, route.split()[1].format(instrument="NONE", order_id=1))


def _ambiguous(servers: Servers, route: str) -> httpx.Response:
    return ask(servers.still, route.split()[1].format(instrument="AB", order_id=1))


def _too_many_tickets(servers: Servers, _route: str) -> httpx.Response:
    with client_from(servers.still, "127.0.0.9") as client:
        answers = (client.post("/v1/tickets") for _ in range(TICKETS_MAX + 1))
        return next(answer for answer in answers if answer.status_code != 201)


def _reused(servers: Servers, route: str) -> httpx.Response:
    ask_route(servers, route, **{"Idempotency-Key": "reused"})
    return ask_route(servers, route, "?a=1", **{"Idempotency-Key": "reused"})


PROBLEMS_OF_ROUTES: dict[str, tuple[int, Callable[[Servers, str], httpx.Response]]] = {
    "unknown_parameter": (400, lambda servers, route: ask_route(servers, route, "?nonsense=1")),
    "repeated_parameter": (400, lambda servers, route: ask_route(servers, route, repeated(route))),
    "not_acceptable": (406, lambda servers, route: ask_route(servers, route, Accept="image/png")),
    "bad_parameter": (422, lambda servers, route: ask_bad_parameter(servers, route)),
    "unknown_instrument": (404, _unknown_instrument),
    "ambiguous_instrument": (409, _ambiguous),
    "unknown_order": (404, lambda servers, route: ask(servers.still, path_of(route).replace("6415", "1"))),
    "history_unavailable": (501, lambda servers, route: ask_route(servers, route, "?at=2025-09-24T00:00:00Z")),
    "not_recorded": (404, lambda servers, route: ask(recorded_for(servers, route), path_of(route) + "?at=1")),
    "no_instruments": (503, lambda servers, route: ask(servers.empty, path_of(route))),
    "wrong_origin": (403, lambda servers, route: ask_route(servers, route, Origin="https://evil.example")),
    "bad_idempotency_key": (400, lambda servers, route: ask_route(servers, route, **{"Idempotency-Key": "no spaces"})),
    "idempotency_key_reused": (422, _reused),
    "too_many_tickets": (429, _too_many_tickets),
}
ELSEWHERE = {
    "too_many_idempotency_keys",
    "idempotency_key_running",
    "too_many_tickets",
    "history_busy",
    "history_damaged",
    "store_unavailable",
}
"""Probed once, as problems, or not at all: see UNPROVOKED."""


def recorded_for(servers: Servers, route: str) -> RunningServer:
    return servers.recorded_one if route == "GET /get_snapshot" else servers.recorded


def repeated(route: str) -> str:
    name = next(name for name in ("limit", "life", "level") if name in ROUTES[route][1])
    return f"?{name}=1&{name}=1"


def ask_bad_parameter(servers: Servers, route: str) -> httpx.Response:
    if "{order_id}" in route:
        return ask(servers.still, "/v1/books/CD/orders/x")
    if "`feed`" in ROUTES[route][1]:
        return ask_route(servers, route, "?feed=some")
    return ask_route(servers, route, "?limit=0" if "limit" in ROUTES[route][1] else "?level=9")


def check_route(servers: Servers, route: str) -> None:
    _, parameters, content_types, problems = ROUTES[route]
    for content_type in names(content_types):
        answer = ask_route(servers, route, Accept=content_type)
        assert answer.status_code == GOOD_STATUS[method_of(route)], answer.text
        assert answer.headers["content-type"].partition(";")[0] == content_type
        assert answer.headers["x-request-id"]
        assert answer.headers["cache-control"] == ("no-cache" if "etag" in answer.headers else "no-store")
        assert ("Accept" in answer.headers.get("vary", "")) == (len(names(content_types)) > 1)
        assert ("etag" in answer.headers) == ("If-None-Match" in parameters)
    if method_of(route) == "GET":
        head = ask(books(servers, route), path_of(route), "HEAD")
        assert (head.status_code, head.content) == (200, b"")
        allowed = ask(books(servers, route), path_of(route), "OPTIONS")
        assert (allowed.status_code, "GET" in allowed.headers["allow"]) == (204, True)
    if "unknown_parameter" not in names(problems):
        assert ask_route(servers, route, "?nonsense=1").status_code == 200
    for code in set(names(problems)) - ELSEWHERE:
        status, provoke = PROBLEMS_OF_ROUTES[code]
        if code == "ambiguous_instrument" and route == "GET /get_snapshot":
            check_problem(ask(servers.still, path_of(route)), code, status)
        else:
            check_problem(provoke(servers, route), code, status)


for _route in ROUTES:
    probe("route", _route)(lambda servers, route=_route: check_route(servers, route))  # type: ignore[misc]


# Problems.


def _first_route_with(code: str) -> str:
    return next(route for route, row in ROUTES.items() if code in names(row[3]))


for _code, (_status, _) in PROBLEMS_OF_ROUTES.items():

    @probe("problem", f"{_code} {_status}")
    def _problem_of_a_route(servers: Servers, code: str = _code, status: int = _status) -> None:
        check_problem(PROBLEMS_OF_ROUTES[code][1](servers, _first_route_with(code)), code, status)


@probe("problem", "not_ready 503")
def _not_ready(servers: Servers) -> None:
    check_problem(ask(servers.empty, "/readyz"), "not_ready", 503)


def check_raw(answer: bytes, code: str, status: int) -> None:
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert b"application/problem+json" in head
    assert json.loads(content)["code"] == code


@probe("problem", "bad_request 400")
def _bad_request(servers: Servers) -> None:
    for sent in (b"nonsense\r\n\r\n", b"GET /livez HTTP/1.1\r\n\r\n"):
        check_raw(raw(servers.one, sent), "bad_request", 400)


@probe("problem", "request_timeout 408")
@probe("setting", "request_header_timeout_s")
def _request_timeout(servers: Servers) -> None:
    check_raw(raw(servers.desk, b"GET /livez HTTP/1.1\r\n"), "request_timeout", 408)


@probe("problem", "body_too_slow 408")
@probe("setting", "request_body_timeout_s")
@probe("limit in access.md", "seconds for a body")
def _body_too_slow(servers: Servers) -> None:
    head = f"POST /v1/tickets HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {servers.key}\r\n"
    check_raw(raw(servers.desk, (head + "Content-Length: 9\r\n\r\n1234").encode()), "body_too_slow", 408)


@probe("problem", "body_too_large 413")
@probe("setting", "body_bytes_max")
@probe("limit in access.md", "bytes of a body")
def _body_too_large(servers: Servers) -> None:
    fits, too_large = (b'"' + b"x" * (length - 2) + b'"' for length in (1024, 1025))
    options: dict[str, Any] = {"key": servers.key, "headers": {"Content-Type": "application/json"}}
    assert ask(servers.desk, "/v1/tickets", "POST", content=fits, **options).status_code == 201
    check_problem(ask(servers.desk, "/v1/tickets", "POST", content=too_large, **options), "body_too_large", 413)


@probe("problem", "unsupported_media_type 415")
@probe("limit in access.md", "type of a body")
def _unsupported_media_type(servers: Servers) -> None:
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/json", "Content-Encoding": "gzip"}):
        answer = ask(servers.still, "/v1/tickets", "POST", content=b"1", headers=headers)
        check_problem(answer, "unsupported_media_type", 415)


@probe("problem", "wrong_host 421")
def _wrong_host(servers: Servers) -> None:
    check_problem(ask(servers.still, "/livez", headers={"Host": "evil.example"}), "wrong_host", 421)


@probe("problem", "headers_too_large 431")
def _headers_too_large(servers: Servers) -> None:
    # In pieces that are read one by one: what comes with the last is let pass.
    with connected(servers.one) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
        line = b"X: " + b"x" * 1000 + b"\r\n"
        for _ in range(2 * HEAD_BYTES_MAX // len(line)):
            try:
                connection.sendall(line)
            except ConnectionError:
                break
        answer = whole_answer(connection)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"code":"headers_too_large"' in answer


@probe("problem", "too_many_connections 429")
@probe("setting", "connections_per_address_max")
def _too_many_of_an_address(servers: Servers) -> None:
    with connected(servers.narrow, OTHER), connected(servers.narrow, OTHER), connected(servers.narrow, OTHER) as third:
        assert third.recv(65_536).startswith(b"HTTP/1.1 429 ")


@probe("problem", "too_many_connections 503")
@probe("setting", "connections_max")
@probe("limit in access.md", "connections per address; in all")
def _too_many_connections(servers: Servers) -> None:
    from documented_probes_sockets import opened

    servers.narrow.client.close()
    # Busy ones: idle ones would make room.
    busy = [opened(servers.narrow, address) for address in ("127.0.0.3", "127.0.0.3", OTHER)]
    with busy[0], busy[1], busy[2], connected(servers.narrow, "127.0.0.4") as one_more:
        assert one_more.recv(65_536).startswith(b"HTTP/1.1 503 ")


@probe("problem", "key_in_url 400")
def _key_in_url(servers: Servers) -> None:
    problem = check_problem(ask(servers.desk, f"/v1/instruments?key={SECRET}"), "key_in_url", 400)
    assert "0" * 64 not in str(problem)


@probe("problem", "unauthenticated 401")
def _unauthenticated(servers: Servers) -> None:
    assert servers.key
    check_problem(ask(servers.desk, "/v1/instruments"), "unauthenticated", 401)


@probe("problem", "invalid_key 401")
def _invalid_key(servers: Servers) -> None:
    assert servers.key
    check_problem(ask(servers.desk, "/v1/instruments", key=SECRET), "invalid_key", 401)


@probe("problem", "insufficient_scope 403")
@probe("scope", "read")
def _insufficient_scope(servers: Servers) -> None:
    assert ask(servers.desk, "/v1/instruments", key=servers.key).status_code == 200
    assert ask(servers.desk, "/v1/replays", "POST", servers.key).status_code == 501, "let in, and there is no history"
    answer = ask(servers.desk, "/v1/exports", "POST", servers.key)
    check_problem(answer, "insufficient_scope", 403)
    assert 'scope="control"' in answer.headers["www-authenticate"]


@probe("scope", "control")
def _scope_control(servers: Servers) -> None:
    key = servers.make_key("desk", "controller", "control")
    assert ask(servers.desk, "/v1/exports", "POST", key).status_code == 501, "let in, and there is no history"
    check_problem(ask(servers.desk, "/v1/keys", key=key), "insufficient_scope", 403)


@probe("scope", "admin")
def _scope_admin(servers: Servers) -> None:
    key = servers.make_key("desk", "administrator", "admin")
    for method, path, status in [("GET", "/v1/keys", 404), ("POST", "/v1/exports", 501)]:
        assert ask(servers.desk, path, method, key).status_code == status, "let in, and nothing is there"


@probe("problem", "too_many_requests 429")
@probe("setting", "requests_per_s_max")
@probe("limit in access.md", "requests in a second")
@probe("header of an answer", "Retry-After", "RateLimit", "RateLimit-Policy")
def _too_many_requests(servers: Servers) -> None:
    answers = (ask(servers.limited, "/openapi.json") for _ in itertools.count())
    answer = next(answer for answer in answers if answer.status_code != 200)
    check_problem(answer, "too_many_requests", 429)
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["ratelimit-policy"] == '"requests";q=1;w=1'
    assert answer.headers["ratelimit"] == '"requests";r=0;t=1'
    assert "ratelimit" not in ask(servers.limited, "/livez").headers


@probe("problem", "too_many_failed_authentications 429")
@probe("limit in access.md", "wrong keys and tickets in a minute, per address")
def _too_many_failed_authentications(servers: Servers) -> None:
    assert servers.key
    with client_from(servers.desk, OTHER) as client:
        wrong, right = ({"Authorization": f"Bearer {key}"} for key in (SECRET, servers.key))
        for _ in range(WRONG_KEYS_MAX):
            assert client.get("/v1/instruments", headers=wrong).status_code == 401
        answer = client.get("/v1/instruments", headers=wrong)
        check_problem(answer, "too_many_failed_authentications", 429)
        assert answer.headers["connection"] == "close"
        assert client.get("/v1/instruments", headers=right).status_code == 200


@probe("problem", "not_found 404")
def _not_found(servers: Servers) -> None:
    check_problem(ask(servers.still, "/v1/nothing"), "not_found", 404)


@probe("problem", "method_not_allowed 405")
@probe("header of an answer", "Allow")
def _method_not_allowed(servers: Servers) -> None:
    answer = ask(servers.still, "/v1/instruments", "DELETE")
    check_problem(answer, "method_not_allowed", 405)
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@probe("answer for an Idempotency-Key", "bad_idempotency_key", "idempotency_key_reused")
def _answers_for_keys(servers: Servers) -> None:
    """Each is probed as a problem, under the same name."""
    for code in ("bad_idempotency_key", "idempotency_key_reused"):
        status, provoke = PROBLEMS_OF_ROUTES[code]
        check_problem(provoke(servers, TICKETS), code, status)


# Parameters.


def _takes(query: str, path: str = "/v1/books/CD") -> Callable[[Servers], None]:
    def check(servers: Servers) -> None:
        assert ask(servers.still, path + query).status_code == 200

    return check


@probe("parameter", "instrument")
def _instrument(servers: Servers) -> None:
    for name in ("CD", "8", "1:8"):
        book = ask(servers.still, f"/v1/books/{name}").raise_for_status().json()
        assert (book["publisher_id"], book["instrument_id"]) == (1, 8)


@probe("parameter", "level")
def _level(servers: Servers) -> None:
    lengths = [len(ask(servers.still, f"/v1/books/CD?level={level}").json()["bids"][0]) for level in (1, 2, 3)]
    assert lengths == [3, 3, 4]


@probe("parameter", "cursor")
@probe("header of an answer", "Link")
def _cursor(servers: Servers) -> None:
    first = ask(servers.still, "/v1/instruments?limit=2")
    rest = ask(servers.still, f"/v1/instruments?limit=2&cursor={first.json()['next_cursor']}").json()
    assert [len(first.json()["instruments"]), len(rest["instruments"]), "next_cursor" in rest] == [2, 1, False]
    assert first.headers["link"].endswith('>; rel="next"')


probe("parameter", "order_id")(_takes("", "/v1/books/CD/orders/6415"))
probe("parameter", "depth")(_takes("?depth=all"))
probe("parameter", "feed")(_takes("?feed=any", "/readyz"))
probe("parameter", "limit")(_takes("?limit=1000", "/v1/instruments"))
probe("parameter", "state")(_takes("?state=suspect", "/v1/instruments"))


@probe("parameter", "Idempotency-Key")
@probe("header of a request", "Idempotency-Key")
@probe("header of an answer", "Idempotency-Replayed")
def _idempotency_key(servers: Servers) -> None:
    sent = {"Idempotency-Key": str(uuid.uuid4())}
    first, again = (ask(servers.still, "/v1/tickets", "POST", headers=sent) for _ in "12")
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")


@probe("parameter", "If-None-Match")
@probe("header of a request", "If-None-Match")
@probe("header of an answer", "ETag", "Cache-Control")
def _if_none_match(servers: Servers) -> None:
    first = ask(servers.still, "/v1/books/CD")
    for tags in (first.headers["etag"], "*", f'"other", {first.headers["etag"]}'):
        again = ask(servers.still, "/v1/books/CD", headers={"If-None-Match": tags})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert first.headers["cache-control"] == "no-cache"
    assert ask(servers.still, "/v1/books/CD?level=3").headers["etag"] != first.headers["etag"]


# Content types.


@probe("content type", *METRICS_TYPES)
def _metrics_types(servers: Servers) -> None:
    answers = [ask(servers.still, "/metrics", headers={"Accept": accept}) for accept in (*METRICS_TYPES, "image/png")]
    told = [answer.headers["content-type"].partition(";")[0] for answer in answers]
    assert told == [*METRICS_TYPES, METRICS_TYPES[0]]
    assert all("\nl3book_uptime_seconds " in answer.text for answer in answers)


@probe("content type", *(names(row[0])[0] for row in BOOK_TYPES))
@probe("header of a request", "Accept")
@probe("header of an answer", "Vary")
def _content_types(servers: Servers) -> None:
    told = {ask(servers.still, "/v1/books/CD").headers["content-type"]}
    for name, *_ in BOOK_TYPES:
        for accepted in (names(name)[0], f"image/png, {names(name)[0]};q=0.5, */*;q=0.1"):
            answer = ask(servers.still, "/v1/books/CD?level=3", headers={"Accept": accepted})
            assert answer.headers["content-type"] == names(name)[0]
            assert answer.headers["vary"] == "Accept"
            told.add(answer.headers["etag"])
    assert len(told) == len(BOOK_TYPES) + 1, "an ETag for each, and the first type unless told"
    for alias in ("application/vnd.msgpack", "application/x-msgpack"):
        assert ask(servers.still, "/v1/books/CD", headers={"Accept": alias}).headers["content-type"] == alias


# Headers.


@probe("header of a request", "Authorization")
@probe("header of an answer", "WWW-Authenticate")
def _authorization(servers: Servers) -> None:
    assert ask(servers.desk, "/v1/instruments", key=servers.key).status_code == 200
    assert ask(servers.desk, "/v1/replays", "POST", servers.key).status_code == 501, "let in, and there is no history"
    assert ask(servers.desk, "/v1/instruments").headers["www-authenticate"] == "Bearer"


@probe("header of a request", "X-Request-Id")
@probe("header of an answer", "X-Request-Id")
@probe("limit in api.md", "characters of `X-Request-Id` that are taken")
def _request_id(servers: Servers) -> None:
    own = "A-Z.a_z:0/9+=@-" + "x" * (128 - 15)
    assert ask(servers.still, "/v1/nothing", headers={"X-Request-Id": own}).headers["x-request-id"] == own
    for refused in (own + "x", "with space", "", SECRET):
        answer = ask(servers.still, "/livez", headers={"X-Request-Id": refused})
        assert len(answer.headers["x-request-id"]) == 32


@probe("header of a request", "traceparent")
def _traceparent(servers: Servers) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    sent = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    answer = ask(servers.still, "/v1/nothing", headers=sent)
    assert answer.json()["trace_id"] == answer.headers["x-request-id"] == trace


def _says(header: str, value: str) -> Callable[[Servers], None]:
    def check(servers: Servers) -> None:
        for path in ("/livez", "/v1/nothing", "/v1/ws"):
            assert ask(servers.still, path).headers[header] == value
        assert f"\r\n{header.lower()}: {value}\r\n".encode() in raw(servers.one, b"nonsense\r\n\r\n").lower().replace(
            value.lower().encode(), value.encode()
        )

    return check


for _name, _value in ((names(row[0])[0], names(row[1])[0]) for row in tables("api", "Headers")[2]):
    if _name != "Strict-Transport-Security":
        probe("header of every answer", _name)(_says(_name, _value))


@probe("header of every answer", "Strict-Transport-Security")
def _strict_transport_security(servers: Servers) -> None:
    assert "strict-transport-security" not in ask(servers.still, "/livez").headers
    server, trust = servers.by_tls
    with httpx.Client(base_url=server.url, verify=trust) as client:
        answer = client.get("/livez")
    (documented,) = [row[1] for row in tables("api", "Headers")[2] if names(row[0]) == ["Strict-Transport-Security"]]
    assert answer.headers["strict-transport-security"] == names(documented)[0]


# Limits.


@probe("limit in api.md", "levels a side")
def _levels(servers: Servers) -> None:
    assert ask(servers.still, "/v1/books/CD?depth=10000").status_code == 200
    check_problem(ask(servers.still, "/v1/books/CD?depth=10001"), "bad_parameter", 422)


@probe("limit in api.md", "instruments a page")
def _instruments_a_page(servers: Servers) -> None:
    check_problem(ask(servers.still, "/v1/instruments?limit=1001"), "bad_parameter", 422)


@probe("limit in api.md", "bytes of an address")
def _bytes_of_an_address(servers: Servers) -> None:
    check_raw(
        raw(servers.one, b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"x" * ADDRESS_BYTES_MAX)),
        "bad_request",
        400,
    )


@probe("setting", "slow_consumer_timeout_s")
def _slow_consumer(servers: Servers) -> None:
    """Of HTTP here; of a WebSocket as close code 1008."""
    server = servers.start("impatient", "synthetic:?rate=20000", slow_consumer_timeout_s=1)
    with connected(server) as connection:
        connection.sendall(b"GET /v1/books/SYN0?level=3&depth=all HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400)
        while not server.metrics()["connections"]["stalled"]:
            time.sleep(0.05)
