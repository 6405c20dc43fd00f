"""Probes of what a server with a history answers: routes, parameters, problems and operations on the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbn_bytes import T0
from documented import names
from documented_probes_http import ELSEWHERE, GOOD_STATUS, PAST_ROUTES, PROBLEMS_OF_ROUTES
from documented_probes_sockets import answer_to, code_of, opened
from documented_servers import SECOND_NS, Servers, ask, check_problem, probe

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from websockets.sync.client import ClientConnection

    from running import RunningServer

START = str(T0 + 2 * SECOND_NS)
END = str(T0 + 6 * SECOND_NS)
NOWHERE = "0123456789abcdef"
EXPORT = {"start": START, "end": END, "schema": "mbo", "to": "csv", "instrument": "CD"}
REPLAY = {"from": START, "paused": True}
BODIES: dict[str, dict[str, Any]] = {"POST /v1/replays": REPLAY, "POST /v1/exports": EXPORT}
TYPES_OF_EXPORTS = {"dbn": "application/zstd", "csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
BEFORE_ALL = "1"


def body_for(route: str) -> dict[str, Any] | None:
    return {} if route.startswith("PATCH") else BODIES.get(route)


def path_for(servers: Servers, route: str) -> str:
    """The route with something there is in place of its parameters."""
    path = route.split()[1]
    if "{replay}" in path:
        free_replays(servers.recorded)
        return path.format(replay=make(servers.recorded, "replays", REPLAY)["id"])
    if "{export}" in path:
        return path.format(export=make(servers.recorded, "exports", EXPORT)["id"])
    if route == "POST /v1/replays":
        free_replays(servers.recorded)
    return path.format(instrument="CD")


def make(server: RunningServer, what: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = server.client.post(f"/v1/{what}", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def free_replays(server: RunningServer) -> None:
    for replay in server.get("/v1/replays").json()["replays"]:
        server.client.delete(f"/v1/replays/{replay['id']}")


def send(
    servers: Servers, route: str, query: str = "", *, server: RunningServer | None = None, **options: Any
) -> httpx.Response:
    body = options.pop("body", body_for(route))
    sent = {} if body is None else {"json": body}
    path = options.pop("path", None) or path_for(servers, route)
    return (server or servers.recorded).client.request(route.split()[0], path + query, **sent, **options)


def _nowhere(servers: Servers, route: str) -> httpx.Response:
    return send(servers, route, path=route.split()[1].format(replay=NOWHERE, export=NOWHERE))


def _by_name(servers: Servers, route: str, name: str) -> httpx.Response:
    if "{instrument}" in route:
        return send(servers, route, path=route.split()[1].format(instrument=name))
    body = {"step": {"instrument": name}} if "PATCH" in route else {**EXPORT, "instrument": name}
    return send(servers, route, body=body)


def _before_all(servers: Servers, route: str) -> httpx.Response:
    fields = {"POST /v1/replays": ("from",), "POST /v1/exports": ("start", "end")}.get(route, ("at",))
    return send(servers, route, body={**(body_for(route) or {}), **dict.fromkeys(fields, BEFORE_ALL)})


def _bad_parameter(servers: Servers, route: str) -> httpx.Response:
    if "{instrument}" in route:
        return send(servers, route, "?limit=0")
    field = {"POST /v1/replays": "from", "POST /v1/exports": "end"}.get(route, "at")
    return send(servers, route, body={**(body_for(route) or {}), field: "soon"})


def _too_many(servers: Servers, route: str) -> httpx.Response:
    answers = [send(servers, route, path="/v1/replays") for _ in range(3)]
    free_replays(servers.recorded)
    return answers[-1]


def _too_large(servers: Servers, route: str) -> httpx.Response:
    server = servers.recorded_one
    at = int(server.get("/v1/books/SYN0").json()["ts_event"])
    body = {**EXPORT, "start": str(at - SECOND_NS // 10), "end": str(at), "instrument": "SYN0"}
    return send(servers, route, server=server, body=body)


def _reused(servers: Servers, route: str) -> httpx.Response:
    headers = {"Idempotency-Key": f"reused{route.split()[1]}"}
    send(servers, route, headers=headers)
    return send(servers, route, "?a=1", headers=headers)


def _not_a_folder(servers: Servers, route: str) -> httpx.Response:
    """Where the exports should be, there is a file."""
    exports = servers.history_of("recorded") / "exports"
    aside = exports.with_name("aside")
    assert servers.recorded
    if exports.is_dir():
        exports.rename(aside)
    exports.write_bytes(b"")
    try:
        return send(servers, route)
    finally:
        exports.unlink()
        if aside.is_dir():
            aside.rename(exports)


def _not_kept(servers: Servers, route: str) -> httpx.Response:
    path = route.split()[1].format(instrument="CD", replay=NOWHERE, export=NOWHERE)
    return send(servers, route, server=servers.still, path=path)


PROBLEMS: dict[str, tuple[int, Callable[[Servers, str], httpx.Response]]] = {
    "unknown_parameter": (400, lambda servers, route: send(servers, route, "?nonsense=1")),
    "repeated_parameter": (400, lambda servers, route: send(servers, route, "?limit=1&limit=1")),
    "not_acceptable": (406, lambda servers, route: send(servers, route, headers={"Accept": "image/png"})),
    "bad_parameter": (422, _bad_parameter),
    "bad_body": (422, lambda servers, route: send(servers, route, body={"nonsense": 1})),
    "unknown_instrument": (404, lambda servers, route: _by_name(servers, route, "NONE")),
    "ambiguous_instrument": (409, lambda servers, route: _by_name(servers, route, "AB")),
    "not_recorded": (404, _before_all),
    "unknown_replay": (404, _nowhere),
    "unknown_export": (404, _nowhere),
    "too_many_replays": (429, _too_many),
    "export_too_large": (422, _too_large),
    "export_failed": (503, _not_a_folder),
    "history_unavailable": (501, _not_kept),
    "wrong_origin": (403, lambda servers, route: send(servers, route, headers={"Origin": "https://evil.example"})),
    "bad_idempotency_key": (
        400,
        lambda servers, route: send(servers, route, headers={"Idempotency-Key": "no spaces"}),
    ),
    "idempotency_key_reused": (422, _reused),
}


def check_route(servers: Servers, route: str) -> None:
    _, _, content_types, problems = PAST_ROUTES[route]
    method = route.split()[0]
    if "{export}" not in route:
        for content_type in names(content_types) or ["application/json"]:
            answer = send(servers, route, headers={"Accept": content_type})
            assert answer.status_code == {**GOOD_STATUS, "PATCH": 200, "DELETE": 204}[method], answer.text
            assert answer.headers["cache-control"] == "no-store"
            if method != "DELETE":
                assert answer.headers["content-type"].partition(";")[0] == content_type
    allowed = servers.recorded.client.options(path_for(servers, route))
    assert (allowed.status_code, method in allowed.headers["allow"]) == (204, True)
    for code in set(names(problems)) - ELSEWHERE:
        status, provoke = PROBLEMS[code]
        check_problem(provoke(servers, route), code, status)
    free_replays(servers.recorded)


for _route in PAST_ROUTES:
    probe("route", _route)(lambda servers, route=_route: check_route(servers, route))  # type: ignore[misc]

for _code, (_status, _) in PROBLEMS.items():
    if _code not in PROBLEMS_OF_ROUTES:

        @probe("problem", f"{_code} {_status}")
        def _problem(servers: Servers, code: str = _code, status: int = _status) -> None:
            route = next(route for route, row in PAST_ROUTES.items() if code in names(row[3]))
            check_problem(PROBLEMS[code][1](servers, route), code, status)


@probe("problem", "bad_body 400")
def _no_json(servers: Servers) -> None:
    headers = {"Content-Type": "application/json"}
    check_problem(servers.recorded.client.post("/v1/replays", content=b"{", headers=headers), "bad_body", 400)


@probe("problem", "history_damaged 500")
def _damaged(servers: Servers) -> None:
    assert servers.recorded
    server = servers.record("damaged", servers.folder / "recorded.dbn")
    for segment in servers.history_of("damaged").glob("log/*/*/*.dbn.zst"):
        content = bytearray(segment.read_bytes())
        for at in range(len(content) // 2, len(content) - 4):
            content[at] ^= 0xFF
        segment.write_bytes(content)
    answer = ask(server, f"/v1/books/CD?at={START}")
    check_problem(answer, "history_damaged", 500)
    assert str(servers.folder) not in answer.text
    server.wait_for_line(r"\.dbn\.zst, byte ")  # where


# Parameters.


@probe("parameter", "at")
def _at(servers: Servers) -> None:
    counts = [ask(servers.recorded, f"/v1/books/CD?at={T0 + second * SECOND_NS}").json()["orders"] for second in (3, 5)]
    assert counts == [3, 5]
    assert ask(servers.recorded, f"/v1/books/CD/orders/3?at={START}").status_code == 404
    assert ask(servers.recorded, f"/v1/books/CD/orders/2?at={START}").status_code == 200


@probe("parameter", "life")
def _life(servers: Servers) -> None:
    told = [ask(servers.recorded, f"/v1/books/CD/orders/2?life={wanted}").json() for wanted in ("true", "false")]
    assert ["life" in order for order in told] == [True, False]


@probe("parameter", "start", "end")
def _start_and_end(servers: Servers) -> None:
    path = "/v1/books/CD/history/trades"
    counts = [len(ask(servers.recorded, path + query).json()["trades"]) for query in ("", f"?start={START}&end={END}")]
    assert counts == [9, 4]


@probe("parameter", "interval")
def _interval(servers: Servers) -> None:
    rows = ask(servers.recorded, "/v1/books/CD/history/bbo?interval=2s").json()["bbo"]
    assert all(int(row["ts"]) % (2 * SECOND_NS) == 0 for row in rows)
    assert rows


@probe("parameter", "side", "price")
def _side_and_price(servers: Servers) -> None:
    path = "/v1/books/CD/history/levels"
    found = [
        bool(ask(servers.recorded, path + query).json()["levels"])
        for query in ("?side=B", "?side=A", "?price=100.00", "?price=101.00")
    ]
    assert found == [True, False, True, False]


@probe("parameter", "replay")
def _replay(servers: Servers) -> None:
    assert ask(servers.recorded, path_for(servers, "GET /v1/replays/{replay}")).status_code == 200


@probe("parameter", "export")
@probe("header of an answer", "Content-Disposition", "Location")
@probe("content type", *TYPES_OF_EXPORTS.values())
def _export(servers: Servers) -> None:
    for form, content_type in TYPES_OF_EXPORTS.items():
        made = servers.recorded.client.post("/v1/exports", json={**EXPORT, "to": form})
        file = ask(servers.recorded, made.headers["location"])
        assert file.headers["content-type"].partition(";")[0] == content_type
        assert made.json()["id"] in file.headers["content-disposition"]


# Limits.


@probe("limit in api.md", "rows of history a page")
def _rows_a_page(servers: Servers) -> None:
    path = "/v1/books/CD/history/trades?limit="
    assert ask(servers.recorded, f"{path}10000").status_code == 200
    check_problem(ask(servers.recorded, f"{path}10001"), "bad_parameter", 422)


@probe("limit in api.md", "replays of one key, of the server")
@probe("limit in websocket.md", "replays of one key, of the server")
def _replays(servers: Servers) -> None:
    check_problem(_too_many(servers, "POST /v1/replays"), "too_many_replays", 429)


@probe("limit in api.md", "exported files kept, bytes of one")
def _exports(servers: Servers) -> None:
    urls = [make(servers.recorded, "exports", EXPORT)["url"] for _ in range(3)]
    assert [ask(servers.recorded, url).status_code for url in urls] == [404, 200, 200]


# Over the WebSocket.


def _too_many_of_a_socket(client: ClientConnection, server: RunningServer) -> dict[str, Any]:
    free_replays(server)
    for _ in range(2):
        make(server, "replays", REPLAY)
    answer = answer_to(client, op="replay", **{"from": START})
    free_replays(server)
    return answer


ERRORS: dict[str, Callable[[ClientConnection, RunningServer], dict[str, Any]]] = {
    "not_recorded": lambda client, _: answer_to(client, op="replay", **{"from": BEFORE_ALL}),
    "no_replay": lambda client, _: answer_to(client, op="pause"),
    "unknown_replay": lambda client, _: answer_to(client, op="replay", replay=NOWHERE),
    "too_many_replays": _too_many_of_a_socket,
}

for _code in ERRORS:

    @probe("error code", _code)
    def _error(servers: Servers, code: str = _code) -> None:
        with opened(servers.recorded) as client:
            assert code_of(ERRORS[code](client, servers.recorded)) == code
            assert answer_to(client, op="ping", id=5) == {"type": "pong", "id": 5}, "all else goes on"
